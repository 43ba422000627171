package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
)

// upstream is one entry of the configuration. It is safe for concurrent use.
type upstream struct {
	name   string
	config *config.Upstream
	logger *slog.Logger
	issuer *identity.Issuer
	roles  *authz.Roles
	token  headerName // of the identity header

	delegator *delegation.Delegator // nil: callers are not passed on
	service   authclient.Credential
	fixed     authclient.Credential
	accounts  []account // that log in at a KDC
	former    []account // those of the configuration before
	observe   func(context.Context, delegation.Decision)

	login     http.Handler // nil: none
	transport *authclient.Transport
	proxy     *httputil.ReverseProxy
}

// account is one of ours at a KDC.
type account struct {
	key    string // of the configuration
	client *kerberos.Client
	stamp  accountStamp
}

func newUpstream(name string, c *config.Config, p Parts, l logins, rs *authz.Roles) (*upstream, error) {
	uc := c.Upstreams[name]
	u := &upstream{
		name: name, config: uc, logger: p.Logger, issuer: p.Issuer, roles: rs,
		token: newHeaderName(uc.IdentityHeader), observe: p.Observe,
	}
	if p.Previous != nil {
		u.former = p.Previous.accountsOf(name)
	}
	krb := kerberosOf(c)
	var err error
	if u.service, err = u.credential(krb, "service", uc.Service); err != nil {
		return nil, err
	}
	if u.fixed, err = u.credential(krb, "fixed", uc.Fixed); err != nil {
		return nil, err
	}
	if slices.Contains(uc.ActAs, config.AsCaller) {
		if err := u.newDelegator(c, krb); err != nil {
			return nil, err
		}
	}
	if err := u.newTransport(krb); err != nil {
		return nil, err
	}
	u.former = nil // it is needed no more
	if len(uc.Login) > 0 {
		if l == nil {
			return nil, fmt.Errorf("login: there are no realms")
		}
		u.login, err = l.Handler(login.Spec{
			Logins: uc.Login, Binding: cmp.Or(c.Defaults.ChannelBinding, config.BindingSupported),
			NotNegotiate: c.Defaults.NotNegotiate, Deny: u.deny,
		}, http.HandlerFunc(u.withLogin))
		if err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
	}
	u.proxy = &httputil.ReverseProxy{
		Rewrite: u.rewrite, Transport: u.transport, ModifyResponse: u.modify, ErrorHandler: u.fail,
		FlushInterval: -1, BufferPool: buffers,
		ErrorLog: slog.NewLogLogger(p.Logger.Handler(), slog.LevelDebug), // a client or server that broke off
	}
	return u, nil
}

// newDelegator makes what passes callers on.
func (u *upstream) newDelegator(c *config.Config, krb kerberos.Config) error {
	d := &delegation.Delegator{Kerberos: krb, Domains: domainsOf(c), Logger: u.logger}
	key, a := "delegation", u.config.Delegation
	if a == nil {
		key, a = "service", u.config.Service
	}
	if a != nil && a.Principal != "" {
		var err error
		if d.Client, err = u.client(krb, key, a); err != nil {
			return err
		}
	}
	var methods []delegation.Method
	for _, m := range u.config.Methods {
		methods = append(methods, methodOf[m])
	}
	for _, spn := range u.spns() {
		d.Upstreams = append(d.Upstreams, delegation.Upstream{
			SPN: spn, Methods: methods, ProtocolTransition: u.config.ProtocolTransition,
		})
	}
	u.delegator = d
	return d.Check()
}

var methodOf = map[config.DelegationMethod]delegation.Method{
	config.MethodConstrained: delegation.Constrained,
	config.MethodForwarded:   delegation.Forwarded,
	config.MethodPassword:    delegation.Password,
	config.MethodTransition:  delegation.Transition,
}

// spns lists the service names of the servers.
func (u *upstream) spns() []string {
	if u.config.Mode != config.ModeForwardProxy {
		return []string{cmp.Or(u.config.SPN, authclient.TargetOf(u.config.URL.URL).SPN)}
	}
	var names []string
	for _, h := range u.config.Hosts {
		spn := authclient.TargetOf(&url.URL{Scheme: "http", Host: strings.ToLower(string(h))}).SPN
		if !slices.Contains(names, spn) {
			names = append(names, spn)
		}
	}
	return names
}

// newTransport makes what logs in at the server.
func (u *upstream) newTransport(krb kerberos.Config) error {
	base := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  u.config.Timeout.Std(),
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true, // that is between the program and the server
		MaxResponseHeaderBytes: 256 << 10,
	}
	if file := string(u.config.CAFile); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return fmt.Errorf("ca_file: %s has no certificate in PEM", file)
		}
		base.TLSClientConfig.RootCAs = pool
	}
	r := u.config.Replay
	u.transport = &authclient.Transport{
		Source: u, Base: base, SPN: u.spn, IdleTimeout: u.config.Idle.Std(),
		Replay: &authclient.Replay{Memory: int64(r.Memory), Disk: int64(r.Disk), Dir: string(r.Dir)},
	}
	if p := u.config.Proxy; p != nil {
		base.Proxy = http.ProxyURL(p.URL.URL)
		at, err := u.credential(krb, "proxy.account", p.Account)
		if err != nil {
			return err
		}
		if at != nil {
			u.transport.Proxy = authclient.Static(at)
		}
	}
	return nil
}

// spn is the service name of a server, or of the proxy.
func (u *upstream) spn(t authclient.Target) string {
	if u.config.SPN != "" && t.Origin() == authclient.TargetOf(u.config.URL.URL).Origin() {
		return u.config.SPN
	}
	return t.SPN
}

// target returns where a request goes in local mode.
func (u *upstream) target() *url.URL { return u.config.URL.URL }
