package winbind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// Defaults and bounds of Verifier.
const (
	defaultHelpers  = 2
	maxHelpers      = 8
	defaultTimeout  = 10 * time.Second
	defaultCacheFor = time.Minute
)

// A Verifier asks winbindd. Its zero value is ready for use. The fields must
// not change after the first use, and a Verifier must not be copied. It is safe
// for concurrent use. Close ends its processes.
type Verifier struct {
	// Command is Samba's ntlm_auth with arguments, such as
	// --require-membership-of=CORP\Staff; --helper-protocol is added. Empty
	// means "ntlm_auth", to be found in PATH.
	Command []string

	// Lookup is Samba's wbinfo with arguments. Empty means "wbinfo".
	Lookup []string

	// Env is the environment of both; nil means that of this process.
	Env []string

	// Helpers is how many logins may be under way, each in an ntlm_auth of its
	// own that stays for the next one. Zero means 2; more than 8 mean 8.
	Helpers int

	// Timeout is how long a login may take altogether. Zero means 10 s. An
	// ntlm_auth that is silent for longer is killed.
	Timeout time.Duration

	// CacheFor is how long an account's SID and groups are kept, so that not
	// each login starts three processes. A change of groups shows after that
	// time at the latest. Zero means one minute; less means not at all.
	CacheFor time.Duration

	testOnlyNow func() time.Time

	once    sync.Once
	slots   chan *process // Helpers of them; nil is one that is not running
	lookups chan struct{} // a place for each wbinfo that may run
	closing sync.Once
	closed  chan struct{}
	known   cache
}

var _ ntlm.Verifier = (*Verifier)(nil)

// init makes what the zero value lacks.
func (v *Verifier) init() {
	v.once.Do(func() {
		n := v.Helpers
		if n <= 0 {
			n = defaultHelpers
		}
		n = min(n, maxHelpers)
		v.slots, v.lookups, v.closed = make(chan *process, n), make(chan struct{}, n), make(chan struct{})
		for range n {
			v.slots <- nil
		}
	})
}

func (v *Verifier) timeout() time.Duration {
	if v.Timeout > 0 {
		return v.Timeout
	}
	return defaultTimeout
}

func (v *Verifier) now() time.Time {
	if v.testOnlyNow != nil {
		return v.testOnlyNow()
	}
	return time.Now()
}

// command is c, or the program called name.
func command(c []string, name string) []string {
	if len(c) == 0 {
		return []string{name}
	}
	return c
}

// Close ends the helpers. Logins that are under way fail, and so do later ones.
func (v *Verifier) Close() error {
	v.init()
	v.closing.Do(func() {
		close(v.closed)
		for range cap(v.slots) {
			if p := <-v.slots; p != nil {
				p.stop()
			}
		}
	})
	return nil
}

var errClosed = errors.New("the verifier is closed")

// unavailable is an error of winbind's, rather than of the client's.
func unavailable(err error) error {
	return fmt.Errorf("%w: winbind: %w", authn.ErrUnavailable, err)
}

func refuse(r authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: authn.MechanismNTLM, Reason: r, Hint: hint, Err: err}
}

// VerifyNTLM implements ntlm.Verifier. The error wraps authn.ErrUnavailable
// where winbindd, or the domain behind it, gave no answer. A login is judged
// once: it is never repeated after ntlm_auth has got it.
func (v *Verifier) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	var none ntlm.SessionBaseKey
	// Ntlm_auth would take an NTLMv1 response too.
	if _, err := ntlm.ParseResponse(a.Response); err != nil {
		return nil, none, refuse(authn.ReasonMalformed, "", err)
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout())
	defer cancel()
	separator, err := v.separator(ctx)
	if err != nil {
		return nil, none, err
	}
	name, err := lookupName(a.Domain, a.User, separator)
	if err != nil {
		return nil, none, err
	}
	r, err := v.ask(ctx, request(a))
	if err != nil {
		return nil, none, err
	}
	if err := r.judge(); err != nil {
		return nil, none, err
	}
	id, err := v.identity(ctx, name, separator)
	if err != nil {
		return nil, none, err
	}
	return id, r.key, nil
}

// Names returns what ntlm.Mechanism must say of itself in its challenge. They
// are those of the joined host: a controller refuses answers to a challenge of
// another computer (MS-NRPC 3.5.4.5.1). They do not change while it is joined.
func (v *Verifier) Names(ctx context.Context) (ntlm.Names, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout())
	defer cancel()
	c, err := v.challenge(ctx)
	if err != nil {
		return ntlm.Names{}, err
	}
	n := ntlm.Names{Domain: c.TargetInfo.Text(ntlm.AVDomain), Computer: c.TargetInfo.Text(ntlm.AVComputer)}
	if n.Domain == "" || n.Computer == "" {
		return ntlm.Names{}, unavailable(errors.New("ntlm_auth does not say which computer of which domain this is"))
	}
	info, err := v.wbinfo(ctx, "--domain-info="+n.Domain)
	if err != nil {
		return ntlm.Names{}, err
	}
	for line := range strings.Lines(info) {
		// Alt_Name          : corp.test
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "Alt_Name" {
			n.DNS.Domain = strings.TrimSpace(value)
		}
	}
	if n.DNS.Domain != "" {
		n.DNS.Computer = strings.ToLower(n.Computer) + "." + n.DNS.Domain
	}
	return n, nil
}

// Check reports why no login can succeed: a program that is missing, a
// winbindd that does not run or may not be used, a domain that does not answer.
// It tries ntlm_auth with an account of this host, not of the domain.
func (v *Verifier) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, v.timeout())
	defer cancel()
	if _, err := v.wbinfo(ctx, "--ping-dc"); err != nil {
		return err
	}
	c, err := v.challenge(ctx)
	if err != nil {
		return err
	}
	r, err := v.ask(ctx, request(&ntlm.Attempt{
		User: "soapward-check", Domain: c.TargetInfo.Text(ntlm.AVComputer),
		Response: make([]byte, 24), // the shortest that ntlm_auth takes; nobody's
	}))
	if err != nil {
		return err
	}
	if err := r.judge(); !errors.Is(err, authn.ErrBadCredentials) {
		return err
	}
	return nil
}

// challenge is what ntlm_auth would send a client.
func (v *Verifier) challenge(ctx context.Context) (*ntlm.Challenge, error) {
	v.init()
	p, err := v.start("squid-2.5-ntlmssp")
	if err != nil {
		return nil, unavailable(err)
	}
	defer p.stop()
	var reply string
	err = p.use(v.patience(ctx), v.closed, func() (err error) {
		if err = p.send(negotiate()); err == nil {
			reply, err = p.line()
		}
		return err
	})
	if err != nil {
		return nil, unavailable(p.explain(err))
	}
	c, err := parseChallenge(reply)
	if err != nil {
		return nil, unavailable(err)
	}
	return c, nil
}

// patience is how long ctx leaves for one answer.
func (v *Verifier) patience(ctx context.Context) time.Duration {
	d := v.timeout()
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end))
	}
	return d
}

// cache keeps what was looked up.
type cache struct {
	mu        sync.Mutex
	separator string
	accounts  map[string]entry // by the name that was looked up
}

// entry is never modified after it was made.
type entry struct {
	id    *authn.Identity
	until time.Time
}

// maxCached bounds the memory: a user is in the cache once for each spelling
// of the name.
const maxCached = 4096

func (c *cache) get(name string, now time.Time) *authn.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.accounts[name]; now.Before(e.until) {
		return e.id
	}
	return nil
}

func (c *cache) put(name string, id *authn.Identity, now, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accounts == nil {
		c.accounts = make(map[string]entry)
	}
	if len(c.accounts) >= maxCached {
		for n, e := range c.accounts {
			if !now.Before(e.until) {
				delete(c.accounts, n)
			}
		}
	}
	for n := range c.accounts { // any
		if len(c.accounts) < maxCached {
			break
		}
		delete(c.accounts, n)
	}
	c.accounts[name] = entry{id, until}
}
