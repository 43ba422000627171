package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"

	"github.com/soapward/soapward/authn/ntlm"
)

// statusNoLogonServers is how a controller answers for a domain that it cannot
// ask. Samba says so of domains that do not exist as well.
const statusNoLogonServers = 0xC000005E

// trustFlags asks for the domains that the controller's own trusts, and those
// of its forest (MS-NRPC 3.5.4.7.1).
const trustFlags = 0x1 | 0x2 | 0x8 | 0x20

const (
	trustsLifetime = 10 * time.Minute
	trustsPause    = 10 * time.Second // after nobody told them
)

// trusts knows the domains whose users can log on here. The zero value is ready.
type trusts struct {
	mu    sync.Mutex
	names map[string]bool // upper case, NetBIOS and DNS; nil if nobody told them yet
	due   time.Time       // when they are to be asked for
}

// get returns what is known, and whether it is time to ask.
func (t *trusts) get(now time.Time) (names map[string]bool, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names, !now.Before(t.due)
}

// set remembers an answer, or that there was none. What was known stays then.
func (t *trusts) set(names map[string]bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.due = now.Add(trustsPause)
	if names != nil {
		t.names, t.due = names, now.Add(trustsLifetime)
	}
}

// unknownDomain reports whether the login that failed with err names a domain
// that nobody trusts: such a login is wrong, whereas one for a domain that is
// out of reach could not be judged.
func (v *Verifier) unknownDomain(ctx context.Context, err error, a *ntlm.Attempt) bool {
	var status *StatusError
	if !errors.As(err, &status) || status.Code != statusNoLogonServers {
		return false
	}
	domain := v.foreignDomain(a)
	if domain == "" {
		return false
	}
	known := v.trustedDomains(ctx)
	return known != nil && !isTrusted(known, strings.ToUpper(domain))
}

// foreignDomain is the domain that the client names, or empty if that is ours or
// none.
func (v *Verifier) foreignDomain(a *ntlm.Attempt) string {
	domain := a.Domain
	if domain == "" {
		at := strings.LastIndexByte(a.User, '@')
		if at < 0 {
			return ""
		}
		domain = a.User[at+1:]
	}
	if strings.EqualFold(domain, v.cfg.Domain) || strings.EqualFold(domain, v.cfg.DNSDomain) {
		return ""
	}
	return domain
}

// isTrusted looks for a domain and those above it, since a controller lists the
// root of a trusted forest only.
func isTrusted(known map[string]bool, domain string) bool {
	for {
		if known[domain] {
			return true
		}
		var ok bool
		if _, domain, ok = strings.Cut(domain, "."); !ok {
			return false
		}
	}
}

// trustedDomains asks a controller, unless one was asked a while ago. It returns
// nil if nobody tells.
func (v *Verifier) trustedDomains(ctx context.Context) map[string]bool {
	names, due := v.trusts.get(v.cfg.testOnlyNow())
	if !due {
		return names
	}
	select { // the others wait for the answer to the first
	case v.trusting <- struct{}{}:
		defer func() { <-v.trusting }()
	case <-ctx.Done():
		return names
	}
	if names, due = v.trusts.get(v.cfg.testOnlyNow()); !due {
		return names
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	var answer map[string]bool
	err := v.ask(ctx, func(c *controller, patience time.Duration) error {
		return c.use(ctx, patience, func(ch *channel) (err error) {
			answer, err = ch.trustedDomains()
			return err
		})
	})
	if err != nil {
		answer = nil
		v.cfg.logger().Warn("trusted domains are not known", slog.String("cause", err.Error()),
			slog.String("hint", "logins that name an unknown domain are answered as if no domain controller were there"))
	}
	v.trusts.set(answer, v.cfg.testOnlyNow())
	names, _ = v.trusts.get(v.cfg.testOnlyNow())
	return names
}

// trustedDomains asks by DsrEnumerateDomainTrusts (MS-NRPC 3.5.4.7.1).
func (ch *channel) trustedDomains() (names map[string]bool, err error) {
	defer guardPanic(&err)
	answer, err := ch.logons.EnumerateDomainTrusts(ch.ctx, &logon.EnumerateDomainTrustsRequest{ServerName: ch.server, Flags: trustFlags})
	if err != nil {
		if answer != nil && answer.Return != 0 {
			err = &StatusError{Code: answer.Return}
		}
		return nil, fmt.Errorf("DsrEnumerateDomainTrusts: %w", err)
	}
	names = make(map[string]bool)
	if answer.Domains == nil {
		return names, nil
	}
	for _, d := range answer.Domains.Domains {
		if d != nil {
			names[strings.ToUpper(d.NetBIOSDomainName)] = true
			names[strings.ToUpper(d.DNSDomainName)] = true
		}
	}
	delete(names, "") // a domain has not always both
	return names, nil
}
