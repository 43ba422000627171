package realm

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// Provider returns the OpenID Connect provider of a realm, nil if it has none.
// Nobody is asked before the first call of its methods. What counts once is
// remembered in st, so that it does at one node only; nil is for a program alone.
func Provider(name string, r *config.Realm, st *store.Store, log *slog.Logger) (*oidc.Provider, error) {
	o := r.OIDC
	if o == nil {
		return nil, nil
	}
	c := oidc.Config{
		Name: name, Issuer: o.Issuer.String(), ClientID: o.ClientID, DesktopClientID: o.DesktopClientID,
		UsernameClaim: o.UsernameClaim, AllowUnverifiedEmail: o.AllowUnverifiedEmail, Scopes: o.Scopes, Audiences: o.Audiences,
		Timeout: o.Timeout.Std(), Proxy: o.Proxy.URL.URL, Logger: log,
	}
	var err error
	if c.ClientSecret, err = secret(o.ClientSecret, "oidc.client_secret"); err != nil {
		return nil, err
	}
	pool, err := roots(o.CAFile, "oidc.ca_file")
	if err != nil {
		return nil, err
	}
	if pool != nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy, t.TLSClientConfig = nil, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		t.MaxResponseHeaderBytes = 64 << 10
		c.HTTP = &http.Client{Transport: t}
	}
	if st != nil {
		once := st.Replays()
		c.Used = func(ctx context.Context, digest [sha256.Size]byte, until time.Time) (bool, error) {
			return once.Add(ctx, "oidc "+name, digest, until)
		}
	}
	return oidc.New(c)
}
