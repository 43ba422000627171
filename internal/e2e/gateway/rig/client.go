package rig

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
)

// An Answer is that of the gateway, or of a server behind it.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// Ref is the reference that the client got.
func (a *Answer) Ref() string { return a.Header.Get("Soapward-Ref") }

// User is who the caller is to the server behind.
func (a *Answer) User() string {
	user, _, _ := strings.Cut(a.Body, "\n")
	return user
}

// Token is what the server behind got about the caller.
func (a *Answer) Token() string {
	_, rest, _ := strings.Cut(a.Body, "\n")
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

// A Client sends requests as one user. It is safe for concurrent use.
type Client struct {
	Port int // of a gateway, or what is in front of it

	http  *http.Client
	fresh bool
}

// clientConfig says who a client is.
type clientConfig struct {
	source authclient.Source
	from   string // its own address; empty: 127.0.0.1
	fresh  bool   // a new connection for each request
	jar    bool   // keeps cookies, as browsers do
	header http.Header
}

// An Option makes a client differ from others.
type Option func(*clientConfig)

// From makes a client come from an address of the loopback network.
func From(ip string) Option { return func(c *clientConfig) { c.from = ip } }

// Fresh makes a client open a connection for each request.
func Fresh(c *clientConfig) { c.fresh = true }

// KeepCookies makes a client keep them.
func KeepCookies(c *clientConfig) { c.jar = true }

// As makes a client log in with a credential.
func As(cred authclient.Credential) Option {
	return func(c *clientConfig) { c.source = authclient.Static(cred) }
}

// Header makes a client send a header with each request.
func Header(name, value string) Option {
	return func(c *clientConfig) {
		if c.header == nil {
			c.header = make(http.Header)
		}
		c.header.Set(name, value)
	}
}

// NewClient makes a client of what listens on a port.
func NewClient(tb testing.TB, dc *adtest.DC, port int, options ...Option) *Client {
	tb.Helper()
	var c clientConfig
	for _, o := range options {
		o(&c)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(cmp.Or(c.from, "127.0.0.1"))}}
	base := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		TLSClientConfig: &tls.Config{RootCAs: dc.Roots(tb)},
		IdleConnTimeout: 20 * time.Second,
	}
	tb.Cleanup(base.CloseIdleConnections)
	var rt http.RoundTripper = base
	if c.source != nil {
		t := &authclient.Transport{Source: c.source, Base: base, IdleTimeout: 20 * time.Second}
		tb.Cleanup(t.CloseIdleConnections)
		rt = t
	}
	if c.header != nil {
		rt = &withHeader{rt, c.header}
	}
	cl := &Client{Port: port, fresh: c.fresh, http: &http.Client{
		Transport: rt, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.jar {
		cl.http.Jar, _ = cookiejar.New(nil) // no error
	}
	return cl
}

type withHeader struct {
	http.RoundTripper
	header http.Header
}

// CloseIdleConnections is for http.Client's.
func (w *withHeader) CloseIdleConnections() {
	w.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

func (w *withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range w.header {
		r.Header[name] = values
	}
	return w.RoundTripper.RoundTrip(r)
}

// URL is that of a path.
func (c *Client) URL(path string) string {
	return "https://" + net.JoinHostPort(Host, strconv.Itoa(c.Port)) + path
}

// At returns the same client, cookies and all, of what listens on another port.
func (c *Client) At(port int) *Client {
	other := *c
	other.Port = port
	return &other
}

// Get asks for a path.
func (c *Client) Get(ctx context.Context, path string, header ...string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(path), nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return c.Do(req)
}

// Do sends a request.
func (c *Client) Do(req *http.Request) (*Answer, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close() // all of it is read, or it failed
	if c.fresh {
		// Not by "Connection: close", with which NTLM cannot be.
		c.http.CloseIdleConnections()
	}
	if err != nil {
		return nil, err
	}
	return &Answer{res.StatusCode, string(b), res.Header}, nil
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// fields are the hidden ones of a page.
func fields(page string) url.Values {
	v := make(url.Values)
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	return v
}

const htmlOnly = "text/html"

// LogIn fills in the login form in front of path, as a browser does. The answer
// is that of the form. A client with KeepCookies has a session then.
func (c *Client) LogIn(ctx context.Context, path, user, password string) (*Answer, error) {
	res, err := c.Get(ctx, path, "Accept", htmlOnly)
	if err != nil {
		return nil, err
	}
	if res.Status != http.StatusSeeOther && res.Status != http.StatusFound {
		return res, nil
	}
	return c.submit(ctx, res.Header.Get("Location"), url.Values{"user": {user}, "password": {password}}, "")
}

// LogOut ends the session, as a browser does.
func (c *Client) LogOut(ctx context.Context) (*Answer, error) {
	return c.submit(ctx, "/.soapward/login/staff/out", nil, "/.soapward/login/staff/out")
}

// submit gets a page with a form and posts it.
func (c *Client) submit(ctx context.Context, location string, values url.Values, to string) (*Answer, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, err
	}
	page, err := c.Get(ctx, u.RequestURI(), "Accept", htmlOnly)
	if err != nil || page.Status != http.StatusOK {
		return page, err
	}
	form := fields(page.Body)
	for k, v := range values {
		form[k] = v
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL(cmp.Or(to, u.Path)), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", htmlOnly)
	req.Header.Set("Origin", strings.TrimSuffix(c.URL(""), "/"))
	return c.Do(req)
}

// KerberosOf is the credential of a user of the domain. It does not ask the gateway
// to prove itself: a client that does takes no other answer without that proof, such
// as a 503, for one.
func KerberosOf(tb testing.TB, dc *adtest.DC, user string) (*authclient.Kerberos, error) {
	tb.Helper()
	c := kerberos.Config{DefaultRealm: adtest.Realm, Realms: map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{dc.IP}}}}
	kc, err := kerberos.NewPasswordClient(c, user, authn.NewSecret(adtest.Password(tb, user)))
	if err != nil {
		return nil, err
	}
	return &authclient.Kerberos{Client: kc, InsecureNoMutual: true}, nil
}

// TokenOf makes a ticket's token for the gateway, good once, bound to the
// certificate of the domain.
func TokenOf(ctx context.Context, k *authclient.Kerberos) (string, error) {
	b, done, err := k.Client.NewInitiator("HTTP/"+Host, kerberos.InitiatorConfig{InsecureNoMutual: true}).Step(ctx, nil)
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", fmt.Errorf("rig: no token, done %v", done)
	}
	return "Negotiate " + base64.StdEncoding.EncodeToString(b), nil
}

// NTLMOf is the credential of a user of the domain, or of an internal one, whose
// name has no domain.
func NTLMOf(tb testing.TB, user string) *authclient.NTLM {
	tb.Helper()
	if name, ok := strings.CutPrefix(user, adtest.NetBIOS+`\`); ok {
		return &authclient.NTLM{User: user, Password: authn.NewSecret(adtest.Password(tb, name))}
	}
	return &authclient.NTLM{User: user, Password: authn.NewSecret(Password)}
}

// BasicOf is the credential of a user of the domain, or of an internal one.
func BasicOf(tb testing.TB, user string) *authclient.Basic {
	n := NTLMOf(tb, user)
	return &authclient.Basic{User: n.User, Password: n.Password}
}

// Refused reports whether an error is a refusal of what the client logged in
// with.
func Refused(err error) bool {
	var r *authclient.RefusedError
	return errors.Is(err, authn.ErrBadCredentials) || errors.As(err, &r)
}

// Cookies returns those that the client would send.
func (c *Client) Cookies(u *url.URL) []*http.Cookie { return c.http.Jar.Cookies(u) }
