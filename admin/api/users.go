package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

// Areas of the table.
const (
	areaLogin         = "Login"
	areaUsers         = "Users"
	areaSessions      = "Sessions and blocks"
	areaAudit         = "Audit"
	areaGateway       = "Gateway"
	areaRealms        = "Realms"
	areaConfiguration = "Configuration"
)

// loginRows are those of package admin/access, and who is logged in.
var loginRows = []endpoint{
	{
		area: areaLogin, method: http.MethodGet, path: "/login", public: true, status: http.StatusOK, out: some[wire.Providers](),
		summary: "How administrators log in",
	},
	{
		area: areaLogin, method: http.MethodPost, path: "/token", public: true, status: http.StatusOK, body: some[wire.TokenRequest](), out: some[wire.Token](),
		summary: "Log in",
		more:    "Takes an ID token of a provider, which must be new and is taken once, or name, password and one-time password of a local administrator. Whatever is wrong with them is 401, in the same words.",
		errors:  []admin.Kind{admin.Unavailable},
	},
	{
		area: areaLogin, method: http.MethodDelete, path: "/token", status: http.StatusNoContent,
		summary: "Log out", more: "The token of the request is over.",
	},
	ask(endpoint{
		area: areaLogin, method: http.MethodGet, path: "/me",
		summary: "Who is logged in",
	}, func(c *call, _ none) (*wire.Me, error) {
		who := admin.FromContext(c.r.Context())
		return &wire.Me{Name: who.Name, Role: who.Role, Local: who.Local, Login: who.Login}, nil
	}),
}

var userRows = []endpoint{
	ask(endpoint{
		area: areaUsers, method: http.MethodGet, path: "/users", role: admin.Viewer,
		summary: "List users", more: "In the order of their names. `next` of the answer is `after` of the next page. A page may have fewer than `limit`, or none, and more come after it: go on while there is `next`.",
		errors: []admin.Kind{admin.Invalid},
	}, func(c *call, q admin.UserQuery) (*admin.UserPage, error) { return c.ListUsers(c.r.Context(), q) }),
	send(endpoint{
		area: areaUsers, method: http.MethodPost, path: "/users", role: admin.Administrator, status: http.StatusCreated, versioned: true,
		summary: "Add a user", more: "`Location` of the answer is the user.",
		errors: []admin.Kind{admin.Exists, admin.Invalid, admin.Refused},
	}, func(c *call, b wire.NewUser) (*admin.User, error) {
		b.NewUser.Password = b.Password.Secret
		u, err := c.AddUser(c.r.Context(), b.NewUser)
		if err == nil {
			c.w.Header().Set("Location", Prefix+"users/"+url.PathEscape(u.Name))
		}
		return u, err
	}),
	send(endpoint{
		area: areaUsers, method: http.MethodPost, path: "/import", role: admin.Administrator, maxBody: wire.MaxImport, maxValues: maxImportValues,
		summary: "Add many users",
		more: fmt.Sprintf("All of them, or, if one is wrong, none: up to %d, in up to %d MiB. Users who exist are left as they are, so that a request which failed is sent again. "+
			"`source` is what they are from, such as the name of a file, for the record. `password_hash` is one of argon2id. With `dry_run` they are checked, and nothing is written.", admin.MaxImport, wire.MaxImport>>20),
		errors: []admin.Kind{admin.Invalid, admin.Refused},
	}, func(c *call, b wire.UserImport) (*admin.Imported, error) {
		b.UserImport.Users = make([]admin.ImportUser, len(b.Users))
		for i := range b.Users {
			b.UserImport.Users[i] = b.Users[i].ImportUser
			b.UserImport.Users[i].PasswordHash = b.Users[i].PasswordHash.Secret
		}
		return c.ImportUsers(c.r.Context(), b.UserImport)
	}),
	ask(endpoint{
		area: areaUsers, method: http.MethodGet, path: "/users/{name}", role: admin.Viewer, versioned: true,
		summary: "Show a user",
		errors:  []admin.Kind{admin.NotFound},
	}, func(c *call, _ none) (*admin.User, error) { return c.User(c.r.Context(), c.name()) }),
	send(endpoint{
		area: areaUsers, method: http.MethodPatch, path: "/users/{name}", role: admin.Operator, versioned: true,
		summary: "Change a user", more: "Fields that are not in the body stay as they are. An operator may change `disabled`, but not of administrators, an administrator all. With `If-Match`, or `version`, the change is refused if somebody else changed the user meanwhile.",
		errors: []admin.Kind{admin.NotFound, admin.Conflict, admin.Invalid, admin.Refused},
	}, func(c *call, b admin.UserChange) (*admin.User, error) {
		version, err := ifMatch(c.r)
		if err != nil {
			return nil, err
		}
		if version != 0 && b.Version != 0 && version != b.Version {
			return nil, &admin.Error{Kind: wire.Malformed, Text: "version and If-Match differ", Field: "version"}
		}
		if version != 0 {
			b.Version = version
		}
		return c.ChangeUser(c.r.Context(), c.name(), b)
	}),
	ask(endpoint{
		area: areaUsers, method: http.MethodDelete, path: "/users/{name}", role: admin.Administrator,
		summary: "Delete a user",
		errors:  []admin.Kind{admin.NotFound, admin.Refused},
	}, func(c *call, _ none) (none, error) { return none{}, c.DeleteUser(c.r.Context(), c.name()) }),
	send(endpoint{
		area: areaUsers, method: http.MethodPut, path: "/users/{name}/password", role: admin.Administrator,
		summary: "Set a password", more: "The user's sessions end, unless `keep_sessions`. It is refused for others than local administrators while a provider is configured for administrators.",
		errors: []admin.Kind{admin.NotFound, admin.Invalid, admin.Refused},
	}, func(c *call, b wire.NewPassword) (*wire.Ended, error) {
		b.NewPassword.Password = b.Password.Secret
		n, err := c.SetPassword(c.r.Context(), c.name(), b.NewPassword)
		return &wire.Ended{Ended: n}, err
	}),
	ask(endpoint{
		area: areaUsers, method: http.MethodDelete, path: "/users/{name}/second-factor", role: admin.Administrator,
		summary: "Take the second factor of a local administrator", more: "He sets up a new one at his next login.",
		errors: []admin.Kind{admin.NotFound, admin.Refused},
	}, func(c *call, _ none) (none, error) { return none{}, c.ClearSecondFactor(c.r.Context(), c.name()) }),
	ask(endpoint{
		area: areaUsers, method: http.MethodGet, path: "/users/{name}/sessions", role: admin.Viewer,
		summary: "List the sessions of a user",
		errors:  []admin.Kind{admin.Invalid},
	}, func(c *call, q page) (*admin.SessionPage, error) {
		return c.ListSessions(c.r.Context(), admin.SessionQuery{User: c.name(), After: q.After, Limit: q.Limit})
	}),
	ask(endpoint{
		area: areaUsers, method: http.MethodDelete, path: "/users/{name}/sessions", role: admin.Operator,
		summary: "End the sessions of a user", more: "At all nodes. The answer has the number of those that were known.",
	}, func(c *call, _ none) (*wire.Ended, error) {
		n, err := c.EndSessions(c.r.Context(), c.name())
		return &wire.Ended{Ended: n}, err
	}),
	ask(endpoint{
		area: areaUsers, method: http.MethodPost, path: "/passwords/clear", role: admin.Administrator,
		summary: "Take the passwords of all but local administrators", more: "It may take minutes, and goes on if the client leaves.",
		errors: []admin.Kind{admin.Refused},
	}, func(c *call, _ none) (*wire.Cleared, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), clearTime)
		defer cancel()
		n, err := c.ClearPasswords(ctx)
		return &wire.Cleared{Cleared: n}, err
	}),
}

// clearTime bounds the taking of all passwords. It is begun to be ended: who left,
// or a proxy that did not wait, does not leave the half of them.
const clearTime = time.Hour

// page is the part of a list that is asked for.
type page struct {
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}
