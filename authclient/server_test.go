package authclient_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// server is a service behind iwa that says whom it sees.
type server struct {
	*httptest.Server
	conns    atomic.Int64 // accepted
	requests atomic.Int64 // that reached the server, refused or not
	hits     atomic.Int64 // that reached the service
}

// newServer starts a server whose accounts are alice (password a) and bob (b)
// in the domain CORP. change may alter the authenticator before it is used.
func newServer(t testing.TB, change func(*iwa.Authenticator), setup ...func(*httptest.Server)) *server {
	t.Helper()
	accounts, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "alice", Password: authn.NewSecret("a")},
		ntlm.Account{Name: "bob", Password: authn.NewSecret("b")})
	if err != nil {
		t.Fatal(err)
	}
	a := &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}}}
	if change != nil {
		change(a)
	}
	return serve(t, []authn.Authenticator{a}, setup...)
}

func serve(t testing.TB, as []authn.Authenticator, setup ...func(*httptest.Server)) *server {
	t.Helper()
	s := &server{}
	m := &authn.Middleware{Authenticators: as, Logger: slog.New(slog.DiscardHandler)}
	protected := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		n, err := io.Copy(io.Discard, r.Body)
		if id := authn.FromContext(r.Context()); id != nil {
			w.Header().Set("X-Mechanism", id.Mechanism)
		}
		fmt.Fprintf(w, "%s body=%d err=%v", authn.FromContext(r.Context()), n, err)
	}))
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		protected.ServeHTTP(w, r)
	}))
	s.Config = iwa.Server(s.Config.Handler)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		s.conns.Add(1)
		return iwa.ConnContext(ctx, c)
	}
	for _, f := range setup {
		f(s.Server)
	}
	if s.TLS == nil {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func ntlmCredential(user string) authclient.Credential {
	return &authclient.NTLM{User: `CORP\` + user, Password: authn.NewSecret(user[:1])}
}

func newClient(t testing.TB, c authclient.Credential) *http.Client {
	t.Helper()
	tr := &authclient.Transport{Source: authclient.Static(c)}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// do sends a request and returns status and body.
func do(c *http.Client, method, url string, body io.Reader) (int, string, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
