package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// Defaults and bounds of Config.
const (
	defaultChannels = 2
	maxChannels     = 4
	defaultTimeout  = 10 * time.Second
	defaultPatience = 1500 * time.Millisecond
)

// Config says which domain logins are verified in, and by which account.
// Account, Secrets and Domain must be set, and one of DNSDomain and
// Controllers.
type Config struct {
	// Account is the computer account, GW01 or GW01$. No other running program
	// may use it.
	Account string

	// Secrets returns the account's password and, while it is being changed,
	// those that may be in force as well, the likeliest first. It is asked each
	// time a channel is opened, so that a new password needs no restart. It
	// must be safe for concurrent use.
	Secrets func() ([]authn.Secret, error)

	Domain    string // NetBIOS name, CORP
	DNSDomain string // corp.test; where controllers are found, and part of the challenge

	// Controllers are the domain controllers in order of preference: names or
	// addresses, with a port where Netlogon's is fixed ("dc1.corp.test:49155").
	// Empty means that DNS is asked for those of DNSDomain.
	Controllers []string

	// Channels is how many logons may be under way at one controller, each on a
	// connection of its own. Zero means 2; more than 4 are not allowed, for a
	// controller keeps state for each. Logins that name another domain have all
	// but one of them, since a controller may wait for that domain's.
	Channels int

	// Timeout is how long a login may take altogether, with all controllers
	// that are asked. Zero means 10 s.
	Timeout time.Duration

	// Patience is how long a controller may be silent before the next one is
	// asked; a login waits as long again for one of its channels. The last
	// controller has until Timeout. Zero means 1.5 s; it is Timeout at most.
	Patience time.Duration

	// NoNames leaves groups without names. Identities have the SIDs only.
	NoNames bool

	Logger *slog.Logger // nil means slog.Default(); controllers that come and go

	// Dialer connects to controllers. Nil means a net.Dialer.
	Dialer Dialer
	// Resolver finds controllers. Nil means net.DefaultResolver.
	Resolver Resolver

	testOnlyNow func() time.Time
}

// A Dialer connects to controllers. *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A Resolver finds the services of a domain. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Password is Config.Secrets for a password that does not change.
func Password(secret authn.Secret) func() ([]authn.Secret, error) {
	return func() ([]authn.Secret, error) { return []authn.Secret{secret}, nil }
}

// check completes the configuration.
func (c *Config) check() error {
	c.Account = strings.TrimSuffix(c.Account, "$")
	c.DNSDomain = strings.TrimSuffix(c.DNSDomain, ".")
	var errs []error
	missing := func(what string) { errs = append(errs, errors.New("netlogon: Config."+what+" is not set")) }
	switch {
	case c.Account == "":
		missing("Account, the name of a computer account,")
	case strings.ContainsAny(c.Account, `$\/@."`+"\x00"):
		errs = append(errs, fmt.Errorf("netlogon: Config.Account is the name of a computer account such as GW01$, not %q", c.Account))
	}
	if c.Secrets == nil {
		missing("Secrets")
	}
	if c.Domain == "" {
		missing("Domain, the NetBIOS name of the domain,")
	} else if strings.Contains(c.Domain, ".") {
		errs = append(errs, fmt.Errorf("netlogon: Config.Domain is a NetBIOS name such as CORP; %q goes into DNSDomain", c.Domain))
	}
	if c.DNSDomain == "" && len(c.Controllers) == 0 {
		missing("DNSDomain, or Controllers,")
	}
	for _, name := range c.Controllers {
		if !isController(name) {
			errs = append(errs, fmt.Errorf("netlogon: Config.Controllers has %q, want a name or an address such as dc1.corp.test, dc1.corp.test:49155 or [fd00::1]:49155", name))
		}
	}
	if c.Channels < 0 || c.Channels > maxChannels {
		errs = append(errs, fmt.Errorf("netlogon: Config.Channels is %d, want 0 to %d", c.Channels, maxChannels))
	}
	if c.Channels == 0 {
		c.Channels = defaultChannels
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	c.Patience = min(c.Patience, c.Timeout)
	if c.Dialer == nil {
		c.Dialer = &net.Dialer{}
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.testOnlyNow == nil {
		c.testOnlyNow = time.Now
	}
	return errors.Join(errs...)
}

// isController reports whether name is a host, with or without a port.
func isController(name string) bool {
	if net.ParseIP(name) != nil {
		return true
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		host = name
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false
	}
	return host != "" && host != "." && (net.ParseIP(host) != nil || !strings.ContainsAny(host, `\/:[]@ `+"\x00"))
}

func (c *Config) logger() *slog.Logger {
	if c.Logger != nil {
		return c.Logger
	}
	return slog.Default()
}

// accountName is the account as the controller knows it (MS-NRPC 3.5.4.4.2).
func (c *Config) accountName() string { return c.Account + "$" }

// A Verifier asks domain controllers. It is safe for concurrent use. Close
// ends it.
type Verifier struct {
	cfg    Config
	names  nameCache
	trusts trusts

	// One token each: these are asked for by one login at a time.
	naming, trusting chan struct{}

	mu          sync.Mutex
	controllers []*controller
	found       time.Time // when DNS was asked last; zero for a fixed list
	finding     bool
	closed      bool

	work   sync.WaitGroup // what runs in the background
	ctx    context.Context
	cancel context.CancelFunc
}

var _ ntlm.Verifier = (*Verifier)(nil)

// New returns a Verifier. It connects to nothing yet; Check does.
func New(c Config) (*Verifier, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	v := &Verifier{cfg: c, naming: make(chan struct{}, 1), trusting: make(chan struct{}, 1)}
	// The context of what outlives a request: probes and channels.
	v.ctx, v.cancel = context.WithCancel(context.Background())
	for _, name := range c.Controllers {
		v.controllers = append(v.controllers, newController(v, name))
	}
	return v, nil
}

// Names returns what ntlm.Mechanism must say of itself in its challenge. The
// NetBIOS computer name is the computer account's: a controller refuses
// answers to a challenge of another computer (MS-NRPC 3.5.4.5.1).
func (v *Verifier) Names() ntlm.Names {
	n := ntlm.Names{Domain: v.cfg.Domain, Computer: v.cfg.Account}
	if d := v.cfg.DNSDomain; d != "" {
		n.DNS = ntlm.DNSNames{Domain: d, Computer: strings.ToLower(v.cfg.Account) + "." + d, Forest: d}
	}
	return n
}

// Close closes all channels and waits for what is under way in the background.
// Logins fail from then on.
func (v *Verifier) Close() error {
	v.mu.Lock()
	v.closed = true
	cs := v.controllers
	v.mu.Unlock()
	v.cancel()
	for _, c := range cs {
		c.retire()
	}
	v.work.Wait()
	return nil
}

// VerifyNTLM implements ntlm.Verifier. One controller judges the login. Only
// if that gave no answer, the next one is asked. The error wraps
// authn.ErrUnavailable where none answered.
func (v *Verifier) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	if err := v.checkAttempt(a); err != nil {
		return nil, ntlm.SessionBaseKey{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	var answer *validation
	err := v.ask(ctx, func(c *controller, patience time.Duration) (err error) {
		ctx, end := authn.StartSpan(ctx, authn.SpanNetlogon, slog.String("server", c.name))
		defer func() { end(err) }()
		use := c.use
		if v.foreignDomain(a) != "" {
			use = c.useForeign
		}
		err = use(ctx, patience, func(ch *channel) (err error) {
			answer, err = ch.logon(a)
			return err
		})
		if v.unknownDomain(ctx, err, a) { // so that the others are not asked either
			return refuse(authn.ReasonUnknownUser, a, "", errors.New("no trusted domain of that name"))
		}
		return err
	})
	if err != nil {
		return nil, ntlm.SessionBaseKey{}, logonError(err, a)
	}
	id, key, err := answer.identity(a)
	if err != nil {
		return nil, ntlm.SessionBaseKey{}, err
	}
	if !v.cfg.NoNames {
		v.nameGroups(ctx, id)
	}
	return id, key, nil
}

// checkAttempt refuses what no controller needs to be asked about.
func (v *Verifier) checkAttempt(a *ntlm.Attempt) error {
	resp, err := ntlm.ParseResponse(a.Response)
	if err != nil {
		return refuse(authn.ReasonMalformed, a, "", err)
	}
	// What the controller looks at first, so that it would refuse everybody.
	// The acceptor saw to it that the client sent our own names back.
	if got := resp.Pairs.Text(ntlm.AVComputer); !strings.EqualFold(got, v.cfg.Account) {
		return fmt.Errorf("%w: netlogon: the challenge is that of computer %q, but the account is %s: set ntlm.Mechanism.Names to Verifier.Names()",
			authn.ErrUnavailable, got, v.cfg.accountName())
	}
	return nil
}

// ask gives the controllers f in turn, until one answers.
func (v *Verifier) ask(ctx context.Context, f func(c *controller, patience time.Duration) error) error {
	cs, err := v.candidates(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i, c := range cs {
		patience := v.cfg.Patience
		if i == len(cs)-1 {
			patience = v.cfg.Timeout
		}
		err := f(c, patience)
		if answered(err) {
			return err
		}
		errs = append(errs, fmt.Errorf("%s: %w", c.name, explain(err)))
		if ctx.Err() != nil {
			break
		}
	}
	return v.unanswered(errs)
}

// unanswered is the error for a login that no controller judged.
func (v *Verifier) unanswered(errs []error) error {
	return fmt.Errorf("%w: netlogon: no domain controller of %s judged the login: %w", authn.ErrUnavailable, v.cfg.Domain, errors.Join(errs...))
}

// answered reports whether the controller decided, rather than that nothing
// was heard of it.
func answered(err error) bool {
	var status *StatusError
	var refused *authn.RefusedError
	return err == nil || errors.As(err, &status) && status.judged || errors.As(err, &refused)
}

// candidates returns the controllers in the order they are to be asked: those
// that are known to be up first, and of them those that answered the last call.
// Those that are not up are tried beside the login where another one is.
func (v *Verifier) candidates(ctx context.Context) ([]*controller, error) {
	all, err := v.known(ctx)
	if err != nil {
		return nil, err
	}
	var ranks [rankNotUp + 1][]*controller
	for _, c := range all {
		r := c.rank()
		ranks[r] = append(ranks[r], c)
	}
	order := append(ranks[rankUp], ranks[rankSuspect]...)
	if len(order) > 0 {
		for _, c := range ranks[rankNotUp] {
			c.revive()
		}
	}
	return append(order, ranks[rankNotUp]...), nil
}

// background runs f unless the verifier was closed, and reports whether it
// does. Close waits for it.
func (v *Verifier) background(f func(ctx context.Context)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.work.Go(func() { f(v.ctx) })
	return true
}
