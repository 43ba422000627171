package bench

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/go-ntlmssp"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

const (
	maxCost = 1.15 // of a call with soapward's NTLM, in calls without login
	minGain = 3.0  // in calls per second of go-ntlmssp, several goroutines
)

// BenchmarkNTLMCall measures what NTLM costs on a warm connection: the same call
// without a login, with soapward at both ends, and with go-ntlmssp's
// Negotiator as the client of the same service.
func BenchmarkNTLMCall(b *testing.B) {
	open, closed := startEcho(b, nil), startEcho(b, newLogin(b))
	plain := &http.Client{Transport: &http.Transport{}}
	cs := []*contestant{
		{name: "no login (net/http)", call: func() error { return post(plain, open, "") }},
		{name: "NTLM, soapward", call: caller(soapward(), closed)},
		{name: "NTLM, go-ntlmssp " + peerVersion, call: caller(negotiator(2), closed)},
	}
	race(b, cs, 41, 300)

	fmt.Printf("\nOne call of %d bytes after the other over a warm connection, median of 41 rounds of 300\n", len(payload))
	for _, c := range cs {
		fmt.Printf("  %-26s %7.1f us\n", c.name, median(c.took, nil)/1e3)
	}
	cost, gain := median(cs[1].took, cs[0].took), median(cs[2].took, cs[1].took)
	fmt.Printf("  soapward's NTLM costs %.2f x the call without login (at most %.2f)\n", cost, maxCost)
	fmt.Printf("  soapward makes %.2f x the calls of go-ntlmssp, which here rides on its first login too\n", gain)
	if cost > maxCost {
		b.Errorf("an NTLM call costs %.2f x a call without login, want at most %.2f", cost, maxCost)
	}
}

// BenchmarkNTLMThroughput measures the same with several goroutines that share one
// http.Client. Only calls count that came back, and for the right user.
func BenchmarkNTLMThroughput(b *testing.B) {
	closed := startEcho(b, newLogin(b))
	const goroutines, calls, rounds = 8, 4000, 9
	fmt.Printf("\n%d goroutines share a client, right answers per second, median of %d rounds of %d calls\n", goroutines, rounds, calls)
	fmt.Printf("  %-46s %9s %11s %7s  %s\n", "", "soapward", "go-ntlmssp", "ratio", "go-ntlmssp's calls that failed / came back as another user")
	for _, tt := range []struct {
		name  string
		users []string
		idle  int // connections that the peer's http.Transport keeps per host
		min   float64
	}{
		{"one user, http.Transport as go-ntlmssp documents", []string{"alice"}, 0, minGain},
		{"one user, its http.Transport keeps 64 idle", []string{"alice"}, 64, 0},
		{"two users, its http.Transport keeps 64 idle", []string{"alice", "bob"}, 64, 0},
	} {
		var ours, theirs []time.Duration
		var failed, mixed int64
		for range rounds {
			d, f, m := load(soapward(), closed, tt.users, goroutines, calls)
			if f+m > 0 {
				b.Fatalf("soapward: %d failed, %d mixed up", f, m)
			}
			ours = append(ours, d/calls)
			d, f, m = load(negotiator(tt.idle), closed, tt.users, goroutines, calls)
			theirs = append(theirs, d/time.Duration(max(calls-f-m, 1)))
			failed, mixed = failed+f, mixed+m
		}
		gain := median(theirs, ours)
		fmt.Printf("  %-46s %9.0f %11.0f %7.2f  %.1f%% / %.1f%%\n", tt.name, 1e9/median(ours, nil), 1e9/median(theirs, nil), gain,
			float64(failed)*100/(rounds*calls), float64(mixed)*100/(rounds*calls))
		if gain < tt.min {
			b.Errorf("%s: %.2f x the calls of go-ntlmssp, want at least %.1f", tt.name, gain, tt.min)
		}
	}
	fmt.Println()
}

const peerVersion = "0.1.1"

// caller makes calls as alice.
func caller(c *http.Client, url string) func() error {
	return func() error { return post(c, url, "alice") }
}

// soapward is a client that logs in as whoever the request's context names.
func soapward() *http.Client {
	creds := map[string]authclient.Credential{}
	for _, user := range users {
		creds[user] = &authclient.NTLM{User: `CORP\` + user, Password: authn.NewSecret(user)}
	}
	return &http.Client{Transport: &authclient.Transport{Source: byUser(creds)}}
}

// negotiator is go-ntlmssp in the set-up of its documentation, but for the
// idle connections; zero is net/http's default of 2.
func negotiator(idle int) *http.Client {
	return &http.Client{Transport: ntlmssp.Negotiator{RoundTripper: &http.Transport{MaxIdleConnsPerHost: idle}}}
}

// load makes calls from several goroutines, in turn as each of users.
func load(c *http.Client, url string, users []string, goroutines, calls int) (took time.Duration, failed, mixed int64) {
	defer c.CloseIdleConnections()
	var wg sync.WaitGroup
	var f, m atomic.Int64
	runtime.GC()
	begin := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			for i := range calls / goroutines {
				switch err := post(c, url, users[(g+i)%len(users)]); err.(type) {
				case nil:
				case wrongUserError:
					m.Add(1)
				default:
					f.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin), f.Load(), m.Load()
}

// newLogin accepts users by NTLM.
func newLogin(tb testing.TB) *iwa.Authenticator {
	tb.Helper()
	a, err := newAuthenticator()
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func newAuthenticator() (*iwa.Authenticator, error) {
	as, err := ntlm.NewAccounts("CORP", "corp.test")
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		if err := as.Set(ntlm.Account{Name: user, Password: authn.NewSecret(user)}); err != nil {
			return nil, err
		}
	}
	return &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: as, Names: ntlm.Names{Domain: "CORP", Computer: "GW"}}}, nil
}
