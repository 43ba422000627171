package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
)

type rolesData struct {
	viewer
	Roles []admin.RoleInfo
}

func (c *console) roles(r *http.Request) (*answer, error) {
	all, err := c.areas.Roles(r.Context())
	if err != nil {
		return nil, err
	}
	return &answer{page: "roles", title: "Roles", nav: ui.NavRoles, data: rolesData{viewerOf(r), all}}, nil
}

type sessionsData struct {
	viewer
	Query    admin.SessionQuery
	Sessions []admin.Session
	Pager    pager
}

func (c *console) sessions(r *http.Request) (*answer, error) {
	q := r.URL.Query()
	d := sessionsData{viewer: viewerOf(r), Query: admin.SessionQuery{User: strings.TrimSpace(q.Get("user")), After: q.Get("after")}}
	p, err := c.areas.ListSessions(r.Context(), d.Query)
	if err != nil {
		return nil, err
	}
	d.Sessions, d.Pager = p.Sessions, pages(r, p.Next)
	return &answer{page: "sessions", title: "Sessions", nav: ui.NavSessions, data: d}, nil
}

// endSession ends one by its id, or all of a user.
func (c *console) endSession(r *http.Request) (*answer, error) {
	p := r.PostForm
	what, n := "ended", 0
	var err error
	if id := p.Get("id"); id != "" {
		err = c.areas.EndSession(r.Context(), id)
	} else {
		what = "ended-all"
		n, err = c.areas.EndSessions(r.Context(), p.Get("user"))
	}
	if err != nil {
		return nil, err
	}
	return back(p, "/console/sessions", what, n), nil
}

// back leads to the page of the user that a form names, or to a list.
func back(p url.Values, list, what string, n int) *answer {
	if name := p.Get("back"); name != "" {
		return toUser(name, what, n)
	}
	return done(list, nil, what, n)
}

type blocksData struct {
	viewer
	Blocks []admin.Block
	More   int // that are not shown
}

// maxBlocks bounds the page: whoever guesses from many addresses makes many.
const maxBlocks = 1000

func (c *console) blocks(r *http.Request) (*answer, error) {
	all, err := c.areas.ListBlocks(r.Context())
	if err != nil {
		return nil, err
	}
	d := blocksData{viewerOf(r), all, max(len(all)-maxBlocks, 0)}
	d.Blocks = all[:len(all)-d.More]
	return &answer{page: "blocks", title: "Blocks", nav: ui.NavBlocks, data: d}, nil
}

func (c *console) unblock(r *http.Request) (*answer, error) {
	lifted, err := c.areas.Unblock(r.Context(), r.PostForm.Get("who"))
	if err != nil {
		return nil, err
	}
	return back(r.PostForm, "/console/blocks", "lifted", len(lifted)), nil
}

type accountData struct {
	viewer
	Sessions []admin.Session
	Roles    []roleText
}

type roleText struct {
	Role admin.Role
	Text string
}

// roleTexts say what roles may, each one besides what those before it may.
var roleTexts = []roleText{
	{admin.Viewer, "sees everything but secrets, and has decisions explained"},
	{admin.Operator, "lifts blocks, ends sessions, disables and enables users, synchronises, and tries realms"},
	{admin.Administrator, "changes users, roles and the configuration"},
}

func (c *console) account(r *http.Request) (*answer, error) {
	d := accountData{viewer: viewerOf(r), Roles: roleTexts}
	s, err := c.areas.ListSessions(r.Context(), admin.SessionQuery{User: d.Caller.Name})
	if err != nil {
		return nil, err
	}
	d.Sessions = s.Sessions
	return &answer{page: "account", title: "My account", nav: ui.NavAccount, data: d}, nil
}
