package throttle_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/throttle"
)

// counted is a verifier that counts what it is asked.
type counted struct {
	*ntlm.Accounts
	asked atomic.Int64
}

func (c *counted) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	c.asked.Add(1)
	return c.Accounts.VerifyNTLM(ctx, a)
}

func (c *counted) VerifyPassword(ctx context.Context, user, pw string) (*authn.Identity, error) {
	c.asked.Add(1)
	return c.Accounts.VerifyPassword(ctx, user, pw)
}

// gateway is a service that takes NTLM and Basic behind a Limiter.
type gateway struct {
	t        *testing.T
	handler  http.Handler
	verifier *counted
	told     []*authn.Decision
}

func newGateway(t *testing.T, before ...authn.Authenticator) *gateway {
	t.Helper()
	as, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "alice", Password: authn.NewSecret("right")}, ntlm.Account{Name: "bob", Password: authn.NewSecret("right")})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, verifier: &counted{Accounts: as}}
	log := slog.New(slog.DiscardHandler)
	limit := &throttle.Limiter{
		Store: throttle.NewMemory(0), Logger: log,
		Canonical: throttle.Names{Domains: [][]string{{"CORP", "corp.test"}}}.Canonical,
	}
	logins := before
	logins = append(logins,
		&iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: limit.NTLM(g.verifier), Names: ntlm.Names{Domain: "CORP"}}, AllowForwarded: true, Logger: log},
		&password.Basic{Verifier: limit.Password(g.verifier), AllowInsecureHTTP: true})
	for i, a := range logins {
		logins[i] = limit.Authenticator(a)
	}
	mw := &authn.Middleware{Authenticators: logins, Logger: log, Observe: func(_ context.Context, d *authn.Decision) { g.told = append(g.told, d) }}
	trusted, err := authn.ParseProxies("10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	g.handler = trusted.Wrap(mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", authn.FromContext(r.Context()))
	})))
	return g
}

// conn is one connection of a client.
type conn struct {
	g    *gateway
	ctx  context.Context
	addr string
	head http.Header
}

func (g *gateway) dial(addr string) *conn {
	return &conn{g: g, ctx: iwa.ConnContext(context.Background(), nil), addr: addr + ":4711", head: http.Header{}}
}

func (c *conn) send(authorization string) *httptest.ResponseRecorder {
	c.g.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(c.ctx)
	r.RemoteAddr, r.Header = c.addr, c.head.Clone()
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	c.g.handler.ServeHTTP(w, r)
	return w
}

func (c *conn) basic(user, pw string) int {
	c.g.t.Helper()
	return c.send("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pw))).Code
}

// open sends the first leg of an NTLM login and returns the challenge.
func (c *conn) open(i *ntlm.Initiator) (challenge []byte, status int) {
	c.g.t.Helper()
	first, _, err := i.Step(c.ctx, nil)
	if err != nil {
		c.g.t.Fatal(err)
	}
	w := c.send("NTLM " + base64.StdEncoding.EncodeToString(first))
	challenge, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(w.Header().Get("WWW-Authenticate"), "NTLM "))
	if err != nil {
		c.g.t.Fatal(err)
	}
	return challenge, w.Code
}

// ntlm logs in and returns the status of the last answer.
func (c *conn) ntlm(user, pw string) int {
	c.g.t.Helper()
	cred, err := ntlm.NewCredential(user, authn.NewSecret(pw))
	if err != nil {
		c.g.t.Fatal(err)
	}
	i := &ntlm.Initiator{Credential: cred}
	challenge, status := c.open(i)
	if status != http.StatusUnauthorized {
		return status
	}
	last, _, err := i.Step(c.ctx, challenge)
	if err != nil {
		c.g.t.Fatal(err)
	}
	return c.send("NTLM " + base64.StdEncoding.EncodeToString(last)).Code
}

func want(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: status %d, want %d", what, got, want)
	}
}

// TestAttackGuessingOverHTTP: NTLM and Basic share a count, and who is blocked
// is refused without the verifier being asked, whatever the password.
func TestAttackGuessingOverHTTP(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	logged := g.dial("192.0.2.7")
	want(t, "before", logged.ntlm(`CORP\alice`, "right"), 200)
	want(t, "NTLM", g.dial("192.0.2.7").ntlm(`CORP\alice`, "a"), 401)
	want(t, "Basic", g.dial("192.0.2.7").basic("alice@corp.test", "b"), 401)
	want(t, "NTLM with the DNS name", g.dial("192.0.2.7").ntlm(`corp.test\ALICE`, "c"), 401)
	asked := g.verifier.asked.Load()
	want(t, "NTLM, right", g.dial("192.0.2.7").ntlm(`CORP\alice`, "right"), 429)
	want(t, "Basic, right", g.dial("192.0.2.7").basic("alice", "right"), 429)
	want(t, "Basic, wrong", g.dial("192.0.2.7").basic("alice", "wrong"), 429)
	if got := g.verifier.asked.Load(); got != asked {
		t.Errorf("the verifier was asked %d times about a blocked user", got-asked)
	}
	want(t, "the login that was there", logged.send("").Code, 200)
	want(t, "bob", g.dial("192.0.2.7").ntlm(`CORP\bob`, "right"), 200)
	want(t, "alice from elsewhere", g.dial("192.0.2.8").ntlm(`CORP\alice`, "right"), 200)
	last := g.told[len(g.told)-3]
	if last.Outcome != authn.OutcomeBlocked || last.User != "alice" || last.Peer != "192.0.2.7:4711" {
		t.Errorf("the record has %+v", last)
	}
}

// TestAttackGuessingWithForgedAddress: a client cannot have itself counted as
// another one, and clients behind a trusted proxy are counted apart.
func TestAttackGuessingWithForgedAddress(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	status := 0
	for i := range 4 {
		c := g.dial("192.0.2.7")
		c.head.Set("X-Forwarded-For", fmt.Sprint("198.51.100.", i))
		status = c.basic("alice", "wrong")
	}
	want(t, "a new address for each guess", status, 429)
	for i := range 4 {
		c := g.dial("10.0.0.1")
		c.head.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d, 192.0.2.9", i))
		status = c.basic("alice", "wrong")
	}
	want(t, "the same through a proxy", status, 429)
	c := g.dial("10.0.0.1")
	c.head.Set("X-Forwarded-For", "192.0.2.10")
	want(t, "another client of the proxy", c.basic("alice", "right"), 200)
}

// TestAddressOverHTTP: a blocked address is refused on the first leg.
func TestAddressOverHTTP(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	logged := g.dial("192.0.2.7")
	want(t, "before", logged.ntlm(`CORP\alice`, "right"), 200)
	for i := range 20 {
		want(t, "wrong", g.dial("192.0.2.7").ntlm(fmt.Sprintf(`CORP\user%d`, i), "x"), 401)
	}
	_, status := g.dial("192.0.2.7").open(&ntlm.Initiator{Credential: ntlm.Credential{User: "bob", Password: authn.NewSecret("right")}})
	want(t, "first leg", status, 429)
	want(t, "anonymous", g.dial("192.0.2.7").send("").Code, 401)
	want(t, "the login that was there", logged.send("").Code, 200)
	want(t, "another address", g.dial("192.0.2.8").ntlm(`CORP\bob`, "right"), 200)
}

// TestNotCountedOverHTTP: legs, broken handshakes and anonymous requests.
func TestNotCountedOverHTTP(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	i := &ntlm.Initiator{Credential: ntlm.Credential{User: "alice", Domain: "CORP", Password: authn.NewSecret("wrong")}}
	challenge, _ := g.dial("192.0.2.7").open(i)
	answer, _, err := i.Step(context.Background(), challenge)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		c := g.dial("192.0.2.7")
		c.open(&ntlm.Initiator{Credential: i.Credential})
		want(t, "not base64", c.send("NTLM !").Code, 401)
		want(t, "an answer without its challenge", c.send("NTLM "+base64.StdEncoding.EncodeToString(answer)).Code, 401)
		want(t, "cut off", c.send("NTLM "+base64.StdEncoding.EncodeToString(answer[:20])).Code, 401)
		want(t, "unknown scheme", c.send("Digest x").Code, 401)
		want(t, "anonymous", c.send("").Code, 401)
		want(t, "no password", c.basic("alice", ""), 401)
	}
	want(t, "then", g.dial("192.0.2.7").ntlm(`CORP\alice`, "right"), 200)
}

// custom is an authenticator that judges by itself.
type custom struct{ err error }

func (c custom) Authenticate(r *http.Request) (*authn.Result, error) {
	if r.Header.Get("Authorization") != "Bearer x" {
		return nil, authn.ErrNoCredentials
	}
	return nil, c.err
}
func (custom) Challenges(*http.Request) []authn.Challenge { return nil }

// TestAttackCountedOutside: what an authenticator judges by itself counts, and
// states of networks and settings do not.
func TestAttackCountedOutside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		err      error
		after    int // tries are blocked
		bobAfter int // bob is not let in from the address after 20 tries
	}{
		{"password of a user", &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: "alice"}, 20, 429},
		{"of nobody known", &authn.RefusedError{Reason: authn.ReasonWrongPassword}, 20, 429},
		{"forged ticket", &authn.RefusedError{Reason: authn.ReasonIntegrity, User: "alice@CORP.TEST"}, 20, 429},
		{"repeated ticket", &authn.RefusedError{Reason: authn.ReasonReplay, User: "alice@CORP.TEST"}, 20, 429},
		{"wrong clock", &authn.RefusedError{Reason: authn.ReasonClockSkew, User: "alice@CORP.TEST"}, 0, 200},
		{"keytab replaced", &authn.RefusedError{Reason: authn.ReasonWrongKey}, 0, 200},
		{"away", authn.ErrUnavailable, 0, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, custom{tt.err})
			for range 20 {
				g.dial("192.0.2.7").send("Bearer x")
			}
			if tt.after > 0 {
				want(t, "next", g.dial("192.0.2.7").send("Bearer x").Code, 429)
			}
			want(t, "bob", g.dial("192.0.2.7").ntlm(`CORP\bob`, "right"), tt.bobAfter)
		})
	}
	g := newGateway(t, custom{&authn.RefusedError{Reason: authn.ReasonWrongPassword, User: `CORP\alice`}})
	for range 3 {
		want(t, "custom", g.dial("192.0.2.7").send("Bearer x").Code, 401)
	}
	want(t, "alice by Basic", g.dial("192.0.2.7").basic("alice", "right"), 429)
	want(t, "bob by Basic", g.dial("192.0.2.7").basic("bob", "right"), 200)
}

// pin takes a number of four digits in a header of its own, as hooks and the login
// form have credentials elsewhere than in Authorization.
type pin struct{ asked *atomic.Int64 }

func (p pin) Authenticate(r *http.Request) (*authn.Result, error) {
	switch r.Header.Get("X-Pin") {
	case "":
		return nil, authn.ErrNoCredentials
	case "1234":
		p.asked.Add(1)
		return &authn.Result{Identity: &authn.Identity{Account: "carol"}, Fresh: true}, nil
	case "riding": // on a login that was made before
		return &authn.Result{Identity: &authn.Identity{Account: "carol"}}, nil
	}
	p.asked.Add(1)
	return nil, &authn.RefusedError{Mechanism: "pin", Reason: authn.ReasonUnknownUser}
}
func (pin) Challenges(*http.Request) []authn.Challenge { return nil }

// TestAttackGuessingInOtherHeader: failures were counted, but nobody was kept out
// whose credentials are not in the Authorization header.
func TestAttackGuessingInOtherHeader(t *testing.T) {
	t.Parallel()
	g := newGateway(t, pin{new(atomic.Int64)})
	try := func(addr, number string) int {
		c := g.dial(addr)
		c.head.Set("X-Pin", number)
		return c.send("").Code
	}
	for i := range 20 {
		want(t, "guess", try("192.0.2.7", fmt.Sprint(i)), 401)
	}
	want(t, "a guess more", try("192.0.2.7", "99"), 429)
	want(t, "the right one", try("192.0.2.7", "1234"), 429)
	want(t, "who logged in before", try("192.0.2.7", "riding"), 200)
	want(t, "without credentials", try("192.0.2.7", ""), 401)
	want(t, "elsewhere", try("192.0.2.8", "1234"), 200)
}

// TestAttackManyAtOnceOutside: guesses that an authenticator judges by itself are
// not told when they come in while the block is being set.
func TestAttackManyAtOnceOutside(t *testing.T) {
	t.Parallel()
	limit := &throttle.Limiter{Store: throttle.NewMemory(0), Logger: slog.New(slog.DiscardHandler)}
	gate := make(chan struct{})
	a := limit.Authenticator(slowPin{gate})
	ask := func(number string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Pin "+number)
		_, err := a.Authenticate(r)
		return err
	}
	late := make(chan error)
	go func() { late <- ask("1234") }()
	<-gate // it is being judged
	for i := range 20 {
		if err := ask(fmt.Sprint(i)); !errors.Is(err, authn.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	gate <- struct{}{}
	var blocked *authn.BlockedError
	if err := <-late; !errors.As(err, &blocked) {
		t.Errorf("the right number among many: %v, want blocked", err)
	}
}

// slowPin judges the right number when it is told to.
type slowPin struct{ gate chan struct{} }

func (p slowPin) Authenticate(r *http.Request) (*authn.Result, error) {
	if r.Header.Get("Authorization") != "Pin 1234" {
		return nil, &authn.RefusedError{Mechanism: "pin", Reason: authn.ReasonUnknownUser}
	}
	p.gate <- struct{}{}
	<-p.gate
	return &authn.Result{Identity: &authn.Identity{Account: "carol"}, Fresh: true}, nil
}
func (slowPin) Challenges(*http.Request) []authn.Challenge { return nil }
