package api

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/provision"
)

// Without a login there is the document, and nothing else: also no word about
// which paths there are.
func TestAttackAdminAPIWithoutLogin(t *testing.T) {
	t.Parallel()
	fake := &admintest.Fake{}
	a, _ := serve(fake)
	for i := range endpoints {
		e := &endpoints[i]
		target, body := sample(t, e)
		r := do(t, a, nil, e.method, target, body)
		if e := refusal(t, r); r.StatusCode != http.StatusUnauthorized || e.Kind != wire.Unauthenticated || r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %s", target, r.Status)
		}
	}
	for _, target := range []string{Prefix + "nothing", Prefix, Prefix + "openapi.json/", Prefix + "users/../openapi.json", Prefix + "%6fpenapi.json/x"} {
		if r := do(t, a, nil, "GET", target, ""); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", target, r.Status)
		}
	}
	if r := do(t, a, nil, "POST", DocumentPath, "{}"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("POST of the document: %s", r.Status)
	}
	if r := do(t, a, nil, "GET", DocumentPath, ""); r.StatusCode != http.StatusOK || text(t, r) != string(Document()) {
		t.Errorf("the document: %s", r.Status)
	}
	if calls := fake.Calls(); len(calls) != 0 {
		t.Errorf("called %v", calls)
	}
}

// Whoever sends something else than was meant is told what, and nothing is done.
func TestAttackAdminAPIRequests(t *testing.T) {
	t.Parallel()
	json := "application/json"
	for _, tt := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		want                       string
	}{
		{"an unknown field", "POST", "users", `{"name":"x","is_admin":true}`, nil, 400, `there is no field \"is_admin\"`},
		{"a field that steers a terminal", "POST", "users", `{"\u001b[2J\u202e":1}`, nil, 400, `\\x1b[2J\\u202e`},
		{"a field without end", "POST", "users", `{"` + strings.Repeat("n", 5000) + `":1}`, nil, 400, "nnn..."},
		{"the ID of a user", "POST", "users", `{"name":"x","version":7}`, nil, 400, "version"},
		{"a hash as password", "POST", "users", `{"name":"x","Password":{"s":"marked"}}`, nil, 400, "cannot be read"},
		{"two values", "POST", "users", `{"name":"x"} {"name":"y"}`, nil, 400, "more than one"},
		{"what follows a value", "POST", "users", `{"name":"x"}]`, nil, 400, "more than one"},
		{"half a value", "POST", "users", `{"name":"x"`, nil, 400, "no whole JSON"},
		{"no body", "POST", "users", ` `, nil, 400, "no whole JSON"},
		{"no JSON", "POST", "users", `name=x`, nil, 400, "not JSON: wrong at byte 2"},
		{"another type", "POST", "users", `{"name":["x"]}`, nil, 400, "field name must be a string"},
		{"another type inside", "POST", "config/check", `{"files":[{"path":7}],"digest":""}`, nil, 400, "path must be a string"},
		{"no object", "POST", "users", `"marked"`, nil, 400, "must be an object"},
		{"a role that is none", "POST", "users", `{"roles":"admin"}`, nil, 400, "field roles must be an array"},
		{"no UTF-8", "POST", "users", "{\"name\":\"\xff\"}", nil, 400, "not UTF-8"},
		{"a form", "POST", "users", `{"name":"x"}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json"},
		{"text, which pages of other sites may send", "POST", "users", `{"name":"x"}`, []string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"another alphabet", "POST", "users", `{"name":"x"}`, []string{"Content-Type", json + "; charset=utf-16"}, 415, "application/json"},
		{"depth", "POST", "users", strings.Repeat("[", 100_000), nil, 400, "not JSON"},
		{"too much", "POST", "users", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "1048576"},
		{"too much of a configuration", "POST", "config/check", `{"digest":"` + strings.Repeat("x", maxConfigBody) + `"}`, nil, 413, "8388608"},
		{"users without end", "POST", "import", `{"users":[` + strings.Repeat("{},", 300_000) + `{}]}`, nil, 413, "more than 10000 users"},
		{"roles without end", "POST", "import", `{"users":[{"name":"x","roles":["` + strings.Repeat(`","`, 2_000_000) + `"]}]}`, nil, 413, "600000 values"},
		{"files without end", "POST", "config/check", `{"files":[` + strings.Repeat("{},", 2_000_000) + `{}],"digest":""}`, nil, 413, "10000 values"},
		{"too much of users", "POST", "import", `{"source":"` + strings.Repeat("x", wire.MaxImport) + `"}`, nil, 413, "8388608"},
		{"an unknown field of a user", "POST", "import", `{"users":[{"name":"x","local_admin":true}]}`, nil, 400, `there is no field \"local_admin\"`},
		{"a field of a user of another type", "POST", "import", `{"users":[{"name":["x"]}]}`, nil, 400, "field users.name must be a string"},
		{"a user of another type", "POST", "import", `{"users":["marked"]}`, nil, 400, "field users must be an object"},
		{"users of another type", "POST", "import", `{"users":{"marked":1}}`, nil, 400, "field users must be an array"},
		{"a password hash of another type", "POST", "import", `{"users":[{"name":"x","password_hash":{"s":"marked"}}]}`, nil, 400, "cannot be read"},
		{"depth of users", "POST", "import", `{"users":` + strings.Repeat("[", 100_000), nil, 400, "not JSON"},
		{"an unknown parameter", "GET", "users?limit=3&is=1", "", nil, 400, `no parameter \"is\"`},
		{"a parameter twice", "GET", "users?limit=3&limit=4", "", nil, 400, "more than once"},
		{"a parameter of another type", "GET", "users?limit=x", "", nil, 400, "limit must be a whole number"},
		{"a number without end", "GET", "users?limit=99999999999999999999", "", nil, 400, "whole number"},
		{"a bool of another kind", "GET", "users?local_admin=1", "", nil, 400, "true or false"},
		{"no time", "GET", "logins?since=yesterday", "", nil, 400, "RFC 3339"},
		{"no duration", "GET", "overview?since=long", "", nil, 400, "a duration"},
		{"a query that is not encoded", "GET", "users?search=%zz", "", nil, 400, "not encoded"},
		{"a query without end", "GET", "users?search=" + strings.Repeat("x", maxQuery), "", nil, 400, "16384"},
		{"a query where none is taken", "PATCH", "users/x?version=1", `{}`, nil, 400, `no parameter \"version\"`},
		{"a version that is none", "PATCH", "users/x", `{}`, []string{"If-Match", "7"}, 400, "If-Match"},
		{"a weak version", "PATCH", "users/x", `{}`, []string{"If-Match", `W/"7"`}, 400, "If-Match"},
		{"a list of versions", "PATCH", "users/x", `{}`, []string{"If-Match", `"7", "8"`}, 400, "If-Match"},
		{"two versions", "PATCH", "users/x", `{"version":8}`, []string{"If-Match", `"7"`}, 400, "differ"},
		{"a method that is none", "PUT", "users", `{}`, nil, 405, "takes GET, HEAD, POST"},
		{"a method of another path", "DELETE", "logins", "", nil, 405, "takes GET, HEAD"},
		{"the head of a stream", "HEAD", "logins/follow", "", nil, 405, ""},
		{"another path", "GET", "nothing", "", nil, 404, "nothing at this path"},
		{"a path with steps", "GET", "users/../users", "", nil, 404, "nothing at this path"},
		{"a path with an empty step", "GET", "/users", "", nil, 404, "nothing at this path"},
		{"a path with a NUL", "GET", "users/a%00b", "", nil, 404, "nothing at this path"},
		{"a slash at the end", "GET", "users/", "", nil, 404, "nothing at this path"},
		{"a version of the configuration that is none", "GET", "config/versions/-1", "", nil, 404, "no such version"},
		{"another format", "GET", "logins/export?format=xls", "", nil, 422, "jsonl or csv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &admintest.Fake{}
			a, log := serve(fake)
			r := do(t, a, alice, tt.method, Prefix+tt.target, tt.body, tt.header...)
			got := text(t, r)
			if r.StatusCode != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("%s %s\nwant %d, %s", r.Status, got, tt.status, tt.want)
			}
			if calls := fake.Calls(); len(calls) != 0 {
				t.Errorf("called %v", calls)
			}
			if len(got) > 600 || strings.Contains(got+log.String(), "marked") {
				t.Errorf("the answer %q, the log %s", got, log)
			}
			if r.StatusCode == 405 && r.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

// Neither passwords nor causes of errors get into answers, or passwords into the
// log.
func TestAttackAdminAPISecrets(t *testing.T) {
	t.Parallel()
	const secret = "marked-correct-horse"
	for _, failure := range []error{
		nil, errors.New("pq: relation users"), fmt.Errorf("store: %w", authn.ErrUnavailable),
		&admin.Error{Kind: admin.Invalid, Text: "too short", Field: "password", Err: errors.New("cause of it")},
	} {
		a, log := serve(&admintest.Fake{Err: failure})
		for _, tt := range [][3]string{
			{"POST", "users", `{"name":"x","password":"` + secret + `"}`},
			{"PUT", "users/x/password", `{"password":"` + secret + `"}`},
			{"PUT", "users/x/password", `{"password":["` + secret + `"]}`},
			{"PUT", "users/x/password", `{"password":"` + secret + `","` + "x" + `":1}`},
			{"PUT", "users/x/password", `{"keep_sessions":"` + secret + `"}`},
			{"PUT", "users/x/password", `{"password":"` + secret},
			{"POST", "realms/corp/test", `{"kind":"bind","user":"x","password":"` + secret + `"}`},
			{"POST", "realms/corp/test", `{"kind":7,"user":"x","password":"` + secret + `"}`},
		} {
			r := do(t, a, alice, tt[0], Prefix+tt[1], tt[2])
			got := text(t, r)
			if strings.Contains(got+log.String(), secret) || strings.Contains(got, "pq:") || strings.Contains(got, "cause of it") {
				t.Errorf("%v: answer %s\nlog %s", tt, got, log)
			}
			if r.StatusCode >= 400 && !strings.Contains(got, `"ref":"`) {
				t.Errorf("%v: no reference in %s", tt, got)
			}
		}
		if failure != nil && (!strings.Contains(log.String(), `"ref":"`) || strings.Contains(log.String(), "cause of it") != strings.Contains(fmt.Sprint(failure), "too short")) {
			t.Errorf("%v: the log is %s", failure, log)
		}
	}
	p := wire.Password{Secret: authn.NewSecret(secret)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{p, &p, wire.NewPassword{Password: p}, wire.NewUser{Password: p}, wire.Test{Password: p}, wire.Token{Token: p}, wire.TokenRequest{IDToken: p, Code: p, Password: p}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) {
				t.Errorf("%s of %T: %s", verb, v, got)
			}
		}
	}
}

// What somebody types as his name is no formula in the spreadsheet of whoever
// exports the record.
func TestAttackFormulaInExport(t *testing.T) {
	t.Parallel()
	names := []string{`=cmd|' /C calc'!A0`, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", `"=1`, "a,b\r\nc", "|x", "%1", " =1", "\u00a0+1", "\ufeff=1", "\u200b@x", "＝1", "＋1", "\x00=1"}
	fake := &admintest.Fake{Answer: func(context.Context, string, []any) (any, error) {
		p := &admin.LoginPage{}
		for _, n := range names {
			p.Logins = append(p.Logins, admin.Login{ID: 1, Time: admintest.Time, User: n, UserAgent: n, Mechanism: "Basic", Detail: n})
		}
		return p, nil
	}}
	a, _ := serve(fake)
	r := do(t, a, alice, "GET", Prefix+"logins/export?format=csv", "")
	if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") || !strings.Contains(r.Header.Get("Content-Disposition"), "logins.csv") {
		t.Errorf("%s", got)
	}
	rows, err := csv.NewReader(r.Body).ReadAll()
	if err != nil || len(rows) != len(names)+1 || rows[0][3] != "user" {
		t.Fatalf("%v, %v", rows, err)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if strings.IndexAny(strings.TrimLeft(cell, " \t\r\n\u00a0\u200b\ufeff\x00"), "=+-@|%＝＋－＠") == 0 || strings.IndexAny(cell, "\t\r\n") == 0 {
				t.Errorf("%s is %q", rows[0][i], cell)
			}
		}
	}
}

// A page that fails in the middle of an export breaks it off: it is not taken for
// the whole.
func TestExportPages(t *testing.T) {
	t.Parallel()
	pages := 0
	fail := false
	fake := &admintest.Fake{Answer: func(_ context.Context, _ string, args []any) (any, error) {
		q := args[0].(admin.LoginQuery)
		if q.Limit != pageOfExport || q.User != "x" || (pages > 0) != (q.After == "more") {
			t.Errorf("asked %+v", q)
		}
		if pages++; pages == 3 {
			if fail {
				return nil, errors.New("gone")
			}
			return &admin.LoginPage{Logins: make([]admin.Login, 5)}, nil
		}
		return &admin.LoginPage{Logins: make([]admin.Login, pageOfExport), Next: "more"}, nil
	}}
	a, _ := serve(fake)
	for _, tt := range []struct {
		format string
		lines  int
	}{{"jsonl", 2005}, {"csv", 2006}, {"", 2005}} {
		pages = 0
		target := Prefix + "logins/export?user=x"
		if tt.format != "" {
			target += "&format=" + tt.format
		}
		if got := strings.Count(text(t, do(t, a, alice, "GET", target, "")), "\n"); got != tt.lines {
			t.Errorf("%s: %d lines", tt.format, got)
		}
	}
	fail, pages = true, 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), alice)))
	}))
	defer s.Close()
	r, err := http.Get(s.URL + Prefix + "logins/export?user=x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := readAll(r); err == nil {
		t.Error("half an export looks whole")
	}
}

func readAll(r *http.Response) (n int, err error) {
	b := make([]byte, 4096)
	for err == nil {
		var m int
		m, err = r.Body.Read(b)
		n += m
	}
	if err.Error() == "EOF" {
		err = nil
	}
	return n, err
}

// recorder is an answer of a stream that somebody reads meanwhile.
type recorder struct {
	header http.Header
	lines  chan string
	gone   atomic.Bool
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Flush()              {}
func (r *recorder) Write(b []byte) (int, error) {
	if r.gone.Load() {
		return 0, errors.New("broken pipe")
	}
	r.lines <- string(b)
	return len(b), nil
}

// TestFollow has logins come, nothing come, and the client leave.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			mu     sync.Mutex
			logins []admin.Login
		)
		fake := &admintest.Fake{Answer: func(_ context.Context, _ string, args []any) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			q := args[0].(admin.LoginQuery)
			if newest := q.NewerID == 0; newest != (q.Limit == 1) || newest != (q.User == "") || !newest && q.User != "x" {
				t.Errorf("asked %+v", q)
			}
			if q.NewerID == 0 {
				return &admin.LoginPage{Logins: []admin.Login{{ID: 41}}}, nil
			}
			p := &admin.LoginPage{}
			for _, l := range logins {
				if l.ID > q.NewerID {
					p.Logins = append(p.Logins, l)
				}
			}
			return p, nil
		}}
		a, _ := serve(fake)
		w := &recorder{header: http.Header{}, lines: make(chan string, 100)}
		ctx, cancel := context.WithCancel(admin.NewContext(context.Background(), alice))
		ended := make(chan time.Time, 1)
		run := func() {
			a.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", Prefix+"logins/follow?user=x", nil))
			ended <- time.Now()
		}
		go run()
		if got := <-w.lines; got != "\n" {
			t.Fatalf("it begins with %q", got)
		}
		mu.Lock()
		logins = append(logins, admin.Login{ID: 42, User: "x"}, admin.Login{ID: 43, User: "x"})
		mu.Unlock()
		if got := <-w.lines + <-w.lines; !strings.Contains(got, `"id":42`) || !strings.Contains(got, `"id":43`) {
			t.Errorf("got %q", got)
		}
		begun := time.Now()
		if got := <-w.lines; got != "\n" || time.Since(begun) > wire.Heartbeat {
			t.Errorf("%q after %s", got, time.Since(begun))
		}
		cancel()
		left := time.Now()
		if end := <-ended; end.Sub(left) > 0 {
			t.Errorf("it went on for %s", end.Sub(left))
		}

		// It ends by itself, so that a token that is over is found out.
		ctx, begun = admin.NewContext(context.Background(), alice), time.Now()
		go run()
		for over := false; !over; {
			select {
			case <-w.lines:
			case end := <-ended:
				over = true
				if d := end.Sub(begun); d != followTime {
					t.Errorf("it ended after %s", d)
				}
			}
		}
	})
}

// The job of a client that leaves ends, and the request not before it.
func TestSyncEndsWithClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		fake := &syncing{run: func(ctx context.Context, progress func(admin.SyncProgress)) {
			for i := int64(1); ; i++ {
				progress(admin.SyncProgress{Done: i})
				select {
				case <-ctx.Done():
					stopped = true
					return
				case <-time.After(10 * time.Second):
				}
			}
		}}
		a, _ := serve(fake)
		w := &recorder{header: http.Header{}, lines: make(chan string, 100)}
		ended := make(chan any, 1)
		go func() {
			defer func() { ended <- recover() }()
			a.ServeHTTP(w, httptest.NewRequestWithContext(admin.NewContext(context.Background(), alice), "POST", Prefix+"realms/corp/sync", nil))
		}()
		if got := <-w.lines; !strings.Contains(got, `"done":1`) {
			t.Errorf("got %q", got)
		}
		synctest.Wait()
		w.gone.Store(true) // as the next write sees
		if v := <-ended; v != http.ErrAbortHandler || !stopped {
			t.Errorf("ended with %v; the job stopped: %v", v, stopped)
		}
	})
}

// syncing is a Fake with a job of its own.
type syncing struct {
	admintest.Fake
	run func(context.Context, func(admin.SyncProgress))
}

func (s *syncing) Synchronise(ctx context.Context, _ string, _ admin.SyncOptions, progress func(admin.SyncProgress)) (*provision.Summary, error) {
	s.run(ctx, progress)
	return nil, ctx.Err()
}

// A server's limits for requests and answers do not end a stream that lives.
func TestStreamOutlivesDeadlines(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	fake := &admintest.Fake{Answer: func(_ context.Context, _ string, args []any) (any, error) {
		asked <- struct{}{}
		return &admin.LoginPage{}, nil
	}}
	a, _ := serve(fake)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
		a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), alice)))
	}))
	s.Config.WriteTimeout = time.Second
	s.Start()
	defer s.Close()
	r, err := http.Get(s.URL + Prefix + "logins/follow?newer_id=7")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // looks, one a second
		<-asked
	}
	_ = r.Body.Close()
	s.CloseClientConnections()
}

// 38g. A viewer opens streams and exports without end. Others have theirs.
func TestAttackManyStreams(t *testing.T) {
	t.Parallel()
	for path, most := range map[string]int{"logins/follow": maxStreams, "logins/export": maxExports} {
		other := map[string]string{"logins/follow": "logins/export", "logins/export": "logins/follow"}[path]
		began, hold := make(chan struct{}, 2*maxStreams), make(chan struct{})
		fake := &admintest.Fake{Answer: func(context.Context, string, []any) (any, error) {
			began <- struct{}{}
			<-hold
			return nil, &admin.Error{Kind: admin.NotFound, Text: "an end"}
		}}
		a, _ := serve(fake)
		vera := &admin.Caller{Name: "vera", Role: admin.Viewer}
		var wait sync.WaitGroup
		open := func(what string, who *admin.Caller, path string) {
			wait.Go(func() {
				if r := do(t, a, who, "GET", Prefix+path, ""); r.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %d", what, r.StatusCode)
				}
			})
			<-began
		}
		for range most {
			open(path, vera, path)
		}
		r := do(t, a, vera, "GET", Prefix+path, "")
		if e := refusal(t, r); r.StatusCode != http.StatusTooManyRequests || e.Kind != admin.TooMany || !strings.Contains(e.Text, fmt.Sprint("you have ", most, " ")) {
			t.Errorf("one more %s: %d %+v", path, r.StatusCode, e)
		}
		open("the other kind", vera, other)
		open("somebody else", alice, path)
		close(hold)
		wait.Wait()
		open("when they are over", vera, path)
		wait.Wait()
	}
}
