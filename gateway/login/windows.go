package login

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/config"
)

// manyHandshakes is how many may wait at a time where all clients come from the
// address of a load balancer.
const manyHandshakes = 4096

// window is an authenticator that connections are logged in at. A Set has one for
// all specs that do not differ in it.
type window struct {
	*iwa.Authenticator
	realm *realm
	used  bool // by the configuration of its Set
}

// windows is Negotiate and NTLM of a spec.
type windows struct {
	*iwa.Authenticator // for most
	clients            *config.Clients
	without            *iwa.Authenticator // for those; nil if there are none
}

var _ authn.Authenticator = (*windows)(nil)

// windowsOf returns the windows of a spec, nil if it has none.
func (s *Set) windowsOf(spec *Spec) (*windows, error) {
	var at config.Login
	var negotiate, ntlm bool
	for _, l := range spec.Logins {
		if l.Method != config.Negotiate && l.Method != config.NTLM {
			continue
		}
		if at.Realm != "" && at.Realm != l.Realm {
			return nil, fmt.Errorf("login: %s and %s: Negotiate and NTLM of two realms in one list: the first message of a client does not say which realm it is for; "+
				"keep one, and let users of the other log in by basic or form, or at a service of their own", at, l)
		}
		at, negotiate, ntlm = l, negotiate || l.Method == config.Negotiate, ntlm || l.Method == config.NTLM
	}
	if at.Realm == "" {
		return nil, nil
	}
	r := s.realms[at.Realm]
	switch {
	case r == nil:
		return nil, fmt.Errorf("login: %s: there is no realm %q", at, at.Realm)
	case negotiate && r.keytab == nil:
		ntlm = true // it is all that Negotiate can be
	}
	if ntlm && r.verifier == nil {
		return nil, fmt.Errorf("login: %s: realms.%s has nobody who verifies NTLM: want ntlm, or internal: {ntlm: true} and a store", at, at.Realm)
	}
	kind := mode{kerberos: negotiate && r.keytab != nil, ntlm: ntlm, noNegotiate: !negotiate}
	w := &windows{clients: spec.NotNegotiate}
	var err error
	if w.Authenticator, err = s.window(r, spec, kind); err != nil || !negotiate || spec.NotNegotiate == nil {
		return w, err
	}
	kind.kerberos, kind.noNegotiate = false, true // Kerberos comes by Negotiate only
	w.without, err = s.window(r, spec, kind)
	return w, err
}

// mode is what an authenticator takes.
type mode struct{ kerberos, ntlm, noNegotiate bool }

// window returns the authenticator for a mode, which is that of the Set before if
// that had the same.
func (s *Set) window(r *realm, spec *Spec, k mode) (*iwa.Authenticator, error) {
	var seen []authn.ChannelBinding // of files, what is in them now
	for _, h := range spec.BindingHashes {
		b, err := binding(h)
		if err != nil {
			return nil, fmt.Errorf("login: channel_binding_hash: %w", err)
		}
		seen = append(seen, b)
	}
	key := fmt.Sprintf("%s %v %s %x forwarded=%v session=%v", r.name, k, spec.Binding, seen, spec.AllowForwarded, spec.Session)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.windows[key]; w != nil {
		w.used = true
		return w.Authenticator, nil
	}
	a := &iwa.Authenticator{
		NoNegotiate: k.noNegotiate, AllowForwarded: spec.AllowForwarded,
		// With a session, the next request goes by the cookie. A proxy that mixes
		// connections then gives nobody the login of another.
		PerRequest: spec.Session && !spec.AllowForwarded,
		Logger:     s.log,
	}
	if spec.AllowForwarded || spec.Session {
		a.MaxHandshakes = manyHandshakes
	}
	policy, ok := policies[spec.Binding]
	if !ok {
		return nil, fmt.Errorf("login: channel_binding %q is not known", spec.Binding)
	}
	if len(seen) > 0 {
		var err error
		if a.Binding, err = iwa.FixedBinding(seen...); err != nil {
			return nil, fmt.Errorf("login: channel_binding_hash: %w", err)
		}
	}
	if k.kerberos {
		a.Kerberos = r.mechanism(authn.MechanismKerberos, policy)
	}
	if k.ntlm {
		a.NTLM = r.mechanism(authn.MechanismNTLM, policy)
	}
	s.windows[key] = &window{Authenticator: a, realm: r, used: true}
	return a, nil
}

var policies = map[config.Binding]authn.BindingPolicy{
	"": authn.BindingSupported, config.BindingSupported: authn.BindingSupported,
	config.BindingRequired: authn.BindingRequired, config.BindingOff: authn.BindingOff,
}

func binding(h config.CertHash) (authn.ChannelBinding, error) {
	if h.File != "" {
		return iwa.LoadBinding(string(h.File))
	}
	return authn.HashBinding(h.Hash)
}

// mechanisms names what identities it may bring.
func (w *windows) mechanisms() (names []string) {
	if w.Kerberos != nil {
		names = append(names, authn.MechanismKerberos)
	}
	if w.NTLM != nil {
		names = append(names, authn.MechanismNTLM)
	}
	return names
}

func (w *windows) of(r *http.Request) *iwa.Authenticator {
	if w.without != nil && fits(w.clients, r) {
		return w.without
	}
	return w.Authenticator
}

// Authenticate implements authn.Authenticator.
func (w *windows) Authenticate(r *http.Request) (*authn.Result, error) {
	return w.of(r).Authenticate(r)
}

// Challenges implements authn.Authenticator.
func (w *windows) Challenges(r *http.Request) []authn.Challenge { return w.of(r).Challenges(r) }

// fits reports whether r comes from one of some clients.
func fits(c *config.Clients, r *http.Request) bool {
	if addr := authn.ClientAddr(r); inNetworks(c.Networks, addr) {
		return true
	}
	agent := strings.ToLower(r.UserAgent())
	return slices.ContainsFunc(c.UserAgents, func(p string) bool { return like(strings.ToLower(p), agent) })
}

func inNetworks(networks []config.Network, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n config.Network) bool { return n.Contains(addr) })
}

// like reports whether a text is what a pattern says, in which * is any text.
func like(pattern, text string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, first)
	if !ok || !more {
		return ok && text == ""
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, last)
}

// entered notes who comes by Negotiate or NTLM.
type entered struct{ *windows }

var _ authn.Authenticator = entered{}

// Authenticate implements authn.Authenticator.
func (e entered) Authenticate(r *http.Request) (*authn.Result, error) {
	res, err := e.windows.Authenticate(r)
	if err == nil && res.Identity != nil {
		f := foundOf(r.Context())
		f.windows, f.fresh = true, res.Fresh
	}
	return res, err
}
