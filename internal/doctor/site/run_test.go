package site_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
	"github.com/soapward/soapward/internal/kdc"
)

const (
	host     = "app.corp.test"
	password = "alice-s3cret"
)

// names is a DNS server of a few names; all of them are at one listener.
type names struct {
	alias map[string]string
	back  string
	addrs []string
	none  bool
}

func (n *names) LookupCNAME(_ context.Context, h string) (string, error) {
	if a := n.alias[h]; a != "" {
		return a + ".", nil
	}
	return h + ".", nil
}

func (n *names) LookupIPAddr(_ context.Context, h string) ([]net.IPAddr, error) {
	if n.none {
		return nil, &net.DNSError{Err: "no such host", Name: h, IsNotFound: true}
	}
	out := []net.IPAddr{{IP: net.IPv4(127, 0, 0, 1)}}
	for _, a := range n.addrs {
		out = append(out, net.IPAddr{IP: net.ParseIP(a)})
	}
	return out, nil
}

func (n *names) LookupAddr(context.Context, string) ([]string, error) {
	if n.back == "" {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return []string{n.back}, nil
}

// domain is a realm with alice in it and a service at host.
type domain struct {
	kdc  *kdc.KDC
	conf *kerberos.Config
	dir  string
}

func newDomain(t *testing.T) *domain {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{{Name: "alice", Password: password}, {Name: "svc", Password: "pw", SPNs: []string{"HTTP/" + host}}} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	d := &domain{kdc: k, dir: t.TempDir()}
	if d.conf, err = kerberos.ParseConfig(k.Krb5Conf()); err != nil {
		t.Fatal(err)
	}
	return d
}

// login is how a server of ours logs callers in.
func (d *domain) login(t *testing.T, policy authn.BindingPolicy) *iwa.Authenticator {
	t.Helper()
	file := filepath.Join(d.dir, "svc.keytab")
	if err := d.kdc.WriteKeytab(file, "svc", "HTTP/"+host); err != nil {
		t.Fatal(err)
	}
	kt, err := kerberos.LoadKeytab(file)
	if err != nil {
		t.Fatal(err)
	}
	return &iwa.Authenticator{
		Kerberos: &kerberos.Mechanism{Keytab: kt, Binding: policy},
		NTLM:     localNTLM(t, policy),
	}
}

func localNTLM(t *testing.T, policy authn.BindingPolicy) *ntlm.Mechanism {
	t.Helper()
	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret(password)})
	if err != nil {
		t.Fatal(err)
	}
	return &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "APP", DNS: ntlm.DNSNames{Computer: host, Domain: "corp.test"}}, Binding: policy}
}

// protect puts a login before a page.
func protect(a authn.Authenticator) http.Handler {
	m := &authn.Middleware{Authenticators: []authn.Authenticator{a}, Logger: slog.New(slog.DiscardHandler)}
	return m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
}

// certificate is one for a name, that signs itself.
func certificate(t *testing.T, name string, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test \x1b[2J"}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test \x1b[2J"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
	}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve serves h over plain HTTP and returns the port.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l := listen(t)
	s := iwa.Server(h)
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = s.Close() })
	return portOf(l)
}

// serveTLS serves h over TLS, with logins bound to it.
func serveTLS(t *testing.T, cert tls.Certificate, h http.Handler) string {
	t.Helper()
	l := iwa.NewTLSListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}})
	s := iwa.Server(h)
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return portOf(l)
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// config asks host at a port of the loopback.
func config(scheme, port string) site.Config {
	return site.Config{
		URL: scheme + "://" + host + ":" + port + "/Service.svc", Resolver: &names{}, HostsFile: filepath.Join("testdata", "no-such-file"),
		Timeout: 5 * time.Second, NoKerberos: "not in this test",
	}
}

// as makes alice log in.
func as(cfg site.Config, d *domain) site.Config {
	cfg.User, cfg.Password = "alice@CORP.TEST", authn.NewSecret(password)
	if d != nil {
		cfg.Kerberos = d.conf
	} else {
		cfg.User = `CORP\alice`
	}
	return cfg
}

func run(t *testing.T, cfg site.Config) *site.Report {
	t.Helper()
	r, err := site.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.What == "" || f.Why == "" || f.Severity == "" || f.Remedy == "" && f.Severity != doctor.Good {
			t.Errorf("finding lacks something: %+v", f)
		}
	}
	if r.OK != (r.Count(doctor.Broken) == 0) {
		t.Errorf("OK is %v", r.OK)
	}
	return r
}

// want checks findings: all those that break logins, and some of the others.
func want(t *testing.T, r *site.Report, breaks string, others ...string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		if f.Severity == doctor.Broken {
			got = append(got, f.ID)
		}
	}
	slices.Sort(got)
	if g := strings.Join(got, " "); g != breaks {
		t.Errorf("what breaks logins: %q, want %q\n%s", g, breaks, list(r))
	}
	for _, id := range others {
		id, unwanted := strings.CutPrefix(id, "!")
		if r.Has(id) == unwanted {
			t.Errorf("finding %s: there is %v\n%s", id, r.Has(id), list(r))
		}
	}
}

func list(r *site.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(string(f.Severity) + " " + f.ID + ": " + f.Why + "\n")
	}
	return b.String()
}

// An own server with all that there is: nothing is wrong, and all was tried.
func TestAllIsWell(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	for policy, finding := range map[authn.BindingPolicy]string{authn.BindingSupported: "binding.checked", authn.BindingRequired: "binding.required"} {
		port := serveTLS(t, cert, protect(d.login(t, policy)))
		cfg := as(config("https", port), d)
		cfg.Roots = roots
		r := run(t, cfg)
		want(t, r, "", "dns.found", "tcp.connected", "tls.good", "tls.binding", "http.challenge", "ntlm.challenge", "conn.kept", "clock.good", "spn.name",
			"krb.realm", "kdc.good", "ticket.good", "login.kerberos", "login.mutual", "login.ntlm", "hop.forwardable", "binding.not-probed")
		if len(r.Logins) != 2 || r.Kerberos.Service != "HTTP/"+host+"@CORP.TEST" || r.Kerberos.Header < 500 || len(r.TLS.Binding) != 64 ||
			r.NTLM.DNSComputer != host || !slices.Equal(r.HTTP.Schemes, []string{"Negotiate", "NTLM"}) {
			t.Errorf("%+v", r)
		}
		cfg.ProbeBinding = true
		r = run(t, cfg)
		want(t, r, "", finding, "!binding.not-probed")
		failed := 0
		for _, l := range r.Logins {
			if !l.OK {
				failed++
			}
		}
		if failed != 1 { // the one that is asked for
			t.Errorf("%d failed logins: %+v", failed, r.Logins)
		}
	}
}

// A login is tried with the tickets of kinit, and none without them.
func TestWithoutUser(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	cfg := config("https", serveTLS(t, cert, protect(d.login(t, authn.BindingSupported))))
	cfg.Roots, cfg.Kerberos = roots, d.conf
	r := run(t, cfg)
	want(t, r, "", "kdc.good", "krb.no-tickets", "login.not-tried", "!ticket.good")
	if len(r.Logins) != 0 {
		t.Errorf("%+v", r.Logins)
	}
	cfg.Cache = func() (*kerberos.Client, error) {
		return kerberos.NewPasswordClient(*d.conf, "alice@CORP.TEST", authn.NewSecret(password))
	}
	r = run(t, cfg)
	want(t, r, "", "ticket.good", "login.kerberos", "!login.ntlm")
	if len(r.Logins) != 1 {
		t.Errorf("%+v", r.Logins)
	}
}

// With keys in place of a password, Kerberos is tried and NTLM is not.
func TestKeytab(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	cfg := as(config("https", serveTLS(t, cert, protect(d.login(t, authn.BindingSupported)))), d)
	b, err := d.kdc.Keytab("alice")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Keytab, err = kerberos.ParseKeytab(b); err != nil {
		t.Fatal(err)
	}
	cfg.Roots, cfg.Password = roots, authn.Secret{}
	want(t, run(t, cfg), "", "login.kerberos", "!login.ntlm")
}

// What is wrong with a realm.
func TestKerberosFindings(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, host, time.Now().Add(99*24*time.Hour))
	tests := []struct {
		name   string
		set    func(*testing.T, *domain, *site.Config)
		breaks string
		others []string
	}{
		{"wrong password", func(_ *testing.T, _ *domain, c *site.Config) { c.Password = authn.NewSecret("wr0ng") },
			"krb.login-failed", []string{"login.not-tried", "!login.ntlm-refused"}},
		{"service name not registered", func(t *testing.T, d *domain, _ *site.Config) {
			if err := d.kdc.Update("svc", func(a *kdc.Account) { a.SPNs = nil }); err != nil {
				t.Fatal(err)
			}
		}, "spn.unknown", []string{"login.ntlm", "!login.kerberos"}},
		{"another key at the service", func(t *testing.T, d *domain, _ *site.Config) {
			if err := d.kdc.SetPassword("svc", "an0ther"); err != nil {
				t.Fatal(err)
			}
		}, "login.kerberos-refused", []string{"ticket.good", "login.ntlm"}},
		{"no KDC", func(t *testing.T, d *domain, _ *site.Config) { _ = d.kdc.Close() }, "kdc.unreachable", []string{"login.ntlm"}},
		{"unknown realm", func(t *testing.T, _ *domain, c *site.Config) {
			c.Kerberos = &kerberos.Config{DefaultRealm: "CORP.TEST"}
		},
			"kdc.not-found", []string{"login.ntlm"}},
		{"no krb5.conf", func(t *testing.T, _ *domain, c *site.Config) { c.Kerberos = nil }, "", []string{"krb.no-config", "login.ntlm", "hop.ntlm"}},
		{"domain without realm", func(t *testing.T, _ *domain, c *site.Config) { c.User = `OTHER\alice` }, "login.ntlm-refused", []string{"krb.user-domain"}},
		{"NetBIOS name of the default realm", func(t *testing.T, _ *domain, c *site.Config) { c.User = `CORP\alice` }, "", []string{"login.kerberos", "login.ntlm"}},
		{"clock of the KDC", func(t *testing.T, d *domain, _ *site.Config) { d.kdc.SetFault(kdc.Fault{Skew: 20 * time.Minute}) },
			"clock.skew", nil},
		{"clock of the KDC drifts", func(t *testing.T, d *domain, _ *site.Config) { d.kdc.SetFault(kdc.Fault{Skew: 3 * time.Minute}) },
			"", []string{"clock.drift"}},
		{"our clock", func(t *testing.T, _ *domain, c *site.Config) {
			c.Now = func() time.Time { return time.Now().Add(7 * time.Minute) }
		}, "clock.server", nil},
		{"trusted for delegation", func(t *testing.T, d *domain, _ *site.Config) {
			if err := d.kdc.Update("svc", func(a *kdc.Account) { a.TrustedForDelegation = true }); err != nil {
				t.Fatal(err)
			}
		}, "", []string{"hop.unconstrained"}},
		{"sensitive", func(t *testing.T, d *domain, _ *site.Config) {
			if err := d.kdc.Update("alice", func(a *kdc.Account) { a.Sensitive = true }); err != nil {
				t.Fatal(err)
			}
		}, "", []string{"hop.not-forwardable"}},
		{"many groups", func(t *testing.T, d *domain, _ *site.Config) {
			if err := d.kdc.Update("alice", func(a *kdc.Account) {
				for i := range uint32(900) {
					a.Groups = append(a.Groups, 5000+i)
				}
			}); err != nil {
				t.Fatal(err)
			}
		}, "", []string{"ticket.long", "login.kerberos"}},
		{"another realm for the host", func(t *testing.T, _ *domain, c *site.Config) {
			conf := *c.Kerberos
			conf.DomainRealm = map[string]string{".corp.test": "OTHER.TEST"}
			c.Kerberos = &conf
		}, "spn.unknown", []string{"krb.realm-other"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newDomain(t)
			cfg := as(config("https", serveTLS(t, cert, protect(d.login(t, authn.BindingSupported)))), d)
			cfg.Roots, cfg.Timeout = roots, 2*time.Second
			tt.set(t, d, &cfg)
			r := run(t, cfg)
			if tt.name == "clock of the KDC" { // its tickets are refused, too
				if !r.Has("clock.skew") || r.OK {
					t.Error(list(r))
				}
				return
			}
			want(t, r, tt.breaks, tt.others...)
		})
	}
}

// Names, addresses and certificates.
func TestNamesAndTLS(t *testing.T) {
	t.Parallel()
	plain := serve(t, protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)}))
	closed := listen(t)
	_ = closed.Close()
	year := time.Now().Add(365 * 24 * time.Hour)
	cert, roots := certificate(t, host, year)
	over := serveTLS(t, cert, protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)}))
	with := func(name string, until time.Time) func(*site.Config) {
		return func(c *site.Config) {
			cert, roots := certificate(t, name, until)
			port := serveTLS(t, cert, protect(&iwa.Authenticator{NTLM: localNTLM(t, 0)}))
			c.URL, c.Roots = "https://"+host+":"+port, roots
		}
	}
	tests := []struct {
		name, breaks string
		set          func(*site.Config)
		others       []string
		logins       int
	}{
		{"plain", "", func(*site.Config) {}, []string{"url.plain", "login.ntlm", "krb.no-config"}, 1},
		{"address", "", func(c *site.Config) { c.URL = "http://127.0.0.1:" + plain }, []string{"url.address"}, 1},
		{"short", "", func(c *site.Config) { c.URL = "http://app:" + plain }, []string{"url.short"}, 1},
		{"no such name", "dns.none", func(c *site.Config) { c.Resolver = &names{none: true} }, []string{"!tcp.connected"}, 0},
		{"alias", "", func(c *site.Config) { c.Resolver = &names{alias: map[string]string{host: "lb.corp.test"}} }, []string{"dns.alias", "!dns.reverse"}, 1},
		{"reverse", "", func(c *site.Config) { c.Resolver = &names{back: "srv7.corp.test."} }, []string{"dns.reverse"}, 1},
		{"hosts file", "", func(c *site.Config) { c.HostsFile = filepath.Join("testdata", "hosts") }, []string{"dns.hosts"}, 1},
		{"one address down", "", func(c *site.Config) { c.Resolver = &names{addrs: []string{"127.7.7.7"}}; c.Dial = onlyOne }, []string{"tcp.some"}, 1},
		{"nobody listens", "tcp.unreachable", func(c *site.Config) { c.URL = "http://" + host + ":" + portOf(closed) }, nil, 0},
		{"no TLS there", "tls.failed", func(c *site.Config) { c.URL = "https://" + host + ":" + plain }, nil, 0},
		{"TLS", "", func(c *site.Config) { c.URL, c.Roots = "https://"+host+":"+over, roots }, []string{"tls.good", "login.ntlm"}, 1},
		{"no HTTP there", "http.status", func(c *site.Config) { c.URL = "http://" + host + ":" + over }, nil, 0},
		{"unknown authority", "tls.untrusted", func(c *site.Config) { c.URL = "https://" + host + ":" + over }, []string{"login.not-tried"}, 0},
		{"wrong name", "tls.name", with("other.corp.test", year), []string{"login.not-tried"}, 0},
		{"expired", "tls.expired", with(host, time.Now().Add(-time.Hour)), []string{"login.not-tried"}, 0},
		{"expires", "", with(host, time.Now().Add(72*time.Hour)), []string{"tls.expires"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := as(config("http", plain), nil)
			tt.set(&cfg)
			r := run(t, cfg)
			if tt.name == "no TLS there" || tt.name == "no HTTP there" {
				if r.OK {
					t.Error(list(r))
				}
				return
			}
			want(t, r, tt.breaks, tt.others...)
			if len(r.Logins) != tt.logins {
				t.Errorf("logins %+v, want %d", r.Logins, tt.logins)
			}
		})
	}
}

func onlyOne(ctx context.Context, network, addr string) (net.Conn, error) {
	if strings.HasPrefix(addr, "127.7.") {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError("down")}
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"", "ftp://a/", "https://", "https://u:p@a/", "::"} {
		if _, err := site.Run(t.Context(), site.Config{URL: u}); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: %v", u, err)
		}
	}
	if _, err := site.Run(t.Context(), site.Config{URL: "https://a/", User: "x"}); err == nil {
		t.Error("a user without password")
	}
}
