package site

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/doctor"
)

// Config says what to look at and as whom. Only URL must be set.
type Config struct {
	URL   string         // http or https, without user
	Proxy *url.URL       // the HTTP proxy on the way; nil means none
	Roots *x509.CertPool // authorities; nil means the machine's

	// Kerberos is krb5.conf, nil if there is none; NoKerberos says why then.
	Kerberos   *kerberos.Config
	NoKerberos string

	// User logs in with Password, and Kerberos with Keytab in its place if that
	// is set. Without a user, Cache returns a client with the tickets of kinit.
	User     string
	Password authn.Secret
	Keytab   *kerberos.Keytab
	Cache    func() (*kerberos.Client, error)

	// ProbeBinding logs in again without and with a wrong channel binding.
	ProbeBinding bool

	Resolver  Resolver                                                          // nil means net.DefaultResolver
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error) // nil means net.Dialer
	HostsFile string                                                            // "" means that of the system
	Timeout   time.Duration                                                     // of each step; zero means 10 s
	Now       func() time.Time                                                  // nil means time.Now
	Progress  func(text string)                                                 // is told what is being done, unless nil
}

// A Resolver asks DNS. *net.Resolver is one.
type Resolver interface {
	doctor.Resolver
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// site is one run.
type site struct {
	cfg    Config
	url    *url.URL
	port   string
	report *Report

	dialed  string // the address that took a connection
	trusted bool   // credentials may go to the server
	why     string // why not
	first   *answer
	client  *kerberos.Client // who asks for tickets; nil: nobody can
	ticket  *kerberos.Ticket
	badUser bool // a KDC refused name or password: trying again would count again
}

// Run looks at a URL. The error is that of ctx, or tells that the configuration
// makes no sense; whatever else goes wrong is a finding.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	u, err := ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.User != "" && cfg.Password.IsEmpty() && cfg.Keytab == nil {
		return nil, errors.New("site: Config has a User without Password and Keytab")
	}
	s := &site{cfg: cfg, url: u, port: u.Port(), report: &Report{
		URL: clean(u.String()), Host: clean(strings.ToLower(u.Hostname())),
		Addresses: []Address{}, Logins: []Login{}, Tokens: []Token{}, Findings: []doctor.Finding{},
	}}
	if s.port == "" {
		s.port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	s.defaults()
	s.look(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.report.OK = s.report.Count(broken) == 0
	return s.report, nil
}

// ParseURL takes the URL of a service, and refuses what has no place in one.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("site: that is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("site: a URL such as https://host.corp.test/Service.svc is wanted")
	case u.User != nil:
		return nil, errors.New("site: a URL without user and password is wanted")
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func (s *site) defaults() {
	c := &s.cfg
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.HostsFile == "" {
		c.HostsFile = hostsFile
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func (s *site) progress(format string, args ...any) {
	if s.cfg.Progress != nil {
		s.cfg.Progress(fmt.Sprintf(format, args...))
	}
}

// look takes the steps, for as long as there is something to look at.
func (s *site) look(ctx context.Context) {
	s.progress("looking up %s", s.report.Host)
	s.checkURL()
	if !s.names(ctx) || !s.connect(ctx) || !s.checkTLS(ctx) {
		return
	}
	s.progress("asking %s", s.report.Host)
	asked := s.ask(ctx)
	if asked {
		s.ntlmChallenge(ctx)
	}
	s.serverClock()
	if !asked {
		return
	}
	s.tickets(ctx)
	s.logIn(ctx)
	s.hops()
}

// offers reports whether the server offered a scheme.
func (s *site) offers(scheme string) bool { return s.first != nil && s.first.offers(scheme) }

// spn is what clients ask for.
func (s *site) spn() string { return "HTTP/" + strings.ToLower(s.url.Hostname()) }

// plainProxy reports whether requests go to a proxy in place of the server.
func (s *site) plainProxy() bool { return s.cfg.Proxy != nil && s.url.Scheme == "http" }

// header is what a request without a login has.
func (s *site) header() http.Header {
	return http.Header{"User-Agent": {"soapward-doctor"}, "Accept": {"*/*"}}
}
