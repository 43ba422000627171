package delegation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Method is how a request was made on a caller's behalf.
type Method string

// The methods, in the order in which they are tried.
const (
	Constrained Method = "s4u2proxy"          // with the ticket the caller presented
	Forwarded   Method = "forwarded-tgt"      // with the ticket-granting ticket the caller forwarded
	Password    Method = "password"           // with the password the caller typed, to a KDC
	Transition  Method = "s4u2self+s4u2proxy" // with a ticket the KDC made on our word
	AsService   Method = "service-account"    // not in the caller's name
)

// An Upstream is a server that callers may be passed on to.
type Upstream struct {
	// SPN is the service as authclient.Target names it: HTTP/host. Case does
	// not matter.
	SPN string

	// Methods limits by which methods callers are passed on: Constrained,
	// Forwarded, Password, Transition. They are tried in that order whatever
	// the order here. Nil means all. Transition and AsService have switches of
	// their own besides, below.
	Methods []Method

	// ProtocolTransition acts for callers who left no ticket, on our own word
	// that they logged in. Whoever controls this process can then be anybody
	// at this upstream, so the account must be worth that trust.
	ProtocolTransition bool

	// Service is the account to log in with when the caller is anonymous or
	// cannot be passed on: the login left nothing to show, not even a name that
	// a KDC would know, or a ticket that is not forwardable, or the user is in
	// Protected Users. Nil means never. A KDC that refuses, or does not answer,
	// is an error nevertheless: anybody on the way to it could have made the
	// refusal up, and must not choose in whose name we act.
	Service authclient.Credential

	// Account is the account that the server runs as. It is only for the
	// commands in remedies, which leave out what needs it if it is empty.
	Account string
}

// allows reports whether a method may be used at u.
func (u *Upstream) allows(m Method) bool {
	switch {
	case m == AsService:
		return u.Service != nil
	case m == Transition && !u.ProtocolTransition:
		return false
	}
	return u.Methods == nil || slices.Contains(u.Methods, m)
}

// Delegator finds credentials that act for callers. Its fields must not change
// once it is in use. It is safe for concurrent use and must not be copied.
type Delegator struct {
	// Client is our own account, the one that callers log in to. Nil means
	// that a KDC is never asked for tickets on its behalf: no Constrained and
	// no Transition.
	Client *kerberos.Client

	// Kerberos tells where the KDCs are, for Forwarded and Password. The zero
	// value means neither.
	Kerberos kerberos.Config

	// Upstreams are the servers callers are passed on to. Others are refused.
	Upstreams []Upstream

	// Principal names the account of a caller to a KDC, for Password and
	// Transition. Nil means DomainPrincipal with Domains.
	Principal func(*authn.Identity) (string, error)

	// Domains maps the NetBIOS names of domains to their realms: "CORP" to
	// "CORP.TEST".
	Domains map[string]string

	// AllowUPN names callers without a SID by their UPN: for each mechanism
	// whose word is taken, the UPN suffixes of the domain. It is for an OIDC
	// provider, say, that has its users from the domain; whoever administers
	// that can then be any user with such a UPN at the upstreams with protocol
	// transition. Others without a SID are not passed on. Principal decides
	// instead where it is set.
	AllowUPN map[string][]string

	// MaxTickets bounds the tickets kept. Zero means 4096.
	MaxTickets int

	Logger *slog.Logger // nil means slog.Default(); for uses of the service account

	// Observe is told of each decision before Delegate returns, by many
	// goroutines at once, and must not block. Nil means nobody is told.
	Observe func(context.Context, Decision)

	testOnlyNow func() time.Time

	once     sync.Once
	tickets  *cache
	refusals refusals
}

// Delegate returns a credential that acts for id at t and how it was got. The
// error is an *Error, which wraps authn.ErrUnavailable if no KDC answered. The
// credential of a caller is the same object as long as its ticket is good, so
// that connections are used again.
func (d *Delegator) Delegate(ctx context.Context, id *authn.Identity, t authclient.Target) (_ authclient.Credential, _ Method, err error) {
	ctx, end := authn.StartSpan(ctx, authn.SpanDelegation, slog.String("upstream", t.SPN))
	defer func() { end(err) }()
	d.once.Do(func() { d.tickets = newCache(d.MaxTickets, d.now, d.forget) })
	begin := time.Now()
	e := &Error{Identity: id, Target: t}
	u := d.upstream(t.SPN)
	var cred authclient.Credential
	var method Method
	if u == nil {
		err = e.because(ReasonNotListed, ErrNotListed,
			fmt.Sprintf("%s is not among the servers that callers are passed on to", t.SPN),
			words("add the upstream with this SPN to the delegation settings, if callers may be passed on to it"))
	} else {
		cred, method, err = d.asCaller(ctx, e, id, u)
	}
	if err == nil || u == nil || u.Service == nil || !e.DecidedHere() || ctx.Err() != nil {
		d.observe(ctx, begin, method, e, err)
		return cred, method, err
	}
	d.observe(ctx, begin, AsService, e, err)
	d.logger().LogAttrs(ctx, slog.LevelInfo, "acting as service account",
		slog.Any("user", id), slog.String("upstream", t.SPN), slog.Any("cause", err))
	return u.Service, AsService, nil
}

// asCaller tries the methods that act in the caller's name. The error is e.
func (d *Delegator) asCaller(ctx context.Context, e *Error, id *authn.Identity, u *Upstream) (authclient.Credential, Method, error) {
	if id == nil {
		return nil, "", e.because(ReasonNoEvidence, ErrNoEvidence, "the request is anonymous", words("require a login on the route"))
	}
	ev, _ := id.Evidence.(*kerberos.Evidence)
	if now := d.now(); !id.Expires.IsZero() && !now.Before(id.Expires) || ev != nil && !now.Before(ev.Expires()) {
		return nil, "", e.because(ReasonLoginExpired, ErrNoEvidence, "the caller's login has ended", words("the caller has to log in again"))
	}
	if isProtected(id) {
		return nil, "", d.protected(e, kerberos.ErrProtectedUser)
	}
	if sensitive, _ := ev.Sensitive(); sensitive {
		return nil, "", d.sensitive(e, kerberos.ErrNotDelegable, "")
	}
	for _, m := range d.methods(u, id) {
		c, err := d.try(ctx, m, id, e.Target)
		if err == nil {
			return c, m, nil
		}
		e.Tried = append(e.Tried, Attempt{m, reasonOf(m, err), err})
		if errors.Is(err, authn.ErrUnavailable) || ctx.Err() != nil {
			break
		}
	}
	return nil, "", d.explain(e, u)
}

// methods lists what can be tried with the evidence there is.
func (d *Delegator) methods(u *Upstream, id *authn.Identity) []Method {
	var ms []Method
	for _, m := range d.left(id) {
		if u.allows(m) {
			ms = append(ms, m)
		}
	}
	// A KDC that refuses what the caller left would refuse our word as well.
	if len(ms) == 0 && u.allows(Transition) && d.Client != nil {
		ms = append(ms, Transition)
	}
	return ms
}

// left lists the methods for what the caller left.
func (d *Delegator) left(id *authn.Identity) []Method {
	var ms []Method
	ev, _ := id.Evidence.(*kerberos.Evidence)
	if ev.Forwardable() && d.Client != nil {
		ms = append(ms, Constrained)
	}
	if ev.HasForwardedTGT() && d.knowsKDC() {
		ms = append(ms, Forwarded)
	}
	if _, ok := id.Evidence.(passwordEvidence); ok && d.knowsKDC() {
		// The password of an account of our own would only count as a wrong
		// one of the domain's account of that name.
		if _, err := d.principal(id); err == nil {
			ms = append(ms, Password)
		}
	}
	return ms
}

// try gets a ticket by one method, or finds it in the cache.
func (d *Delegator) try(ctx context.Context, m Method, id *authn.Identity, t authclient.Target) (authclient.Credential, error) {
	var principal string
	var err error
	ev, isTicket := id.Evidence.(*kerberos.Evidence)
	if isTicket && m != Transition {
		principal = ev.Client()
	} else if principal, err = d.principal(id); err != nil {
		return nil, &principalError{err}
	}
	key := keyOf(m, principal, id, t)
	if m == Password {
		_, password := id.Evidence.(passwordEvidence).Credentials()
		key.password = d.refusals.digest(principal, password)
	}
	return d.tickets.get(ctx, key, func(ctx context.Context) (*kerberos.Ticket, error) {
		switch m {
		case Constrained:
			return d.constrained(ctx, ev, t.SPN)
		case Forwarded:
			c, err := kerberos.NewForwardedClient(d.Kerberos, ev)
			if err != nil {
				return nil, err
			}
			return c.Ticket(ctx, t.SPN)
		case Password:
			return d.withPassword(ctx, id.Evidence.(passwordEvidence), key.password, principal, t.SPN)
		}
		return d.transition(ctx, id, principal, t.SPN)
	})
}

// transition gets a ticket on our word that id logged in.
func (d *Delegator) transition(ctx context.Context, id *authn.Identity, principal, spn string) (*kerberos.Ticket, error) {
	self, err := d.Client.S4U2Self(ctx, principal)
	if err != nil {
		return nil, err
	}
	// By UPN it is the UPN that the ticket is in the name of, which servers that
	// read names and not SIDs take for another user.
	if name, ok := accountName(self); ok {
		byUPN := self
		if self, err = d.Client.S4U2Self(ctx, name); err != nil {
			return nil, err
		}
		if self.SID() != byUPN.SID() {
			return nil, fmt.Errorf("%w: %s is %s, and %s is %s", errOtherAccount, principal, byUPN.SID(), name, self.SID())
		}
	}
	// The login said which account it was; the KDC must mean the same.
	if id.SID != "" && self.SID() == "" {
		return nil, fmt.Errorf("%w: %s, and %s logged in", errNoSID, principal, id.SID)
	}
	if id.SID != "" && id.SID != self.SID() {
		return nil, fmt.Errorf("%w: %s is %s to the KDC, and %s logged in", errOtherAccount, principal, self.SID(), id.SID)
	}
	t, err := d.Client.S4U2Proxy(ctx, self, spn)
	if isBadOption(err) && !errors.Is(err, kerberos.ErrLimitedClient) {
		return nil, &refusal{whyRefused(self), self.Account(), err}
	}
	return t, err
}

// accountName returns the account's own name with realm, if a ticket is in
// another name and says which account it is.
func accountName(ev *kerberos.Evidence) (string, bool) {
	client := ev.Client()
	name := ev.Account() + client[strings.LastIndexByte(client, '@'):]
	return name, ev.Account() != "" && !strings.EqualFold(name, client)
}

// forget drops a ticket that an upstream refused from Client's cache, and
// reports whether it would give another now. Tickets of other clients are in no
// cache but our own.
func (d *Delegator) forget(t *kerberos.Ticket) bool { return d.Client == nil || d.Client.Forget(t) }

// knowsKDC reports whether Kerberos is set.
func (d *Delegator) knowsKDC() bool { return len(d.Kerberos.Realms) > 0 || d.Kerberos.LookupKDC }

// upstream returns the entry of a server, or nil.
func (d *Delegator) upstream(spn string) *Upstream {
	for i := range d.Upstreams {
		if strings.EqualFold(d.Upstreams[i].SPN, spn) {
			return &d.Upstreams[i]
		}
	}
	return nil
}

func (d *Delegator) now() time.Time {
	if d.testOnlyNow != nil {
		return d.testOnlyNow()
	}
	return time.Now()
}

func (d *Delegator) logger() *slog.Logger {
	if d.Logger != nil {
		return d.Logger
	}
	return slog.Default()
}

// Source makes d choose the credentials of an authclient.Transport: it acts
// for whoever authn.FromContext names, so a handler has only to pass its ctx
// along.
func Source(d *Delegator) authclient.Source { return source{d} }

type source struct{ d *Delegator }

func (s source) Credential(ctx context.Context, t authclient.Target) (authclient.Credential, error) {
	c, _, err := s.d.Delegate(ctx, authn.FromContext(ctx), t)
	return c, err
}
