package observe

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// scrape returns the metrics as a collector gets them.
func scrape(t testing.TB, o *Observer) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9180/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1234"
	w := httptest.NewRecorder()
	o.Admin().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("metrics: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}
