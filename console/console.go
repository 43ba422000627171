// Package console is the administrators' pages, below /console/: package admin
// for people. Each page is made on the server and works without script; a small
// script of our own makes some of them quicker. Nothing comes from elsewhere.
//
//   - New returns the pages for what is in Areas. What an admin.Caller may do is
//     decided there; pages only leave out what he may not.
//   - A page is a view: a function that returns an answer, or an error of package
//     admin. One place writes both.
//   - What is seen has an address. What changes something is a form that is posted
//     and leads to a page which tells so.
//
// Compatibility: addresses of pages keep their meaning within a major version.
package console

import (
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
)

// Areas are what the pages show. *admin.Service is all of them.
type Areas interface {
	admin.Users
	admin.Sessions
	admin.Blocks
	admin.Audit
	admin.Gateway
	admin.Configuration
	admin.Sync
}

// Options are what a console is made of.
type Options struct {
	Areas  Areas
	CSRF   func(*http.Request) string // for the hidden field "csrf" of forms
	Logger *slog.Logger               // nil means slog.Default()
	Now    func() time.Time           // nil means time.Now
}

// Bounds of what is posted, in bytes.
const (
	maxForm          = 64 << 10
	maxConfiguration = 8 << 20
)

//go:embed pages/*.html
var pageFiles embed.FS

// templates are those of pages, by the name of their file.
var templates = sync.OnceValue(func() map[string]*template.Template {
	files, err := pageFiles.ReadDir("pages")
	if err != nil {
		panic(err) // they are in the program
	}
	all := make(map[string]*template.Template)
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".html"); ok && name != "shared" {
			all[name] = ui.Parse(pageFiles, "pages/shared.html", "pages/"+f.Name())
		}
	}
	return all
})

// console is safe for concurrent use.
type console struct {
	areas Areas
	csrf  func(*http.Request) string
	log   *slog.Logger
	now   func() time.Time
	jobs  jobs

	exports admin.Slots
}

// New returns the pages, for requests whose context has an admin.Caller and whose
// tokens were checked.
func New(o Options) http.Handler {
	c := &console{areas: o.Areas, csrf: o.CSRF, log: o.Logger, now: o.Now, exports: admin.Slots{Most: maxExports, Of: "exports"}}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.csrf == nil {
		c.csrf = func(*http.Request) string { return "" }
	}
	templates()
	mux := http.NewServeMux()
	mux.Handle(ui.StaticPrefix, ui.Static())
	mux.Handle("/console/{$}", c.methods(c.overview, nil))
	for path, h := range map[string]http.Handler{
		"services": c.methods(c.services, nil),
		"service":  c.methods(c.service, nil),
		"explain":  c.methods(c.explain, nil),

		"users":              c.methods(c.users, nil),
		"users/add":          c.methods(c.addUser, c.addUserNow),
		"user":               c.methods(c.user, nil),
		"user/edit":          c.methods(c.editUser, c.editUserNow),
		"user/state":         c.methods(nil, c.setState),
		"user/password":      c.methods(c.password, c.setPassword),
		"user/second-factor": c.methods(c.secondFactor, c.clearSecondFactor),
		"user/delete":        c.methods(c.deleteUser, c.deleteUserNow),

		"roles":        c.methods(c.roles, nil),
		"sessions":     c.methods(c.sessions, nil),
		"sessions/end": c.methods(nil, c.endSession),
		"blocks":       c.methods(c.blocks, nil),
		"blocks/lift":  c.methods(nil, c.unblock),

		"realms":              c.methods(c.realms, nil),
		"realm":               c.methods(c.realm, nil),
		"realm/test":          c.methods(nil, c.testRealm),
		"realm/sync":          c.methods(nil, c.synchronise),
		"providers":           c.methods(c.providers, nil),
		"providers/passwords": c.methods(c.passwords, c.clearPasswords),

		"logins":        c.methods(c.logins, nil),
		"logins.csv":    c.export(loginTable, ".csv"),
		"logins.jsonl":  c.export(loginTable, ".jsonl"),
		"changes":       c.methods(c.changes, nil),
		"changes.csv":   c.export(changeTable, ".csv"),
		"changes.jsonl": c.export(changeTable, ".jsonl"),

		"configuration":           c.methods(c.configuration, c.changeConfiguration),
		"configuration/versions":  c.methods(c.versions, nil),
		"configuration/version":   c.methods(c.version, nil),
		"configuration/roll-back": c.methods(nil, c.rollBack),

		"account": c.methods(c.account, nil),
	} {
		mux.Handle("/console/"+path, h)
	}
	mux.Handle("/console/", c.methods(notFound, notFound))
	return mux
}
