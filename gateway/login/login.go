// Package login makes the logins of a configuration: who may come to a service,
// and how he shows who he is.
//
//   - New makes a Set of a configuration: its realms, with what verifies logins,
//     their users, and the protection against guessing.
//   - Set.Handler puts something behind the logins of a Spec.
//   - Set.Pages are the login forms, and what belongs to logins at OpenID Connect
//     providers, which Set.Provider returns; Set.Run, Set.Checks and Set.Close are for the
//     program around.
//
// A Set takes over from the one before what did not change, so that a reload ends
// no login and no handshake.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

// Options are what a Set needs besides the configuration.
type Options struct {
	Store   *store.Store // nil: none is configured
	Logger  *slog.Logger
	Observe func(ctx context.Context, d *authn.Decision) // each login and refusal

	testOnlyWinbind func() *winbind.Verifier // nil: that of the host
	testOnlyNow     func() time.Time         // nil means time.Now; for the daily job
}

// A Set has the realms of a configuration. It is safe for concurrent use.
type Set struct {
	config *config.Config
	o      Options
	log    *slog.Logger
	memory *memory
	realms map[string]*realm
	forms  map[string]*form.Form

	providers map[string]*provides // by realm: those that somebody may log in at
	links     map[string][]string  // by realm: the providers that its page leads to

	limit *throttle.Limiter // of logins that belong to no realm

	mu       sync.Mutex
	windows  map[string]*window          // by what tells them apart
	managers map[string]*session.Manager // by the name of the cookie
}

// memory is what is kept without a store, and what outlives each Set.
type memory struct {
	sessions *session.Memory
	failures *throttle.Memory
	clients  *clients
	blocks   *cachedBlocks // nil without a store
	states   *states
}

// New opens the realms. It asks nobody: a domain controller that is away is found
// out at the first login, or by Checks. Realms that are in previous and did not
// change are taken over, with the logins of their connections.
//
// An error says which key of the configuration it is about, and is joined of all
// that were found.
func New(c *config.Config, o Options, previous *Set) (*Set, error) {
	s := &Set{
		config: c, o: o, log: o.Logger, realms: make(map[string]*realm), forms: make(map[string]*form.Form),
		providers: make(map[string]*provides), links: make(map[string][]string),
		windows: make(map[string]*window), managers: make(map[string]*session.Manager),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if previous != nil && previous.o.Store == o.Store {
		s.memory = previous.memory
	} else {
		s.memory = &memory{sessions: session.NewMemory(0), failures: throttle.NewMemory(0), clients: new(clients), states: newStates(o.Store)}
		if o.Store != nil {
			s.memory.blocks = &cachedBlocks{Store: o.Store, version: of(o.Store, store.Blocks)}
		}
		previous = nil // all that is in it goes by another store
	}
	s.limit = s.limiter(throttle.Names{})
	errs := []error{s.limit.Check()}
	for _, name := range slices.Sorted(maps.Keys(c.Realms)) {
		r, err := s.openRealm(name, previous)
		if err != nil {
			errs = append(errs, fmt.Errorf("realms.%s: %w", name, err))
			continue
		}
		s.realms[name] = r
	}
	s.takeOver(previous)
	if err := errors.Join(errs...); err != nil {
		_ = s.Close(previous) // of what is new, nothing was used
		return nil, err
	}
	if err := errors.Join(s.makeProviders(), s.makeForms(), s.makePages()); err != nil {
		_ = s.Close(previous)
		return nil, err
	}
	return s, nil
}

// takeOver keeps the authenticators of realms that did not change: connections are
// logged in at them. Those that the last configuration had no use for go.
func (s *Set) takeOver(previous *Set) {
	if previous == nil {
		return
	}
	previous.mu.Lock()
	defer previous.mu.Unlock()
	for key, w := range previous.windows {
		if w.used && s.realms[w.realm.name] == w.realm {
			s.windows[key] = &window{Authenticator: w.Authenticator, realm: w.realm}
		}
	}
	if previous.config.Sessions != s.config.Sessions {
		return
	}
	for name, r := range s.realms {
		if previous.realms[name] != r {
			continue
		}
		for _, cookie := range []string{cookiePrefix + name, boundPrefix + name} {
			if m := previous.managers[cookie]; m != nil {
				s.managers[cookie] = m // with the evidence that it keeps
			}
		}
	}
}

// listed are the logins that somebody may use, and where they are written.
type listed struct {
	path   string
	logins []config.Login
}

// loginsOf returns all lists of logins that are in force somewhere.
func loginsOf(c *config.Config) (all []listed) {
	inherited := false
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		sv := c.Services[name]
		path := "services." + name
		if len(sv.Login) > 0 {
			all = append(all, listed{path + ".login", sv.Login})
		} else {
			inherited = true
		}
		for i := range sv.Elements {
			if e := &sv.Elements[i]; len(e.Login) > 0 {
				all = append(all, listed{fmt.Sprintf("%s.elements[%d].login", path, i), e.Login})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		if u := c.Upstreams[name]; len(u.Login) > 0 {
			all = append(all, listed{"upstreams." + name + ".login", u.Login})
		}
	}
	if inherited {
		all = append(all, listed{"defaults.login", c.Defaults.Login})
	}
	return all
}

// Pages are the login forms, below /.soapward/login/, one for each realm, and what
// belongs to logins at external providers.
func (s *Set) Pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		below, ok := strings.CutPrefix(r.URL.Path, formsBelow)
		name, _, _ := strings.Cut(below, "/")
		if p := s.providers[name]; ok && p != nil && p.serve(w, r, below[len(name):]) {
			return
		}
		if f := s.forms[name]; ok && f != nil {
			f.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
}

// Resolver finds groups in all directories. It is nil without one.
func (s *Set) Resolver() authz.Resolver {
	var all resolvers
	for _, name := range slices.Sorted(maps.Keys(s.realms)) {
		if r := s.realms[name]; r.directory != nil {
			all = append(all, resolver{domains: r.domains, base: r.base(), ask: r.directory})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// Close ends what is not in next, the set that took over, which may be nil.
func (s *Set) Close(next *Set) error {
	var errs []error
	for name, r := range s.realms {
		if next == nil || next.realms[name] != r {
			errs = append(errs, r.close())
		}
	}
	return errors.Join(errs...)
}

// observe is told each decision about a login.
func (s *Set) observe(ctx context.Context, d *authn.Decision) {
	if d.Outcome != authn.OutcomeAccepted {
		reason := string(d.Reason)
		if reason == "" {
			reason = string(d.Outcome)
		}
		trail.From(ctx).Refuse(reason, d.Detail)
	}
	if s.o.Observe != nil {
		s.o.Observe(ctx, d)
	}
}
