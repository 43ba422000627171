package iwa

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
)

// oneLeg is a mechanism that takes its user's name as the only token.
type oneLeg struct{ expires time.Time }

func (oneLeg) OID() asn1.ObjectIdentifier                  { return spnego.OIDKerberos }
func (m oneLeg) NewAcceptor(authn.Exchange) authn.Acceptor { return m }
func (m oneLeg) Step(_ context.Context, token []byte) ([]byte, *authn.Identity, error) {
	return []byte("final"), &authn.Identity{Account: string(token), Domain: "CORP", Mechanism: authn.MechanismKerberos, Expires: m.expires}, nil
}

func accounts(t *testing.T) *ntlm.Mechanism {
	t.Helper()
	as, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "alice", Password: authn.NewSecret("a")},
		ntlm.Account{Name: "bob", Password: authn.NewSecret("b")})
	if err != nil {
		t.Fatal(err)
	}
	return &ntlm.Mechanism{Verifier: as, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}}
}

// connection sends requests as one HTTP/1.1 connection.
type connection struct {
	t     *testing.T
	a     *Authenticator
	ctx   context.Context
	proto int
	head  http.Header
}

func connect(t *testing.T, a *Authenticator) *connection {
	return &connection{t: t, a: a, ctx: ConnContext(context.Background(), nil), proto: 1, head: http.Header{}}
}

// ask sends one request. An empty scheme sends no credentials.
func (c *connection) ask(scheme string, token []byte) (*authn.Result, error) {
	r := httptest.NewRequest("GET", "/", nil).WithContext(c.ctx)
	r.ProtoMajor = c.proto
	r.Header = c.head.Clone()
	if scheme != "" {
		r.Header.Set("Authorization", strings.TrimSpace(scheme+" "+base64.StdEncoding.EncodeToString(token)))
	}
	return c.a.Authenticate(r)
}

func (c *connection) challenges() string {
	r := httptest.NewRequest("GET", "/", nil).WithContext(c.ctx)
	r.ProtoMajor, r.Header = c.proto, c.head
	var names []string
	for _, ch := range c.a.Challenges(r) {
		names = append(names, ch.String())
	}
	return strings.Join(names, " ")
}

// login runs a whole handshake.
func (c *connection) login(scheme string, i authn.Initiator) (*authn.Result, error) {
	c.t.Helper()
	var in []byte
	for range 5 {
		out, _, err := i.Step(c.ctx, in)
		if err != nil {
			c.t.Fatal(err)
		}
		res, err := c.ask(scheme, out)
		if err != nil || res.Identity != nil {
			return res, err
		}
		if res.Continue.Scheme != scheme {
			c.t.Fatalf("challenge %q, want scheme %s", res.Continue, scheme)
		}
		if in, err = base64.StdEncoding.DecodeString(res.Continue.Param); err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Fatal("handshake without end")
	return nil, nil
}

func initiator(user string) *ntlm.Initiator {
	return &ntlm.Initiator{Credential: ntlm.Credential{User: user, Domain: "CORP", Password: authn.NewSecret(user[:1])}}
}

func wantUser(t *testing.T, res *authn.Result, err error, want string) {
	t.Helper()
	if err != nil || res.Identity.String() != want {
		t.Fatalf("result %+v, %v; want %s", res, err, want)
	}
}

func wantReason(t *testing.T, err error, want authn.Reason) {
	t.Helper()
	var re *authn.RefusedError
	if !errors.As(err, &re) || re.Reason != want {
		t.Fatalf("err = %v, want a refusal by reason %s", err, want)
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	ntlm := accounts(t)
	for _, tt := range []struct {
		name   string
		change func(*Authenticator, *connection)
		want   string
	}{
		{"both", func(*Authenticator, *connection) {}, "Negotiate NTLM"},
		{"Kerberos only", func(a *Authenticator, _ *connection) { a.NTLM = nil }, "Negotiate"},
		{"NTLM only", func(a *Authenticator, _ *connection) { a.Kerberos = nil }, "Negotiate NTLM"},
		{"Negotiate off", func(a *Authenticator, _ *connection) { a.NoNegotiate = true }, "NTLM"},
		{"HTTP/2", func(_ *Authenticator, c *connection) { c.proto = 2 }, "Negotiate"},
		{"HTTP/2, NTLM only", func(a *Authenticator, c *connection) { a.Kerberos = nil; c.proto = 2 }, ""},
		{"behind a proxy", func(_ *Authenticator, c *connection) { c.head.Set("Via", "1.1 squid") }, "Negotiate"},
		{"no ConnContext", func(_ *Authenticator, c *connection) { c.ctx = context.Background() }, "Negotiate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &Authenticator{Kerberos: oneLeg{}, NTLM: ntlm, Logger: slog.New(slog.DiscardHandler)}
			c := connect(t, a)
			tt.change(a, c)
			if got := c.challenges(); got != tt.want {
				t.Errorf("challenges = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNotOfferedIsLogged: a server that cannot offer NTLM says so once, with
// what to do.
func TestNotOfferedIsLogged(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*connection)
		want   string
	}{
		"all is well":    {func(*connection) {}, ""},
		"no ConnContext": {func(c *connection) { c.ctx = context.Background() }, "set http.Server.ConnContext"},
		"HTTP/2":         {func(c *connection) { c.proto = 2 }, "switch HTTP/2 off"},
		"proxy":          {func(c *connection) { c.head.Set("Via", "1.1 squid") }, "AllowForwarded"},
	} {
		var log bytes.Buffer
		c := connect(t, &Authenticator{NTLM: accounts(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		tt.change(c)
		c.challenges()
		once := log.Len()
		c.challenges()
		if (tt.want == "") != (once == 0) || !strings.Contains(log.String(), tt.want) || log.Len() != once {
			t.Errorf("%s: log %q, want %q once", name, log.String(), tt.want)
		}
	}
}

// TestKerberosLoginIsFreshOnce: a client that proves itself with each request
// makes one line in the log.
func TestKerberosLoginIsFreshOnce(t *testing.T) {
	t.Parallel()
	c := connect(t, &Authenticator{Kerberos: rawKerberos{}})
	for i, user := range []string{"alice", "alice", "bob", "alice"} {
		res, err := c.ask("Negotiate", kerberosToken(t, user))
		wantUser(t, res, err, `CORP\`+user)
		if want := i != 1; res.Fresh != want {
			t.Errorf("request %d: fresh %v, want %v", i, res.Fresh, want)
		}
	}
}

func TestNTLMStaysWithItsConnection(t *testing.T) {
	t.Parallel()
	a := &Authenticator{NTLM: accounts(t)}
	for scheme, i := range map[string]authn.Initiator{
		"NTLM":      initiator("alice"),
		"Negotiate": spnego.NewInitiator(spnego.OIDNTLM, initiator("alice")),
	} {
		c := connect(t, a)
		res, err := c.login(scheme, i)
		wantUser(t, res, err, `CORP\alice`)
		if !res.Fresh {
			t.Error("login is not marked as fresh")
		}
		res, err = c.ask("", nil)
		wantUser(t, res, err, `CORP\alice`)
		if res.Fresh || res.Final != nil {
			t.Error("later request is marked as a login")
		}
		if _, err := connect(t, a).ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("another connection: err = %v, want ErrNoCredentials", err)
		}
	}
}

func TestRawNTLMUnderNegotiate(t *testing.T) {
	t.Parallel()
	res, err := connect(t, &Authenticator{NTLM: accounts(t)}).login("Negotiate", initiator("bob"))
	wantUser(t, res, err, `CORP\bob`)
}

func TestKerberosPerRequest(t *testing.T) {
	t.Parallel()
	token := kerberosToken(t, "alice")
	for _, keep := range []bool{false, true} {
		c := connect(t, &Authenticator{Kerberos: rawKerberos{}, KerberosPerConnection: keep})
		res, err := c.ask("Negotiate", token)
		wantUser(t, res, err, `CORP\alice`)
		if res.Persistent != keep {
			t.Errorf("persistent = %v, want %v", res.Persistent, keep)
		}
		if res.Final == nil || res.Final.Scheme != "Negotiate" {
			t.Errorf("final = %v, want the mechanism's token", res.Final)
		}
		res, err = c.ask("", nil)
		if keep {
			wantUser(t, res, err, `CORP\alice`)
		} else if !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("request without a token: %v, %v; want to be asked again", res, err)
		}
	}
}

// rawKerberos takes the name behind a Kerberos-framed token.
type rawKerberos struct{ oneLeg }

func (m rawKerberos) NewAcceptor(authn.Exchange) authn.Acceptor { return m }
func (m rawKerberos) Step(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	return m.oneLeg.Step(ctx, token[13:])
}

func kerberosToken(t *testing.T, name string) []byte {
	t.Helper()
	oid, err := asn1.Marshal(spnego.OIDKerberos)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{0x60, byte(len(oid) + len(name))}, append(oid, name...)...)
}

func TestConnectionLoginExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := &Authenticator{Kerberos: rawKerberos{oneLeg{expires: now.Add(time.Hour)}}, KerberosPerConnection: true, testOnlyNow: func() time.Time { return now }}
	c := connect(t, a)
	if _, err := c.ask("Negotiate", kerberosToken(t, "alice")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour - time.Second)
	res, err := c.ask("", nil)
	wantUser(t, res, err, `CORP\alice`)
	now = now.Add(time.Second)
	if res, err := c.ask("", nil); !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("after its end: %v, %v; want ErrNoCredentials", res, err)
	}
}

func TestNotOurs(t *testing.T) {
	t.Parallel()
	for scheme, a := range map[string]*Authenticator{
		"Basic":     {NTLM: accounts(t)},
		"Bearer":    {Kerberos: oneLeg{}},
		"Negotiate": {NTLM: accounts(t), NoNegotiate: true},
	} {
		if res, err := connect(t, a).ask(scheme, []byte("x")); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("%s: %v, %v; want ErrNoCredentials", scheme, res, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"NTLM", "NTLM ", "NTLM !!!", "Negotiate AAAA", "NTLM AAAA", "Negotiate " + strings.Repeat("A", 1<<19)} {
		r := httptest.NewRequest("GET", "/", nil).WithContext(ConnContext(context.Background(), nil))
		r.Header.Set("Authorization", header)
		res, err := (&Authenticator{Kerberos: oneLeg{}, NTLM: accounts(t)}).Authenticate(r)
		if res != nil {
			t.Errorf("%.20s: %+v", header, res)
		}
		wantReason(t, err, authn.ReasonMalformed)
	}
}

// FuzzAuthenticate sends two header values over one connection: whatever they
// are, nobody is logged in and nothing panics.
func FuzzAuthenticate(f *testing.F) {
	negotiate, _, _ := initiator("alice").Step(context.Background(), nil)
	wrapped, _, _ := spnego.NewInitiator(spnego.OIDNTLM, initiator("alice")).Step(context.Background(), nil)
	ntlmHeader := "NTLM " + base64.StdEncoding.EncodeToString(negotiate)
	f.Add(ntlmHeader, ntlmHeader)
	f.Add("Negotiate "+base64.StdEncoding.EncodeToString(wrapped), "Negotiate oQcwBaADCgEB")
	f.Add(ntlmHeader, "NTLM TlRMTVNTUAADAAAA")
	f.Add("Basic QQ==", "")
	as, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret("a")})
	if err != nil {
		f.Fatal(err)
	}
	a := &Authenticator{NTLM: &ntlm.Mechanism{Verifier: as, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}}}
	f.Fuzz(func(t *testing.T, first, second string) {
		ctx := ConnContext(context.Background(), nil)
		for _, h := range []string{first, second} {
			r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
			r.Header.Set("Authorization", h)
			res, err := a.Authenticate(r)
			if res != nil && res.Identity != nil {
				t.Fatalf("logged in as %v by %q and %q", res.Identity, first, second)
			}
			if (res == nil) == (err == nil) {
				t.Fatalf("result %v and error %v", res, err)
			}
		}
	})
}
