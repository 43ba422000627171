package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/inbound"
	"github.com/soapward/soapward/gateway/listen"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/outbound"
	"github.com/soapward/soapward/gateway/publish"
)

// buildGateway makes the parts of a gateway from a configuration. They get an empty
// store, since that of the configuration may be away, or not be there yet.
func buildGateway(ctx context.Context, c *config.Config, publishers map[string]*publish.Publisher, log *slog.Logger) (_ *gatewayParts, err error) {
	p := &gatewayParts{}
	var closers []func() error
	p.close = func() {
		for _, f := range slices.Backward(closers) {
			_ = f() // nothing was done with it
		}
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.certificates, err = checkCertificates(c, time.Now()); err != nil {
		return nil, err
	}
	var s *store.Store
	if c.Store.Driver != "" {
		p.checks = append(p.checks, storeCheck(c, log))
		var gone func() error
		if s, gone, err = scratchStore(ctx, log); err != nil {
			return nil, err
		}
		closers = append(closers, gone)
	}
	logins, err := login.New(c, login.Options{Store: s, Logger: log}, nil)
	if err != nil {
		return nil, err
	}
	closers = append(closers, func() error { return logins.Close(nil) })
	for _, c := range logins.Checks() {
		if c.Kind != health.Store { // that one is not the store of the configuration
			p.checks = append(p.checks, c)
		}
	}
	issuer, err := identity.New(c, nil)
	if err != nil {
		return nil, err
	}
	backends := make(map[string]*backend.Proxy)
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		u := c.Services[name].Upstream
		if u == nil || len(u.Servers()) == 0 {
			continue // another proxy passes its requests on
		}
		b, err := backend.New(u, backend.Options{Service: name, Issuer: issuer, Logger: log})
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		backends[name] = b
		closers = append(closers, b.Close)
		p.checks = append(p.checks, b.Checks()...)
	}
	in, err := inbound.New(c, inbound.Parts{Logins: logins, Backends: backends, Publishers: publishers, Issuer: issuer, Logger: log})
	if err != nil {
		return nil, err
	}
	p.explain = in.Explain
	out, err := outbound.New(c, outbound.Parts{Logins: logins, Issuer: issuer, Logger: log})
	if err != nil {
		return nil, err
	}
	closers = append(closers, out.Close)
	p.warnings = out.Warnings()
	p.checks = append(p.checks, out.Checks()...)
	return p, nil
}

// checkCertificates reads the certificates of all listeners, and warns of those
// that clients refuse, or will before long.
func checkCertificates(c *config.Config, now time.Time) (warnings []checkWarning, err error) {
	const soon = 21 * 24 * time.Hour
	read := func(key string, about any, t *config.TLS) error {
		certs, err := listen.Certificates(t)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for _, cert := range certs {
			w := checkWarning{Key: key, Position: c.Position(about), Remedy: "put a new one into the file: it is read again when it changes"}
			switch left := cert.NotAfter.Sub(now); {
			case left <= 0:
				w.Text = fmt.Sprintf("the certificate %s ended on %s: clients refuse it", cert.File, cert.NotAfter.Format(time.DateOnly))
			case left < soon:
				w.Text = fmt.Sprintf("the certificate %s ends on %s", cert.File, cert.NotAfter.Format(time.DateOnly))
			default:
				continue
			}
			warnings = append(warnings, w)
		}
		return nil
	}
	for i := range c.Listen {
		if err := read(fmt.Sprintf("listen[%d].tls", i), c.Listen[i].TLS, c.Listen[i].TLS); err != nil {
			return nil, err
		}
	}
	if c.Admin != nil {
		if err := read("admin.tls", c.Admin.TLS, c.Admin.TLS); err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

// scratchStore makes an empty store. gone takes it away again.
func scratchStore(ctx context.Context, log *slog.Logger) (s *store.Store, gone func() error, err error) {
	dir, err := os.MkdirTemp("", "soapward-check-")
	if err != nil {
		return nil, nil, withRemedy(fmt.Errorf("the check needs a place for temporary files: %w", err), "TMPDIR=DIRECTORY soapward check, with a DIRECTORY that can be written")
	}
	s, err = store.Open(ctx, store.Config{Driver: string(config.SQLite), DSN: filepath.Join(dir, "check.db"), Logger: log})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

// storeCheck looks whether the store of a configuration can be opened. It makes
// none.
func storeCheck(c *config.Config, log *slog.Logger) health.Check {
	return health.Check{
		Name: "store: " + string(c.Store.Driver), Kind: health.Store, Essential: true,
		Remedy: "look at store: driver, dsn and password. A new file of SQLite is made by soapward serve, or by soapward user add",
		Run: func(ctx context.Context) error {
			if err := mustExist(string(c.Store.Driver), c.Store.DSN); err != nil {
				return err
			}
			s, err := openStore(ctx, c, log)
			if err != nil {
				return err
			}
			return s.Close()
		},
	}
}
