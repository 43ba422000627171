package api

import (
	"context"
	"net/http"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/provision"
)

// overviewQuery is the time that an overview is of.
type overviewQuery struct {
	Since time.Duration `json:"since,omitempty"` // such as 24h, which it is without one
}

var gatewayRows = []endpoint{
	ask(endpoint{
		area: areaGateway, method: http.MethodGet, path: "/overview", role: admin.Viewer,
		summary: "How things are, and how they went", more: "Of the time `since`, such as `24h`, which is also what it is without one.",
		errors: []admin.Kind{admin.Invalid, admin.Unavailable},
	}, func(c *call, q overviewQuery) (*admin.Overview, error) {
		if q.Since == 0 {
			q.Since = 24 * time.Hour
		}
		return c.Overview(c.r.Context(), q.Since)
	}),
	ask(endpoint{
		area: areaGateway, method: http.MethodGet, path: "/services", role: admin.Viewer,
		summary: "Services and upstreams, with the policy in force",
		errors:  []admin.Kind{admin.Unavailable},
	}, func(c *call, _ none) (*admin.Services, error) { return c.Services(c.r.Context()) }),
	send(endpoint{
		area: areaGateway, method: http.MethodPost, path: "/explain", role: admin.Viewer,
		summary: "How a request would be decided, and why", more: "Nothing is sent to the service.",
		errors: []admin.Kind{admin.NotFound, admin.Invalid, admin.Unavailable},
	}, func(c *call, b admin.ExplainQuery) (*authz.Explanation, error) { return c.Explain(c.r.Context(), b) }),
	ask(endpoint{
		area: areaGateway, method: http.MethodGet, path: "/roles", role: admin.Viewer,
		summary: "List the roles of the configuration",
		errors:  []admin.Kind{admin.Unavailable},
	}, func(c *call, _ none) (*wire.Roles, error) {
		list, err := c.Areas.Roles(c.r.Context())
		return &wire.Roles{Roles: list}, err
	}),
}

var realmRows = []endpoint{
	ask(endpoint{
		area: areaRealms, method: http.MethodGet, path: "/realms", role: admin.Viewer,
		summary: "List realms, and whether what they need is there",
		errors:  []admin.Kind{admin.Unavailable},
	}, func(c *call, _ none) (*wire.Realms, error) {
		list, err := c.Areas.Realms(c.r.Context())
		return &wire.Realms{Realms: list}, err
	}),
	send(endpoint{
		area: areaRealms, method: http.MethodPost, path: "/realms/{name}/test", role: admin.Operator,
		summary: "Try something of a realm", more: "What fails is in the answer, which is 200. `tests` of a realm lists what can be tried.",
		errors: []admin.Kind{admin.NotFound, admin.Invalid, admin.Refused, admin.Unavailable},
	}, func(c *call, b wire.Test) (*admin.TestResult, error) {
		return c.Test(c.r.Context(), admin.Test{Realm: c.name(), Kind: b.Kind, User: b.User, Password: b.Password.Secret})
	}),
	stream[admin.SyncOptions, wire.SyncEvent](endpoint{
		area: areaRealms, method: http.MethodPost, path: "/realms/{name}/sync", role: admin.Operator,
		summary: "Synchronise users with Active Directory", more: "Lines have `progress`; the last one has `summary`, `error`, or both. With `dry_run=true` nothing is written. It ends when the client leaves.",
		errors: []admin.Kind{admin.NotFound, admin.Conflict, admin.Invalid, admin.Unavailable},
	}, synchronise),
}

// synchronise runs the job and tells of it. What goes wrong before anything is
// known has a status of its own.
func synchronise(c *call, o admin.SyncOptions) error {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	type ending struct {
		sum *provision.Summary
		err error
	}
	progress, ended := make(chan admin.SyncProgress, 1), make(chan ending, 1)
	go func() {
		sum, err := c.Synchronise(ctx, c.name(), o, func(p admin.SyncProgress) {
			select { // the newest is what counts
			case <-progress:
			default:
			}
			select {
			case progress <- p:
			default:
			}
		})
		ended <- ending{sum, err}
	}()
	l := c.lines()
	defer l.stop()
	for {
		select {
		case p := <-progress:
			if err := l.write(wire.SyncEvent{Progress: &p}); err != nil {
				cancel()
				<-ended // the areas are not used beyond the request
				return err
			}
		case <-l.beat.C:
			if err := l.heartbeat(); err != nil {
				cancel()
				<-ended
				return err
			}
		case e := <-ended:
			select { // the last of it, which may have come at the same time
			case p := <-progress:
				if err := l.write(wire.SyncEvent{Progress: &p}); err != nil {
					return err
				}
			default:
			}
			if e.sum == nil && !c.begun {
				return e.err
			}
			last := wire.SyncEvent{Summary: e.sum}
			if e.sum != nil {
				last.Millis, last.Total = e.sum.Took.Milliseconds(), e.sum.Total
			}
			if e.err != nil {
				text := shown(ctx, e.err)
				last.Error = &text
			}
			return l.write(last)
		}
	}
}
