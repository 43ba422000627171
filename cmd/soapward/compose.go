package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// openStore opens the store of a configuration.
func openStore(ctx context.Context, c *config.Config, log *slog.Logger) (*store.Store, error) {
	if c.Store.Driver == "" {
		return nil, withRemedy(errors.New("the configuration has no store"), "store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}")
	}
	s, err := realm.OpenStore(ctx, &c.Store, log)
	return s, noStore(string(c.Store.Driver), err)
}
