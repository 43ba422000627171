package netlogon

import (
	"context"
	"errors"
	"fmt"
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

// trusts knows the domains whose users can log on here. The zero value is ready.
type trusts struct {
	mu      sync.Mutex
	names   map[string]bool // upper case, NetBIOS and DNS
	expires time.Time
}

const trustsLifetime = 10 * time.Minute

// unknownDomain reports whether the login that failed with err names a domain
// that nobody trusts: such a login is wrong, whereas one for a domain that is
// out of reach could not be judged.
func (v *Verifier) unknownDomain(ctx context.Context, err error, a *ntlm.Attempt) bool {
	var status *StatusError
	if !errors.As(err, &status) || status.Code != statusNoLogonServers {
		return false
	}
	domain := a.Domain
	if domain == "" {
		_, domain, _ = strings.Cut(a.User, "@")
	}
	if domain == "" || strings.EqualFold(domain, v.cfg.Domain) || strings.EqualFold(domain, v.cfg.DNSDomain) {
		return false
	}
	known, err := v.trustedDomains(ctx)
	return err == nil && !known[strings.ToUpper(domain)]
}

// trustedDomains asks a controller, unless it was asked a while ago.
func (v *Verifier) trustedDomains(ctx context.Context) (map[string]bool, error) {
	t := &v.trusts
	t.mu.Lock()
	defer t.mu.Unlock()
	now := v.cfg.testOnlyNow()
	if t.names != nil && now.Before(t.expires) {
		return t.names, nil
	}
	var names map[string]bool
	err := v.ask(ctx, func(c *controller, patience time.Duration) error {
		return c.use(ctx, patience, func(ch *channel) (err error) {
			names, err = ch.trustedDomains()
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	t.names, t.expires = names, now.Add(trustsLifetime)
	return names, nil
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
	return names, nil
}
