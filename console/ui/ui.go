// Package ui is how the console looks: the frame around each page, its style and
// its script, which every page works without.
package ui

import (
	"html/template"
	"net/http"
)

// A Page is one page. Its body is a template that defines "main".
type Page struct {
	Title   string
	Nav     string             // which entry of the navigation it is; empty: no navigation
	Main    *template.Template // must have been made with Funcs
	Data    any
	User    string // who is signed in; empty: nobody
	Role    string
	CSRF    string
	Notice  string // what was done
	Problem string // what went wrong
	Ref     string
}

// Funcs are those that templates may use.
func Funcs() template.FuncMap { return template.FuncMap{} }

// Render writes a page, with its Content-Security-Policy.
func Render(w http.ResponseWriter, r *http.Request, status int, p *Page) { panic("not built yet") }

// Static serves style, script and icons, below /console/static/, by names that
// change with what is in them.
func Static() http.Handler { panic("not built yet") }
