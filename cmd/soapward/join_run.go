package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/directory/ldap"
)

// joinTimeout is for connecting to a domain controller and each request.
const joinTimeout = 10 * time.Second

// joining is one run of soapward join.
type joining struct {
	flags  *joinFlags
	cmd    *cobra.Command
	file   computer.SecretFile
	report joinReport

	address string // of the controller that all is done at; an IP address
	conns   []*ldap.Conn
}

func (j *joining) ctx() context.Context { return j.cmd.Context() }

func (j *joining) close() {
	for _, c := range j.conns {
		_ = c.Close()
	}
}

// connect opens a connection to a domain controller: to the one that the run
// has chosen, or to the first that answers.
func (j *joining) connect() (*ldap.Conn, error) {
	cfg := ldap.Config{Timeout: joinTimeout, Dialer: j.flags.network.dialer}
	if j.flags.caFile != "" {
		var err error
		if cfg.Roots, err = loadRoots("--ca-file", j.flags.caFile); err != nil {
			return nil, err
		}
	}
	hosts := []string{j.report.Controller}
	switch {
	case j.report.Controller != "":
	case j.flags.controller != "":
		hosts = []string{j.flags.controller}
	default:
		var err error
		if hosts, err = computer.FindControllers(j.ctx(), j.flags.network.resolver, j.flags.account.Domain); err != nil {
			return nil, withRemedy(err, "name a domain controller: --controller HOST")
		}
	}
	if j.address != "" {
		cfg.Dialer = pinned{cfg.Dialer, j.address}
	}
	var errs []error
	for _, host := range hosts {
		c, err := j.dial(cfg, host)
		if err == nil {
			j.report.Controller = host
			j.address, _, _ = net.SplitHostPort(c.RemoteAddr().String())
			j.conns = append(j.conns, c)
			return c, nil
		}
		errs = append(errs, err)
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) || j.ctx().Err() != nil {
			break // another controller would be no reason to look away
		}
	}
	return nil, errors.Join(errs...)
}

// loadRoots reads the authorities in a file, which what calls: PEM, or one in DER, which is what
// certutil writes on Windows.
func loadRoots(what, file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	roots := x509.NewCertPool()
	if roots.AppendCertsFromPEM(b) {
		return roots, nil
	}
	cert, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, withRemedy(fmt.Errorf("%s %s has no certificate, in PEM or DER", what, file), remedyAuthority)
	}
	roots.AddCert(cert)
	return roots, nil
}

// pinned connects to one address, whatever others the name has: another
// controller need not have heard of what was done at the first.
type pinned struct {
	dialer  ldap.Dialer // nil means a net.Dialer
	address string
}

func (p pinned) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if p.dialer == nil {
		p.dialer = &net.Dialer{}
	}
	return p.dialer.DialContext(ctx, network, net.JoinHostPort(p.address, port))
}

// dial tries LDAPS, and StartTLS where nobody listens for that.
func (j *joining) dial(cfg ldap.Config, host string) (*ldap.Conn, error) {
	if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
		host = "[" + host + "]"
	}
	cfg.URL = "ldaps://" + host
	c, err := ldap.Dial(j.ctx(), cfg)
	var dial *net.OpError
	var dns *net.DNSError
	if err == nil || !errors.As(err, &dial) || dial.Op != "dial" || errors.As(err, &dns) {
		return c, err
	}
	cfg.URL = "ldap://" + host
	c, errPlain := ldap.Dial(j.ctx(), cfg)
	if errPlain == nil {
		return c, nil
	}
	return nil, errors.Join(err, errPlain)
}

// logIn opens another connection, for the account itself.
func (j *joining) logIn(_ context.Context, password authn.Secret) (computer.Directory, error) {
	c, err := j.connect()
	if err != nil {
		return nil, err
	}
	return c, c.Bind(j.ctx(), j.flags.account.UPN(), password)
}

// make makes the account or resets it.
func (j *joining) make() error {
	f := j.flags
	if err := f.checkFiles(); err != nil {
		return err
	}
	conn, err := j.connect()
	if err != nil {
		return err
	}
	password, err := (&loginFlags{user: f.user, passwordFile: f.passwordFile}).password(j.cmd)
	if err != nil {
		return err
	}
	if err := conn.Bind(j.ctx(), f.userName(), password); err != nil {
		return err
	}
	plan, err := computer.NewPlan(j.ctx(), conn, f.account, f.ou)
	if err != nil {
		return err
	}
	if err := j.planned(plan); err != nil {
		return err
	}
	if f.dryRun {
		return nil
	}
	joiner := &computer.Joiner{Plan: plan, File: j.file, Directory: conn, LogIn: j.logIn}
	do := joiner.Create
	if f.reset {
		do = joiner.Reset
	}
	made, err := do(j.ctx())
	if err != nil {
		return err
	}
	j.report.made(made)
	return j.prove(plan.Domain, made.Entry, made.Password)
}

// planned puts the plan into the report, and refuses one that cannot work.
func (j *joining) planned(p *computer.Plan) error {
	r, f := &j.report, j.flags
	r.begin(f, p.Domain)
	r.DN, r.ServiceNames = p.DN, f.account.ServiceNames()
	pending := false
	if _, err := os.Lstat(f.secret + ".new"); err == nil {
		pending = true // an interrupted run may have made the account
	}
	switch {
	case f.reset && p.Existing == nil:
		return fmt.Errorf("%w: %s", computer.ErrNoAccount, f.account.SAM())
	case f.reset && p.Foreign:
		return fmt.Errorf("%w: %s", computer.ErrCreator, p.DN)
	case f.reset:
	case p.Existing != nil && !pending:
		return fmt.Errorf("%w: %s", computer.ErrTaken, p.DN)
	case !p.MayCreate && p.Quota == 0:
		return fmt.Errorf("%w: the directory tells of no right to create computers in %s, and the domain lets nobody do so without one", computer.ErrDenied, p.Container)
	case !p.MayCreate:
		r.check("right to create computers", fmt.Sprintf("the directory tells of none in %s; a Windows domain may let a user create some all the same (ms-DS-MachineAccountQuota)", p.Container), nil, true)
	case f.dryRun:
		r.check("right to create computers", "in "+p.Container, nil, false)
	}
	return nil
}

// rotate lets the account change its password.
func (j *joining) rotate() error {
	f := j.flags
	conn, current, first, err := j.logInSelf()
	if err != nil {
		return err
	}
	age := f.age
	if !first {
		age = 0 // the domain was restored, or a run was interrupted
	}
	domain, err := computer.LookUpDomain(j.ctx(), conn, f.account.Domain)
	if err != nil {
		return err
	}
	entry, err := domain.Find(j.ctx(), conn, f.account)
	if err != nil {
		return err
	}
	j.report.begin(f, domain)
	j.report.DN, j.report.ServiceNames = entry.DN, entry.SPNs
	if f.dryRun {
		changed, err := j.file.Changed()
		if err != nil {
			return err
		}
		due, err := (&computer.Rotation{File: j.file, MaxAge: age}).Due()
		if err != nil {
			return err
		}
		j.report.due(due)
		j.report.check("password", fmt.Sprintf("the domain controller takes it; it was made at %s", changed.Format(time.DateTime)), nil, false)
		return j.probe(domain, current)
	}
	r := computer.Rotation{
		Account: f.account, File: j.file, Channel: j.channel(domain), MaxAge: age,
		Prepare: func(_ context.Context, _, next authn.Secret) error {
			if f.keytab == "" {
				return nil
			}
			_, err := entry.Announce(f.keytab, f.account, next)
			return err
		},
	}
	out, err := r.Run(j.ctx())
	if err != nil {
		return err
	}
	j.report.Changed, j.report.Resumed = out.Changed, out.Resumed
	j.report.due(out.Due)
	if f.keytab != "" && out.Changed { // it may have another version than was announced
		if err := conn.Bind(j.ctx(), f.account.UPN(), out.Password); err != nil {
			return err
		}
		if entry, err = domain.Find(j.ctx(), conn, f.account); err != nil {
			return err
		}
	}
	return j.prove(domain, entry, out.Password)
}

// logInSelf logs in as the account, with whichever password is in force. It
// reports whether that is the one of the file.
func (j *joining) logInSelf() (conn *ldap.Conn, password authn.Secret, first bool, err error) {
	all, err := j.file.Secrets()
	if err != nil {
		return nil, authn.Secret{}, false, err
	}
	if conn, err = j.connect(); err != nil {
		return nil, authn.Secret{}, false, err
	}
	for i, s := range all {
		err = conn.Bind(j.ctx(), j.flags.account.UPN(), s)
		var refused *authn.RefusedError
		if err == nil || !errors.As(err, &refused) {
			return conn, s, i == 0, err
		}
	}
	return nil, authn.Secret{}, false, fmt.Errorf("%w: %w", computer.ErrRefused, err)
}

func (j *joining) channel(d *computer.Domain) computer.Channel {
	return computer.Netlogon(netlogon.Config{
		Account: j.flags.account.SAM(), Domain: d.NetBIOS, DNSDomain: j.flags.account.Domain,
		Controllers: []string{j.address}, Dialer: j.flags.network.dialer,
		Logger: slog.New(slog.DiscardHandler), // the error tells it all
	})
}

// prove writes the keytab, and shows that it and the password are good.
func (j *joining) prove(d *computer.Domain, e *computer.Entry, password authn.Secret) error {
	if err := j.probe(d, password); err != nil {
		return err
	}
	f := j.flags
	if f.keytab == "" {
		return nil
	}
	changed, err := e.WriteKeytab(f.keytab, f.account, password)
	if err != nil {
		j.report.check("keytab", "", err, false) // the account is there all the same
		return nil
	}
	j.report.KeyVersion, j.report.KeytabChanged = e.KVNO, changed
	err = j.loginWithKeytab()
	var kdc *kerberos.KDCError
	j.report.check("Kerberos", fmt.Sprintf("login as %s with %s, key version %d", f.account.SAM(), f.keytab, e.KVNO), err, err != nil && !errors.As(err, &kdc))
	return nil
}

// probe opens a secure channel. One that cannot be opened is a failure only if
// the controller refuses the password: who needs Kerberos only may have closed
// the ports.
func (j *joining) probe(d *computer.Domain, password authn.Secret) error {
	err := j.channel(d).Probe(j.ctx(), password)
	if j.ctx().Err() != nil {
		return j.ctx().Err()
	}
	j.report.check("secure channel", "the domain controller takes the password", err, err != nil && !errors.Is(err, computer.ErrRefused))
	return nil
}

// loginWithKeytab logs in as the account with its new keys.
func (j *joining) loginWithKeytab() error {
	kt, err := kerberos.LoadKeytab(j.flags.keytab)
	if err != nil {
		return err
	}
	realm := j.flags.account.Realm()
	kdc := net.JoinHostPort(j.address, "88")
	cfg := kerberos.Config{DefaultRealm: realm, Realms: map[string]kerberos.Realm{realm: {KDCs: []string{kdc}}}}
	c, err := kerberos.NewKeytabClient(cfg, j.flags.account.SAM(), kt)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(j.ctx(), joinTimeout)
	defer cancel()
	return c.Login(ctx)
}
