package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	// refresh is how old what DNS said may be before it is asked again, beside
	// the logins.
	refresh = 5 * time.Minute

	// maxControllers bounds what DNS may say.
	maxControllers = 64
)

var errClosed = errors.New("netlogon: the verifier was closed")

// known returns all controllers, from DNS where none were configured.
func (v *Verifier) known(ctx context.Context) ([]*controller, error) {
	v.mu.Lock()
	cs, due := v.controllers, false
	if v.closed {
		v.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, errClosed)
	}
	if len(v.cfg.Controllers) == 0 && len(cs) > 0 && !v.finding && v.cfg.testOnlyNow().Sub(v.found) > refresh {
		v.finding, due = true, true
	}
	v.mu.Unlock()
	if due {
		v.background(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
			defer cancel()
			if err := v.find(ctx); err != nil {
				v.cfg.logger().Warn("domain controllers are not found anew", slog.String("domain", v.cfg.DNSDomain), slog.String("cause", err.Error()))
			}
		})
	}
	if len(cs) > 0 {
		return cs, nil
	}
	if err := v.find(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.controllers, nil
}

// find asks DNS for the controllers of the domain (MS-ADTS 6.3.2.3). What is
// known of one that is named again stays.
func (v *Verifier) find(ctx context.Context) error {
	_, records, err := v.cfg.Resolver.LookupSRV(ctx, "ldap", "tcp", "dc._msdcs."+v.cfg.DNSDomain)
	gone, err := v.replace(records, err)
	for _, c := range gone { // without the lock, which each login needs
		c.retire()
	}
	return err
}

// replace makes what DNS said the controllers, and returns those that it does
// not name any more.
func (v *Verifier) replace(records []*net.SRV, err error) (gone []*controller, _ error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.finding, v.found = false, v.cfg.testOnlyNow()
	if err != nil && len(records) == 0 { // with records, some names were odd
		return nil, fmt.Errorf("netlogon: find the controllers of %s: %w; have this host ask the domain's DNS server, or name them: Config.Controllers, in the configuration of the gateway ad.url", v.cfg.DNSDomain, err)
	}
	old := make(map[string]*controller, len(v.controllers))
	for _, c := range v.controllers {
		old[c.name] = c
	}
	var cs []*controller
	seen := make(map[string]bool)
	for _, r := range records[:min(len(records), maxControllers)] {
		name := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		if name == "" || seen[name] { // a dot alone says that there is none (RFC 2782)
			continue
		}
		seen[name] = true
		c := old[name]
		if c == nil {
			c = newController(v, name)
		}
		delete(old, name)
		cs = append(cs, c)
	}
	if len(cs) == 0 {
		return nil, fmt.Errorf("netlogon: DNS names no domain controller of %s; is it the DNS name of the domain, and this host's DNS server the domain's?", v.cfg.DNSDomain)
	}
	v.controllers = cs
	return slices.Collect(maps.Values(old)), nil
}
