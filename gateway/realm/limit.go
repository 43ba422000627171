package realm

import (
	"log/slog"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/gateway/config"
)

// Limiter is the protection against guessing for users with these names, with the
// counts in a store.
func Limiter(c *config.Throttle, names throttle.Names, store throttle.Store, log *slog.Logger) *throttle.Limiter {
	rules := func(list []config.ThrottleRule) []throttle.Rule {
		out := make([]throttle.Rule, len(list)) // not nil: that would be the defaults
		for i, x := range list {
			out[i] = throttle.Rule{Failures: x.Failures, Block: x.Block.Std()}
		}
		return out
	}
	return &throttle.Limiter{
		Store: store, Canonical: names.Canonical, Window: c.Window.Std(), User: rules(c.User), Address: rules(c.Address), Logger: log,
	}
}
