package interop

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/interop/archive"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// pattern is content that the other side makes the same.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + seed)
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return fmt.Sprintf("%x/%d", s[:8], len(b))
}

// sumOf reads a binary.
func sumOf(b wire.Binary) string {
	v, err := b.Bytes(1 << 24)
	if err != nil {
		return err.Error()
	}
	return sum(v)
}

// viewDocument is what a document holds, as both sides write it.
func viewDocument(d *archive.Document) string {
	thumbnail, signature := "none", "none"
	if d.Thumbnail != nil {
		thumbnail = sum(d.Thumbnail)
	}
	s := fmt.Sprintf("%s hash %s thumbnail %s content %s", d.Title, sum(d.Hash), thumbnail, sumOf(d.Content))
	for _, a := range d.Appendix {
		s += " appendix " + sumOf(a)
	}
	if d.Signature != nil {
		signature = sumOf(*d.Signature)
	}
	return s + " signature " + signature
}

// document makes what the other side makes by the same name.
func document(title string, size int, signed bool) *archive.Document {
	d := &archive.Document{
		Title: title, Hash: pattern(3000, 1), Thumbnail: pattern(10, 2), Content: wire.BytesBinary(pattern(size, 3)),
		Appendix: []wire.Binary{wire.BytesBinary(pattern(20, 4)), wire.BytesBinary(pattern(70000, 5))},
	}
	if signed {
		b := wire.BytesBinary(pattern(50, 6))
		d.Signature = &b
	}
	return d
}

// archiveService answers like the foreign ones.
type archiveService struct{ archive.UnimplementedArchive }

// archiveServer remembers in which form requests come.
type archiveServer struct {
	url string

	mu       sync.Mutex
	requests []string // Content-Type
}

func startArchive(t *testing.T) *archiveServer {
	t.Helper()
	return startService(t, func(s *soapserver.Service) { archive.RegisterArchive(s, archiveService{}) })
}

func startService(t *testing.T, register func(*soapserver.Service)) *archiveServer {
	t.Helper()
	a := &archiveServer{}
	s := &soapserver.Service{}
	register(s)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.requests = append(a.requests, r.Header.Get("Content-Type"))
		a.mu.Unlock()
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a
}

func (archiveService) Store(_ context.Context, d *archive.Document) (*archive.Document, error) {
	return document("seen: "+viewDocument(d), 100000, d.Signature != nil), nil
}

func (archiveService) Label(_ context.Context, l *archive.ArchiveLabel) (*archive.LabelResponse, error) {
	seen := l.Label.Text + " " + sumOf(l.Photo)
	return &archive.LabelResponse{Label: archive.Labelled{Text: seen}, Photo: wire.BytesBinary(pattern(5000, 8))}, nil
}

// sent checks the form in which the requests came.
func (a *archiveServer) sent(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.requests) != len(want) {
		t.Fatalf("%d requests: %q", len(a.requests), a.requests)
	}
	for i, w := range want {
		if !strings.Contains(a.requests[i], w) {
			t.Errorf("request %d is %s, want %s", i, a.requests[i], w)
		}
	}
}
