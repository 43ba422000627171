package inbound

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
)

// chain is how callers log in to some elements, with what comes behind it.
type chain struct{ http.Handler }

// chains makes the login chains of a service, one for each way to log in.
type chains struct {
	h      *Handler
	s      *service
	p      parts
	custom *config.CallOut
	asked  bool // by another proxy, whose connection it is
	made   []made
	err    error
}

type made struct {
	logins
	*chain
}

// of returns the chain for logins, nil if there are none.
func (x *chains) of(l logins) *chain {
	if len(l.Login) == 0 || x.err != nil {
		return nil
	}
	for _, m := range x.made {
		if reflect.DeepEqual(m.logins, l) {
			return m.chain
		}
	}
	next := http.HandlerFunc(x.h.admitted)
	c := &chain{Handler: next}
	if !l.anonymous() {
		set := config.Settings(l)
		spec := login.SpecOf(&set, x.custom)
		spec.AllowAnonymous, spec.Deny = allowAnonymous, Deny
		if x.asked {
			if spec, x.err = oneLeg(spec); x.err != nil {
				x.err = fmt.Errorf("inbound: service %s: %w", x.s.name, x.err)
				return nil
			}
		}
		handler, err := x.p.logins.Handler(spec, next)
		if err != nil {
			x.err = fmt.Errorf("inbound: service %s: %w", x.s.name, err)
			return nil
		}
		c.Handler = handler
	}
	x.made = append(x.made, made{l, c})
	return c
}

// allowAnonymous is authn.Middleware.AllowAnonymous.
func allowAnonymous(r *http.Request) bool {
	c := callOf(r.Context())
	return c != nil && c.service.policy.AllowsAnonymous(&c.req)
}
