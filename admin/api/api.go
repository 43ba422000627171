// Package api is the admin API, /admin/v1: package admin as JSON over HTTP, for
// programs and the command line.
//
// The OpenAPI document at /admin/v1/openapi.json is made of the same table that
// answers requests.
package api

import (
	"net/http"

	"github.com/soapward/soapward/admin"
)

// Prefix is where the API is.
const Prefix = "/admin/v1/"

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

// New returns the API, for requests whose context has an admin.Caller. Requests
// without one get 401, and only the description of the API.
func New(areas Areas) http.Handler { panic("not built yet") }
