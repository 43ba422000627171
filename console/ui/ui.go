// Package ui is how the console looks: the frame around each page, its style and
// its script, which every page works without.
//
// A page is a template that defines "main", made by Parse, and executed with the
// *Page as dot: {{.Data.Name}}, {{.CSRF}}. It begins with a heading of level 1 and
// may use the templates "csrf" (the hidden field of a form), "empty", "pager",
// "chart" and "diff", the functions of Funcs, and these classes:
//
//   - header.top with div.actions; p.lead; section.card; div.cols (cards beside each
//     other); div.scroll; p.note, p.soft; dl.facts; ul.plain; span.badge with ok, bad,
//     warn, info; code, pre; nav.tabs
//   - form.stack with div.field (label, input, p.hint, p.problem), fieldset, label.box,
//     div.buttons; form.filters; form.inline
//   - button and a.button, which may be primary, danger or quiet
//   - table.data, whose cells say their heading in data-label: on narrow screens each
//     row is a card
//
// The script acts on data-search and data-refresh (see script.js), data-copy and
// time elements.
//
// Compatibility: the console and the pages for signing in are its only users, and
// it changes with them.
package ui

import (
	"bytes"
	_ "embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Page is one page. Its body is a template that defines "main".
type Page struct {
	Title   string
	Nav     string             // which entry of the navigation it is; empty: no navigation
	Main    *template.Template // made by Parse, or with Funcs
	Data    any
	User    string // who is signed in; empty: nobody
	Role    string
	CSRF    string
	Notice  string // what was done
	Problem string // what went wrong
	Remedy  string // what can be done about that
	Ref     string

	// FormAction are origins besides ours that forms may lead to, by redirects:
	// those of providers, on pages for signing in.
	FormAction []string

	Now time.Time // zero means time.Now
}

var (
	//go:embed layout.html
	layoutSource string

	//go:embed parts.html
	partsSource string
)

var layout = sync.OnceValue(func() *template.Template {
	return template.Must(newTemplate("layout").Parse(layoutSource))
})

func newTemplate(name string) *template.Template {
	return template.Must(template.New(name).Funcs(Funcs()).Parse(partsSource))
}

// Parse returns the template of a page, made of files that must be right, which
// may use what this package has.
func Parse(files fs.FS, names ...string) *template.Template {
	return template.Must(newTemplate("page").ParseFS(files, names...))
}

// frame is what the layout is executed with.
type frame struct {
	*Page
	Body   template.HTML // made by a template of ours
	Groups []navGroup
	Assets *assets
}

// Render writes a page, with its Content-Security-Policy. It may be called by
// several goroutines, with a Page each.
func Render(w http.ResponseWriter, r *http.Request, status int, p *Page) {
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	var body, b bytes.Buffer
	err := p.Main.ExecuteTemplate(&body, "main", p)
	if err == nil {
		f := frame{Page: p, Body: template.HTML(body.String()), Assets: staticAssets()} // it was escaped when it was made
		if p.Nav != "" {
			f.Groups = navigation
		}
		err = layout().ExecuteTemplate(&b, "layout", f)
	}
	h := w.Header()
	secure(h, p.FormAction)
	if err != nil {
		slog.Default().LogAttrs(r.Context(), slog.LevelError, "page cannot be written", slog.String("ref", p.Ref), slog.String("page", p.Title), slog.String("cause", err.Error()))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", "en")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away needs no answer
}

// secure sets the headers of all pages.
func secure(h http.Header, formAction []string) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action "+
		strings.Join(append([]string{"'self'"}, origins(formAction)...), " ")+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // without it, browsers hide the origin of the POST
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// origins leaves out what would end the directive, or allow more than an origin.
func origins(all []string) []string {
	var ok []string
	for _, o := range all {
		rest, http := strings.CutPrefix(o, "http://")
		if !http {
			rest, http = strings.CutPrefix(o, "https://")
		}
		if http && rest != "" && !strings.ContainsFunc(rest, notInOrigin) {
			ok = append(ok, o)
		}
	}
	return ok
}

func notInOrigin(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-._:[]", r):
		return false
	}
	return true
}
