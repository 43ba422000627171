package computer

import (
	"context"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
)

// Netlogon returns the Channel over the account's secure channel (MS-NRPC
// 3.5.4.4.5). Of the configuration, Secrets is not used. Only the first of its
// Controllers is asked, so that what is proven is what was done; with none, a
// change may need a second Run to be proven, where DNS names another one.
func Netlogon(c netlogon.Config) Channel {
	if len(c.Controllers) > 1 {
		c.Controllers = c.Controllers[:1]
	}
	return channel{c}
}

type channel struct{ cfg netlogon.Config }

// String implements fmt.Stringer, so that no password of the configuration
// prints.
func (c channel) String() string { return "secure channel of " + c.cfg.Account }

func (c channel) with(password authn.Secret) netlogon.Config {
	cfg := c.cfg
	cfg.Secrets = netlogon.Password(password)
	return cfg
}

func (c channel) Probe(ctx context.Context, password authn.Secret) error {
	return refused(netlogon.Probe(ctx, c.with(password)))
}

func (c channel) SetPassword(ctx context.Context, current, next authn.Secret) error {
	return refused(netlogon.SetPassword(ctx, c.with(current), next))
}

func refused(err error) error {
	if errors.Is(err, netlogon.ErrAccount) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
