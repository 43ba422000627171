package main

import (
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/soapserver"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(withDC{m}, map[string]func(){"soapward": main})
}

// withDC runs the tests and stops the domain controller that they started.
type withDC struct{ m *testing.M }

func (w withDC) Run() int { return adtest.Main(w.m) }

// TestScripts runs the command lines in testdata/script against this program.
// The scripts find a service behind a login at $PROTECTED, and a server that
// redirects there at $REDIRECT. $WEBPAGE answers with HTML, $POSTONLY with 405.
func TestScripts(t *testing.T) {
	t.Parallel()
	url := protected(t)
	redirect := httptest.NewServer(http.RedirectHandler(url+"?wsdl", http.StatusFound))
	t.Cleanup(redirect.Close)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html/>")) }))
	t.Cleanup(page.Close)
	post := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }))
	t.Cleanup(post.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PROTECTED", url)
			e.Setenv("REDIRECT", redirect.URL)
			e.Setenv("WEBPAGE", page.URL+"/library")
			e.Setenv("POSTONLY", post.URL+"/library")
			return nil
		},
	})
}

// protected serves the expenses service to CORP\alice, password "correct
// horse", and returns its URL.
func protected(t *testing.T) string {
	t.Helper()
	accounts, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := &soapserver.Service{Logger: quiet}
	expenses.RegisterExpenses(s, expenses.UnimplementedExpenses{})
	guard := &authn.Middleware{Logger: quiet, Authenticators: []authn.Authenticator{
		&iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "TEST"}}},
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := iwa.Server(guard.Wrap(s))
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String() + "/expenses"
}
