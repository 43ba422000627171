package console_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/internal/testenv"
)

func TestExport(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.logins = 2500
	h := site(f, admin.Viewer, nil)

	w := get(t, h, "/console/logins.csv")
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 2501 || rows[1][0] != "2500" || rows[2500][0] != "1" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="logins.csv"` {
		t.Errorf("Content-Disposition %q", got)
	}

	d := json.NewDecoder(get(t, h, "/console/logins.jsonl?outcome=refused&after=3&newer=7").Body)
	n := 0
	for ; ; n++ {
		var l admin.Login
		if err := d.Decode(&l); err == io.EOF {
			break
		} else if err != nil || l.Outcome != "refused" || l.Ref == "" {
			t.Fatalf("%+v, %v", l, err)
		}
	}
	if n < 500 {
		t.Errorf("%d lines", n)
	}

	rows, err = csv.NewReader(get(t, h, "/console/changes.csv?action=user.").Body).ReadAll()
	if err != nil || len(rows) != 4 || rows[0][8] != "ref" {
		t.Errorf("%q, %v", rows, err)
	}
	if got := strings.Count(get(t, h, "/console/changes.jsonl").Body.String(), "\n"); got != 6 {
		t.Errorf("%d lines", got)
	}

	for _, bad := range []string{"/console/logins.csv?since=x", "/console/changes.jsonl?since=x"} {
		if w := get(t, h, bad); w.Code != http.StatusUnprocessableEntity || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: got %d %s", bad, w.Code, w.Header())
		}
	}
	if w := post(t, h, "/console/logins.csv", nil); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
	if w := get(t, site(newFake(), admin.NoRole, nil), "/console/logins.csv"); w.Code != http.StatusForbidden {
		t.Errorf("without a role: got %d", w.Code)
	}
}

// TestExportCutOff: nobody takes a part of the record for all of it.
func TestExportCutOff(t *testing.T) {
	t.Parallel()
	f, log := newFake(), new(testenv.Log)
	f.logins = 5000
	h := site(f, admin.Viewer, log)
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(writes{w, func() {
			if calls++; calls == 2 {
				f.mu.Lock()
				f.down = true
				f.mu.Unlock()
			}
		}}, r)
	}))
	defer s.Close()
	resp, err := http.Get(s.URL + "/console/logins.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil || len(b) == 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if !strings.Contains(log.String(), "export cut off") || !strings.Contains(log.String(), "5f0c3a9b11") {
		t.Errorf("log: %s", log)
	}
}

// TestAttackManyExports: a session that somebody took over is used to read the
// record many times at once. Others have theirs.
func TestAttackManyExports(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.logins = 1
	began, hold := make(chan struct{}, 10), make(chan struct{})
	h := siteOf(holds{f, began, hold}, nil, nil)
	getAs := func(who, path string) *httptest.ResponseRecorder {
		ctx := admin.NewContext(t.Context(), &admin.Caller{Name: who, Role: admin.Viewer})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		return w
	}
	var wait sync.WaitGroup
	open := func(path, who string) {
		wait.Go(func() {
			if w := getAs(who, path); w.Code != http.StatusOK {
				t.Errorf("%s of %s: got %d", path, who, w.Code)
			}
		})
		<-began
	}
	open("/console/logins.csv", "vera")
	open("/console/logins.jsonl", "vera")
	for _, path := range []string{"/console/logins.csv", "/console/changes.jsonl"} {
		w := getAs("vera", path)
		if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), "You have 2 exports open") {
			t.Errorf("one more, %s: got %d %s", path, w.Code, w.Body)
		}
	}
	open("/console/logins.csv", "bob")
	close(hold)
	wait.Wait()
	open("/console/logins.csv", "vera") // when they are over
	wait.Wait()
}

// holds is a fake whose logins are waited for.
type holds struct {
	*fake
	began, hold chan struct{}
}

func (h holds) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	h.began <- struct{}{}
	<-h.hold
	return h.fake.Logins(ctx, q)
}

type writes struct {
	http.ResponseWriter
	before func()
}

func (w writes) Write(b []byte) (int, error) {
	w.before()
	return w.ResponseWriter.Write(b)
}

func (w writes) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestAttackSpreadsheetFormula: a user name that a spreadsheet would run is text.
func TestAttackSpreadsheetFormula(t *testing.T) {
	t.Parallel()
	f := newFake()
	rows, err := csv.NewReader(get(t, site(f, admin.Viewer, nil), "/console/logins.csv?user=%3Dcmd%7C%27+%2FC+calc%27%21A0").Body).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows[1:] {
		if r[3] != "'"+hostile[4] {
			t.Errorf("user %q", r[3])
		}
	}
	for _, path := range []string{"/console/logins.csv", "/console/changes.csv"} {
		rows, err := csv.NewReader(get(t, site(f, admin.Viewer, nil), path).Body).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			for _, cell := range r {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@|%\t ") {
					t.Errorf("%s: cell %q", path, cell)
				}
			}
		}
	}
}

// slowRecord gives one login, on its third page.
type slowRecord struct{ *fake }

func (s slowRecord) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	switch q.After {
	case "":
		return &admin.LoginPage{Next: "second", Partial: true}, nil
	case "second":
		return &admin.LoginPage{Next: "third", Partial: true}, nil
	}
	return s.fake.Logins(ctx, admin.LoginQuery{Limit: 1, After: "1"})
}

// TestLoginsInParts: a page without logins is not the end of a record.
func TestLoginsInParts(t *testing.T) {
	t.Parallel()
	h := siteOf(slowRecord{newFake()}, &admin.Caller{Name: "vera", Role: admin.Viewer}, nil)
	rows, err := csv.NewReader(get(t, h, "/console/logins.csv").Body).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != "1" {
		t.Errorf("%q, %v", rows, err)
	}
	for path, want := range map[string]string{
		"/console/logins?user=alice":              "not looked at yet",
		"/console/logins?user=alice&after=second": `rel="next" href="/console/logins?after=third&amp;user=alice"`,
	} {
		body := get(t, h, path).Body.String()
		if !strings.Contains(body, want) || strings.Contains(body, "has none like that") || strings.Contains(body, "Nobody logged in") {
			t.Errorf("%s: no %q in %s", path, want, body)
		}
	}
	if body := get(t, h, "/console/logins?after=third").Body.String(); strings.Contains(body, "not looked at yet") {
		t.Errorf("the last page has more: %s", body)
	}
}
