package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/bigstore"
	"github.com/soapward/soapward/internal/pgtest"
)

const (
	// maxPage is what a page may take, p95, for one who looks at it.
	maxPage = 50 * time.Millisecond

	consoleAsked  = 20
	consoleRounds = 10 // at most, until one is fast: others may use the machine
	consoleUsers  = 8 // at once

	// maxExportHeap is how much an export may take of memory, whatever it is of.
	maxExportHeap = 64 << 20
)

// BenchmarkConsole asks a whole gateway for each page of the console and each list
// of the API, over HTTP, signed in, with 1,000,000 users, 10,000,000 logins, 200,000
// changes and 100,000 sessions in PostgreSQL, and a tenth of each in SQLite. What is
// measured has the client's part in it. SOAPWARD_BENCH_CONSOLE=1 has it run, which
// takes ten minutes and 10 GB of disk; the name of a directory in place of 1 keeps
// the data there for the next time.
func BenchmarkConsole(b *testing.B) {
	dir := os.Getenv("SOAPWARD_BENCH_CONSOLE")
	switch dir {
	case "":
		b.Skip("SOAPWARD_BENCH_CONSOLE is not set")
	case "1":
		dir = b.TempDir()
	}
	b.Run("postgres", func(b *testing.B) {
		s := pgtest.StartIn(b, filepath.Join(dir, "postgres"), "shared_buffers=512MB", "maintenance_work_mem=512MB", "max_wal_size=4GB")
		askConsole(b, store.Config{Driver: "postgres", DSN: s.Keep(b, "big")}, 10)
	})
	b.Run("sqlite", func(b *testing.B) {
		askConsole(b, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "sqlite", "soapward.db")}, 1)
	})
}

func askConsole(b *testing.B, c store.Config, scale int) {
	b.Helper()
	d := fillBig(b, c, scale)
	began := time.Now()
	v := startConsole(b, c)
	fmt.Printf("\nThe console, %s, %s, %d users, %d logins; up after %v\n", c.Driver, runtime.Version(), d.Users, d.Logins, time.Since(began).Round(time.Millisecond))
	fmt.Printf("  %-74s %9s %9s %9s\n", fmt.Sprintf("the first fast one of %d rounds of %d, or the best", consoleRounds, consoleAsked), "p50", "p95", fmt.Sprintf("p95, %d", consoleUsers))
	var worst time.Duration
	for _, path := range d.paths(b, v) {
		if only := os.Getenv("SOAPWARD_BENCH_CONSOLE_ONLY"); !strings.Contains(path, only) {
			continue
		}
		p50, p95 := time.Hour, time.Hour
		for round := range 1 + consoleRounds {
			if p95 <= maxPage/2 {
				break
			}
			took := v.ask(b, path, consoleAsked)
			if round > 0 { // what was not in memory is now
				p50, p95 = min(p50, took[consoleAsked/2]), min(p95, took[consoleAsked*95/100])
			}
		}
		crowd := v.crowd(b, path)
		mark := ""
		if p95 > maxPage {
			mark = "  too slow"
			b.Errorf("%s: p95 %v, want at most %v", path, p95, maxPage)
		}
		fmt.Printf("  %-74s %6.1f ms %6.1f ms %6.1f ms%s\n", clipped(path, 74), millis(p50), millis(p95), millis(crowd), mark)
		worst = max(worst, p95)
	}
	fmt.Printf("  slowest p95: %v\n", worst.Round(100*time.Microsecond))
	if os.Getenv("SOAPWARD_BENCH_CONSOLE_ONLY") == "" {
		for _, path := range []string{"/console/logins.csv", "/console/changes.jsonl", "/admin/v1/logins/export?format=csv"} {
			first, whole, size, heap := v.export(b, path)
			fmt.Printf("  %-74s first byte %.1f ms, %d MB in %.1f s, %+d MB of heap\n", path, millis(first), size>>20, whole.Seconds(), heap>>20)
			if first > maxPage || heap > maxExportHeap {
				b.Errorf("%s: first byte after %v, %d bytes of heap; want at most %v and %d", path, first, heap, maxPage, maxExportHeap)
			}
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	fmt.Printf("  gateway and client: %d MB of heap, %d MB from the system\n\n", m.HeapAlloc>>20, m.Sys>>20)
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

func clipped(s string, most int) string {
	if len(s) > most {
		return s[:most-3] + "..."
	}
	return s
}

const consolePassword = "violet tractor lagoon"

// bigData is a store, and what of it is asked for.
type bigData struct {
	*bigstore.Data
	login string // a reference
}

// fillBig fills a store, and makes who signs in.
func fillBig(b *testing.B, c store.Config, scale int) *bigData {
	b.Helper()
	c.Logger, c.Timeout, c.KeepLogins = slog.New(slog.DiscardHandler), 10*time.Minute, forever
	began := time.Now()
	s, err := store.Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	opened := time.Since(began)
	d := &bigData{Data: bigstore.Load(b, s, c, scale)}
	b.Logf("opened in %v, full after %v", opened.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	hash, err := new(password.Hasher).Hash(b.Context(), consolePassword)
	if err != nil {
		b.Fatal(err)
	}
	for _, u := range []directory.User{
		{Name: "root", LocalAdmin: true, Password: hash}, {Name: bigstore.Attacked, Realm: "corp"}, {Name: bigstore.Frequent, Realm: "corp"},
	} {
		if err := s.CreateUser(b.Context(), &u); err != nil && !errors.Is(err, directory.ErrExists) {
			b.Fatal(err)
		}
	}
	some, err := s.Logins(b.Context(), directory.LoginQuery{Before: d.Begin.Add(30 * 24 * time.Hour), Limit: 1})
	if err != nil || len(some) == 0 {
		b.Fatal(some, err)
	}
	d.login = some[0].Ref
	return d
}

const forever = 10 * 365 * 24 * time.Hour

// paths are all pages of the console and all lists of the API, with what is rare
// and what is frequent, and far from where lists begin.
func (d *bigData) paths(b *testing.B, v *visitor) (all []string) {
	b.Helper()
	middle := d.Begin.Add(bigstore.Days / 2 * 24 * time.Hour).Format("2006-01-02T15:04")
	last := func(n int) string { return fmt.Sprintf("%07d", d.Users-n) }
	var queries = map[string][]string{
		"": {"", "since=7d", "since=90d"},
		"users": {
			"", "search=corp%5Cuser" + last(1), "search=corp%5C", "search=user" + last(1), "search=user", "search=person", "search=zurich%5C",
			"search=p", "search=u", "search=z", "search=Chlo%C3%A9", "search=Dora+12", "search=Guest+" + last(7), "search=p" + last(10) + "%40zurich.test", "search=guest1", "search=xyzzy",
			"search=m%C3%BCller", "search=g", "search=administrator",
			"realm=zurich", "realm=lab", "realm=guests", "realm=none", "state=active", "state=disabled", "state=gone", "role=role1", "role=rare", "role=none", "local=on",
			"state=disabled&realm=guests", "state=disabled&realm=zurich", "role=role1&realm=zurich", "role=role1&state=disabled", "local=on&state=disabled",
			"search=user&state=disabled", "search=person&state=gone", "search=person&realm=guests", "search=user&realm=zurich", "search=person&realm=lab", "search=user&realm=lab",
			"search=person&role=role1", "search=user&role=rare", "search=person&local=on", "search=chlo%C3%A9&realm=zurich", "search=person&state=disabled&realm=corp&role=role1",
		},
		"user":                   {"name=corp%5Cuser" + last(1), "name=" + url.QueryEscape(bigstore.Frequent), "name=" + bigstore.Attacked, "name=root"},
		"user/edit":              {"name=corp%5Cuser" + last(1)},
		"user/delete":            {"name=corp%5Cuser" + last(1)},
		"user/password":          {"name=root"},
		"users/add":              {""},
		"roles":                  {""},
		"sessions":               {"", "user=corp%5Cuser42", "user=nobody"},
		"blocks":                 {""},
		"realms":                 {""},
		"realm":                  {"name=corp"},
		"providers":              {""},
		"services":               {""},
		"service":                {"name=hr"},
		"explain":                {"", "url=/hr/&who=user&user=corp%5Cuser" + last(1) + "&service=hr"},
		"configuration":          {""},
		"account":                {""},
		"configuration/versions": {""},
		"logins": {
			"", "until=" + middle, "since=" + middle, "user=corp%5Cuser4711", "user=" + url.QueryEscape(bigstore.Frequent), "user=" + bigstore.Attacked, "user=nobody",
			"peer=10.0.31.37", "peer=" + bigstore.Attacker, "peer=192.0.2.1", "outcome=accepted", "outcome=refused", "outcome=blocked", "outcome=unavailable",
			"mechanism=NTLM", "mechanism=Bearer", "mechanism=None", "reason=wrong-password", "reason=replay", "reason=none", "ref=" + d.login, "ref=zzzzzzzzzz",
			"outcome=refused&mechanism=NTLM", "outcome=blocked&mechanism=Basic", "outcome=unavailable&mechanism=Bearer", "outcome=refused&mechanism=Bearer&peer=" + bigstore.Attacker,
			"user=" + bigstore.Attacked + "&outcome=accepted", "user=" + bigstore.Attacked + "&outcome=accepted&until=" + middle,
			"outcome=accepted&reason=wrong-password", "user=corp%5Cuser4711&outcome=refused", "user=corp%5Cuser4711&peer=" + bigstore.Attacker,
			"user=" + url.QueryEscape(bigstore.Frequent) + "&outcome=refused", "user=" + url.QueryEscape(bigstore.Frequent) + "&mechanism=Bearer", "peer=" + bigstore.Attacker + "&outcome=accepted",
			"outcome=accepted&since=" + middle + "&until=" + middle, "newer=1", fmt.Sprint("newer=", d.Logins-20), fmt.Sprint("newer=1&user=nobody&outcome=blocked"),
		},
		"changes": {
			"", "since=" + middle, "actor=it%5Cadmin7", "actor=nobody", "target=corp%5Cuser7919", "action=config.apply", "action=user.", "action=config.",
			"action=config.&actor=it%5Cadmin1", "action=realm.&actor=it%5Cadmin2", "action=user.disable&target=corp%5Cuser7919",
		},
	}
	for _, page := range slices.Sorted(keys(queries)) {
		for _, q := range queries[page] {
			all = append(all, strings.TrimSuffix("/console/"+page+"?"+q, "?"))
		}
	}
	// What follows, of lists that go on for long.
	for _, path := range []string{
		"/console/users", "/console/users?search=user", "/console/users?search=person", "/console/users?state=gone", "/console/users?role=role1", "/console/users?search=person&realm=guests",
		"/console/sessions", "/console/logins", "/console/logins?outcome=refused", "/console/logins?user=" + bigstore.Attacked + "&outcome=accepted", "/console/changes", "/console/changes?action=user.",
	} {
		for range 3 {
			if path = v.next(b, path); path == "" {
				break
			}
		}
		if path != "" {
			all = append(all, path)
		}
	}
	v1 := "/admin/v1/"
	for _, list := range []string{"users", "logins", "changes", "sessions"} {
		for _, q := range queries[list] {
			q = strings.NewReplacer("local=on", "local_admin=true", "newer=", "newer_id=", middle, middle+":00Z").Replace(q)
			all = append(all, strings.TrimSuffix(v1+list+"?"+q, "?"))
		}
		all = append(all, v1+list+"?limit=1000")
	}
	for _, one := range []string{
		"me", "users/corp%5Cuser" + last(1), "users/corp%5Cuser" + last(1) + "/sessions", "blocks", "overview", "overview?since=2160h", "services", "roles", "realms", "config", "config/versions",
		"users?limit=1000&search=person", "logins?limit=1000&outcome=refused&mechanism=NTLM", "openapi.json",
	} {
		all = append(all, v1+one)
	}
	return all
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// visitor is an administrator's browser.
type visitor struct {
	*http.Client
	base string
}

// startConsole starts a gateway, and signs in.
func startConsole(b *testing.B, c store.Config) *visitor {
	b.Helper()
	dir, addr, adminAddr := b.TempDir(), freeAddr(b), freeAddr(b)
	var roles strings.Builder
	for i := range 20 {
		fmt.Fprintf(&roles, "  role%d: {groups: ['CORP\\Group %d'], users: ['CORP\\user%07d']}\n", i, i, i)
	}
	text := fmt.Sprintf(`listen: [{addr: %q}]
admin: {addr: %q, local: {allow_without_second_factor: true}}
store: {driver: %s, dsn: %q, keep_logins: %s}
realms: {corp: {internal: {}}, zurich: {internal: {}}, guests: {internal: {}}, lab: {internal: {}}}
roles:
%sservices:
  hr: {match: {path: /hr/}, login: [corp/basic], allow: [{path: /hr/, roles: [role1]}], upstream: {url: "http://127.0.0.1:1"}}
`, addr, adminAddr, c.Driver, c.DSN, forever, roles.String())
	file := filepath.Join(dir, "soapward.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	conf, err := config.Load(file)
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(conf, file, gateway.Options{Logger: slog.New(slog.DiscardHandler), NoWatch: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	v := &visitor{&http.Client{Jar: jar, Transport: &http.Transport{MaxIdleConnsPerHost: consoleUsers, DisableCompression: true}}, "http://" + adminAddr}
	for _, step := range []struct{ path, values string }{
		{"/console/login/local", "user=root&password=" + url.QueryEscape(consolePassword)},
		{"/console/login/local/setup", "skip=yes"},
	} {
		page, _ := v.get(b, step.path)
		m := regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindSubmatch(page)
		if m == nil {
			b.Fatalf("%s has no form: %s", step.path, page)
		}
		resp, err := v.Post(v.base+step.path, "application/x-www-form-urlencoded", strings.NewReader(step.values+"&csrf="+url.QueryEscape(string(m[1]))))
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("%s: %s", step.path, resp.Status)
		}
	}
	return v
}

// get returns an answer, and how long it took.
func (v *visitor) get(b *testing.B, path string) ([]byte, time.Duration) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, v.base+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	began := time.Now()
	resp, err := v.Do(req)
	if err != nil {
		b.Error(err)
		return nil, 0
	}
	body, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || strings.HasPrefix(resp.Request.URL.Path, "/console/login") && !strings.HasPrefix(path, "/console/login") {
		b.Errorf("%s: %s, %v: %.500s", path, resp.Status, err, body)
	}
	return body, took
}

// ask asks again and again, and returns how long it took, the shortest first.
func (v *visitor) ask(b *testing.B, path string, n int) []time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		_, took[i] = v.get(b, path)
	}
	slices.Sort(took)
	return took
}

// crowd is the p95 of some who ask at once.
func (v *visitor) crowd(b *testing.B, path string) time.Duration {
	best := time.Hour
	for range 3 {
		var wg sync.WaitGroup
		all := make([][]time.Duration, consoleUsers)
		for i := range all {
			wg.Go(func() { all[i] = v.ask(b, path, consoleAsked/4) })
		}
		wg.Wait()
		took := slices.Concat(all...)
		slices.Sort(took)
		best = min(best, took[len(took)*95/100])
	}
	return best
}

var nextLink = regexp.MustCompile(`rel="next" href="([^"]*)"`)

// next returns what follows a page, empty if nothing does.
func (v *visitor) next(b *testing.B, path string) string {
	page, _ := v.get(b, path)
	m := nextLink.FindSubmatch(page)
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(string(m[1]), "&amp;", "&")
}

// export reads an export to its end, or for some seconds, and watches what memory
// that takes.
func (v *visitor) export(b *testing.B, path string) (first, whole time.Duration, size, heap int64) {
	b.Helper()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	began := time.Now()
	resp, err := v.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	first = time.Since(began)
	buf := make([]byte, 1<<20)
	for looked := began; err == nil; {
		var n int
		n, err = resp.Body.Read(buf)
		size += int64(n)
		if time.Since(looked) > time.Second {
			runtime.GC()
			runtime.ReadMemStats(&now)
			heap, looked = max(heap, int64(now.HeapAlloc)-int64(before.HeapAlloc)), time.Now()
		}
	}
	if resp.StatusCode != http.StatusOK || size == 0 {
		b.Errorf("%s: %s, %d bytes, %v", path, resp.Status, size, err)
	}
	return first, time.Since(began), size, heap
}
