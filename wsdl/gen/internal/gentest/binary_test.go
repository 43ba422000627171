package gentest

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/binary"
)

// archive answers with what it got.
type archive struct {
	binary.UnimplementedArchive
	dropped chan string
}

func (archive) Store(_ context.Context, req *binary.Document) (*binary.Document, error) {
	return req, nil
}

func (archive) Label(_ context.Context, req *binary.ArchiveLabel) (*binary.LabelResponse, error) {
	note, err := req.Note.Bytes(100) // behind the photo, which is kept
	if err != nil {
		return nil, err
	}
	return &binary.LabelResponse{Label: binary.Labelled{Text: req.Label.Text + " " + string(note)}, Photo: req.Photo}, nil
}

func (a archive) Drop(_ context.Context, req *binary.Drop) error {
	b, err := req.Photo.Bytes(100)
	a.dropped <- string(b)
	return err
}

var (
	labelName    = xml.Name{Space: "urn:example:archive", Local: "Label"}
	labelledName = xml.Name{Space: "urn:example:archive", Local: "Labelled"}
)

func TestBinary(t *testing.T) {
	t.Parallel()
	h := archive{dropped: make(chan string, 1)}
	s := &soapserver.Service{}
	binary.RegisterArchive(s, h)
	var mu sync.Mutex
	var request, body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		request, body = r.Header.Get("Content-Type"), string(b)
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(b))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	c := binary.NewArchiveClient(&soapclient.Client{URL: srv.URL})
	long := bytes.Repeat([]byte("0123456789"), 1000)
	png := "image/png"
	doc := func() *binary.Document {
		signature := wire.BytesBinary([]byte("signed"))
		return &binary.Document{
			Title: "t", Hash: []byte{1, 2}, Thumbnail: []byte{}, Content: wire.BytesBinary(long),
			Appendix:  []wire.Binary{wire.BytesBinary([]byte("a")), wire.ReaderBinary(bytes.NewReader(long), -1)},
			Preview:   &binary.Base64Binary{Value: wire.BytesBinary(long), ContentType: &png},
			Signature: &signature,
		}
	}
	text := func(b wire.Binary) string {
		t.Helper()
		got, err := b.Bytes(1 << 20)
		if err != nil {
			t.Error(err)
		}
		return string(got)
	}
	for _, opts := range [][]soapclient.CallOption{nil, {soapclient.MTOM()}} {
		res, err := c.Store(t.Context(), doc(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		if media, err := res.Preview.Value.MediaType(); media != png || err != nil {
			t.Errorf("media type %q, %v", media, err)
		}
		if string(res.Hash) != "\x01\x02" || res.Thumbnail == nil || text(res.Content) != string(long) ||
			text(res.Appendix[0]) != "a" || text(res.Appendix[1]) != string(long) || text(res.Preview.Value) != string(long) ||
			*res.Preview.ContentType != png || text(*res.Signature) != "signed" {
			t.Errorf("got %+v", res)
		}
		mu.Lock()
		if xop := strings.Contains(request, "application/xop+xml"); xop != (opts != nil) || strings.Contains(body, "Content-Type: image/png\r\n") != xop {
			t.Errorf("request is %s", request)
		}
		mu.Unlock()
	}
	res, err := c.Label(t.Context(), &binary.ArchiveLabel{Label: binary.Label{Text: "x"}, Photo: wire.BytesBinary(long), Note: wire.BytesBinary([]byte("y"))})
	if err != nil || res.Label.Text != "x y" || text(res.Photo) != string(long) {
		t.Errorf("got %+v, %v", res, err)
	}
	mu.Lock()
	if !strings.HasPrefix(request, `multipart/related; type="text/xml"`) || !strings.Contains(body, "Content-ID: <photo=") {
		t.Errorf("%s\n%.500s", request, body)
	}
	mu.Unlock()
	if err := c.Drop(t.Context(), &binary.Drop{Photo: wire.BytesBinary([]byte("p"))}); err != nil || <-h.dropped != "p" {
		t.Errorf("got %v", err)
	}
	// Somebody who forgets an attachment is told so.
	_, err = c.Label(t.Context(), &binary.ArchiveLabel{Photo: wire.Binary{}}, soapclient.WithHTTPHeader("Content-Type", "text/plain"))
	if err == nil {
		t.Error("text/plain was taken for a message")
	}
	_, err = soapclient.Call[binary.Label, binary.Labelled](t.Context(), &soapclient.Client{URL: srv.URL}, &soap.Operation{
		Name: "Label", Action: "urn:example:archive/Label", Input: labelName, Output: labelledName,
	}, &binary.Label{}, soapclient.WithAttachment(soap.Attachment{Name: "photo"}))
	if err == nil || !strings.Contains(err.Error(), `malformed multipart message: there is no attachment "note"`) {
		t.Errorf("got %v", err)
	}
}
