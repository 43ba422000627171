package api

import (
	"net/http"
	"strconv"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

// versionsQuery is the part of the list of versions that is asked for.
type versionsQuery struct {
	After int64 `json:"after,omitempty"` // ID of the last one of the page before
	Limit int   `json:"limit,omitempty"`
}

var configRows = []endpoint{
	ask(endpoint{
		area: areaConfiguration, method: http.MethodGet, path: "/config", role: admin.Viewer,
		summary: "The configuration, as text", more: "The one in force, or, if it differs, the one in the files.",
		errors: []admin.Kind{admin.Unavailable},
	}, func(c *call, _ none) (*admin.ConfigSet, error) { return c.Files(c.r.Context()) }),
	send(endpoint{
		area: areaConfiguration, method: http.MethodPut, path: "/config", role: admin.Administrator,
		summary: "Put a configuration into force", more: "It is checked first. All stays as it was unless everything went well. `digest` is that of the configuration which was read; if the files changed since, it is a conflict.",
		errors: []admin.Kind{admin.Conflict, admin.Invalid, admin.Refused, admin.Unavailable},
	}, func(c *call, b wire.Apply) (*admin.ConfigVersion, error) {
		return c.ApplyFiles(c.r.Context(), b.ConfigSet, b.Comment)
	}),
	send(endpoint{
		area: areaConfiguration, method: http.MethodPost, path: "/config/check", role: admin.Viewer,
		summary: "What is wrong with a configuration, and how it differs", more: "Nothing is changed. Mistakes are in the answer, which is 200.",
		errors: []admin.Kind{admin.Invalid, admin.Refused, admin.Unavailable},
	}, func(c *call, b admin.ConfigSet) (*admin.ConfigCheck, error) { return c.CheckFiles(c.r.Context(), b) }),
	ask(endpoint{
		area: areaConfiguration, method: http.MethodGet, path: "/config/versions", role: admin.Viewer,
		summary: "List configurations that were in force", more: "The newest first, without their text. `after` is the `id` of the last one of the page before.",
		errors: []admin.Kind{admin.Invalid, admin.Unavailable},
	}, func(c *call, q versionsQuery) (*wire.Versions, error) {
		list, err := c.Versions(c.r.Context(), q.After, q.Limit)
		return &wire.Versions{Versions: list}, err
	}),
	ask(endpoint{
		area: areaConfiguration, method: http.MethodGet, path: "/config/versions/{id}", role: admin.Viewer,
		summary: "Show a configuration that was in force",
		errors:  []admin.Kind{admin.NotFound, admin.Unavailable},
	}, func(c *call, _ none) (*admin.ConfigVersion, error) {
		id, err := c.version()
		if err != nil {
			return nil, err
		}
		return c.Version(c.r.Context(), id)
	}),
	send(endpoint{
		area: areaConfiguration, method: http.MethodPost, path: "/config/versions/{id}/apply", role: admin.Administrator,
		summary: "Roll back to a configuration that was in force",
		errors:  []admin.Kind{admin.NotFound, admin.Conflict, admin.Invalid, admin.Refused, admin.Unavailable},
	}, func(c *call, b wire.RollBack) (*admin.ConfigVersion, error) {
		id, err := c.version()
		if err != nil {
			return nil, err
		}
		return c.RollBack(c.r.Context(), id, b.Comment, b.Force)
	}),
}

// version is the parameter {id} of the path.
func (c *call) version() (int64, error) {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, &admin.Error{Kind: admin.NotFound, Text: "there is no such version"}
	}
	return id, nil
}
