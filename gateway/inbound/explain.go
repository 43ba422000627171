package inbound

import (
	"context"
	"net/http"
	"net/url"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// Explain says which policy is in force for a request, and how it decides for
// id, or for nobody in particular with anybody set. The client's address is that
// of ctx (authn.WithClient), if it has one. It asks directories where the policy
// does.
func (h *Handler) Explain(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation {
	client, _ := authn.ClientFromContext(ctx)
	if method == "" {
		method = http.MethodGet
		if operation != "" {
			method = http.MethodPost
		}
	}
	r := &authz.Request{Identity: id, Client: client, Host: u.Host, Method: method, Path: u.Path, Operation: operation}
	path, err := authz.CleanPath(u)
	if err != nil {
		return authz.ExplainPath(r, err)
	}
	r.Path = path
	s, _ := h.table.find(u.Host, path)
	if s == nil {
		e := authz.ExplainPath(r, errNoService)
		e.Why = "no service has that host and path: 404"
		return e
	}
	// The policy in force has settings that are not for people.
	policy, _, err := newPolicy(h.config, s.name, h.config.Services[s.name], h.roles, nil)
	if err != nil { // as New found
		return authz.ExplainPath(r, err)
	}
	return policy.Explain(ctx, r, anybody)
}
