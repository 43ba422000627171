package login

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

// A Spec is how callers log in to an element: its settings, inherited ones
// included.
type Spec struct {
	Logins       []config.Login
	Binding      config.Binding
	NotNegotiate *config.Clients
	Custom       *config.CallOut
	Session      bool // a session begins at the login

	// BindingHashes are the certificates that clients see where TLS ends at a load
	// balancer, and AllowForwarded takes NTLM through one.
	BindingHashes  []config.CertHash
	AllowForwarded bool

	// AllowAnonymous and Deny are those of authn.Middleware.
	AllowAnonymous func(*http.Request) bool
	Deny           func(w http.ResponseWriter, r *http.Request, status int, ref string)
}

// SpecOf returns the spec of the settings that are in force at an element,
// inherited ones included.
func SpecOf(set *config.Settings, custom *config.CallOut) Spec {
	return Spec{
		Logins: set.Login, Binding: set.ChannelBinding, NotNegotiate: set.NotNegotiate, Custom: custom,
		Session:       set.Session != nil && *set.Session,
		BindingHashes: set.ChannelBindingHash, AllowForwarded: set.AllowForwarded != nil && *set.AllowForwarded,
	}
}

// Handler returns next behind the logins. Two specs that do not differ in their
// logins share what a connection logged in as. next finds the caller with
// authn.FromContext.
//
// Logins that no element may have are an error, such as Negotiate at two realms:
// there is one exchange, and nothing in its first message says for whom it is.
func (s *Set) Handler(spec Spec, next http.Handler) (http.Handler, error) {
	if len(spec.Logins) == 0 {
		return nil, errors.New("login: no logins: nobody could come in")
	}
	if slices.ContainsFunc(spec.Logins, func(l config.Login) bool { return l.Method == config.None }) {
		if len(spec.Logins) > 1 {
			return nil, errors.New("login: none stands alone")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), nil)))
		}), nil
	}
	c, err := s.chain(&spec)
	if err != nil {
		return nil, err
	}
	mw := &authn.Middleware{
		Authenticators: append(c.sessions, c.others...), Logger: s.log, Observe: s.observe,
		AllowAnonymous: spec.AllowAnonymous, Deny: s.deny(&spec, c),
	}
	protected := mw.Wrap(c.begin(next))
	schemes := c.schemes
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scheme, _, ok := authn.Authorization(r); ok {
			s.memory.clients.sent(r, scheme, schemes)
		}
		protected.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), foundKey{}, new(found))))
	}), nil
}

// chain is what a Spec comes to.
type chain struct {
	sessions []authn.Authenticator
	others   []authn.Authenticator
	form     *form.Form // where browsers log in; nil: nowhere
	starts   *starter   // nil: no session begins
	schemes  []string   // of HTTP, that the others take
}

func (s *Set) chain(spec *Spec) (*chain, error) {
	c := new(chain)
	windows, err := s.windowsOf(spec)
	if err != nil {
		return nil, err
	}
	known := make(map[string]*sessionLogin)
	tokens := new(issuers)
	var providers []string
	for _, l := range spec.Logins {
		r := s.realms[l.Realm]
		if r == nil && l.Realm != "" {
			return nil, fmt.Errorf("login: %s: there is no realm %q", l, l.Realm)
		}
		switch l.Method {
		case config.Negotiate, config.NTLM:
			if windows == nil {
				continue // it is there already
			}
			c.others = append(c.others, r.keep(r.limit.Authenticator(entered{windows})))
			c.schemes = append(c.schemes, windows.Schemes()...)
			if spec.Session {
				m := s.manager(r, spec.Binding == config.BindingRequired)
				c.starts = &starter{m}
				known[m.Name] = takes(known[m.Name], m, windows.mechanisms()...)
			}
			windows = nil
		case config.Basic:
			if r.passwords == nil {
				return nil, fmt.Errorf("login: %s: nobody has a password in the realm", l)
			}
			c.others = append(c.others, r.limit.Authenticator(s.basic(r)))
			c.schemes = append(c.schemes, "Basic")
		case config.Form:
			f := s.forms[l.Realm]
			if f == nil {
				return nil, fmt.Errorf("login: %s: the configuration has no such form", l)
			}
			if c.form == nil {
				c.form = f
			}
			m := s.manager(r, false)
			known[m.Name] = takes(known[m.Name], m, form.Mechanism)
		case config.Custom:
			a, schemes, err := s.custom(spec.Custom)
			if err != nil {
				return nil, err
			}
			c.others = append(c.others, s.limit.Authenticator(a))
			c.schemes = append(c.schemes, schemes...)
		case config.OIDC:
			if r.provider == nil || s.providers[l.Realm] == nil {
				return nil, fmt.Errorf("login: %s: the configuration has no such provider", l)
			}
			m := s.manager(r, false)
			known[m.Name] = takes(known[m.Name], m, oidc.Mechanism)
			providers = append(providers, l.Realm)
			if o := r.made.realm.OIDC; len(o.Audiences) > 0 {
				if tokens.first == nil { // its place is that of the first
					c.others = append(c.others, tokens)
					c.schemes = append(c.schemes, "Bearer")
				}
				tokens.add(o.Issuer.String(), r.limited(&either{r.provider.Bearer(), r.provider.InsecureBearer(), s.safeWithoutTLS}))
			}
		default:
			return nil, fmt.Errorf("login: %s: no such method", l)
		}
	}
	if c.form == nil && len(providers) > 0 {
		// Its own, which leads to these alone. The pages of realms lead to all that
		// they are listed with somewhere.
		if c.form, err = s.pageOf(s.realms[providers[0]], providers); err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		known[name].schemes = c.schemes
		c.sessions = append(c.sessions, known[name])
	}
	return c, nil
}

// found is what the parts of a chain tell each other of a request.
type found struct {
	session bool // the caller is known by one
	windows bool // or by Negotiate or NTLM,
	fresh   bool // with this very request
}

type foundKey struct{}

func foundOf(ctx context.Context) *found {
	if f, ok := ctx.Value(foundKey{}).(*found); ok {
		return f
	}
	return new(found)
}

// begin returns next behind what happens when the caller is known: the trail
// learns of him, and a session begins.
func (c *chain) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, id := foundOf(r.Context()), authn.FromContext(r.Context())
		t := trail.From(r.Context())
		t.Identity, t.Session = id, f.session
		if c.starts != nil && id != nil && f.windows && f.fresh {
			if err := c.starts.start(w, r, id); err != nil {
				t.Cause = err.Error() // the login counts for this request all the same
			}
		}
		next.ServeHTTP(w, r)
	})
}

// plain is a refusal in a line of text.
func plain(w http.ResponseWriter, _ *http.Request, status int, ref string) {
	text := http.StatusText(status)
	if status == http.StatusTooManyRequests {
		seconds, _ := strconv.Atoi(w.Header().Get("Retry-After")) // which the Middleware has set
		text = (&authn.BlockedError{Block: time.Duration(seconds) * time.Second}).Text()
	}
	http.Error(w, text+" (reference "+ref+")", status)
}

// deny is who writes refusals: the form for browsers, if there is one, and else
// what the spec says.
func (s *Set) deny(spec *Spec, c *chain) func(http.ResponseWriter, *http.Request, int, string) {
	write := spec.Deny
	switch {
	case c.form != nil:
		write = func(w http.ResponseWriter, r *http.Request, status int, ref string) {
			scheme, _, _ := authn.Authorization(r)
			switch token := strings.EqualFold(scheme, "Bearer"); { // which no browser sends by itself
			case !token && (form.ForBrowser(r) || spec.Deny == nil):
				c.form.Deny(w, r, status, ref)
			case spec.Deny == nil:
				plain(w, r, status, ref)
			default:
				spec.Deny(w, r, status, ref)
			}
		}
	case write == nil:
		write = plain
	}
	return func(w http.ResponseWriter, r *http.Request, status int, ref string) {
		if status == http.StatusUnauthorized {
			s.memory.clients.refused(r, s.log, ref, c.schemes)
		}
		write(w, r, status, ref)
	}
}
