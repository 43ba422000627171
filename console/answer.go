package console

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/console/ui"
)

// A view decides what is answered. Its error is one of package admin, or a bug.
type view func(r *http.Request) (*answer, error)

// An answer is a page, or where to go.
type answer struct {
	page  string // a template
	title string
	nav   string
	data  any

	// failed is what went wrong with what was typed, which the page shows again.
	failed error

	to string // the address of a page of ours: see done
}

// viewer is what each page knows: who looks at it. Templates ask what he may, to
// leave out the rest.
type viewer struct{ Caller *admin.Caller }

func viewerOf(r *http.Request) viewer { return viewer{admin.FromContext(r.Context())} }

// Operator reports whether the caller may keep things running.
func (v viewer) Operator() bool { return v.Caller.Role >= admin.Operator }

// Administrator reports whether he may change things.
func (v viewer) Administrator() bool { return v.Caller.Role >= admin.Administrator }

// methods returns the handler of an address.
func (c *console) methods(get, post view) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := admin.FromContext(r.Context())
		if caller == nil {
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		v := get
		switch r.Method {
		case http.MethodPost:
			v = post
			limit := int64(maxForm)
			if r.URL.Path == "/console/configuration" {
				limit = maxConfiguration
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		case http.MethodGet, http.MethodHead:
		default:
			v = nil
		}
		if v == nil {
			w.Header().Set("Allow", allowed(get, post))
			c.writeError(w, r, http.StatusMethodNotAllowed, &admin.Error{Text: "this address is used in another way"})
			return
		}
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				c.writeError(w, r, http.StatusBadRequest, &admin.Error{Text: "what was sent is no form, or too large", Err: err})
				return
			}
		}
		a, err := v(r)
		if err != nil {
			status, e := c.explainError(r, err)
			c.writeError(w, r, status, e)
			return
		}
		c.write(w, r, a)
	})
}

func allowed(get, post view) string {
	var all []string
	if get != nil {
		all = append(all, http.MethodGet, http.MethodHead)
	}
	if post != nil {
		all = append(all, http.MethodPost)
	}
	return strings.Join(all, ", ")
}

// write is the only place that writes pages.
func (c *console) write(w http.ResponseWriter, r *http.Request, a *answer) {
	if a.to != "" {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, a.to, http.StatusSeeOther)
		return
	}
	caller := admin.FromContext(r.Context())
	p := &ui.Page{
		Title: a.title, Nav: a.nav, Main: templates()[a.page], Data: a.data,
		User: caller.Name, Role: caller.Role.String(), CSRF: c.csrf(r), Now: c.now(), Ref: authn.Ref(r.Context()),
	}
	if r.Method != http.MethodPost {
		p.Notice = notice(r.URL.Query())
	}
	status := http.StatusOK
	if a.failed != nil {
		var e *admin.Error
		status, e = c.explainError(r, a.failed)
		p.Problem, p.Remedy, p.Ref = sentence(e.Text), sentence(e.Remedy), e.Ref
	}
	ui.Render(w, r, status, p)
}

// writeError is the page of an error.
func (c *console) writeError(w http.ResponseWriter, r *http.Request, status int, e *admin.Error) {
	caller := admin.FromContext(r.Context())
	title := http.StatusText(status)
	ui.Render(w, r, status, &ui.Page{
		Title: title, Nav: "none", Main: templates()["error"], Data: errorData{viewerOf(r), status, title},
		User: caller.Name, Role: caller.Role.String(), CSRF: c.csrf(r), Now: c.now(),
		Problem: sentence(e.Text), Remedy: sentence(e.Remedy), Ref: e.Ref,
	})
}

type errorData struct {
	viewer
	Status int
	Title  string
}

// explainError says what the caller is told. What nobody foresaw is in the log
// only.
func (c *console) explainError(r *http.Request, err error) (status int, told *admin.Error) {
	ref := authn.Ref(r.Context())
	e, ok := asError(err)
	if !ok {
		c.log.LogAttrs(r.Context(), slog.LevelError, "console failed",
			slog.String("ref", ref), slog.String("path", r.URL.Path), slog.String("cause", err.Error()))
		return http.StatusInternalServerError, &admin.Error{Text: "something went wrong here", Remedy: "the log says what, under the reference", Ref: ref}
	}
	status = http.StatusUnprocessableEntity
	switch e.Kind {
	case admin.Forbidden:
		status = http.StatusForbidden
	case admin.NotFound:
		status = http.StatusNotFound
	case admin.Exists, admin.Conflict:
		status = http.StatusConflict
	case admin.TooMany:
		status = http.StatusTooManyRequests
	case admin.Invalid, admin.Refused:
	case admin.Unavailable:
		status = http.StatusServiceUnavailable
		c.log.LogAttrs(r.Context(), slog.LevelWarn, "console cannot answer",
			slog.String("ref", ref), slog.String("path", r.URL.Path), slog.String("cause", errors.Join(e, e.Err).Error()))
	}
	shown := *e
	if shown.Ref == "" {
		shown.Ref = ref
	}
	return status, &shown
}

// sentence makes one of an error's text.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}

func asError(err error) (e *admin.Error, ok bool) {
	ok = errors.As(err, &e)
	return e, ok
}

func isKind(err error, k admin.Kind) bool {
	e, ok := asError(err)
	return ok && e.Kind == k
}

// field returns which field an error is about.
func field(err error) string {
	if e, ok := asError(err); ok {
		return e.Field
	}
	return ""
}

func notFound(*http.Request) (*answer, error) {
	return nil, &admin.Error{Kind: admin.NotFound, Text: "there is no such page"}
}

// notices are what pages may tell of what was done before. An address can only
// choose one of them, and a number.
var notices = map[string]struct{ text, one, many string }{
	"saved":         {text: "The changes are saved."},
	"added":         {text: "The user is added."},
	"deleted":       {text: "The user is deleted."},
	"disabled":      {text: "The user is disabled, and his sessions are ended."},
	"enabled":       {text: "The user is enabled."},
	"password":      {text: "The password is set.", one: "The password is set, and one session is ended.", many: "The password is set, and # sessions are ended."},
	"second-factor": {text: "The second factor is taken away. A new one is set up at the next sign-in."},
	"ended":         {text: "The session is ended."},
	"ended-all":     {text: "There was no session.", one: "One session is ended.", many: "# sessions are ended."},
	"lifted":        {text: "There was no block.", one: "One block is lifted.", many: "# blocks are lifted."},
	"cleared":       {text: "Nobody had such a password.", one: "One password is cleared.", many: "# passwords are cleared."},
	"applied":       {text: "The configuration is in force."},
	"rolled-back":   {text: "The version is in force again."},
	"sync":          {text: "The job has begun."},
}

// done leads to a page that tells what was done.
func done(path string, q url.Values, what string, n int) *answer {
	if q == nil {
		q = url.Values{}
	}
	q.Set("done", what)
	if n != 0 {
		q.Set("n", strconv.Itoa(n))
	}
	return &answer{to: path + "?" + q.Encode()}
}

func notice(q url.Values) string {
	t, ok := notices[q.Get("done")]
	n, err := strconv.Atoi(q.Get("n"))
	switch {
	case !ok || err != nil || n <= 0 || t.many == "":
		return t.text
	case n == 1:
		return t.one
	}
	return strings.Replace(t.many, "#", ui.Number(n), 1)
}

// choose returns v if it is one of all, or else the first of them.
func choose(v string, all ...string) string {
	for _, a := range all {
		if v == a {
			return v
		}
	}
	return all[0]
}

// withoutAfter is the address of the first page of a list.
func withoutAfter(r *http.Request) string {
	if r.URL.Query().Get("after") == "" {
		return ""
	}
	return address(r, "after", "")
}

// address is r's with another value of a key, and without what was told.
func address(r *http.Request, key, value string) string {
	q := r.URL.Query()
	q.Del("done")
	q.Del("n")
	q.Del(key)
	if value != "" {
		q.Set(key, value)
	}
	return r.URL.Path + "?" + q.Encode()
}

// pager are the links between the pages of a list.
type pager struct{ First, Next string }

func pages(r *http.Request, next string) pager {
	p := pager{First: withoutAfter(r)}
	if next != "" {
		p.Next = address(r, "after", next)
	}
	return p
}
