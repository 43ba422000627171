package inbound

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// DTDs, depth, names and sizes, at the start and far behind it.
func TestAttackMessageLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<a>0123456789</a>", 10_000)
	tests := []struct {
		name, body string
		status     int // 0: cut off
		want       string
	}{
		{"entities", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + envelope("<h:Get>&e;</h:Get>"), 400, "document type declaration refused"},
		{"DTD behind the envelope", envelope(getOK) + "<!DOCTYPE x>", 400, "document type declaration"},
		{"DTD far away", envelope("<h:Get>" + long + "<!DOCTYPE x></h:Get>"), 0, ""},
		{"depth of the header", strings.Replace(envelope(getOK), "<s:Body>", "<s:Header>"+strings.Repeat("<a>", 300)+strings.Repeat("</a>", 300)+"</s:Header><s:Body>", 1), 400, "depth"},
		{"depth", envelope("<h:Get>" + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</h:Get>"), 400, "depth"},
		{"markup in an attribute far away", envelope("<h:Get>" + long + "<a b='<c>'/></h:Get>"), 0, ""},
		{"depth far away", envelope("<h:Get>" + long + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</h:Get>"), 0, ""},
		{"name", envelope("<h:Get><" + strings.Repeat("a", 3000) + "/></h:Get>"), 400, "name limit"},
		{"name at the start", envelope("<" + strings.Repeat("a", 3000) + "/>"), 400, "name limit"},
		{"attributes", envelope("<h:Get" + attributes(300) + "/>"), 400, "attributes limit"},
		{"namespaces", strings.Replace(envelope(getOK), "<s:Body>", "<s:Header"+namespaces(300)+"/><s:Body>", 1), 400, "limit of 256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, payroll)
			w := f.do(request("POST", "http://gw/hr/x", "bob", tt.body, "Content-Type", xmlType))
			if tt.status == 0 {
				if g := f.backend.last(t); g.err == nil {
					t.Errorf("the backend got all of %d bytes", len(g.body))
				}
				return
			}
			check(t, w, tt.status, tt.want)
		})
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="x"`, i)
	}
	return b.String()
}

func namespaces(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:a%d="urn:%d"`, i, i)
	}
	return b.String()
}

// A large message costs no memory, and time in proportion to its size.
func TestAttackMessageMemory(t *testing.T) {
	const size = 16 << 20
	f := newFixture(t, payroll)
	var most uint64
	f.backend.read = func(r *http.Request) ([]byte, error) {
		b := make([]byte, 32<<10)
		for i := 0; ; i++ {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return nil, err
			}
			if i%512 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}
	for _, piece := range []string{"<a>x</a>", "x", "<", "<a b='", "<!--", "&amp;", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)} {
		start, end := envelope("<h:Get>@"), ""
		start, end, _ = strings.Cut(start, "@")
		body := io.MultiReader(strings.NewReader(start), &repeat{piece: piece, left: size}, strings.NewReader(end))
		r := httptest.NewRequest("POST", "http://gw/hr/x", body)
		r.Header.Set("Authorization", "Test bob")
		r.Header.Set("Content-Type", xmlType)
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most = 0
		began := time.Now()
		f.do(r)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%.10q: took %s", piece, took)
		}
		if most > before.HeapAlloc+8<<20 {
			t.Errorf("%.10q: %d MiB more on the heap", piece, (most-before.HeapAlloc)>>20)
		}
	}
}

// repeat is a text again and again.
type repeat struct {
	piece string
	at    int
	left  int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && n < r.left {
		c := copy(p[n:], r.piece[r.at:])
		n += c
		r.at = (r.at + c) % len(r.piece)
	}
	r.left -= n
	return n, nil
}
