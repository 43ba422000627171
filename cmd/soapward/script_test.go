package main

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/demo"
	"github.com/soapward/soapward/soapserver"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(withDC{m}, map[string]func(){"soapward": main, "xdg-open": fakeBrowser})
}

// withDC runs the tests and stops the domain controller that they started.
type withDC struct{ m *testing.M }

func (w withDC) Run() int { return adtest.Main(w.m) }

// TestScripts runs the command lines in testdata/script against this program.
// The scripts find a service behind a login at $PROTECTED, and a server that
// redirects there at $REDIRECT. $WEBPAGE answers with HTML, $LOGINPAGE leads to
// a form, $POSTONLY answers with 405, $ECHO with what it is sent, but accepts
// silently at $ECHO/accept. $BASIC wants a login by Basic or Bearer, $EVILWSDL is
// a description that names another server. $PROXY is
// a proxy that wants a login. A service of the demo is at $LEDGER; $DEMOKRB5 is the krb5.conf of its domain.
func TestScripts(t *testing.T) {
	t.Parallel()
	url := protected(t)
	redirect := httptest.NewServer(http.RedirectHandler(url+"?wsdl", http.StatusFound))
	t.Cleanup(redirect.Close)
	page := httptest.NewServer(http.HandlerFunc(webPage))
	t.Cleanup(page.Close)
	post := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }))
	t.Cleanup(post.Close)
	echo := httptest.NewServer(http.HandlerFunc(echoRequest))
	t.Cleanup(echo.Close)
	evil := httptest.NewServer(http.HandlerFunc(evilWSDL))
	t.Cleanup(evil.Close)
	basic := httptest.NewServer(http.HandlerFunc(basicOnly))
	t.Cleanup(basic.Close)
	proxy := loginProxy(t)
	ledger, krb5conf := demoServices(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PROTECTED", url)
			e.Setenv("REDIRECT", redirect.URL)
			e.Setenv("WEBPAGE", page.URL+"/library")
			e.Setenv("LOGINPAGE", page.URL+"/form")
			e.Setenv("POSTONLY", post.URL+"/library")
			e.Setenv("ECHO", echo.URL)
			e.Setenv("BASIC", basic.URL)
			e.Setenv("PROXY", proxy)
			e.Setenv("EVILWSDL", evil.URL+"/expenses.wsdl")
			e.Setenv("LEDGER", ledger)
			e.Setenv("DEMOKRB5", krb5conf)
			return nil
		},
	})
}

// webPage answers with a page, or leads from /form to one with a form.
func webPage(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/form":
		http.Redirect(w, r, "/login", http.StatusFound)
	case "/login":
		_, _ = io.WriteString(w, `<!DOCTYPE html><form><input type="password" name="p"></form>`)
	default:
		_, _ = io.WriteString(w, "<html/>")
	}
}

// echoRequest answers with the request, or with 202 at
// /accept and a fault at /fault.
func echoRequest(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/accept":
		w.WriteHeader(http.StatusAccepted)
		return
	case "/fault":
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode xmlns:x="urn:x">x:Full</faultcode>`+
			"<faultstring>no\u009bmore</faultstring><detail><Echo xmlns='urn:e'><size>3</size></Echo><other/></detail></s:Fault></s:Body></s:Envelope>")
		return
	case "/hang":
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not noticed
		<-r.Context().Done()
		return
	case "/moved":
		http.Redirect(w, r, "/", http.StatusFound)
		return
	}
	for _, name := range []string{"Content-Type", "Soapaction", "X-Echo"} {
		if v := r.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	_, _ = io.Copy(w, r.Body)
}

// basicOnly wants a login by Basic, or below /bearer by Bearer. It answers a
// call with a fault.
func basicOnly(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	switch {
	case user == "alice" && password == "hunter2":
		r.URL.Path = "/fault"
		echoRequest(w, r)
		return
	case strings.HasPrefix(r.URL.Path, "/bearer"):
		w.Header().Set("WWW-Authenticate", `Bearer realm="x"`)
	default:
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
	}
	w.WriteHeader(http.StatusUnauthorized)
}

// evilWSDL serves a description that leads to another server.
func evilWSDL(w http.ResponseWriter, r *http.Request) {
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "wsdl", filepath.Base(r.URL.Path)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(bytes.ReplaceAll(b, []byte("127.0.0.1:8080"), []byte("127.0.0.1:1")))
}

// demoServices starts KDC and services of the demo, and returns where they are.
func demoServices(t *testing.T) (ledger, krb5conf string) {
	t.Helper()
	d, err := demo.Start(t.Context(), demo.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	commands, err := d.Commands()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if conf, ok := strings.CutPrefix(c.Script, "export KRB5_CONFIG="); ok {
			krb5conf, _, _ = strings.Cut(conf, "\n")
		} else if words := strings.Fields(c.Script); strings.HasSuffix(words[len(words)-1], "/ledger") {
			ledger = words[len(words)-1]
		}
	}
	return ledger, strings.Trim(krb5conf, "'")
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
