package outbound

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/gateway/trail"
)

// A configuration that is read again while no KDC is there costs no account its
// tickets, unless something of it changed.
func TestReloadKeepsTickets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	const text = "act_as: [service], service: {principal: front@CORP.TEST, keytab: front.keytab}"
	call := func(set *Set) (int, string) {
		t.Helper()
		tr, rec := new(trail.Trail), httptest.NewRecorder()
		req := httptest.NewRequestWithContext(trail.With(t.Context(), tr), http.MethodGet, "http://127.0.0.1:9300/x", nil)
		req.RemoteAddr = "127.0.0.1:1"
		set.Endpoints()[0].Handler.ServeHTTP(rec, req)
		return rec.Code, tr.Refusal
	}
	of := func(settings string, previous *Set) *Set {
		t.Helper()
		c, err := w.parse(asCaller(s.URL, settings))
		if err != nil {
			t.Fatal(err)
		}
		set, err := newSet(c, Parts{Previous: previous, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, &testLogins{w, t})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = set.Close() })
		return set
	}
	first := of(text, nil)
	if status, why := call(first); status != http.StatusOK {
		t.Fatalf("status %d, %s", status, why)
	}
	_ = w.KDC.Close()
	if status, why := call(of(text+", timeout: 9s", first)); status != http.StatusOK {
		t.Errorf("after a reload without a KDC: status %d, %s", status, why)
	}
	if status, why := call(of(text, nil)); status != http.StatusServiceUnavailable || why != reasonKDC {
		t.Errorf("without the tickets of before: status %d, %s; want %s, or the test shows nothing", status, why, reasonKDC)
	}
	// Another key in the same file is another account.
	file := filepath.Join(w.dir, "front.keytab")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, b[2:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, why := call(of(text, first)); status != http.StatusServiceUnavailable || why != reasonKDC {
		t.Errorf("with another keytab: status %d, %s; want %s", status, why, reasonKDC)
	}
}
