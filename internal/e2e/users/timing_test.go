package users

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/slapdtest"
)

// refusal is a login that does not succeed.
type refusal struct{ name, user, password string }

// varies is what is another one in each answer.
var varies = regexp.MustCompile(`name="csrf" value="[^"]*"|Reference: [0-9a-f]+|reference [0-9a-f]+`)

// essence is what an answer tells of its cause: status, headers and text without
// what is another one each time, and without what the user typed.
func essence(a *answer, user string) string {
	h := a.header.Clone()
	for _, name := range []string{"Date", "Content-Length", "Set-Cookie"} {
		h.Del(name)
	}
	var head strings.Builder
	_ = h.Write(&head)
	return fmt.Sprint(a.status, "\n", head.String(), "\n", varies.ReplaceAllString(strings.ReplaceAll(a.body, `value="`+user+`"`, ""), ""))
}

// measure has each kind of refusal tried so many times by ask, and returns the
// median times, and the median of how each compares with the others in the same
// round. In a round each kind has its turn, in random order, so that whatever
// else the machine does concerns all of them.
func measure(t *testing.T, n *node, kinds []refusal, tries, workers int, ask func(context.Context, *client, refusal) (*answer, error)) (medians []time.Duration, relative []float64) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	times, compared := make([][]time.Duration, len(kinds)), make([][]float64, len(kinds))
	first := ""
	for w := range workers {
		c := newClient(t)
		var err error
		if c.token, err = c.formToken(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range (tries + w) / workers {
				round := make([]time.Duration, len(kinds))
				for _, i := range rand.Perm(len(kinds)) {
					began := time.Now()
					a, err := ask(t.Context(), c, kinds[i])
					round[i] = time.Since(began)
					if err != nil {
						t.Errorf("%s: %v", kinds[i].name, err)
						return
					}
					said := essence(a, kinds[i].user)
					mu.Lock()
					if first == "" {
						first = said
					}
					same := said == first
					mu.Unlock()
					if !same || a.status != http.StatusUnauthorized {
						t.Errorf("%s: answered\n%s\nand another one\n%s", kinds[i].name, said, first)
						return
					}
				}
				usual := median(round)
				mu.Lock()
				for i, took := range round {
					times[i] = append(times[i], took)
					compared[i] = append(compared[i], float64(took)/float64(usual))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i := range kinds {
		medians, relative = append(medians, median(times[i])), append(relative, median(compared[i]))
	}
	return medians, relative
}

func median[T cmp.Ordered](xs []T) T {
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// TestAttackAnswersTell: over HTTP, neither status nor headers nor text nor time
// tell why a login is refused. 500 tries each; a difference that is there shows
// each time, so one good measurement out of three on a busy machine is enough. It
// is not parallel, for the time.
func TestAttackAnswersTell(t *testing.T) {
	const limit = 0.05
	tries := 500
	if raceEnabled { // then it shows the texts, and no more
		tries = 50
	}
	s := slapdtest.Start(t, slapdtest.Config{LDIF: people})
	n := startNode(t, nodeConfig{
		driver: "postgres", dsn: pgtest.Database(t), directory: openSlapd(t, s), refusalTime: 150 * time.Millisecond,
		userRules: many, addressRules: []throttle.Rule{},
	})
	n.addUser(t, directory.User{Name: "ines"}, good)
	n.addUser(t, directory.User{Name: "dina", State: directory.DisabledByOperator}, good)
	lena := directory.User{Realm: realm, Name: `CORP\lena`, State: directory.DisabledByOperator}
	if err := n.store.CreateUser(t.Context(), &lena); err != nil {
		t.Fatal(err)
	}
	kinds := []refusal{
		{"unknown user", "nobo", "wrong"},
		{"internal, wrong password", "ines", "wrong"},
		{"internal, disabled", "dina", good},
		{"LDAP, wrong password", "otto", "wrong"},
		{"LDAP, locked, right password", "lokk", "lokk-m4rked"},
		{"LDAP, locked, wrong password", "lokk", "wrong"},
		{"LDAP, disabled here", "lena", lenas},
	}
	for _, tt := range []struct {
		name string
		ask  func(context.Context, *client, refusal) (*answer, error)
	}{
		{"form", func(ctx context.Context, c *client, k refusal) (*answer, error) {
			return c.post(ctx, n, "/login", fields(c.token, k.user, k.password))
		}},
		{"Basic", func(ctx context.Context, c *client, k refusal) (*answer, error) {
			return c.get(ctx, n, whoami, basic(k.user, k.password))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var spread float64
			for range 3 {
				medians, relative := measure(t, n, kinds, tries, 12, tt.ask)
				for i, k := range kinds {
					t.Logf("%-30s %-12v %.3f", k.name, medians[i].Round(10*time.Microsecond), relative[i])
				}
				spread = slices.Max(relative)/slices.Min(relative) - 1
				t.Logf("difference of the medians %.2f %%", 100*spread)
				if spread < limit || raceEnabled {
					return
				}
			}
			t.Errorf("the medians differ by %.1f %%, want less than %.0f %%", 100*spread, 100*limit)
		})
	}
}
