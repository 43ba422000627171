package main

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/publish"
)

// gatewayParts is what soapward check asks the parts of a gateway.
type gatewayParts struct {
	// explain is inbound.Handler.Explain.
	explain func(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation

	warnings     []delegation.Warning
	certificates []checkWarning // about them
	checks       []health.Check
	close        func()
}

// A gatewayBuilder makes the parts of a configuration. It opens no socket and
// asks nobody.
type gatewayBuilder func(context.Context, *config.Config, map[string]*publish.Publisher, *slog.Logger) (*gatewayParts, error)
