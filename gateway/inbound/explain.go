package inbound

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
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
	policy, err := h.forPeople(s.name)
	if err != nil {
		return authz.ExplainPath(r, err)
	}
	asked := *r // as it is known in front of the login
	if s.messages != nil && !s.messages.early {
		asked.Operation = ""
	}
	set, _ := s.policy.Setting(&asked, settingLogin).([]config.Login)
	nobody := len(set) == 1 && set[0].Method == config.None
	if nobody && !anybody {
		r.Identity = nil // whatever he sends, nobody looks at it
	}
	e := policy.Explain(ctx, r, anybody)
	for i := range e.Elements {
		h.sayMatch(s.name, &e.Elements[i])
	}
	if e.Result == authz.Allowed && !anybody && r.Identity == nil && !nobody && !s.policy.AllowsAnonymous(&asked) {
		e.Result, e.Why = authz.Denied, "a login is needed before it is known which operation it is, and for some it is"
	}
	return e
}

// forPeople returns the policy of a service without the settings that are not for
// people, which that in force has.
func (h *Handler) forPeople(name string) (*authz.Policy, error) {
	policy, _, err := newPolicy(h.config, name, h.config.Services[name], h.roles, nil)
	return policy, err // none, after that of New
}

// Policies returns what is in force at the elements of each service, the gateway's
// defaults first.
func (h *Handler) Policies() map[string][]authz.ElementPolicy {
	all := make(map[string][]authz.ElementPolicy, len(h.services))
	for name := range h.services {
		if p, err := h.forPeople(name); err == nil {
			all[name] = p.Elements()
		}
		for i := range all[name] {
			h.sayMatch(name, &all[name][i].ExplainedElement)
		}
	}
	return all
}

// sayMatch tells people which requests are for a service. Its policy does not know
// it: the router has decided on it.
func (h *Handler) sayMatch(name string, e *authz.ExplainedElement) {
	if e.Name != serviceElement(name) {
		return
	}
	m := authz.Match{Host: h.config.Services[name].Match.Host}
	if path := h.config.Services[name].Match.Path; path != "" {
		m.Path = strings.TrimRight(path, "/") + "/" // and all below, as authz writes it
	}
	e.Match = m.String()
}

// serviceElement is the name of a service's element.
func serviceElement(name string) string { return "service " + name }

// Roles are those of the configuration, for who asks about others than callers of
// services.
func (h *Handler) Roles() *authz.Roles { return h.roles }
