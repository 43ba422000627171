package gokrb5test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/credentials"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

// TestDefectTicketStampede: when a ticket is wanted by many at once, gokrb5
// fetches it as many times.
func TestDefectTicketStampede(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	const callers = 32
	// requests is how many TGS requests the callers cost who want a ticket
	// while the first is being fetched.
	requests := func(get func() error) int64 {
		t.Helper()
		r.SetFault(kdc.Fault{Delay: 500 * time.Millisecond})
		before := r.Stats().TGS
		errs := make([]error, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() { errs[i] = get() })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.SetFault(kdc.Fault{})
		return r.Stats().TGS - before
	}
	theirs := r.theirClient(t)
	if err := theirs.Login(); err != nil {
		t.Fatal(err)
	}
	n := requests(func() error { _, _, err := theirs.GetServiceTicket(appSPN); return err })
	if n < callers/2 {
		gone(t, "fetches a ticket once for each who wants it (%d requests of %d callers)", n, callers)
	}
	ours := r.ourClient(t)
	if err := ours.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := requests(func() error { _, err := ours.Ticket(t.Context(), appSPN); return err }); n != 1 {
		t.Errorf("we make %d requests for one ticket", n)
	}
}

// TestDefectOutage: once the ticket-granting ticket has ended while no KDC
// could renew it, gokrb5 goes on trying to renew it and does not log in again.
// (Its HTTP client does, because that asks for a login before each ticket.)
func TestDefectOutage(t *testing.T) {
	t.Parallel()
	const life = 3 * time.Second
	r := startRealmWith(t, kdc.Config{Realm: "CORP.TEST", TicketLife: life})
	theirs, ours := r.theirClient(t), r.ourClient(t)
	if err := theirs.Login(); err != nil {
		t.Fatal(err)
	}
	if err := ours.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(life)
	r.SetFault(kdc.Fault{Error: krb5.CodeServiceUnavailable})
	waitUntil(t, end)
	r.SetFault(kdc.Fault{})

	for range 3 {
		if _, _, err := theirs.GetServiceTicket(appSPN); err == nil || !strings.Contains(err.Error(), "KRB_AP_ERR_TKT_EXPIRED") {
			gone(t, "renews a ticket that has ended (%v)", err)
		}
	}
	if _, err := ours.Ticket(t.Context(), appSPN); err != nil {
		t.Errorf("after the outage we get no ticket: %v", err)
	}
}

// TestDefectReferrals: gokrb5 follows one referral to another realm and no
// second one.
func TestDefectReferrals(t *testing.T) {
	t.Parallel()
	a, b, c := startRealm(t), startRealmWith(t, kdc.Config{Realm: "MID.TEST"}), startRealmWith(t, kdc.Config{Realm: "FAR.TEST"})
	for _, err := range []error{
		kdc.Trust(a.KDC, b.KDC, "far.test"), kdc.Trust(b.KDC, c.KDC),
		b.Add(kdc.Account{Name: "mid", Password: "pw-mid", SPNs: []string{"HTTP/app.mid.test"}}),
		c.Add(kdc.Account{Name: "far", Password: "pw-far", SPNs: []string{"HTTP/app.far.test"}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	// It is up to the KDC to say where a service is.
	conf := a.Krb5Conf(b.KDC, c.KDC)
	conf = conf[:strings.Index(conf, "[domain_realm]")]
	theirs := theirClientOf(t, conf, "canonicalize = true")
	ours, err := kerberos.ParseConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	alice := ourClientOf(t, *ours)
	for _, tt := range []struct {
		spn   string
		realm *realm
		fails bool
	}{
		{"HTTP/app.mid.test", b, false},
		{"HTTP/app.far.test", c, true},
	} {
		ticket, _, err := theirs.GetServiceTicket(tt.spn)
		switch {
		case tt.fails && err == nil:
			gone(t, "fails on a second referral")
		case !tt.fails && err != nil:
			t.Errorf("%s: gokrb5 gets %v", tt.spn, err)
		case !tt.fails && ticket.Realm != tt.realm.Realm():
			t.Errorf("%s: gokrb5 gets a ticket of %s", tt.spn, ticket.Realm)
		}
		got, err := alice.Ticket(t.Context(), tt.spn)
		if err != nil || got.Service() != tt.spn+"@"+tt.realm.Realm() {
			t.Errorf("%s: we get %v, %v", tt.spn, got, err)
		}
	}
}

// TestDefectCacheName: the name of a credential cache as kinit prints it and as
// KRB5CCNAME has it is a file name to gokrb5.
func TestDefectCacheName(t *testing.T) {
	t.Parallel()
	kinit := testenv.Need(t, "kinit")
	r := startRealm(t)
	dir := t.TempDir()
	conf, path := filepath.Join(dir, "krb5.conf"), filepath.Join(dir, "cc")
	if err := r.WriteKrb5Conf(conf); err != nil {
		t.Fatal(err)
	}
	name := "FILE:" + path
	testenv.Run(t, []string{"KRB5_CONFIG=" + conf}, "pw-alice\n", kinit, "-c", name, "alice")
	if _, err := credentials.LoadCCache(path); err != nil {
		t.Fatalf("gokrb5 cannot read the cache at all: %v", err)
	}
	if _, err := credentials.LoadCCache(name); !os.IsNotExist(err) {
		gone(t, "takes %q for a file name (%v)", name, err)
	}
	for _, name := range []string{name, path} {
		alice, err := kerberos.NewCacheClient(r.ourConfig(t), name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := alice.Ticket(t.Context(), appSPN); err != nil || got.Client() != aliceName {
			t.Errorf("%s: we get %v, %v", name, got, err)
		}
	}
}
