package dirtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
)

func countText(all []directory.Count) string {
	var lines []string
	for _, c := range all {
		lines = append(lines, fmt.Sprintf("%s %s/%s/%s %d", c.Time.Format("2 15:04"), c.Kind, c.Mechanism, c.Outcome, c.N))
	}
	return strings.Join(lines, "\n")
}

func counts(t *testing.T, a, b Store) {
	at := func(text string) time.Time {
		v, err := time.Parse(time.DateTime, text)
		must(t, err)
		return v
	}
	must(t, a.AddCounts(t.Context(), nil))
	must(t, a.AddCounts(t.Context(), []directory.Count{
		{Time: at("2026-11-26 09:59:59"), Kind: directory.CountLogin, Mechanism: "NTLM", Outcome: directory.Refused, N: 1},
		{Time: at("2026-11-26 10:00:00"), Kind: directory.CountLogin, Mechanism: "NTLM", Outcome: directory.Refused, N: 2},
		{Time: at("2026-11-26 10:04:59"), Kind: directory.CountLogin, Mechanism: "NTLM", Outcome: directory.Refused, N: 3},
		{Time: at("2026-11-26 10:05:00"), Kind: directory.CountLogin, Mechanism: "Kerberos", Outcome: directory.Accepted, N: 4},
		{Time: at("2026-11-27 00:00:00"), Kind: directory.CountDoubleHop, N: 5},
	}))
	must(t, b.AddCounts(t.Context(), []directory.Count{{Time: at("2026-11-26 10:02:00"), Kind: directory.CountLogin, Mechanism: "NTLM", Outcome: directory.Refused, N: 10}}))
	for _, tt := range []struct {
		name string
		q    directory.CountQuery
		want string
	}{
		{"all", directory.CountQuery{}, "26 09:55 login/NTLM/refused 1\n26 10:00 login/NTLM/refused 15\n26 10:05 login/Kerberos/accepted 4\n27 00:00 double-hop// 5"},
		{"since and until", directory.CountQuery{Since: at("2026-11-26 10:03:00"), Until: at("2026-11-26 10:09:59")}, "26 10:00 login/NTLM/refused 15"},
		{"by hour", directory.CountQuery{Step: time.Hour}, "26 09:00 login/NTLM/refused 1\n26 10:00 login/Kerberos/accepted 4\n26 10:00 login/NTLM/refused 15\n27 00:00 double-hop// 5"},
		{"by hour, cut", directory.CountQuery{Step: time.Hour, Since: at("2026-11-26 10:05:00"), Until: at("2026-11-27 00:05:00")}, "26 10:00 login/Kerberos/accepted 4\n27 00:00 double-hop// 5"},
		{"by day", directory.CountQuery{Step: 24 * time.Hour}, "26 00:00 login/Kerberos/accepted 4\n26 00:00 login/NTLM/refused 16\n27 00:00 double-hop// 5"},
		{"by day, cut", directory.CountQuery{Step: 24 * time.Hour, Since: at("2026-11-25 10:00:00"), Until: at("2026-11-26 10:05:00")}, "26 00:00 login/NTLM/refused 16"},
		{"none", directory.CountQuery{Since: at("2026-11-28 00:00:00")}, ""},
		{"from the end to the beginning", directory.CountQuery{Since: at("2026-11-28 00:00:00"), Until: at("2026-11-25 00:00:00")}, ""},
	} {
		got, err := b.Counts(t.Context(), tt.q)
		must(t, err)
		if text := countText(got); text != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, text, tt.want)
		}
	}
	for _, step := range []time.Duration{-5 * time.Minute, time.Minute, 7 * time.Minute, 10_000 * time.Hour} {
		if _, err := b.Counts(t.Context(), directory.CountQuery{Step: step}); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("steps of %v: %v", step, err)
		}
	}
	if err := a.AddCounts(t.Context(), []directory.Count{{Time: start, N: -1}}); !errors.Is(err, directory.ErrInvalid) {
		t.Errorf("a negative count: %v", err)
	}
	must(t, a.AddCounts(t.Context(), []directory.Count{{Time: start, Kind: "\x00", Mechanism: "\xff", Outcome: directory.Outcome(strings.Repeat("x", 100_000)), N: 1}}))
}

// countsAtOnce: what many nodes count in another order adds up.
func countsAtOnce(t *testing.T, a, b Store) {
	const nodes, each = 8, 10
	var all []directory.Count
	for i := range 40 {
		all = append(all, directory.Count{Time: start.Add(time.Duration(i) * 7 * time.Minute), Kind: directory.CountLogin, Mechanism: fmt.Sprint(i % 3), N: 1})
	}
	var wg sync.WaitGroup
	for i := range nodes {
		st := []Store{a, b}[i%2]
		mine := slices.Clone(all)
		rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		wg.Go(func() {
			for range each {
				if err := st.AddCounts(t.Context(), mine); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, step := range []time.Duration{0, time.Hour, 24 * time.Hour} {
		got, err := a.Counts(t.Context(), directory.CountQuery{Step: step})
		must(t, err)
		var sum int64
		for _, c := range got {
			sum += c.N
		}
		if want := int64(len(all) * nodes * each); sum != want {
			t.Errorf("by %v: %d, want %d", step, sum, want)
		}
	}
}

// countsOfAnyTimes: whatever the step and the times, it is the sum of five minutes.
func countsOfAnyTimes(t *testing.T, a, b Store) {
	rnd := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	of := map[time.Time]int64{}
	var all []directory.Count
	for range 500 {
		c := directory.Count{Time: begin.Add(time.Duration(rnd.IntN(5*24*60)) * time.Minute), Kind: "k", N: int64(rnd.IntN(100))}
		all = append(all, c)
		of[c.Time.Truncate(directory.CountStep)] += c.N
	}
	must(t, a.AddCounts(t.Context(), all))
	steps := []time.Duration{5 * time.Minute, 10 * time.Minute, 35 * time.Minute, time.Hour, 90 * time.Minute, 3 * time.Hour, 24 * time.Hour, 36 * time.Hour, 48 * time.Hour}
	for range 100 {
		q := directory.CountQuery{
			Since: begin.Add(time.Duration(rnd.IntN(5*24*60)-60) * time.Minute), Until: begin.Add(time.Duration(rnd.IntN(5*24*60)) * time.Minute),
			Step: steps[rnd.IntN(len(steps))],
		}
		sums := map[int64]int64{}
		for at, n := range of {
			if !at.Before(q.Since.Truncate(directory.CountStep)) && at.Before(q.Until.Truncate(directory.CountStep)) {
				sums[at.Unix()/int64(q.Step.Seconds())*int64(q.Step.Seconds())] += n
			}
		}
		got, err := b.Counts(t.Context(), q)
		must(t, err)
		have := map[int64]int64{}
		for _, c := range got {
			have[c.Time.Unix()] += c.N
		}
		if !reflect.DeepEqual(have, sums) {
			t.Errorf("%+v: %v, want %v", q, have, sums)
		}
	}
}

func configs(t *testing.T, a, b Store) {
	if _, err := a.Config(t.Context(), 1); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("before there was one: %v", err)
	}
	var ids []int64
	for i := range 5 {
		v := &directory.ConfigVersion{
			Time: start.Add(time.Duration(i) * time.Second), Actor: `IT\bob`, Comment: "why, \"in\" ü", Node: fmt.Sprint("gw", i%2), Digest: fmt.Sprint(i),
			Files: `[{"path":"a.yaml","text":"` + strings.Repeat("x", 1<<20) + `"}]`,
		}
		must(t, a.AddConfig(t.Context(), v))
		got, err := b.Config(t.Context(), v.ID)
		must(t, err)
		if *got != *v || v.ID == 0 {
			t.Errorf("configuration %.200v, want %.200v", *got, *v)
		}
		ids = append(ids, v.ID)
	}
	list := func(before int64, limit int, want string) {
		t.Helper()
		got, err := b.Configs(t.Context(), before, limit)
		must(t, err)
		var all []string
		for _, v := range got {
			all = append(all, v.Digest)
			if v.Files != "" || v.Node == "" || v.Comment == "" || v.Time.IsZero() {
				t.Errorf("listed %.200v", v)
			}
		}
		if s := strings.Join(all, " "); s != want {
			t.Errorf("before %d, %d of them: %q, want %q", before, limit, s, want)
		}
	}
	list(0, 0, "4 3 2 1 0")
	list(0, 2, "4 3")
	list(ids[3], 2, "2 1")
	list(ids[0], 2, "")
	for name, v := range map[string]directory.ConfigVersion{
		"endless": {Files: strings.Repeat("x", 17<<20)}, "long comment": {Comment: strings.Repeat("x", 100_000)}, "NUL": {Node: "\x00"},
	} {
		if err := a.AddConfig(t.Context(), &v); !errors.Is(err, directory.ErrInvalid) || v.ID != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
