// Package console is the administrators' pages, below /console/: package admin
// for people. Each page is made on the server and works without script; a small
// script of our own makes some of them quicker. Nothing comes from elsewhere.
package console

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/soapward/soapward/admin"
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
	Logger *slog.Logger
	Now    func() time.Time
}

// New returns the pages, for requests whose context has an admin.Caller and whose
// tokens were checked.
func New(o Options) http.Handler { panic("not built yet") }
