package bench

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/observe"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	observeRounds   = 7
	observeRequests = 5000 // in a round: as many lines as may wait to be written

	// maxObserve and maxObserveAllocs are what a request may take that is in the
	// access log and the metrics.
	maxObserve       = 2 * time.Microsecond
	maxObserveAllocs = 8
)

// nowhere is a ResponseWriter that costs nothing.
type nowhere struct{ h http.Header }

func (w nowhere) Header() http.Header         { return w.h }
func (w nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w nowhere) WriteHeader(int)             {}

// BenchmarkObserve is what the observer adds to a request: a trail, a reference,
// metrics of service, operation and backend, and a line of the access log. It is
// processor time, with that of writing the lines to the file.
func BenchmarkObserve(b *testing.B) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t := trail.From(r.Context()); t.Ref != "" {
			t.Service, t.Operation, t.Identity = "hr", "{urn:hr}Pay", observed
			t.Backend, t.BackendTime = "127.0.0.1:8080", time.Millisecond
		}
		w.WriteHeader(http.StatusOK)
	})
	ways := []struct {
		name, text string
		bound      bool
		handler    http.Handler
		observer   *observe.Observer
		took       []time.Duration
		allocs     float64
	}{
		{name: "nothing", handler: next},
		{name: "access log off", text: "access_log: {file: off}"},
		{name: "access log in a file, JSON", text: "access_log: {file: a.log}", bound: true},
		{name: "access log in a file, combined", text: "access_log: {file: b.log, format: combined}", bound: true},
		{name: "the same, 10 % traced", text: "access_log: {file: c.log}\ntracing: {otlp: \"http://127.0.0.1:9\"}"},
	}
	dir := b.TempDir()
	for i := range ways {
		w := &ways[i]
		if w.text == "" {
			continue
		}
		c, err := config.Parse(filepath.Join(dir, "c.yaml"), []byte(w.text+"\n"))
		if err != nil {
			b.Fatal(err)
		}
		o, err := observe.New(c, observe.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = o.Close(b.Context()) }()
		o.SetOperations(map[string][]string{"hr": {"{urn:hr}Pay"}})
		w.handler, w.observer = o.Wrap(trail.Inbound, ":443", next), o
	}
	r := httptest.NewRequest(http.MethodPost, "/hr/Pay", nil)
	r.Header.Set("User-Agent", "zeep/4.2 (www.python-zeep.org)")
	out := nowhere{http.Header{}}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for round := -1; round < observeRounds; round++ {
		for i := range ways {
			w := &ways[(max(round, 0)+i)%len(ways)]
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin, err := testenv.ProcessorTime()
			if err != nil {
				testenv.Skip(b, err.Error())
			}
			for range observeRequests {
				w.handler.ServeHTTP(out, r)
			}
			runtime.ReadMemStats(&after)
			if w.bound {
				time.Sleep(300 * time.Millisecond) // until the lines are written
			}
			end, err := testenv.ProcessorTime()
			if err != nil {
				b.Fatal(err)
			}
			took := (end - begin) / observeRequests
			if round >= 0 {
				w.took = append(w.took, took)
				w.allocs = float64(after.Mallocs-before.Mallocs) / observeRequests
			}
		}
	}
	fmt.Printf("\nWhat the observer adds to a request, %s, processor time; median of %d rounds of %d\n", runtime.Version(), observeRounds, observeRequests)
	for _, w := range ways {
		if w.bound && dropped(w.observer) {
			b.Errorf("%s: lines were dropped, which costs less", w.name)
		}
		slices.Sort(w.took)
		took := w.took[len(w.took)/2]
		fmt.Printf("  %-32s %6d ns  %4.1f allocations\n", w.name, took.Nanoseconds(), w.allocs)
		if w.bound && (took > maxObserve || w.allocs > maxObserveAllocs+0.5) {
			b.Errorf("%s: %v and %.1f allocations, want at most %v and %d", w.name, took, w.allocs, maxObserve, maxObserveAllocs)
		}
	}
	fmt.Println()
}

// dropped reports whether the access log is not whole.
func dropped(o *observe.Observer) bool {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	o.Admin().ServeHTTP(w, r)
	return !strings.Contains(w.Body.String(), "\nsoapward_access_log_dropped_total 0\n")
}

var observed = &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "Kerberos"}
