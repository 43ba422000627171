package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/kdc"
)

// The cast. Alice's password is shown to whoever runs the demo.
const (
	realm        = "CORP.TEST"
	netbios      = "CORP"
	user         = "alice"
	fullName     = "Alice Example"
	userPassword = "open-sesame"

	userRID    = 1103
	financeRID = 1201

	expensesAccount = "svc-expenses"
	expensesSPN     = "HTTP/localhost"
	ledgerAccount   = "svc-ledger"
	ledgerSPN       = "HTTP/127.0.0.1"
)

// Config says how a demo is run. The zero value is fine.
type Config struct {
	// Log is where KDC and services log, as text. Nil means nowhere.
	Log io.Writer

	// TestOnlyBreak spoils the domain before the first step.
	TestOnlyBreak func(*kdc.KDC) error
}

// Demo is a running demonstration. Its methods are used by one goroutine at a
// time.
type Demo struct {
	kdc      *kdc.KDC
	krb      *kerberos.Config
	accounts *ntlm.Accounts
	names    map[authn.SID]string // of groups, as a directory would know them

	journal *journal
	logger  *slog.Logger

	ledger   *ledgerService
	expenses *expensesService

	ledgerURL, expensesURL, transitionURL, restartedURL, impostorURL string

	transport *http.Transport
	closers   []func() error
}

// Start starts KDC and services on loopback ports that the system chooses. The
// caller closes the Demo.
func Start(ctx context.Context, c Config) (_ *Demo, err error) {
	d := &Demo{journal: &journal{}, transport: loopbackTransport()}
	handlers := []slog.Handler{slog.NewJSONHandler(d.journal, nil)}
	if c.Log != nil {
		handlers = append(handlers, slog.NewTextHandler(c.Log, nil))
	}
	d.logger = slog.New(slog.NewMultiHandler(handlers...))
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.startDomain(); err != nil {
		return nil, err
	}
	if err := d.startServices(ctx); err != nil {
		return nil, err
	}
	if c.TestOnlyBreak != nil {
		if err := c.TestOnlyBreak(d.kdc); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Close stops everything.
func (d *Demo) Close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.closers = nil
	d.transport.CloseIdleConnections()
	return errors.Join(errs...)
}

// startDomain starts the KDC and makes the accounts, once for Kerberos and once
// for NTLM and Basic, as a domain controller has them for all.
func (d *Demo) startDomain() error {
	var err error
	if d.kdc, err = kdc.New(kdc.Config{Realm: realm, NetBIOS: netbios, Logger: d.logger}); err != nil {
		return err
	}
	for _, a := range []kdc.Account{
		{Name: user, FullName: fullName, Password: userPassword, RID: userRID, Groups: []uint32{financeRID}},
		{
			Name: expensesAccount, Password: rand.Text(), SPNs: []string{expensesSPN},
			TrustedToAuth: true, DelegateTo: []string{ledgerSPN},
		},
		{Name: ledgerAccount, Password: rand.Text(), SPNs: []string{ledgerSPN}},
	} {
		if err := d.kdc.Add(a); err != nil {
			return err
		}
	}
	if err := d.kdc.Start("127.0.0.1:0"); err != nil {
		return err
	}
	d.closers = append(d.closers, d.kdc.Close)
	if d.krb, err = kerberos.ParseConfig(d.kdc.Krb5Conf()); err != nil {
		return err
	}
	domain := d.kdc.DomainSID()
	d.names = map[authn.SID]string{
		authn.SID(domain.RID(513)):        netbios + `\Domain Users`,
		authn.SID(domain.RID(financeRID)): netbios + `\Finance`,
	}
	var groups []authn.Group
	for _, rid := range []uint32{513, financeRID} {
		sid := authn.SID(domain.RID(rid))
		groups = append(groups, authn.Group{SID: sid, Name: d.names[sid]})
	}
	d.accounts, err = ntlm.NewAccounts(netbios, "corp.test", ntlm.Account{
		Name: user, Password: authn.NewSecret(userPassword), DisplayName: fullName,
		UPN: user + "@corp.test", SID: d.userSID(), Groups: groups,
	})
	return err
}

func (d *Demo) userSID() authn.SID { return authn.SID(d.kdc.DomainSID().RID(userRID)) }

// serve serves h on a loopback port until Close and returns the port.
func (d *Demo) serve(ctx context.Context, s *http.Server) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	s.ErrorLog = slog.NewLogLogger(d.logger.Handler(), slog.LevelWarn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with ErrServerClosed
	}()
	d.closers = append(d.closers, func() error {
		err := s.Close()
		<-done
		return err
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// loopbackTransport connects to the IPv4 address even where localhost has
// another one too, and to no proxy.
func loopbackTransport() *http.Transport {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", addr)
	}}
}

// client returns an HTTP client that logs in with c, or not at all if c is nil.
func (d *Demo) client(c authclient.Credential) *http.Client {
	if c == nil {
		return &http.Client{Transport: d.transport}
	}
	return d.clientOf(authclient.Static(c))
}

func (d *Demo) clientOf(s authclient.Source) *http.Client {
	t := &authclient.Transport{Source: s, Base: d.transport}
	d.closers = append(d.closers, func() error { t.CloseIdleConnections(); return nil })
	return &http.Client{Transport: t}
}

// keytab returns a service's keys.
func (d *Demo) keytab(principals ...string) (*kerberos.Keytab, error) {
	b, err := d.kdc.Keytab(principals...)
	if err != nil {
		return nil, err
	}
	return kerberos.ParseKeytab(b)
}
