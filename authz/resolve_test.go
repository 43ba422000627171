package authz

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// Nobody is let in, and nobody refused, by a directory that does not answer.
func TestAttackResolverUnavailable(t *testing.T) {
	t.Parallel()
	dir := &book{sids: map[string]authn.SID{`CORP\Payroll`: payrollSID}, err: fmt.Errorf("dial: %w", authn.ErrUnavailable)}
	now := time.Unix(1e9, 0)
	var clock atomic.Pointer[time.Time]
	clock.Store(&now)
	rs, err := NewRoles(Config{
		Roles: map[string]Role{
			"payroll": {Groups: []string{`CORP\Payroll`}},
			"by dn":   {Groups: []string{"CN=Payroll,DC=corp,DC=test"}},
			"either":  {Groups: []string{`CORP\Payroll`, string(staffSID)}},
		},
		Resolver: dir, Now: func() time.Time { return *clock.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	id := kerberosAlice()
	for _, name := range []string{"payroll", `CORP\Payroll`} {
		if ok, err := rs.Has(t.Context(), id, name); ok || !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v, %v; want an error", name, ok, err)
		}
	}
	if ok, err := rs.Has(t.Context(), id, "either"); !ok || err != nil {
		t.Errorf("a group by SID is enough: %v, %v", ok, err)
	}
	if ok, err := rs.Has(t.Context(), ntlmAlice(), "payroll"); !ok || err != nil {
		t.Errorf("who has the name: %v, %v", ok, err)
	}
	if ok, err := rs.Has(t.Context(), &authn.Identity{Account: "x", SID: "S-1-5-21-1-2-3-4", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-5", Name: `CORP\X`}}}, "payroll"); ok || err != nil {
		t.Errorf("whose groups all have names: %v, %v", ok, err)
	}
	if ok, err := rs.Has(t.Context(), ldapAlice(), "by dn"); ok || err != nil {
		t.Errorf("who has no SIDs: %v, %v", ok, err)
	}
	if ok, err := rs.Has(t.Context(), ntlmAlice(), "by dn"); ok || err == nil {
		t.Errorf("by distinguished name: %v, %v", ok, err)
	}
	before := dir.asked()
	dir.set(nil)
	if _, err := rs.Has(t.Context(), id, "payroll"); err == nil || dir.asked() != before {
		t.Errorf("a failure is remembered for a moment: %v", err)
	}
	later := now.Add(failureLifetime)
	clock.Store(&later)
	if ok, err := rs.Has(t.Context(), id, "payroll"); !ok || err != nil {
		t.Errorf("after that: %v, %v", ok, err)
	}
}

// resolverFunc is a Resolver.
type resolverFunc func(ctx context.Context) (authn.SID, error)

func (f resolverFunc) ResolveSID(ctx context.Context, _ string) (authn.SID, error) { return f(ctx) }

// A caller who goes away while a directory is asked leaves no failure behind for
// the next one.
func TestAttackResolverCallerGoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	rs, _ := newRoles(t, map[string]Role{"payroll": {Groups: []string{`CORP\Payroll`}}}, resolverFunc(func(asked context.Context) (authn.SID, error) {
		cancel()
		return payrollSID, asked.Err()
	}))
	if ok, err := rs.Has(ctx, kerberosAlice(), "payroll"); ok || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("who went away: %v, %v", ok, err)
	}
	if ok, err := rs.Has(t.Context(), kerberosAlice(), "payroll"); !ok || err != nil {
		t.Errorf("the next: %v, %v", ok, err)
	}
}

// A directory is asked once for a name, however many ask, and again when the
// answer is old.
func TestResolverCache(t *testing.T) {
	t.Parallel()
	dir := &book{sids: map[string]authn.SID{`CORP\Payroll`: payrollSID}}
	var offset atomic.Int64
	rs, err := NewRoles(Config{
		Roles:    map[string]Role{"a": {Groups: []string{`CORP\Payroll`}}, "b": {Groups: []string{`corp\payroll`}}},
		Resolver: dir, Now: func() time.Time { return time.Unix(1e9+offset.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for _, name := range []string{"a", "b"} {
				if ok, err := rs.Has(context.Background(), kerberosAlice(), name); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
	if n := dir.asked(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	offset.Store(int64(defaultLifetime / time.Second))
	if ok, err := rs.Has(t.Context(), kerberosAlice(), "a"); !ok || err != nil || dir.asked() != 2 {
		t.Errorf("%v, %v, asked %d times, want twice", ok, err, dir.asked())
	}
}

// Names that callers make up cost bounded memory and bounded lines of log.
func TestAttackUnknownRoles(t *testing.T) {
	t.Parallel()
	dir := &book{}
	rs, log := newRoles(t, map[string]Role{"payroll": {Groups: []string{string(payrollSID)}}}, dir)
	id := kerberosAlice()
	for i := range 3 * maxLookups {
		for _, name := range []string{fmt.Sprintf("role%d", i), fmt.Sprintf(`CORP\group%d`, i)} {
			for range 2 {
				if ok, err := rs.Has(t.Context(), id, name); ok || err != nil {
					t.Fatalf("%s: %v, %v", name, ok, err)
				}
			}
		}
	}
	if n := len(rs.asked.m); n > maxLookups {
		t.Errorf("%d names are remembered, want up to %d", n, maxLookups)
	}
	if n := strings.Count(log.String(), "\n"); n != maxWarned+1 {
		t.Errorf("%d lines in the log, want %d and a last one", n, maxWarned)
	}
	if n := strings.Count(log.String(), "name=role7 "); n != 1 {
		t.Errorf("%d warnings for a name, want one", n)
	}
	long := strings.Repeat(`CORP\x`, 1<<16)
	before := dir.asked()
	if ok, err := rs.Has(t.Context(), id, long); ok || err != nil || dir.asked() != before {
		t.Errorf("a long name: %v, %v, asked the directory: %v", ok, err, dir.asked() != before)
	}
}

// Whoever asks for names without end, at a directory that takes its time, leaves
// room for the questions on which decisions about others depend.
func TestAttackRolesAskedForWithoutEnd(t *testing.T) {
	t.Parallel()
	release, asking := make(chan struct{}), make(chan struct{}, 10*maxResolverCalls)
	rs, _ := newRoles(t, map[string]Role{"payroll": {Groups: []string{`CORP\Payroll`}}}, resolverOf(func(name string) (authn.SID, error) {
		if name == `CORP\Payroll` {
			return payrollSID, nil
		}
		asking <- struct{}{}
		<-release
		return "", nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var mallory sync.WaitGroup
	for i := range 10 * maxResolverCalls {
		mallory.Go(func() { _, _ = rs.Has(ctx, kerberosAlice(), fmt.Sprintf(`CORP\group%d`, i)) })
	}
	for range maxAskedCalls {
		<-asking
	}
	for range 2 * maxResolverCalls {
		runtime.Gosched() // the others wait for their turn
	}
	if ok, err := rs.Has(ctx, kerberosAlice(), "payroll"); !ok || err != nil {
		t.Errorf("payroll: %v, %v", ok, err)
	}
	close(release)
	mallory.Wait()
}
