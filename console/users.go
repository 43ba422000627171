package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory"
)

type usersData struct {
	viewer
	*admin.UserPage
	Query    admin.UserQuery
	Filtered bool
	Realms   []string
	Roles    []string
	Pager    pager
}

func (c *console) users(r *http.Request) (*answer, error) {
	q := r.URL.Query()
	d := usersData{viewer: viewerOf(r), Query: admin.UserQuery{
		Search: strings.TrimSpace(q.Get("search")), Realm: q.Get("realm"), State: q.Get("state"), Role: q.Get("role"),
		LocalAdmin: q.Get("local") != "", After: q.Get("after"),
	}}
	var err error
	if d.UserPage, err = c.areas.ListUsers(r.Context(), d.Query); err != nil {
		return nil, err
	}
	d.Realms, d.Roles = c.realmNames(r), c.roleNames(r)
	if d.Query.Realm != "" && !slices.Contains(d.Realms, d.Query.Realm) {
		d.Realms = append(d.Realms, d.Query.Realm)
	}
	if d.Query.Role != "" && !slices.Contains(d.Roles, d.Query.Role) {
		d.Roles = append(d.Roles, d.Query.Role)
	}
	d.Filtered = d.Query.Search != "" || d.Query.Realm != "" || d.Query.State != "" || d.Query.Role != "" || d.Query.LocalAdmin
	d.Pager = pages(r, d.Next)
	return &answer{page: "users", title: "Users", nav: ui.NavUsers, data: d}, nil
}

// realmNames are for choosing; without them, one can still read.
func (c *console) realmNames(r *http.Request) (names []string) {
	all, _ := c.areas.Realms(r.Context())
	for _, realm := range all {
		names = append(names, realm.Name)
	}
	return names
}

func (c *console) roleNames(r *http.Request) (names []string) {
	all, _ := c.areas.Roles(r.Context())
	for _, role := range all {
		names = append(names, role.Name)
	}
	return names
}

type userData struct {
	viewer
	*admin.User
	Sessions []admin.Session
	Blocks   []admin.Block
	Logins   []admin.Login
	Changes  []admin.Change
	Unread   []string // what could not be read
}

// Self reports whether it is the caller's own page: ending his sessions ends the one
// that he looks at it with.
func (d userData) Self() bool {
	return directory.FoldName(d.Name) == directory.FoldName(d.Caller.Name)
}

// userLists is how many of each list a user's page has.
const userLists = 10

func (c *console) user(r *http.Request) (*answer, error) {
	ctx, name := r.Context(), r.URL.Query().Get("name")
	u, err := c.areas.User(ctx, name)
	if err != nil {
		return nil, err
	}
	d := userData{viewer: viewerOf(r), User: u}
	unread := func(what string, err error) {
		_, e := c.explainError(r, err)
		d.Unread = append(d.Unread, what+": "+e.Text)
	}
	if s, err := c.areas.ListSessions(ctx, admin.SessionQuery{User: u.Name, Limit: userLists}); err != nil {
		unread("sessions", err)
	} else {
		d.Sessions = s.Sessions
	}
	if all, err := c.areas.ListBlocks(ctx); err != nil {
		unread("blocks", err)
	} else {
		for _, b := range all {
			if throttle.KeyIsOf(b.Key, u.Name) {
				d.Blocks = append(d.Blocks, b)
			}
		}
	}
	if l, err := c.areas.Logins(ctx, admin.LoginQuery{User: u.Name, Limit: userLists}); err != nil {
		unread("logins", err)
	} else {
		d.Logins = l.Logins
	}
	if l, err := c.areas.Changes(ctx, admin.ChangeQuery{Target: u.Name, Limit: userLists}); err != nil {
		unread("changes", err)
	} else {
		d.Changes = l.Changes
	}
	return &answer{page: "user", title: u.Name, nav: ui.NavUsers, data: d}, nil
}

func toUser(name, what string, n int) *answer {
	return done("/console/user", url.Values{"name": {name}}, what, n)
}

// setState disables or enables a user.
func (c *console) setState(r *http.Request) (*answer, error) {
	name := r.PostForm.Get("name")
	var disabled bool
	what := "enabled"
	switch r.PostForm.Get("state") {
	case "disabled":
		disabled, what = true, "disabled"
	case "active":
	default:
		return nil, &admin.Error{Kind: admin.Invalid, Text: "there is no such state", Field: "state"}
	}
	u, err := c.areas.ChangeUser(r.Context(), name, admin.UserChange{Disabled: &disabled})
	if err != nil {
		return nil, err
	}
	return toUser(cmp.Or(u.Name, name), what, 0), nil
}
