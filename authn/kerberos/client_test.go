package kerberos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

func TestClientLoginAndService(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	byKeytab := func(t *testing.T) *Client {
		c, err := NewKeytabClient(r.config(), "", r.keytab(t, "svc-back"))
		if err != nil {
			t.Fatal(err)
		}
		c.c.testOnlyNow = r.clock.now
		return c
	}
	for name, tc := range map[string]struct {
		client *Client
		want   string
	}{
		"password":           {r.client(t, "alice"), "alice"},
		"without preauth":    {r.client(t, "grace"), "grace"},
		"with realm":         {r.clientWith(t, r.config(), "alice@CORP.TEST", "pw-alice"), "alice"},
		"realm in small":     {r.clientWith(t, r.config(), "alice@corp.test", "pw-alice"), "alice"},
		"other case":         {r.clientWith(t, r.config(), "ALICE", "pw-alice"), "alice"},
		"UPN of another DNS": {r.clientWith(t, r.config(), "alice.liddell@example.com", "pw-alice"), "alice"},
		"keytab":             {byKeytab(t), "svc-back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := runExchange(t, tc.client.NewInitiator(appSPN, InitiatorConfig{}), r.mechanism(t, "svc-app", appSPN), authn.Exchange{})
			if err != nil {
				t.Fatal(err)
			}
			if id.Account != tc.want || id.Domain != "CORP" {
				t.Errorf("got %v, want CORP\\%s", id, tc.want)
			}
		})
	}
}

func TestClientTransportKinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change   func(c *Config, r *realmFixture)
		fault    kdc.Fault
		udp, tcp bool
	}{
		"UDP first by default":   {udp: true, tcp: true}, // replies with a PAC are too big
		"TCP always":             {change: func(c *Config, _ *realmFixture) { c.UDPLimit = -1 }, tcp: true},
		"TCP for one KDC":        {change: func(c *Config, r *realmFixture) { c.Realms["CORP.TEST"] = Realm{KDCs: []string{"tcp/" + r.Addr()}} }, tcp: true},
		"TCP for long requests":  {change: func(c *Config, _ *realmFixture) { c.UDPLimit = 100 }, tcp: true},
		"answer too big for UDP": {fault: kdc.Fault{SmallUDP: true}, udp: true, tcp: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRealm(t)
			r.SetFault(tc.fault)
			cfg := r.config()
			if tc.change != nil {
				tc.change(&cfg, r)
			}
			if _, err := r.clientWith(t, cfg, "alice", "pw-alice").Ticket(t.Context(), appSPN); err != nil {
				t.Fatal(err)
			}
			s := r.Stats()
			if (s.UDP > 0) != tc.udp || (s.TCP > 0) != tc.tcp {
				t.Errorf("%d requests over UDP and %d over TCP", s.UDP, s.TCP)
			}
		})
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	rc4 := r.config()
	rc4.AllowRC4 = true
	for name, tc := range map[string]struct {
		client *Client
		spn    string
		code   string // "" for success
		reason authn.Reason
		says   []string
	}{
		"unknown user":     {r.clientWith(t, r.config(), "nobody", "x"), appSPN, "KDC_ERR_C_PRINCIPAL_UNKNOWN", authn.ReasonUnknownUser, []string{"client not found", "nobody@CORP.TEST"}},
		"wrong password":   {r.clientWith(t, r.config(), "alice", "wrong"), appSPN, "KDC_ERR_PREAUTH_FAILED", authn.ReasonWrongPassword, []string{"wrong password"}},
		"disabled":         {r.client(t, "dave"), appSPN, "KDC_ERR_CLIENT_REVOKED", authn.ReasonDisabled, []string{"disabled or locked"}},
		"password expired": {r.client(t, "erin"), appSPN, "KDC_ERR_KEY_EXPIRED", authn.ReasonPasswordExpired, []string{"has expired"}},
		"unknown service":  {r.client(t, "alice"), "HTTP/nowhere.corp.test", "KDC_ERR_S_PRINCIPAL_UNKNOWN", "", []string{"setspn -S HTTP/nowhere.corp.test", "samba-tool spn add"}},
		"RC4 only":         {r.client(t, "frank"), appSPN, "KDC_ERR_ETYPE_NOSUPP", "", []string{"aes256-cts-hmac-sha1-96", "AllowRC4"}},
		"RC4 allowed":      {r.clientWith(t, rc4, "frank", "pw-frank"), appSPN, "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tc.client.Ticket(t.Context(), tc.spn)
			if tc.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var ke *KDCError
			if !errors.As(err, &ke) || ke.Name != tc.code || ke.Reason() != tc.reason {
				t.Fatalf("got %v, want %s with reason %q", err, tc.code, tc.reason)
			}
			if got, want := errors.Is(err, authn.ErrBadCredentials), tc.reason != ""; got != want {
				t.Errorf("bad credentials: %v", got)
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%v: does not say %q", err, s)
				}
			}
		})
	}
}

func TestClientClockSkewInWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		skew time.Duration
		want string
	}{
		"we are behind": {30 * time.Minute, "clock is 30m0s behind the KDC's"},
		"we are ahead":  {-30 * time.Minute, "clock is 30m0s ahead of the KDC's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRealm(t)
			r.SetFault(kdc.Fault{Skew: tc.skew})
			err := r.client(t, "alice").Login(t.Context())
			var ke *KDCError
			if !errors.As(err, &ke) || ke.Name != "KRB_AP_ERR_SKEW" || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want the words %q", err, tc.want)
			}
		})
	}
}

// gokrb5's client made 64 requests here, and had data races.
func TestClientOneRequestForManyGoroutines(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	cfg := r.config()
	cfg.UDPLimit = -1 // no request is sent twice because its answer is too big for UDP
	c := r.clientWith(t, cfg, "alice", "pw-alice")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := c.Ticket(t.Context(), appSPN); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := r.Stats(); s.TGS != 1 || s.AS != 2 { // AS: without and with proof
		t.Errorf("%d AS and %d TGS requests, want 2 and 1", s.AS, s.TGS)
	}
	if _, err := c.Ticket(t.Context(), "http/APP.corp.test"); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.TGS != 1 {
		t.Errorf("%d TGS requests after one more of the same name", s.TGS)
	}
}

func TestClientUnderLoad(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	const services, goroutines = 20, 2000
	spns := make([]string, services)
	for i := range spns {
		spns[i] = fmt.Sprintf("HTTP/host%d.corp.test", i)
	}
	if err := r.Add(kdc.Account{Name: "svc-many", Password: "pw", SPNs: spns}); err != nil {
		t.Fatal(err)
	}
	cfg := r.config()
	cfg.UDPLimit = -1
	c := r.clientWith(t, cfg, "alice", "pw-alice")
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			token, _, err := c.NewInitiator(spns[i%services], InitiatorConfig{}).Step(t.Context(), nil)
			if err != nil || len(token) == 0 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s := r.Stats(); s.TGS != services {
		t.Errorf("%d TGS requests for %d services", s.TGS, services)
	}
}

// One caller that gives up must not take the ticket from the others.
func TestClientCancelledLeader(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	r.SetFault(kdc.Fault{Delay: 200 * time.Millisecond})
	c := r.client(t, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	lead := make(chan error)
	go func() {
		_, err := c.Ticket(ctx, appSPN)
		lead <- err
	}()
	for r.Stats().AS == 0 { // the leader is on its way
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-lead; !errors.Is(err, context.Canceled) {
		t.Errorf("leader: %v", err)
	}
	if _, err := c.Ticket(t.Context(), appSPN); err != nil {
		t.Errorf("follower: %v", err)
	}
	if s := r.Stats(); s.TGS != 1 {
		t.Errorf("%d TGS requests", s.TGS)
	}
}

func TestClientExpiryAndOutage(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	first, err := c.Ticket(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	// The KDC is away and the ticket about to end: it is used as long as it lasts.
	r.SetFault(kdc.Fault{Error: krb5.CodeServiceUnavailable})
	r.clock.add(first.Expires().Sub(r.clock.now()) - time.Minute)
	again, err := c.Ticket(t.Context(), appSPN)
	if err != nil || !again.Expires().Equal(first.Expires()) {
		t.Fatalf("a minute before the end: %v, %v", again, err)
	}
	before := r.Stats()
	if _, err := c.Ticket(t.Context(), appSPN); err != nil || r.Stats() != before {
		t.Errorf("the KDC was asked again at once: %v", err)
	}
	// Past the end there is nothing left.
	r.clock.add(3 * time.Minute)
	if _, err := c.Ticket(t.Context(), appSPN); !errors.Is(err, authn.ErrUnavailable) {
		t.Fatalf("past the end: %v", err)
	}
	// gokrb5 never recovers from this.
	r.SetFault(kdc.Fault{})
	fresh, err := c.Ticket(t.Context(), appSPN)
	if err != nil || !fresh.Expires().After(first.Expires()) {
		t.Fatalf("after the outage: %v, %v", fresh, err)
	}
}

// A service that tries a wrong password for each request locks its account.
func TestClientDoesNotRepeatWrongPassword(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	cfg := r.config()
	cfg.UDPLimit = -1
	c := r.clientWith(t, cfg, "alice", "wrong")
	for range 5 {
		if err := c.Login(t.Context()); !errors.Is(err, authn.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	// Each try asks how the key is made; only the first sends a proof.
	if s := r.Stats(); s.AS != 6 {
		t.Errorf("%d AS requests, want 6", s.AS)
	}
	if err := r.SetPassword("alice", "wrong"); err != nil {
		t.Fatal(err)
	}
	r.clock.add(wrongKeyPause + time.Second)
	if err := c.Login(t.Context()); err != nil {
		t.Errorf("after the pause, with the password right: %v", err)
	}
}

func TestClientKeytabAfterPasswordChange(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	path := filepath.Join(t.TempDir(), "app.keytab")
	write := func() {
		b, err := r.Keytab("svc-app")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	kt, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	kt.now = r.clock.now
	c, err := NewKeytabClient(r.config(), "svc-app", kt)
	if err != nil {
		t.Fatal(err)
	}
	c.c.testOnlyNow = r.clock.now
	if err := r.SetPassword("svc-app", "changed"); err != nil {
		t.Fatal(err)
	}
	if err := c.Login(t.Context()); !errors.Is(err, authn.ErrBadCredentials) {
		t.Fatalf("old key: %v", err)
	}
	write()
	r.clock.add(2 * time.Second) // the file is looked at again; the pause is only for the old key
	if err := c.Login(t.Context()); err != nil {
		t.Errorf("new key: %v", err)
	}
}

func TestClientReferrals(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	var ks []*kdc.KDC
	cfg := Config{DefaultRealm: "A.TEST", Realms: map[string]Realm{}}
	for _, realm := range []string{"A.TEST", "B.TEST", "C.TEST"} {
		k := startKDC(t, realm, clock)
		ks = append(ks, k)
		cfg.Realms[realm] = Realm{KDCs: []string{k.Addr()}}
	}
	a, b, c := ks[0], ks[1], ks[2]
	add := func(k *kdc.KDC, acc kdc.Account) {
		if err := k.Add(acc); err != nil {
			t.Fatal(err)
		}
	}
	add(a, kdc.Account{Name: "alice", Password: "pw-alice"})
	add(b, kdc.Account{Name: "svc", Password: "pw", SPNs: []string{"HTTP/app.b.test"}})
	add(c, kdc.Account{Name: "svc", Password: "pw", SPNs: []string{"HTTP/app.c.test"}})
	for _, err := range []error{
		kdc.Trust(a, b, "b.test"), kdc.Trust(b, c, "c.test"), a.Route("B.TEST", "c.test"),
		a.Route("B.TEST", "loop.test"), b.Route("A.TEST", "loop.test"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		spn     string
		mapping map[string]string
		realm   string
		err     string
	}{
		"one hop":           {spn: "HTTP/app.b.test", realm: "B.TEST"},
		"two hops":          {spn: "HTTP/app.c.test", realm: "C.TEST"},
		"realm given":       {spn: "HTTP/app.b.test@B.TEST", realm: "B.TEST"},
		"realm by mapping":  {spn: "HTTP/app.b.test", mapping: map[string]string{".b.test": "B.TEST"}, realm: "B.TEST"},
		"in a circle":       {spn: "HTTP/app.loop.test", err: "in a circle: A.TEST to B.TEST, then A.TEST again"},
		"no trust":          {spn: "HTTP/x.test@OTHER.TEST", err: "no trust between the realms"},
		"unknown at home":   {spn: "HTTP/app.a.test", err: "KDC_ERR_S_PRINCIPAL_UNKNOWN"},
		"unknown elsewhere": {spn: "HTTP/nope.b.test", err: "at KDC of B.TEST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.DomainRealm = tc.mapping
			cl, err := NewPasswordClient(cfg, "alice", authn.NewSecret("pw-alice"))
			if err != nil {
				t.Fatal(err)
			}
			cl.c.testOnlyNow = clock.now
			tkt, err := cl.Ticket(t.Context(), tc.spn)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := tkt.open().Realm; got != tc.realm || tkt.Client() != "alice@A.TEST" {
				t.Errorf("%v: realm %s, want %s", tkt, got, tc.realm)
			}
		})
	}
}

// The cache may not grow with the number of services asked for.
func TestClientCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache()
	clock := newTestClock()
	fetch := func(context.Context, *ticket) (*ticket, error) {
		return &ticket{end: clock.now().Add(time.Hour)}, nil
	}
	for i := range maxTickets + 100 {
		clock.add(time.Millisecond)
		if _, err := c.get(t.Context(), tgtKey, clock.now, fetch); err != nil {
			t.Fatal(err)
		}
		if _, err := c.get(t.Context(), string(rune(i))+"x", clock.now, fetch); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.entries); n > maxTickets {
		t.Errorf("%d entries", n)
	}
	if c.entries[tgtKey] == nil {
		t.Error("the TGT was dropped")
	}
}
