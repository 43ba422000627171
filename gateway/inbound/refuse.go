package inbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Reasons of this package, for the trail.
const (
	badPath        = "bad-path"
	badMethod      = "bad-method"
	badHost        = "bad-host"
	noService      = "no-service"
	noNetwork      = "network"
	denied         = "denied"
	unavailable    = "policy-unavailable"
	badMessage     = "bad-message"
	actionMismatch = "action-mismatch"
	clientGone     = "client-gone"
	noForwardAuth  = "forward-auth"
)

// refusal is why a request is not passed on.
type refusal struct {
	status int
	code   string
	text   string // for the caller; empty: that of the status
	cause  error  // for operators
	hint   string
}

// refusalOf is for errors of policies and messages.
func refusalOf(err error) refusal {
	var (
		bad    *messageError
		deny   *authz.DeniedError
		path   *authz.PathError
		status = authz.StatusOf(err)
	)
	switch {
	case errors.As(err, &bad):
		code := bad.code
		if code == "" {
			code = badMessage
		}
		return refusal{status: bad.statusOf(), code: code, text: bad.cause.Error(), cause: bad, hint: bad.hint}
	case errors.As(err, &deny):
		return refusal{status: status, code: denied, text: "access denied", cause: err}
	case errors.As(err, &path):
		return refusal{status: status, code: badPath, text: "bad path", cause: err}
	case errors.Is(err, errHost):
		return refusal{status: http.StatusBadRequest, code: badHost, text: "bad host", cause: err}
	case errors.Is(err, authz.ErrMethod):
		return refusal{status: status, code: badMethod, text: "bad method", cause: err}
	}
	return refusal{status: status, code: unavailable, cause: err}
}

// refuse answers, and tells the trail and the log. c may be nil.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, c *call, f refusal) {
	ctx := r.Context()
	ref := authn.Ref(ctx)
	tr := trail.From(ctx)
	tr.Refuse(f.code, f.cause.Error())
	level := slog.LevelInfo
	if f.status >= 500 {
		level = slog.LevelError
	}
	q := &authz.Request{Client: authn.ClientAddr(r), Method: r.Method, Host: r.Host, Path: r.URL.Path}
	if c != nil && c.req.Host != "" { // it may be about another request
		q = &c.req
	}
	attrs := []slog.Attr{
		slog.String("ref", ref), slog.Int("status", f.status), slog.String("reason", f.code),
		slog.String("peer", q.Client.String()), slog.String("method", clip(q.Method)), slog.String("host", clip(q.Host)), slog.String("path", clip(q.Path)),
		slog.Any("user", authn.FromContext(ctx)),
	}
	if c != nil && c.service != nil {
		attrs = append(attrs, slog.String("service", c.service.name))
		if c.req.Operation != "" {
			attrs = append(attrs, slog.String("op", clip(c.req.Operation)))
		}
	}
	attrs = append(attrs, slog.String("cause", f.cause.Error()))
	if f.hint != "" {
		attrs = append(attrs, slog.String("hint", f.hint))
	}
	h.logger.LogAttrs(ctx, level, "request refused", attrs...)
	text := f.text
	if text == "" {
		text = words(f.status)
	}
	answer(w, r, c, f.status, text, ref)
}

// Deny writes status and body of a refusal in the language of the client: a SOAP
// fault, problem details, a page or a line of text. It fits authn.Middleware and
// backend.Options. It logs nothing.
func Deny(w http.ResponseWriter, r *http.Request, status int, ref string) {
	answer(w, r, callOf(r.Context()), status, words(status), ref)
}

// words are for callers.
func words(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication required"
	case http.StatusTooManyRequests:
		return "too many failed login attempts, please try again later"
	case http.StatusServiceUnavailable:
		return "not available at the moment"
	case http.StatusForbidden:
		return "access denied"
	}
	return strings.ToLower(http.StatusText(status))
}

// answer writes a refusal in the language of the client.
func answer(w http.ResponseWriter, r *http.Request, c *call, status int, text, ref string) {
	hd := w.Header()
	hd.Set("Cache-Control", "no-store")
	hd.Set("X-Content-Type-Options", "nosniff")
	if c != nil && c.asked != nil {
		status = c.asked.status(status)
	}
	switch version, soapy := soapVersion(r, c); {
	case soapy:
		writeFault(w, version, status, text, ref)
	case wantsHTML(r):
		hd.Set("Content-Type", "text/html; charset=utf-8")
		hd.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, page, html.EscapeString(text), status, html.EscapeString(text), html.EscapeString(ref))
	case wantsJSON(r):
		b, _ := json.Marshal(map[string]any{ // nothing in it can fail
			"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": text, "ref": ref,
		})
		hd.Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = w.Write(append(b, '\n'))
	default:
		hd.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "%s (reference %s)\n", text, ref)
	}
}

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}h1{font-size:1.25rem}p{opacity:.75}</style>
<h1>%d: %s</h1><p>Reference %s. Whoever runs this service finds by it what happened.</p></html>
`

// soapVersion reports whether a client speaks SOAP, and which.
func soapVersion(r *http.Request, c *call) (soap.Version, bool) {
	if c != nil && c.version != 0 {
		return c.version, true
	}
	if c != nil && c.asked != nil {
		return 0, false
	}
	t := soap.ParseContentType(r.Header.Get("Content-Type"))
	switch {
	case t.Type == "text/xml", t.Type == "application/soap+xml", t.Multipart():
		return t.Version, true
	case len(r.Header["Soapaction"]) > 0:
		return soap.V11, true
	}
	return 0, false
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "json") || strings.Contains(r.Header.Get("Content-Type"), "json")
}

func writeFault(w http.ResponseWriter, v soap.Version, status int, text, ref string) {
	f := &soap.Fault{Code: soap.CodeClient, Reason: text + " (reference " + ref + ")", Ref: ref, Status: status}
	if status >= 500 {
		f.Code = soap.CodeServer
	}
	ww := wire.NewWriter(make([]byte, 0, 1024))
	soap.WriteFault(ww, v, nil, f)
	b, err := ww.Bytes()
	if err != nil { // a text that XML cannot carry, which none is
		http.Error(w, "refused (reference "+ref+")", status)
		return
	}
	w.Header().Set("Content-Type", v.ContentType(""))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// observe tells of what the policy refuses.
func (h *Handler) observe(ctx context.Context, c *call, err error) {
	if h.observer != nil {
		h.observer(ctx, &c.req, err)
	}
}

// clip bounds what a client chose in a log line.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
