package realm

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/gateway/config"
)

// Provider returns the OpenID Connect provider of a realm, nil if it has none.
// Nobody is asked before the first call of its methods.
func Provider(name string, r *config.Realm, log *slog.Logger) (*oidc.Provider, error) {
	o := r.OIDC
	if o == nil {
		return nil, nil
	}
	cfg := oidc.Config{
		Name: name, Issuer: o.Issuer.String(), ClientID: o.ClientID, DesktopClientID: o.DesktopClientID,
		UsernameClaim: o.UsernameClaim, AllowUnverifiedEmail: o.AllowUnverifiedEmail, Scopes: o.Scopes, Audiences: o.Audiences,
		Timeout: o.Timeout.Std(), Logger: log,
	}
	var err error
	if cfg.ClientSecret, err = secret(o.ClientSecret, "oidc.client_secret"); err != nil {
		return nil, err
	}
	pool, err := roots(o.CAFile, "oidc.ca_file")
	if err != nil {
		return nil, err
	}
	if pool != nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		t.IdleConnTimeout = time.Minute
		cfg.HTTP = &http.Client{Transport: t}
	}
	p, err := oidc.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("oidc: %w", err)
	}
	return p, nil
}
