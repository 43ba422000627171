package peers

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// ProviderConfig says what an OpenID Connect provider knows. Its zero value is a
// provider on plain HTTP whose web client has nowhere to go.
type ProviderConfig struct {
	// Redirects and LogoutRedirects are those registered for the web client, and
	// Backchannel is where the provider posts logout tokens. The desktop client is
	// led back to any port of a loopback address, to /callback or /.
	Redirects, LogoutRedirects []string
	Backchannel                string

	TLS    *tls.Config   // nil: plain HTTP
	Host   string        // in the issuer; empty: 127.0.0.1
	CAFile string        // of those that are trusted at Backchannel
	TTL    time.Duration // of access tokens; zero: an hour

	// Users have claims by their names, which are the sub too; each signs in with
	// any password. Nil means ProviderUsers.
	Users map[string]map[string]any
}

// ProviderUsers are alice, who is in admins and staff, and bob, who is in staff.
func ProviderUsers() map[string]map[string]any {
	return map[string]map[string]any{
		"alice": {
			"email": "alice@corp.test", "email_verified": true, "name": "Alice Example", "preferred_username": "alice",
			"phone_number": "+1 555 0100", "groups": []string{"admins", "staff"},
		},
		"bob": {
			"email": "bob@corp.test", "email_verified": true, "name": "Bob Example", "preferred_username": "bob", "groups": []string{"staff"},
		},
	}
}

// A Provider is npm's oidc-provider, a certified OpenID Connect provider: PKCE is
// required, refresh tokens are used once, access tokens for a resource are JWTs.
// Its pages ask for a name, a password, and consent. It is safe for concurrent use.
type Provider struct {
	*Child
	Issuer       string
	ClientID     string // of the web client
	ClientSecret string
	DesktopID    string // has no secret; may do the device flow

	start func() *Child
	conf  map[string]any

	mu    sync.Mutex
	down  bool
	pause map[string]time.Duration
	asked map[string]int
}

// A ProviderEvent is what happened at a provider.
type ProviderEvent struct {
	Event  string // authorization.success, grant.success, end_session.success, backchannel.success; .error
	Client string
	Sub    string
	Grant  string // grant_type
	Error  string
}

// StartProvider starts a provider, which ends with the test.
func StartProvider(t *testing.T, c ProviderConfig) *Provider {
	t.Helper()
	node := testenv.Need(t, "node")
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "testdata", "oidc")
	modules := testenv.NodeModules(t, dir)
	p := &Provider{ClientID: "web", ClientSecret: "web-secret-of-the-tests", DesktopID: "desktop", asked: make(map[string]int), pause: make(map[string]time.Duration)}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(front.Addr().String()) // it is one
	scheme, host := "http", c.Host
	if c.TLS != nil {
		scheme = "https"
		front = tls.NewListener(front, c.TLS)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	p.Issuer = scheme + "://" + net.JoinHostPort(host, port)
	if c.TTL == 0 {
		c.TTL = time.Hour
	}
	if c.Users == nil {
		c.Users = ProviderUsers()
	}
	behind := FreePort(t)
	p.conf = map[string]any{
		"issuer": p.Issuer, "port": behind, "web": p.ClientID, "secret": p.ClientSecret, "desktop": p.DesktopID,
		"redirects": append([]string{}, c.Redirects...), "logoutRedirects": append([]string{}, c.LogoutRedirects...),
		"backchannel": c.Backchannel, "ttl": int(c.TTL.Seconds()), "users": c.Users,
	}
	env := []string{"NODE_NO_WARNINGS=1"}
	if c.CAFile != "" {
		env = append(env, "NODE_EXTRA_CA_CERTS="+c.CAFile)
	}
	addr := "127.0.0.1:" + strconv.Itoa(behind)
	p.start = func() *Child {
		t.Helper()
		config, err := json.Marshal(p.conf)
		if err != nil {
			t.Fatal(err)
		}
		return StartChild(t, env, addr, node, filepath.Join(dir, "provider.mjs"), modules, string(config))
	}
	p.Child = p.start()

	// What a test wants to break, or to count, is in front of it.
	proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: addr})
		r.Out.Host = r.In.Host
		r.Out.Header.Set("X-Forwarded-Proto", scheme)
		r.Out.Header.Set("X-Forwarded-Host", r.In.Host)
	}}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.asked[r.URL.Path]++
			down, pause := p.down, p.pause[r.URL.Path]
			p.mu.Unlock()
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
			}
			if down {
				panic(http.ErrAbortHandler) // the connection is cut
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(front) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return p
}

// SetDown cuts each connection without an answer, or answers again. The provider
// forgets nothing meanwhile.
func (p *Provider) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// SetPause has each answer for a path, such as /token, come late.
func (p *Provider) SetPause(path string, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause[path] = pause
}

// Renew starts the provider again, with other keys, and without what it knew of
// sessions and tokens. It calls itself issuer then, and has users; if they are empty,
// as before.
func (p *Provider) Renew(issuer string, users map[string]map[string]any) error {
	if err := p.Stop(); err != nil {
		return err
	}
	if issuer != "" {
		p.conf["issuer"] = issuer
	}
	if users != nil {
		p.conf["users"] = users
	}
	p.Child = p.start()
	return nil
}

// Asked returns how many requests there were for a path, such as /token, answered
// or not.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Events returns what happened, in order.
func (p *Provider) Events() (all []ProviderEvent) {
	lines := bufio.NewScanner(strings.NewReader(p.Log.String()))
	for lines.Scan() {
		var e ProviderEvent
		if text, ok := strings.CutPrefix(lines.Text(), "EVENT "); ok && json.Unmarshal([]byte(text), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// Await waits for an event of a name and returns the last one.
func (p *Provider) Await(t *testing.T, event string) (last ProviderEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		for _, e := range p.Events() {
			if e.Event == event {
				last = e
			}
		}
		if last.Event == "" {
			return fmt.Errorf("no event %s among %v", event, p.Events())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// SignIn does what a user does at the provider's pages: it opens a page there, such
// as where a login is led, or the one of a device code, signs in and consents. It
// returns the URL that the browser is led to when it leaves the provider, which
// nobody has asked for yet, or the last page there. The client must have a cookie
// jar; its CheckRedirect is not used.
func (p *Provider) SignIn(t *testing.T, client *http.Client, page, user string) (left string, last string) {
	t.Helper()
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	next, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if !strings.HasPrefix(next.URL.String(), p.Issuer+"/") {
			return next.URL.String(), last
		}
		res, err := c.Do(next)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		last = string(body)
		method, target, form := http.MethodGet, "", url.Values{}
		if to, err := res.Location(); err == nil {
			target = to.String()
		} else if target, form = fillIn(last, user); target != "" {
			method = http.MethodPost
		} else {
			return "", last
		}
		to, err := res.Request.URL.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		next, err = http.NewRequestWithContext(t.Context(), method, to.String(), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			next.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	t.Fatalf("the provider's pages do not end: %s", last)
	return "", ""
}

var (
	formTag  = regexp.MustCompile(`(?is)<form[^>]*\saction="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<(?:input|button)\s[^>]*>`)
	attrText = regexp.MustCompile(`(?is)\s(name|value|type)="([^"]*)"`)
)

// fillIn returns where the form of a page goes, and what is in it.
func fillIn(page, user string) (action string, form url.Values) {
	f := formTag.FindStringSubmatch(page)
	if f == nil {
		return "", nil
	}
	form = url.Values{}
	for _, tag := range inputTag.FindAllString(f[2], -1) {
		a := map[string]string{}
		for _, m := range attrText.FindAllStringSubmatch(tag, -1) {
			a[m[1]] = html.UnescapeString(m[2])
		}
		switch a["name"] {
		case "", "abort":
			continue
		case "login":
			a["value"] = user
		case "password":
			a["value"] = "any"
		}
		form.Set(a["name"], a["value"])
	}
	return html.UnescapeString(f[1]), form
}
