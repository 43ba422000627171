package users

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authz/integrated"
)

// Paths of the application.
const (
	whoami     = integrated.WhoAmIPath
	ntlmWhoami = "/ntlm" + integrated.WhoAmIPath
)

// A client is a person or a program at an address of its own. It keeps cookies,
// and all that it ever received.
type client struct {
	http *http.Client
	base *http.Transport

	mu       sync.Mutex
	received strings.Builder
	token    string // of the form
}

var lastAddress atomic.Int32

// newClient returns a client at a loopback address that no other has.
func newClient(t testing.TB) *client {
	t.Helper()
	i := lastAddress.Add(1)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 77, byte(i>>8), byte(i))}}
	base := certificate().Client().Transport.(*http.Transport).Clone()
	base.DialContext = dialer.DialContext
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(base.CloseIdleConnections)
	return &client{base: base, http: &http.Client{
		Transport: base, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// over has the client log in by tr.
func (c *client) over(t testing.TB, source authclient.Source, spn string) *client {
	tr := &authclient.Transport{Base: c.base, Source: source}
	if spn != "" {
		tr.SPN = func(authclient.Target) string { return spn }
	}
	t.Cleanup(tr.CloseIdleConnections)
	c.http.Transport = tr
	return c
}

// An answer is what a server said.
type answer struct {
	status int
	body   string
	header http.Header
}

// who is the caller that an answer of whoami names, empty if it names none.
func (a *answer) who() string {
	var d integrated.Details
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &d) != nil || !d.IsAuthenticated {
		return ""
	}
	return d.Username
}

// details reads an answer of whoami.
func (a *answer) details(t *testing.T) (d integrated.Details) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &d); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return d
}

func (c *client) do(r *http.Request) (*answer, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = resp.Header.Write(&c.received)
	c.received.Write(body)
	return &answer{resp.StatusCode, string(body), resp.Header}, nil
}

// get asks for a path. login, if any, sets a header.
func (c *client) get(ctx context.Context, n *node, path string, login func(*http.Request)) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+path, nil)
	if err != nil {
		return nil, err
	}
	if login != nil {
		login(r)
	}
	return c.do(r)
}

func (c *client) mustGet(t *testing.T, n *node, path string, login func(*http.Request)) *answer {
	t.Helper()
	a, err := c.get(t.Context(), n, path, login)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func basic(user, pw string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, pw) }
}

func raw(authorization string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", authorization) }
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// formToken opens the login page.
func (c *client) formToken(ctx context.Context, n *node) (string, error) {
	a, err := c.get(ctx, n, "/login", nil)
	if err != nil {
		return "", err
	}
	m := tokenField.FindStringSubmatch(a.body)
	if m == nil {
		return "", fmt.Errorf("no form: status %d: %s", a.status, a.body)
	}
	return html.UnescapeString(m[1]), nil
}

func (c *client) post(ctx context.Context, n *node, path string, fields url.Values) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL+path, strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	return c.do(r)
}

// fields are those of the form.
func fields(token, user, pw string) url.Values {
	return url.Values{"csrf": {token}, "user": {user}, "password": {pw}}
}

// signIn fills in the form. The page is opened anew each time.
func (c *client) signIn(ctx context.Context, n *node, user, pw string) (*answer, error) {
	token, err := c.formToken(ctx, n)
	if err != nil {
		return nil, err
	}
	return c.post(ctx, n, "/login", fields(token, user, pw))
}

// mustSignIn begins a session.
func (c *client) mustSignIn(t *testing.T, n *node, user, pw string) {
	t.Helper()
	a, err := c.signIn(t.Context(), n, user, pw)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusSeeOther {
		t.Fatalf("%s: status %d: %s", user, a.status, message(a.body))
	}
}

// signOut ends the session, as the button does that the page shows.
func (c *client) signOut(t *testing.T, n *node) {
	t.Helper()
	a := c.mustGet(t, n, "/login/out", nil)
	m := tokenField.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no button: status %d: %s", a.status, a.body)
	}
	a, err := c.post(t.Context(), n, "/login/out", url.Values{"csrf": {html.UnescapeString(m[1])}})
	if err != nil || a.status != http.StatusSeeOther {
		t.Fatalf("sign out: %+v, %v", a, err)
	}
}

var messageField = regexp.MustCompile(`(?s)<p id="message"[^>]*>(.*?)</p>`)

// message is what the login page says, or all of another page.
func message(body string) string {
	if m := messageField.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return body
}
