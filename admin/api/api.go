// Package api is the admin API, /admin/v1: package admin as JSON over HTTP, for
// programs and the command line.
//
//   - New returns it for the Areas that it offers; an admin.Caller must be in the
//     context of requests, which package admin/access puts there.
//   - Endpoints are rows of one table. The document at /admin/v1/openapi.json and
//     docs/reference-admin-api.md are made of it too.
//   - Package wire has the bodies that package admin has no type for.
//
// Who may do what is decided by the Areas; the roles of the table are only told.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
)

// Prefix is where the API is.
const Prefix = "/admin/v1/"

// DocumentPath is where the OpenAPI document is, which everybody may read.
const DocumentPath = Prefix + "openapi.json"

// Areas are what the API offers. *admin.Service is all of them.
type Areas interface {
	admin.Users
	admin.Sessions
	admin.Blocks
	admin.Audit
	admin.Gateway
	admin.Configuration
	admin.Sync
}

// API answers requests below Prefix. It is safe for concurrent use.
type API struct {
	Logger *slog.Logger // nil means slog.Default()

	areas   Areas
	mux     http.ServeMux
	streams admin.Slots
	exports admin.Slots
	large   admin.Slots
}

var _ http.Handler = (*API)(nil)

// New returns the API, for requests whose context has an admin.Caller. Requests
// without one get 401, and only the description of the API.
func New(areas Areas) *API {
	a := &API{
		areas: areas, streams: admin.Slots{Most: maxStreams, Of: "streams"}, exports: admin.Slots{Most: maxExports, Of: "exports"},
		large: admin.Slots{Most: maxLargeBodies, Of: "large requests"},
	}
	methods := map[string][]string{}
	for _, e := range endpoints {
		if e.serve == nil {
			continue // package admin/access has it
		}
		pattern := Prefix + strings.TrimPrefix(e.path, "/")
		a.mux.HandleFunc(e.method+" "+pattern, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, &e) })
		methods[pattern] = append(methods[pattern], e.method)
		if e.method == http.MethodGet && e.media == nil {
			methods[pattern] = append(methods[pattern], http.MethodHead)
		}
	}
	for pattern, allow := range methods {
		refuse := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			a.refuse(w, r, &admin.Error{Kind: wire.Method, Text: "this path takes " + strings.Join(allow, ", ")})
		}
		a.mux.HandleFunc(pattern, refuse)
		if slices.Contains(allow, http.MethodGet) && !slices.Contains(allow, http.MethodHead) {
			a.mux.HandleFunc("HEAD "+pattern, refuse) // a stream without its lines would only last
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, &admin.Error{Kind: wire.NoEndpoint, Text: "there is nothing at this path", Remedy: "see " + DocumentPath})
	})
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if _, in := r.Context().Value(refKey{}).(string); !in {
		ref := authn.Ref(r.Context())
		r = r.WithContext(context.WithValue(authn.WithRef(r.Context(), ref), refKey{}, ref))
	}
	if r.URL.Path == DocumentPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(Document())
		return
	}
	if admin.FromContext(r.Context()) == nil {
		h.Set("WWW-Authenticate", `Bearer realm="soapward"`)
		a.refuse(w, r, &admin.Error{Kind: wire.Unauthenticated, Text: "nobody is logged in", Remedy: "send a bearer token, which soapward login gets"})
		return
	}
	r, ok := routed(r)
	if !ok {
		a.refuse(w, r, &admin.Error{Kind: wire.NoEndpoint, Text: "there is nothing at this path"})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// A slash within a parameter of the path is this one while a ServeMux looks at
// it, which takes a parameter that is a slash for the end of the path.
const slash = "\x00"

// routed returns the request for the ServeMux, false if its path is not in its
// shortest form: that a ServeMux would lead elsewhere.
func routed(r *http.Request) (*http.Request, bool) {
	escaped := r.URL.EscapedPath()
	if path.Clean(escaped) != escaped || strings.Contains(escaped, "%00") {
		return r, false
	}
	if !strings.Contains(r.URL.RawPath, "%2") {
		return r, true
	}
	u := *r.URL
	u.RawPath = strings.NewReplacer("%2F", "%00", "%2f", "%00").Replace(escaped)
	var err error
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return r, false
	}
	out := *r
	out.URL = &u
	return &out, true
}

// value is a parameter of the path.
func (c *call) value(name string) string { return strings.ReplaceAll(c.r.PathValue(name), slash, "/") }

// refKey is of the reference of this request, so that all of it has one.
type refKey struct{}

// answer serves one endpoint.
func (a *API) answer(w http.ResponseWriter, r *http.Request, e *endpoint) {
	var slots *admin.Slots
	switch {
	case e.large:
		slots = &a.large
	case e.export:
		slots = &a.exports
	case e.media != nil:
		slots = &a.streams
	}
	if slots != nil {
		free, err := slots.Take(r.Context())
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		defer free()
	}
	c := &call{Areas: a.areas, w: w, r: r, e: e}
	if err := e.serve(c); err != nil {
		if c.begun {
			a.log(r, err)
			panic(http.ErrAbortHandler) // so that nobody takes what he has for the whole
		}
		a.refuse(w, r, err)
	}
}

// statuses are what kinds of errors are answered with. What the caller may not
// because of his role is 403; what nobody may as things are is 409, like other
// conflicts with the state of things: RFC 9110 15.5.10.
var statuses = map[admin.Kind]int{
	admin.Forbidden:      http.StatusForbidden,
	admin.NotFound:       http.StatusNotFound,
	admin.Exists:         http.StatusConflict,
	admin.Conflict:       http.StatusConflict,
	admin.Refused:        http.StatusConflict,
	admin.Invalid:        http.StatusUnprocessableEntity,
	admin.Unavailable:    http.StatusServiceUnavailable,
	admin.TooMany:        http.StatusTooManyRequests,
	wire.Malformed:       http.StatusBadRequest,
	wire.Unauthenticated: http.StatusUnauthorized,
	wire.TooLarge:        http.StatusRequestEntityTooLarge,
	wire.Media:           http.StatusUnsupportedMediaType,
	wire.NoEndpoint:      http.StatusNotFound,
	wire.Method:          http.StatusMethodNotAllowed,
	wire.Internal:        http.StatusInternalServerError,
}

// shown is what the client gets to see of an error.
func shown(ctx context.Context, err error) admin.Error {
	var e *admin.Error
	switch {
	case errors.As(err, &e):
		out := *e
		out.Ref, out.Err = authn.Ref(ctx), nil
		return out
	case errors.Is(err, authn.ErrUnavailable):
		return admin.Error{Kind: admin.Unavailable, Text: "somebody who is needed does not answer", Remedy: "the log of the gateway says who, with the reference", Ref: authn.Ref(ctx)}
	}
	return admin.Error{Kind: wire.Internal, Text: "internal error", Remedy: "the log of the gateway says more, with the reference", Ref: authn.Ref(ctx)}
}

func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := shown(r.Context(), err)
	status, known := statuses[e.Kind]
	if !known {
		status = http.StatusInternalServerError
	}
	if e.Kind == admin.Conflict && r.Header.Get("If-Match") != "" {
		status = http.StatusPreconditionFailed // RFC 9110 13.1.1
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(5))
	}
	if errors.Unwrap(err) != nil || status >= 500 {
		a.log(r, err)
	}
	writeJSON(w, status, e)
}

// log writes what the client does not get to see.
func (a *API) log(r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // the client left
	}
	log, name := a.Logger, ""
	if log == nil {
		log = slog.Default()
	}
	if c := admin.FromContext(r.Context()); c != nil {
		name = c.Name
	}
	cause := err
	var e *admin.Error
	if errors.As(err, &e) && e.Err != nil {
		cause = e.Err
	}
	log.LogAttrs(r.Context(), slog.LevelWarn, "admin API: request failed", slog.String("ref", authn.Ref(r.Context())),
		slog.String("user", name), slog.String("method", r.Method), slog.String("path", strings.ReplaceAll(r.URL.Path, slash, "/")),
		slog.String("error", err.Error()), slog.String("cause", cause.Error()))
}
