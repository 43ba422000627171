package form

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
)

//go:embed login.html
var pageSource string

//go:embed login.css
var styleSheet string

var pageTemplate = template.Must(template.New("login").Parse(pageSource))

// A Page is what the template shows.
type Page struct {
	Texts   Texts
	Title   string // heading, and title of the window
	Service string // Config.Service

	// Message is what happened, and Failed whether that is an error. Ref is the
	// reference that the log has too. All may be empty.
	Message string
	Failed  bool
	Ref     string

	// SignOut asks whether to end the session, instead of for a password.
	SignOut bool

	// NoForm is a page that does not ask for a password: one with a message only,
	// or with Links.
	NoForm bool

	Action     string // where the form is posted to
	TokenField string // name of a hidden field that holds Token
	Token      string
	Return     string // of a hidden field named "return": where the login leads
	User       string // what was typed, for the field "user"; the other one is "password"
	Remember   bool   // whether "keep me logged in" is offered, by the field "remember"
	Remembered bool   // whether it was ticked
	Windows    string // URL of integrated login, empty if there is none
	Links      []Link // other places to log in
	SignOutAt  Link   // where the session is to be ended too, if it has a URL

	Style template.CSS // of a style element; any other one does not count
}

// page is the page as it is at first. back is a safe target.
func (f *Form) page(r *http.Request, back string) *Page {
	t := choose(f.c.Texts, r.Header["Accept-Language"])
	p := &Page{
		Texts: t, Title: t.SignIn, Service: f.c.Service,
		Action: f.c.Path, TokenField: session.TokenField, Return: back,
		Remember: f.c.Sessions.Remember >= 0,
		Style:    template.CSS(f.style()),
		NoForm:   f.posted == nil,
	}
	for _, l := range f.c.Links {
		p.Links = append(p.Links, Link{l.Name, linked(l, back)})
	}
	if f.windows != nil {
		p.Windows = f.c.Path + pathWindows + "?" + fieldReturn + "=" + url.QueryEscape(back)
	}
	return p
}

// linked is where a link leads those who want to go on to back.
func linked(l Link, back string) string {
	sep := "?"
	if strings.Contains(l.URL, "?") {
		sep = "&"
	}
	return l.URL + sep + fieldReturn + "=" + url.QueryEscape(back)
}

// only returns where the page leads in any case: there is one link and no password.
func (f *Form) only(back string) string {
	if f.posted != nil || f.windows != nil || len(f.c.Links) != 1 {
		return ""
	}
	return linked(f.c.Links[0], back)
}

// pageOfForm is the page again, with what was typed but the password.
func (f *Form) pageOfForm(r *http.Request) *Page {
	p := f.page(r, f.target(r.PostForm.Get(fieldReturn)))
	if user := strings.TrimSpace(r.PostForm.Get(fieldUser)); len(user) <= maxUser && printable(user) {
		p.User = user
	}
	p.Remembered = r.PostForm.Get(fieldRemember) != ""
	return p
}

// insecure is the page where a password could be read by others.
func (f *Form) insecure(w http.ResponseWriter, r *http.Request) {
	f.logger().LogAttrs(r.Context(), slog.LevelWarn, "login page asked for over plain HTTP",
		slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.String("hint", session.ErrInsecure.Error()))
	p := f.page(r, f.c.Home)
	p.Message, p.Failed, p.NoForm, p.Links = p.Texts.Insecure, true, true, nil
	w.Header().Del("WWW-Authenticate")
	f.write(w, r, http.StatusForbidden, p)
}

func (f *Form) style() string { return cmp.Or(f.c.Style, styleSheet) }

// write is the only place that writes a page.
func (f *Form) write(w http.ResponseWriter, r *http.Request, status int, p *Page) {
	switch {
	case p.NoForm && !p.SignOut:
	case p.SignOut:
		p.Token = f.c.Sessions.Token(r)
	default:
		p.Token = f.c.Sessions.FormToken(w, r)
	}
	t := f.c.Template
	if t == nil {
		t = pageTemplate
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		f.logger().LogAttrs(r.Context(), slog.LevelError, "login page cannot be written", slog.String("ref", authn.Ref(r.Context())), slog.String("cause", err.Error()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Texts.Language)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", f.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // without it, browsers hide the origin of the POST
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away needs no answer
}

// policy is the Content-Security-Policy of the page: no scripts, one style sheet,
// no other site.
func policy(c *Config) string {
	sum := sha256.Sum256([]byte(cmp.Or(c.Style, styleSheet)))
	style := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	more := []string{"img-src 'self' data:"}
	if c.Template != nil {
		style, more = "'self' "+style, append(more, "font-src 'self'")
	}
	return strings.Join(append([]string{
		"default-src 'none'", "style-src " + style, "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
	}, more...), "; ")
}
