package kerberos

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

// realmFixture is a KDC with accounts, and a clock both sides read.
type realmFixture struct {
	*kdc.KDC
	clock *testClock
}

type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func newTestClock() *testClock { return &testClock{t: time.Now().Truncate(time.Second)} }

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

const (
	appSPN  = "HTTP/app.corp.test"
	backSPN = "HTTP/back.corp.test"
)

func startKDC(t *testing.T, realm string, clock *testClock) *kdc.KDC {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: realm, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func startRealm(t *testing.T) *realmFixture {
	t.Helper()
	clock := newTestClock()
	k := startKDC(t, "CORP.TEST", clock)
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "pw-alice", UPN: "alice.liddell@example.com"},
		{Name: "bob", Password: "pw-bob", Sensitive: true},
		{Name: "carol", Password: "pw-carol", Groups: []uint32{525}},
		{Name: "dave", Password: "pw-dave", Disabled: true},
		{Name: "erin", Password: "pw-erin", PasswordExpired: true},
		{Name: "frank", Password: "pw-frank", ETypes: []krb5.EType{krb5.RC4HMAC}},
		{Name: "grace", Password: "pw-grace", NoPreauth: true},
		{
			Name: "svc-app", Password: "pw-app", SPNs: []string{appSPN}, TrustedToAuth: true,
			DelegateTo: []string{backSPN},
		},
		{Name: "svc-plain", Password: "pw-plain", SPNs: []string{"HTTP/plain.corp.test"}, DelegateTo: []string{backSPN}},
		{Name: "svc-back", Password: "pw-back", SPNs: []string{backSPN}},
		{Name: "svc-rbcd", Password: "pw-rbcd", SPNs: []string{"HTTP/rbcd.corp.test"}, ActFor: []string{"svc-plain"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	return &realmFixture{k, clock}
}

func (r *realmFixture) config() Config {
	return Config{DefaultRealm: r.Realm(), Realms: map[string]Realm{r.Realm(): {KDCs: []string{r.Addr()}}}}
}

func (r *realmFixture) client(t *testing.T, user string) *Client {
	t.Helper()
	return r.clientWith(t, r.config(), user, "pw-"+strings.TrimPrefix(user, "svc-"))
}

func (r *realmFixture) clientWith(t *testing.T, cfg Config, user, password string) *Client {
	t.Helper()
	c, err := NewPasswordClient(cfg, user, authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	c.c.testOnlyNow = r.clock.now
	return c
}

func (r *realmFixture) keytab(t *testing.T, names ...string) *Keytab {
	t.Helper()
	b, err := r.Keytab(names...)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKeytab(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (r *realmFixture) mechanism(t *testing.T, account, spn string) *Mechanism {
	t.Helper()
	return &Mechanism{Keytab: r.keytab(t, account), SPNs: []string{spn}, Now: r.clock.now}
}

// runExchange runs one exchange and returns what the acceptor says.
func runExchange(t *testing.T, i authn.Initiator, m *Mechanism, x authn.Exchange) (*authn.Identity, error) {
	t.Helper()
	ctx := t.Context()
	token, done, err := i.Step(ctx, nil)
	if err != nil {
		return nil, err
	}
	reply, id, err := m.NewAcceptor(x).Step(ctx, token)
	if err != nil {
		return nil, err
	}
	if done {
		return id, nil
	}
	rest, done, err := i.Step(ctx, reply)
	if err != nil {
		return nil, err
	}
	if !done || len(rest) != 0 {
		t.Errorf("after the AP-REP: done %v, token of %d bytes", done, len(rest))
	}
	return id, nil
}
