package browser

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/pgtest"
)

func TestMain(m *testing.M) {
	code := adtest.Main(m)
	if err := errors.Join(endShared(), pgtest.Stop(), peers.RemoveSoapward()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// site is a service behind the form, over TLS, under any name below corp.test.
type site struct {
	*httptest.Server
	sessions *session.Manager
	port     string
	posts    atomic.Int32 // that reached the application

	mu  sync.Mutex
	log bytes.Buffer
}

// Write implements io.Writer for the log.
func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *site) logged(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.log.String(), part)
}

// appPage tells who the caller is, and has a button of the application's own to
// sign out.
var appPage = template.Must(template.New("app").Parse(`<!DOCTYPE html>
<title>Application</title>
<link rel="icon" href="data:,">
<p id="who">{{.ID}} by {{.ID.Mechanism}}</p>
<form method="post" action="/login/out"><input type="hidden" name="csrf" value="{{.Token}}"><button>Sign out</button></form>
`))

const (
	aliceName = `CORP\alice`
	alicePass = "local s3cret ü"
)

// startSite starts a service. c needs nothing set: alice is a local user then.
func startSite(t *testing.T, c form.Config) *site {
	t.Helper()
	s := new(site)
	c.Logger = slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if c.Verifier == nil {
		accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret(alicePass)})
		if err != nil {
			t.Fatal(err)
		}
		c.Verifier = accounts
	}
	s.sessions = &session.Manager{Store: session.NewMemory(0), Logger: c.Logger}
	c.Sessions = s.sessions
	f, err := form.New(c)
	if err != nil {
		t.Fatal(err)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.posts.Add(1)
		}
		if r.URL.Path == "/data" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"salary":1}`)) // a client that went away fails its own test
			return
		}
		err := appPage.Execute(w, map[string]any{"ID": authn.FromContext(r.Context()), "Token": s.sessions.Token(r)})
		if err != nil {
			t.Error(err)
		}
	})
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(f.Wrap(app))
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(s, nil), slog.LevelDebug)
	s.Listener = iwa.NewTLSListener(s.Listener, &tls.Config{Certificates: []tls.Certificate{loopbackCertificate()}})
	s.Start()
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		if t.Failed() {
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Logf("log of the site:\n%s", &s.log)
		}
	})
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.port = u.Port()
	return s
}

// at returns a URL of the site.
func (s *site) at(host, path string) string {
	return "https://" + net.JoinHostPort(host, s.port) + path
}

// loopbackCertificate is the one that httptest has.
func loopbackCertificate() tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}
