package oidctest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Client is a program that users log in to.
type Client struct {
	ID     string
	Secret string // empty: it has none
}

// A User of the provider.
type User struct {
	Subject       string
	Username      string // preferred_username, and what SignIn is told
	Name          string
	Email         string
	EmailVerified bool
	Groups        []string
	Claims        map[string]any // more of them
}

// Options say what a Provider is like. The zero value is fine.
type Options struct {
	TLS     bool
	Host    string           // of the issuer; empty: 127.0.0.1. A certificate of TLS is for example.com too
	Path    string           // of the issuer, such as /tenant
	Clients []Client         // nil: web with the secret web-secret, and desktop without
	Users   []User           // nil: alice and bob, of example.com
	Now     func() time.Time // nil: time.Now
}

// Switches are what a Provider does otherwise than an honest one in good health.
// The zero value is that one.
type Switches struct {
	Down  bool          // each answer is 503
	Delay time.Duration // before each answer

	Deny string // the error that users are sent back with, such as access_denied

	NoOffline        bool // no scope offline_access, and no refresh tokens
	ConsentOffline   bool // refresh tokens only with prompt=consent
	NoUserinfo       bool
	NoEndSession     bool
	NoRevocation     bool
	NoDevice         bool
	NoIssuerInAnswer bool // no iss at the end of a login, and it says so
	NoIDTokenAgain   bool // none with a refresh
	KeepRefresh      bool // refresh tokens can be used again
	KeepCodes        bool // codes too
	PostSecret       bool // client_secret_post alone
	ClaimsInUserinfo bool // the ID token has sub alone
	SlowDown         int  // so many polls of a device are too fast

	Lifetime time.Duration // of tokens; zero: 5 min
	Interval int           // of polls, in seconds; zero: 1

	// These change what it says. Each may be nil.
	Document func(doc map[string]any)
	Keys     func(set map[string]any)
	Header   func(header map[string]any)
	Claims   func(claims map[string]any) // of ID tokens
	Answer   func(answer map[string]any) // of the token endpoint
	Userinfo func(claims map[string]any)
	Callback func(query map[string]string) // with which a user is sent back

	// Sign makes the signature. Nil means with the key of the header's kid.
	Sign func(p *Provider, signed string) []byte

	// Serve answers a request in place of the Provider, if it returns true.
	Serve func(w http.ResponseWriter, r *http.Request) bool
}

// A Provider is a provider that runs until the test ends. It is safe for
// concurrent use.
type Provider struct {
	Issuer string

	o      Options
	server *httptest.Server
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	s        Switches
	keys     []*key // the last one signs
	signedIn string
	codes    map[string]*grant
	refresh  map[string]*grant
	access   map[string]*grant
	devices  map[string]*device
	requests map[string]int
	back     chan string // see AwaitRevoked
}

// grant is what a user granted to a client.
type grant struct {
	client, redirect, challenge string
	nonce, scope, sid           string
	user                        User
	authTime                    time.Time
	offline                     bool
}

type device struct {
	code, userCode string
	g              *grant // once somebody said yes
	denied         bool
	expires        time.Time
	client, scope  string
}

// New starts a Provider.
func New(tb testing.TB, o Options) *Provider {
	tb.Helper()
	if o.Clients == nil {
		o.Clients = []Client{{ID: "web", Secret: "web-secret"}, {ID: "desktop"}}
	}
	if o.Users == nil {
		o.Users = []User{
			{Subject: "sub-alice", Username: "alice", Name: "Alice Adams", Email: "alice@example.com", EmailVerified: true, Groups: []string{"admins", "staff"}},
			{Subject: "sub-bob", Username: "bob", Name: "Bob Brown", Email: "bob@example.com", EmailVerified: true, Groups: []string{"staff"}},
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{
		o: o, closed: make(chan struct{}), keys: []*key{rsaKey(0)}, codes: map[string]*grant{}, refresh: map[string]*grant{}, access: map[string]*grant{},
		devices: map[string]*device{}, requests: map[string]int{}, back: make(chan string, 100),
	}
	p.server = httptest.NewUnstartedServer(p.handler())
	p.server.Config.ErrorLog = nil
	if o.TLS {
		p.server.StartTLS()
	} else {
		p.server.Start()
	}
	tb.Cleanup(p.Close)
	p.Issuer = p.server.URL + strings.TrimSuffix(o.Path, "/")
	if o.Host != "" {
		p.Issuer = strings.Replace(p.Issuer, "127.0.0.1", o.Host, 1)
	}
	return p
}

// Client returns one that trusts the provider's certificate.
func (p *Provider) Client() *http.Client { return p.server.Client() }

// CertificatePEM is the authority of a provider with TLS.
func (p *Provider) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Close ends it before the test ends: connections are refused from then on.
func (p *Provider) Close() {
	p.once.Do(func() { close(p.closed) })
	p.server.Close()
}

// Set changes the switches.
func (p *Provider) Set(change func(s *Switches)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.s)
}

// Reset makes it honest again.
func (p *Provider) Reset() { p.Set(func(s *Switches) { *s = Switches{} }) }

// SignIn says who is at the browser; "" is nobody.
func (p *Provider) SignIn(username string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signedIn = username
}

// Rotate makes a new key, and takes the former one out of use. kind is RSA, EC or
// Ed25519.
func (p *Provider) Rotate(kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = []*key{newKey(kind, p.keys[len(p.keys)-1])}
}

// Revoke ends what a user granted: refresh tokens do nothing any more.
func (p *Provider) Revoke(username string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.refresh, func(_ string, g *grant) bool { return g.user.Username == username })
	maps.DeleteFunc(p.access, func(_ string, g *grant) bool { return g.user.Username == username })
}

// Granted returns how many refresh tokens of a user are good.
func (p *Provider) Granted(username string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.refresh {
		if g.user.Username == username {
			n++
		}
	}
	return n
}

// AwaitRevoked waits until a client has given a refresh token back, and returns whose
// it was, "" for one that is none.
func (p *Provider) AwaitRevoked(tb testing.TB) (username string) {
	tb.Helper()
	select {
	case username = <-p.back:
	case <-time.After(time.Minute):
		tb.Fatal("no refresh token was given back")
	}
	return username
}

// ChangeUser changes what is known of a user.
func (p *Provider) ChangeUser(username string, change func(u *User)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.o.Users {
		if u := &p.o.Users[i]; u.Username == username {
			change(u)
		}
	}
}

// Requests returns how many there were for a path below the issuer, such as /token.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// Paths of the provider, below Issuer.
const (
	PathDocument  = "/.well-known/openid-configuration"
	PathKeys      = "/keys"
	PathAuthorize = "/authorize"
	PathToken     = "/token"
	PathUserinfo  = "/userinfo"
	PathEnd       = "/end"
	PathDevice    = "/device"
	PathRevoke    = "/revoke"
)

func (p *Provider) handler() http.Handler {
	mux := http.NewServeMux()
	base := strings.TrimSuffix(p.o.Path, "/")
	mux.HandleFunc("GET "+base+PathDocument, p.serveDocument)
	mux.HandleFunc("GET "+base+PathKeys, p.serveKeys)
	mux.HandleFunc("GET "+base+PathAuthorize, p.serveAuthorize)
	mux.HandleFunc("POST "+base+PathToken, p.serveToken)
	mux.HandleFunc(base+PathUserinfo, p.serveUserinfo)
	mux.HandleFunc("GET "+base+PathEnd, p.serveEnd)
	mux.HandleFunc("POST "+base+PathDevice, p.serveDevice)
	mux.HandleFunc("POST "+base+PathRevoke, p.serveRevoke)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests[strings.TrimPrefix(r.URL.Path, base)]++
		s := p.s
		p.mu.Unlock()
		if s.Delay > 0 {
			_ = r.ParseForm() // who goes away is seen only when the body was read
			t := time.NewTimer(s.Delay)
			defer t.Stop()
			select {
			case <-t.C:
			case <-r.Context().Done():
				return
			case <-p.closed:
				return
			}
		}
		if s.Down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if s.Serve != nil && s.Serve(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (p *Provider) switches() Switches {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.s
}

func (p *Provider) serveDocument(w http.ResponseWriter, r *http.Request) {
	s := p.switches()
	doc := map[string]any{
		"issuer":                                         p.Issuer,
		"authorization_endpoint":                         p.Issuer + PathAuthorize,
		"token_endpoint":                                 p.Issuer + PathToken,
		"jwks_uri":                                       p.Issuer + PathKeys,
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256", "ES256", "EdDSA"},
		"scopes_supported":                               []string{"openid", "email", "profile"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": !s.NoIssuerInAnswer,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	}
	if !s.NoOffline {
		doc["scopes_supported"] = []string{"openid", "email", "profile", "offline_access"}
	}
	if s.PostSecret {
		doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "none"}
	}
	if !s.NoUserinfo {
		doc["userinfo_endpoint"] = p.Issuer + PathUserinfo
	}
	if !s.NoEndSession {
		doc["end_session_endpoint"] = p.Issuer + PathEnd
	}
	if !s.NoRevocation {
		doc["revocation_endpoint"] = p.Issuer + PathRevoke
	}
	if !s.NoDevice {
		doc["device_authorization_endpoint"] = p.Issuer + PathDevice
	}
	if s.Document != nil {
		s.Document(doc)
	}
	answer(w, http.StatusOK, doc)
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	s := p.switches()
	p.mu.Lock()
	var keys []any
	for _, k := range p.keys {
		keys = append(keys, k.jwk())
	}
	p.mu.Unlock()
	set := map[string]any{"keys": keys}
	if s.Keys != nil {
		s.Keys(set)
	}
	answer(w, http.StatusOK, set)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code, description string) {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	answer(w, status, map[string]any{"error": code, "error_description": description})
}

func random() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
