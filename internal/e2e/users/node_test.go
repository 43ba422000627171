package users

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/audit"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/pgtest"
)

func TestMain(m *testing.M) {
	code := adtest.Main(m)
	if err := pgtest.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// quick are hashes that cost next to nothing: what they protect from is tested
// where they are made.
var quick = password.Params{Memory: 64, Time: 1}

// realm is that of the directory's users.
const realm = "corp"

// nodeConfig says what differs between nodes. The zero value has internal users,
// in a SQLite file of its own.
type nodeConfig struct {
	driver, dsn string
	directory   *ldap.Directory
	keytab      string          // for Kerberos
	ntlm        *ntlm.Mechanism // at /ntlm/
	keys        []session.Key   // sealed sessions

	userRules, addressRules []throttle.Rule
	refusalTime             time.Duration
	refreshAfter            time.Duration
}

// A node is one gateway, put together as examples/portal is.
type node struct {
	*httptest.Server
	store    *store.Store
	sessions *session.Manager
	record   *audit.Recorder
	dsn      string
	log      *logBuffer

	mu   sync.Mutex
	sent []string // Authorization headers
}

func startNode(t *testing.T, c nodeConfig) *node {
	t.Helper()
	n := &node{log: new(logBuffer)}
	log := slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if c.driver == "" {
		c.driver, c.dsn = "sqlite", filepath.Join(t.TempDir(), "soapward.db")
	}
	n.dsn = c.dsn
	var err error
	if n.store, err = store.Open(t.Context(), store.Config{Driver: c.driver, DSN: c.dsn, Logger: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.store.Close() })
	n.record = audit.New(audit.Config{Store: n.store, Realm: realm, Logger: log})
	t.Cleanup(func() { n.flush(t) })

	provisioner := &provision.Provisioner{Realm: realm, Store: n.store, RefreshAfter: c.refreshAfter, Logger: log}
	chain := &password.Chain{
		Internal:    &password.Internal{Users: n.store, Hasher: password.Hasher{Params: quick}, Logger: log},
		RefusalTime: c.refusalTime,
	}
	roles := authz.Config{Logger: log}
	if c.directory != nil {
		provisioner.Source, chain.Next, roles.Resolver = c.directory, provisioner.Verifier(c.directory), c.directory
	}
	limit := &throttle.Limiter{
		Store: n.store, Logger: log, User: c.userRules, Address: c.addressRules,
		Canonical: throttle.Names{Domains: [][]string{{adtest.NetBIOS, adtest.Realm}}}.Canonical,
	}
	passwords := limit.Password(chain)
	n.sessions = &session.Manager{Store: n.store, Keys: c.keys, Check: session.CheckUser(n.store), Logger: log}
	var windows authn.Authenticator
	if c.keytab != "" {
		keys, err := kerberos.LoadKeytab(c.keytab)
		if err != nil {
			t.Fatal(err)
		}
		windows = provisioner.Wrap(limit.Authenticator(&iwa.Authenticator{
			Kerberos: &kerberos.Mechanism{Keytab: keys, Replay: n.store.Replays(), Logger: log}, Logger: log,
		}))
	}
	login, err := form.New(form.Config{
		Verifier: passwords, Sessions: n.sessions, Windows: windows, Logger: log, Observe: n.record.Observe,
		Others: []authn.Authenticator{limit.Authenticator(&password.Basic{Verifier: passwords})},
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := authz.NewRoles(roles)
	if err != nil {
		t.Fatal(err)
	}
	app := table.Wrap(integrated.NewHandler(integrated.Options{Logger: log}))
	mux := http.NewServeMux()
	mux.Handle("/", login.Wrap(app))
	if c.ntlm != nil {
		m := *c.ntlm
		m.Verifier = limit.NTLM(m.Verifier)
		mw := &authn.Middleware{Logger: log, Observe: n.record.Observe, Authenticators: []authn.Authenticator{
			provisioner.Wrap(limit.Authenticator(&iwa.Authenticator{NTLM: &m, NoNegotiate: true, Logger: log})),
		}}
		mux.Handle("/ntlm/", http.StripPrefix("/ntlm", mw.Wrap(app)))
	}
	n.Server = httptest.NewUnstartedServer(nil)
	n.Config = iwa.Server(n.recordSent(mux))
	n.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(n.log, nil), slog.LevelDebug)
	n.Listener = iwa.NewTLSListener(n.Listener, &tls.Config{Certificates: []tls.Certificate{certificate().TLS.Certificates[0]}})
	n.Start()
	n.URL = "https" + strings.TrimPrefix(n.URL, "http")
	t.Cleanup(n.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", n.URL, n.log.tail(6000))
		}
	})
	return n
}

// flush waits until the record of logins is written.
func (n *node) flush(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := n.record.Close(ctx); err != nil {
		t.Error(err)
	}
}

func (n *node) recordSent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := r.Header.Get("Authorization"); h != "" {
			n.mu.Lock()
			n.sent = append(n.sent, h)
			n.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// lastSent is the newest Authorization header that came in a scheme.
func (n *node) lastSent(t *testing.T, scheme string) string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range slices.Backward(n.sent) {
		if strings.HasPrefix(h, scheme+" ") {
			return h
		}
	}
	t.Fatalf("nobody sent %s", scheme)
	return ""
}

// certificate is a server that has the certificate of all nodes, and a client that
// trusts it.
var certificate = sync.OnceValue(func() *httptest.Server { return httptest.NewTLSServer(nil) })

// addUser makes a user with an internal password.
func (n *node) addUser(t *testing.T, u directory.User, pw string) {
	t.Helper()
	if err := n.store.CreateUser(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	in := &password.Internal{Users: n.store, Hasher: password.Hasher{Params: quick}, Policy: password.Policy{MinLength: 1, AllowCommon: true}}
	if err := in.SetPassword(t.Context(), &u, pw); err != nil {
		t.Fatal(err)
	}
}

// setState is what an operator does.
func (n *node) setState(t *testing.T, name string, s directory.State) {
	t.Helper()
	u, err := n.store.User(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	u.State = s
	if err := n.store.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}
