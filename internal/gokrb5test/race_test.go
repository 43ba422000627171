package gokrb5test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/config"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
)

// TestDefectDataRace: gokrb5's configuration and client write to what they share
// between goroutines. The race detector says so where the tests run with it; we
// make the same calls under its eyes.
func TestDefectDataRace(t *testing.T) {
	t.Parallel()
	child, output, err := false, "", error(nil)
	if raceDetector {
		child, output, err = inChild(t, "GORACE=halt_on_error=0")
	}
	if child { // and the detector ends it
		theirsAtOnce(t)
		return
	}
	if raceDetector {
		for _, part := range []string{"config", "client"} {
			if err == nil || !slices.ContainsFunc(strings.Split(output, "WARNING: DATA RACE")[1:], racesIn(part)) {
				gone(t, "has a data race in its package %s (%v)\n%s", part, err, output)
			}
		}
	}

	r := startRealm(t)
	cfg := r.ourConfig(t)
	cfg.Realms = map[string]kerberos.Realm{r.Realm(): {KDCs: []string{r.Addr(), r.Addr(), r.Addr()}}}
	alice := ourClientOf(t, cfg)
	if err := atOnce(func(i int) error {
		_, err := alice.Ticket(t.Context(), []string{appSPN, aliasSPN, otherSPN, webSPN}[i%4])
		return errors.Join(err, alice.Login(t.Context()))
	}); err != nil {
		t.Error(err)
	}
}

// theirsAtOnce does what a service does that calls others: it logs in and gets
// tickets in several goroutines.
func theirsAtOnce(t *testing.T) {
	t.Helper()
	r := startRealm(t)
	conf := strings.Replace(r.Krb5Conf(), "\t\tkdc = ", "\t\tkdc = "+r.Addr()+"\n\t\tkdc = ", 1)
	// The KDC runs in this process: if it answered at once, its locks would put
	// the callers in an order.
	r.SetFault(kdc.Fault{Delay: 200 * time.Millisecond})
	for range 2 {
		cl := theirClientOf(t, conf)
		if err := atOnce(func(int) error { return cl.Login() }); err != nil {
			t.Log(err)
		}
		if err := atOnce(func(i int) error {
			_, _, err := cl.GetServiceTicket([]string{appSPN, aliasSPN, otherSPN, webSPN}[i%4])
			return err
		}); err != nil {
			t.Log(err)
		}
	}
}

func atOnce(call func(i int) error) error {
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// racesIn reports whether a report of the race detector names a function of one
// of gokrb5's packages as one that reads or writes.
func racesIn(part string) func(report string) bool {
	access := regexp.MustCompile(`(?m)^(?:Previous )?(?:[Rr]ead|[Ww]rite) at .*\n\s+github\.com/jcmturner/gokrb5/v8/` + part + `\.`)
	return access.MatchString
}

// TestDefectConfigWrites: gokrb5 shuffles the KDCs in the configuration itself
// whenever it looks for one, for all who share it: the order that the
// administrator gave them is lost.
func TestDefectConfigWrites(t *testing.T) {
	t.Parallel()
	kdcs := []string{"127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"}
	conf := "[libdefaults]\n default_realm = CORP.TEST\n[realms]\n CORP.TEST = {\n  kdc = " + strings.Join(kdcs, "\n  kdc = ") + "\n }\n"
	theirs, err := config.NewFromString(conf)
	if err != nil {
		t.Fatal(err)
	}
	const reads = 100 // each leaves them alone with a chance of 1 in 24
	for n := 0; slices.Equal(theirs.Realms[0].KDC, kdcs); n++ {
		if n == reads {
			gone(t, "changes its configuration when it reads that")
			break
		}
		if _, _, err := theirs.GetKDCs("CORP.TEST", true); err != nil {
			t.Fatal(err)
		}
	}

	ours, err := kerberos.ParseConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	alice := ourClientOf(t, *ours)
	for range 3 {
		if err := alice.Login(t.Context()); !errors.Is(err, authn.ErrUnavailable) {
			t.Fatalf("login without a KDC: %v", err)
		}
	}
	if got := ours.Realms["CORP.TEST"].KDCs; !slices.Equal(got, kdcs) {
		t.Errorf("our KDCs are %v after use, want %v", got, kdcs)
	}
}
