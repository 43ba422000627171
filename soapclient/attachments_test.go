package soapclient_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// files is a wire type with binary content of all kinds.
type files struct {
	Name  string
	Small []byte
	Files []wire.Binary
	Ref   *wire.Binary // a ref:swaRef
}

func nameX(local string) xml.Name { return xml.Name{Space: "urn:x", Local: local} }

func (x *files) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(nameX("name"), x.Name)
	w.Base64(nameX("small"), x.Small)
	for i := range x.Files {
		x.Files[i].MarshalWire(w, nameX("file"))
	}
	if x.Ref != nil {
		w.Ref(nameX("ref"), *x.Ref)
	}
	w.End()
}

func (x *files) UnmarshalWire(r *wire.Reader) {
	*x = files{}
	for r.Child() {
		switch r.Local() {
		case "name":
			x.Name = r.Text()
		case "small":
			x.Small = r.Base64()
		case "file":
			x.Files = append(x.Files, r.Binary())
		case "ref":
			b := r.Ref()
			x.Ref = &b
		default:
			r.Unknown()
		}
	}
}

var store = &soap.Operation{
	Service: "{urn:x}Test", Name: "store", Action: "urn:x/store",
	Input: nameX("store"), Output: nameX("storeResponse"),
}

// rig is a service of one operation, and a client of it that records what
// travels.
type rig struct {
	*soapclient.Client
	service *soapserver.Service
	dir     string // of temporary files, of both

	mu               sync.Mutex
	changed          *sync.Cond // conns
	request, answer  string     // Content-Type
	conns            int        // open
	dialled          int
	lengths, replies []int64
}

func serve(t *testing.T, h func(context.Context, *files) (*files, error)) *rig {
	t.Helper()
	g := &rig{dir: t.TempDir()}
	g.changed = sync.NewCond(&g.mu)
	limits := soap.AttachmentLimits{Total: 1 << 30, Memory: 1 << 10, Dir: g.dir}
	g.service = &soapserver.Service{Attachments: limits}
	soapserver.Handle(g.service, store, h)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.request = r.Header.Get("Content-Type")
		g.lengths = append(g.lengths, r.ContentLength)
		g.mu.Unlock()
		g.service.ServeHTTP(w, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		g.mu.Lock()
		defer g.mu.Unlock()
		defer g.changed.Broadcast()
		switch s {
		case http.StateNew:
			g.conns++
			g.dialled++
		case http.StateClosed, http.StateHijacked:
			g.conns--
		}
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		if left, _ := os.ReadDir(g.dir); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
	hc := srv.Client()
	g.Client = &soapclient.Client{URL: srv.URL, Attachments: limits, HTTP: doer(func(r *http.Request) (*http.Response, error) {
		resp, err := hc.Do(r)
		if err == nil {
			g.mu.Lock()
			g.answer = resp.Header.Get("Content-Type")
			g.replies = append(g.replies, resp.ContentLength)
			g.mu.Unlock()
		}
		return resp, err
	})}
	return g
}

func (g *rig) call(ctx context.Context, req *files, opts ...soapclient.CallOption) (*files, error) {
	return soapclient.Call[files, files](ctx, g.Client, store, req, opts...)
}

// echoFiles answers with what it got, unread.
func echoFiles(_ context.Context, req *files) (*files, error) { return req, nil }

func content(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>3) ^ byte(i) ^ seed
	}
	return b
}

func bytesOf(t *testing.T, b wire.Binary) []byte {
	t.Helper()
	got, err := b.Bytes(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestMTOMBothWays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content(70000, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	big, tiny := content(50000, 1), content(100, 2)
	for _, v := range []soap.Version{soap.V11, soap.V12} {
		g := serve(t, echoFiles)
		g.Version = v
		req := &files{Name: "<n>", Small: big, Files: []wire.Binary{
			wire.BytesBinary(big), wire.BytesBinary(tiny), {}, wire.FileBinary(path),
			wire.ReaderBinary(bytes.NewReader(tiny), -1),
		}}
		req.Files[0].ContentType = "image/png"
		res, err := g.call(t.Context(), req, soapclient.MTOM())
		if err != nil {
			t.Fatal(err)
		}
		for what, ct := range map[string]string{"request": g.request, "answer": g.answer} {
			for _, want := range []string{"multipart/related", `type="application/xop+xml"`, `start="<`, `start-info="` + v.MediaType() + `"`, `boundary="`} {
				if !strings.Contains(ct, want) {
					t.Errorf("%s: content type %s lacks %s", what, ct, want)
				}
			}
			if has := strings.Contains(ct, `action="urn:x/store"`); has != (what == "request" && v == soap.V12) {
				t.Errorf("%s: content type %s", what, ct)
			}
		}
		if g.lengths[0] != -1 {
			t.Errorf("Content-Length %d where the length of a part is not known", g.lengths[0])
		}
		if g.replies[0] <= 0 { // all is known once it has been kept
			t.Errorf("the answer has Content-Length %d", g.replies[0])
		}
		if res.Name != "<n>" || !bytes.Equal(res.Small, big) || len(res.Files) != 5 {
			t.Fatalf("got %+v", res)
		}
		if _, err := res.Files[0].Size(); err != nil || res.Files[1].ContentType != "" {
			t.Errorf("size: %v, type %q", err, res.Files[1].ContentType)
		}
		for i, want := range [][]byte{big, tiny, nil, content(70000, 3), tiny} {
			if got := bytesOf(t, res.Files[i]); !bytes.Equal(got, want) {
				t.Errorf("file %d: %d bytes, want %d", i, len(got), len(want))
			}
		}
	}
}

// TestPlain: without MTOM everything is base64, and an answer to somebody who
// understands MTOM is MTOM.
func TestPlain(t *testing.T) {
	t.Parallel()
	g := serve(t, echoFiles)
	big := content(5000, 1)
	res, err := g.call(t.Context(), &files{Files: []wire.Binary{wire.ReaderBinary(bytes.NewReader(big), 5000)}})
	if err != nil || g.request != ct11 || !strings.HasPrefix(g.answer, "multipart/related") || !bytes.Equal(bytesOf(t, res.Files[0]), big) {
		t.Errorf("%v, request %s, answer %s", err, g.request, g.answer)
	}
	res, err = g.call(t.Context(), &files{Files: []wire.Binary{wire.BytesBinary(big)}}, soapclient.WithHTTPHeader("Accept", "text/xml"))
	if err != nil || g.answer != ct11 || !bytes.Equal(bytesOf(t, res.Files[0]), big) {
		t.Errorf("%v, answer %s", err, g.answer)
	}
	if b := res.Files[0]; !b.Replayable() || !bytes.Equal(bytesOf(t, b), big) {
		t.Error("inline content can be read again and again")
	}
}

// TestReadOrder: parts can be read in any order, at the same time, or not at
// all; each of them once.
func TestReadOrder(t *testing.T) {
	t.Parallel()
	var want [][]byte
	var send []wire.Binary
	for i := range 5 {
		want = append(want, content(300000, byte(i)))
		send = append(send, wire.BytesBinary(want[i]))
	}
	read := func(x *files) error {
		first, err := x.Files[0].Open() // the others are wanted while this one is under way
		if err != nil {
			return err
		}
		head := make([]byte, 1000)
		if _, err := io.ReadFull(first, head); err != nil {
			return err
		}
		for _, i := range []int{3, 1, 4} {
			b, err := x.Files[i].Bytes(1 << 20)
			if err != nil || !bytes.Equal(b, want[i]) {
				return fmt.Errorf("file %d: %d bytes, %w", i, len(b), err)
			}
		}
		rest, err := io.ReadAll(first)
		if err != nil || !bytes.Equal(append(head, rest...), want[0]) {
			return fmt.Errorf("first file: %d bytes, %w", len(rest)+1000, err)
		}
		if _, err := x.Files[0].Open(); !errors.Is(err, wire.ErrBinaryRead) {
			return fmt.Errorf("read again: %w", err)
		}
		if err := x.Files[2].Close(); err != nil {
			return err
		}
		if _, err := x.Files[2].Open(); !errors.Is(err, wire.ErrBinaryRead) {
			return fmt.Errorf("read after Close: %w", err)
		}
		return nil
	}
	var kept wire.Binary
	g := serve(t, func(_ context.Context, req *files) (*files, error) {
		kept = req.Files[1] // stored on the way
		if err := read(req); err != nil {
			return nil, soap.Faultf(soap.CodeServer, "%v", err)
		}
		return &files{Files: send}, nil
	})
	res, err := g.call(t.Context(), &files{Files: send}, soapclient.MTOM())
	if err != nil {
		t.Fatal(err)
	}
	if err := read(res); err != nil {
		t.Error(err)
	}
	if _, err := kept.Open(); !errors.Is(err, soap.ErrAttachmentsClosed) {
		t.Errorf("after the handler has returned: %v", err)
	}
	var wg sync.WaitGroup
	g = serve(t, func(_ context.Context, req *files) (*files, error) {
		errs := make([]error, len(req.Files))
		for i, b := range req.Files {
			wg.Go(func() {
				if got, err := b.Bytes(1 << 20); err != nil || !bytes.Equal(got, want[i]) {
					errs[i] = fmt.Errorf("file %d: %d bytes, %w", i, len(got), err)
				}
			})
		}
		wg.Wait()
		return &files{}, errors.Join(errs...)
	})
	if _, err := g.call(t.Context(), &files{Files: send}, soapclient.MTOM()); err != nil {
		t.Error(err)
	}
}

// waitFor waits until the server has n open connections.
func (g *rig) waitFor(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.conns != n {
		g.changed.Wait()
	}
}

// TestConnectionIsFreed: when all was read the connection serves the next call;
// when something was closed, or the context ends, it is gone.
func TestConnectionIsFreed(t *testing.T) {
	t.Parallel()
	big := content(3<<20, 1)
	g := serve(t, func(context.Context, *files) (*files, error) {
		return &files{Files: []wire.Binary{wire.BytesBinary(big), wire.BytesBinary(big)}}, nil
	})
	for range 3 {
		res, err := g.call(t.Context(), &files{})
		if err != nil || !bytes.Equal(bytesOf(t, res.Files[0]), big) || !bytes.Equal(bytesOf(t, res.Files[1]), big) {
			t.Fatal(err)
		}
	}
	g.mu.Lock()
	if g.dialled != 1 {
		t.Errorf("%d connections for three calls whose answers were read", g.dialled)
	}
	g.mu.Unlock()
	res, err := g.call(t.Context(), &files{})
	if err != nil || !bytes.Equal(bytesOf(t, res.Files[1]), big) { // the first one is kept, in a file
		t.Fatal(err)
	}
	if err := errors.Join(res.Files[0].Close(), res.Files[0].Close()); err != nil {
		t.Error(err)
	}
	if _, err := g.call(t.Context(), &files{}, func() soapclient.CallOption {
		var parts *soap.Attachments
		return soapclient.ReceiveAttachments(&parts)
	}()); err != nil { // never closed: the context of the test does
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	if res, err = g.call(ctx, &files{}); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	before := g.conns
	g.mu.Unlock()
	cancel()
	g.waitFor(before - 1)
	if _, err := res.Files[0].Bytes(1 << 30); err == nil {
		t.Error("read after the end of the context")
	}
}

// TestSwA: attachments that the message refers to, and others.
func TestSwA(t *testing.T) {
	t.Parallel()
	g := serve(t, func(ctx context.Context, req *files) (*files, error) {
		call := soapserver.FromContext(ctx)
		var names []string
		for {
			a, err := call.Attachments.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			b, err := a.Bytes(1 << 20)
			if err != nil {
				return nil, err
			}
			names = append(names, fmt.Sprintf("%s|%s|%s", a.Name, a.ContentType, b))
			call.Attach(soap.Attachment{Name: a.Name + "2", Binary: wire.BytesBinary(b)})
		}
		return &files{Name: strings.Join(names, ","), Ref: req.Ref}, nil
	})
	ref := wire.BytesBinary([]byte("referred to"))
	photo := soap.Attachment{Name: "my photo=1", Binary: wire.BytesBinary([]byte("p"))}
	photo.ContentType = "image/png"
	for _, opts := range [][]soapclient.CallOption{nil, {soapclient.MTOM()}} {
		var parts *soap.Attachments
		res, err := g.call(t.Context(), &files{Ref: &ref}, append(opts, soapclient.WithAttachment(photo),
			soapclient.WithAttachment(soap.Attachment{ID: "own@id", Binary: wire.ReaderBinary(strings.NewReader("q"), -1)}),
			soapclient.ReceiveAttachments(&parts))...)
		if err != nil {
			t.Fatal(err)
		}
		if want := "my photo=1|image/png|p,|application/octet-stream|q"; res.Name != want || string(bytesOf(t, *res.Ref)) != "referred to" {
			t.Errorf("got %q, want %q", res.Name, want)
		}
		if xop := strings.Contains(g.request, "xop"); xop != (opts != nil) {
			t.Errorf("request %s", g.request)
		}
		var got []string
		for {
			a, err := parts.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a.Name+"="+string(bytesOf(t, a.Binary)))
		}
		if fmt.Sprint(got) != "[my photo=12=p 2=q]" {
			t.Errorf("got %v", got)
		}
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReplay: a request is sent again where its binaries can be read again.
func TestReplay(t *testing.T) {
	t.Parallel()
	g := serve(t, func(_ context.Context, req *files) (*files, error) {
		b, err := req.Files[0].Bytes(1 << 20)
		return &files{Small: b}, err
	})
	target, err := url.Parse(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/there", httputil.NewSingleHostReverseProxy(target))
	mux.Handle("/", http.RedirectHandler("/there", http.StatusTemporaryRedirect))
	again := httptest.NewServer(mux)
	t.Cleanup(again.Close)
	direct := g.URL
	g.URL, g.HTTP = again.URL, again.Client()
	big := content(1<<20, 1)
	res, err := g.call(t.Context(), &files{Files: []wire.Binary{wire.BytesBinary(big)}}, soapclient.MTOM())
	if err != nil || !bytes.Equal(res.Small, big) {
		t.Errorf("got %v", err)
	}
	closed := &closes{bytes.NewReader(big), make(chan struct{})}
	if _, err = g.call(t.Context(), &files{Files: []wire.Binary{wire.ReaderBinary(closed, -1)}}, soapclient.MTOM()); err == nil || !strings.Contains(err.Error(), "HTTP 307") {
		t.Errorf("a stream was sent twice: %v", err)
	}
	<-closed.done // a stream that was given up is closed
	g.URL = direct
	once := wire.ReaderBinary(bytes.NewReader(big), -1)
	if _, err = g.call(t.Context(), &files{Files: []wire.Binary{once}}, soapclient.MTOM()); err != nil {
		t.Error(err)
	}
	if _, err = g.call(t.Context(), &files{Files: []wire.Binary{once}}, soapclient.MTOM()); !errors.Is(err, wire.ErrBinaryRead) {
		t.Errorf("second call with the same stream: %v", err)
	}
}

type closes struct {
	io.Reader
	done chan struct{}
}

func (c *closes) Close() error { close(c.done); return nil }
