package api

import (
	"net/http"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

var sessionRows = []endpoint{
	ask(endpoint{
		area: areaSessions, method: http.MethodGet, path: "/sessions", role: admin.Viewer,
		summary: "List live sessions", more: "The newest first.",
		errors: []admin.Kind{admin.Invalid},
	}, func(c *call, q admin.SessionQuery) (*admin.SessionPage, error) {
		return c.ListSessions(c.r.Context(), q)
	}),
	ask(endpoint{
		area: areaSessions, method: http.MethodDelete, path: "/sessions/{id}", role: admin.Operator,
		summary: "End a session",
		errors:  []admin.Kind{admin.NotFound, admin.Invalid},
	}, func(c *call, _ none) (none, error) {
		return none{}, c.EndSession(c.r.Context(), c.value("id"))
	}),
	ask(endpoint{
		area: areaSessions, method: http.MethodGet, path: "/blocks", role: admin.Viewer,
		summary: "List who is blocked after failed logins",
	}, func(c *call, _ none) (*wire.Blocks, error) {
		list, err := c.ListBlocks(c.r.Context())
		return &wire.Blocks{Blocks: list}, err
	}),
	ask(endpoint{
		area: areaSessions, method: http.MethodDelete, path: "/blocks/{who}", role: admin.Operator,
		summary: "Lift blocks", more: "Those of a user, an address, or a key as it is listed. Those of sign-ins of local administrators are lifted by administrators.",
		errors: []admin.Kind{admin.NotFound},
	}, func(c *call, _ none) (*wire.Lifted, error) {
		keys, err := c.Unblock(c.r.Context(), c.value("who"))
		return &wire.Lifted{Lifted: keys}, err
	}),
}
