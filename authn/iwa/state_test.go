package iwa

import (
	"context"
	"encoding/asn1"
	"encoding/base64"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
)

// maxState is what a connection may cost beside what net/http keeps.
const maxState = 2 << 10

// addressed is a connection that tells where it is from, each from elsewhere.
type addressed struct {
	net.Conn
	remote net.TCPAddr
}

func (c *addressed) RemoteAddr() net.Addr { return &c.remote }

// client takes a connection to some phase of its login.
type client func(t *testing.T, a *Authenticator, ctx context.Context)

// TestStateSize measures what a connection keeps for its login: its state, the
// exchange with the acceptor and the messages in it, the timer and the places
// in the tables of those who wait; after the login the fields of the identity
// too, but not the names and groups that they refer to, which are the
// verifier's. What net/http keeps for a connection is not ours, and neither is
// its address.
//
// It is not parallel, because it measures the heap of the process.
func TestStateSize(t *testing.T) {
	const n = 2000
	mechanism := accounts(t)
	mechanism.Names = ntlm.Names{ // as long as they get
		Domain: strings.Repeat("D", 15), Computer: strings.Repeat("C", 15),
		DNS: ntlm.DNSNames{Domain: strings.Repeat("d", 250), Computer: strings.Repeat("c", 250), Forest: strings.Repeat("f", 250)},
	}
	long := append(asn1.ObjectIdentifier{1, 3}, make([]int, 200)...)
	for _, tt := range []struct {
		name   string
		client client
		bound  int
	}{
		{"before a login", func(*testing.T, *Authenticator, context.Context) {}, 256},
		{"NTLM, challenged", opens(0), maxState},
		{"NTLM, challenged after the largest message", opens(576), maxState},
		{"Negotiate, challenged", opens(0, spnego.OIDNTLM), maxState},
		{"Negotiate, challenged after the largest messages", opens(576, spnego.OIDNTLM, long), maxState},
		{"Negotiate, the MIC is missing", logsIn(spnego.OIDKerberos, long, spnego.OIDNTLM), maxState},
		{"logged in", logsIn(), 512},
		{"logged in by Negotiate", logsIn(spnego.OIDNTLM), 512},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &Authenticator{NTLM: mechanism, HandshakeTimeout: time.Hour}
			tt.client(t, a, ConnContext(t.Context(), nil)) // caches are filled once
			conns, ctxs := make([]*addressed, n), make([]context.Context, n)
			for i := range conns {
				conns[i] = &addressed{remote: net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i))}}
			}
			server := context.WithValue(t.Context(), endsKey{}, new(ends))
			before := heap()
			for i, c := range conns {
				ctxs[i] = ConnContext(server, c)
				tt.client(t, a, ctxs[i])
			}
			each := int(heap()-before) / n
			t.Logf("%d bytes", each)
			if each > tt.bound || each < 64 {
				t.Errorf("a connection keeps %d bytes, at most %d are allowed", each, tt.bound)
			}
			for _, ctx := range ctxs { // nobody waits any more
				_, _ = a.Authenticate(httptest.NewRequest("GET", "/", nil).WithContext(ctx))
			}
			if n, _ := a.Waiting(); n > 1 { // of the first
				t.Errorf("%d connections still wait", n)
			}
		})
	}
}

// opens sends NEGOTIATE of that size, or of the usual one if it is 0, and gets a
// challenge. With mechs it does so inside of a SPNEGO token.
func opens(size int, mechs ...asn1.ObjectIdentifier) client {
	return func(t *testing.T, a *Authenticator, ctx context.Context) {
		t.Helper()
		token, _, err := initiator("alice").Step(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		challenged(t, a, ctx, append(token, make([]byte, max(size-len(token), 0))...), mechs)
	}
}

// logsIn sends both messages. With mechs of which NTLM is not the first the
// server waits for a MIC then.
func logsIn(mechs ...asn1.ObjectIdentifier) client {
	return func(t *testing.T, a *Authenticator, ctx context.Context) {
		t.Helper()
		i := initiator("alice")
		token, _, err := i.Step(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err = i.Step(ctx, challenged(t, a, ctx, token, mechs))
		if err != nil {
			t.Fatal(err)
		}
		scheme := schemeNTLM
		if mechs != nil {
			scheme = schemeNegotiate
			if token, err = (&spnego.NegTokenResp{State: spnego.AcceptIncomplete, ResponseToken: token}).Marshal(); err != nil {
				t.Fatal(err)
			}
		}
		res := sendToken(t, a, ctx, scheme, token)
		if wait := len(mechs) > 1; (res.Continue != nil) != wait {
			t.Fatalf("result %+v; want to be asked for more: %v", res, wait)
		}
	}
}

// challenged returns the NTLM challenge for token.
func challenged(t *testing.T, a *Authenticator, ctx context.Context, token []byte, mechs []asn1.ObjectIdentifier) []byte {
	t.Helper()
	scheme := schemeNTLM
	if mechs != nil {
		scheme = schemeNegotiate
		var err error
		if token, err = (&spnego.NegTokenInit{MechTypes: mechs, MechToken: token}).Marshal(); err != nil {
			t.Fatal(err)
		}
	}
	res := sendToken(t, a, ctx, scheme, token)
	if res.Continue == nil {
		t.Fatalf("result %+v, want a challenge", res)
	}
	challenge, err := decodeToken(res.Continue.Param)
	if err != nil {
		t.Fatal(err)
	}
	if mechs != nil {
		resp, err := spnego.ParseResp(challenge)
		if err != nil {
			t.Fatal(err)
		}
		challenge = resp.ResponseToken
	}
	return challenge
}

func sendToken(t *testing.T, a *Authenticator, ctx context.Context, scheme string, token []byte) *authn.Result {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	r.Header.Set("Authorization", scheme+" "+base64.StdEncoding.EncodeToString(token))
	res, err := a.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// heap returns how much of it is in use.
func heap() uint64 {
	var m runtime.MemStats
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
