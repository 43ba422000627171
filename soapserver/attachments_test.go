package soapserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"encoding/xml"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// binary is a wire type with one binary value.
type binary struct{ V wire.Binary }

func (x *binary) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	x.V.MarshalWire(w, xml.Name{Space: "urn:x", Local: "v"})
	w.End()
}

func (x *binary) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		x.V = r.Binary()
	}
}

const ctXOP = `multipart/related; boundary=b; type="application/xop+xml"; start-info="text/xml"`

// xopRequest is an MTOM request whose binary value is content.
func xopRequest(op, content string) string {
	return "--b\r\nContent-Type: application/xop+xml; type=\"text/xml\"\r\n\r\n" +
		envelope(ns11, "", `<`+op+`><v><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:p"/></v></`+op+`>`) +
		"\r\n--b\r\nContent-ID: <p>\r\n\r\n" + content + "\r\n--b--\r\n"
}

// binaryService hands the binary of each request to fn.
func binaryService(t *testing.T, fn func(wire.Binary) (wire.Binary, error)) (*soapserver.Service, *logs) {
	t.Helper()
	l := &logs{}
	dir := t.TempDir()
	s := &soapserver.Service{
		Attachments: soap.AttachmentLimits{Memory: 10, Dir: dir},
		Logger:      slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	soapserver.Handle(s, operation("put"), func(_ context.Context, req *binary) (*binary, error) {
		b, err := fn(req.V)
		return &binary{b}, err
	})
	once := operation("once")
	once.OneWay = true
	soapserver.HandleOneWay(s, once, func(_ context.Context, req *binary) error {
		_, err := fn(req.V)
		return err
	})
	t.Cleanup(func() {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
	return s, l
}

// TestAttackCutAttachment: a message that turns out to be malformed is refused,
// even where the handler has taken what it wanted, or nothing.
func TestAttackCutAttachment(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for name, fn := range map[string]func(wire.Binary) (wire.Binary, error){
		"unread": func(wire.Binary) (wire.Binary, error) { return wire.Binary{}, nil },
		"read":   func(b wire.Binary) (wire.Binary, error) { _, err := b.Bytes(1 << 20); return wire.Binary{}, err },
		"read, error ignored": func(b wire.Binary) (wire.Binary, error) {
			_, _ = b.Bytes(1 << 20)
			return wire.Binary{}, nil
		},
		"passed on": func(b wire.Binary) (wire.Binary, error) { return b, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := binaryService(t, fn)
			for _, op := range []string{"put", "once"} {
				whole := xopRequest(op, long)
				for _, body := range []string{whole[:len(whole)-100], strings.TrimSuffix(whole, "--b--\r\n"), strings.TrimSuffix(whole, "--\r\n") + "\r\nContent-ID: <p>\r\n\r\nx\r\n--b--"} {
					w := post(t, s, body, ctXOP, "")
					if w.Code != 400 || !strings.Contains(w.Body.String(), "malformed multipart message") || strings.Contains(w.Body.String(), "EOF") {
						t.Errorf("%s: %d %s", op, w.Code, w.Body)
					}
				}
				if w := post(t, s, whole, ctXOP, ""); w.Code != 200 && w.Code != 202 {
					t.Errorf("%s: %d %s", op, w.Code, w.Body)
				}
			}
		})
	}
}

// TestAttackSlowAttachment: a peer that stops sending in the middle of a part
// holds a handler as long as the server's timeout allows.
func TestAttackSlowAttachment(t *testing.T) {
	t.Parallel()
	returned := make(chan error, 1)
	s, _ := binaryService(t, func(b wire.Binary) (wire.Binary, error) {
		_, err := b.Bytes(1 << 20)
		returned <- err
		return wire.Binary{}, err
	})
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ReadTimeout = 200 * time.Millisecond
	srv.Start()
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := xopRequest("put", strings.Repeat("x", 10000))
	_, err = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", ctXOP, len(body), body[:len(body)-5000])
	if err != nil {
		t.Fatal(err)
	}
	if err := <-returned; err == nil {
		t.Error("the part was read to its end")
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 400 || !resp.Close {
		t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
	}
}

// TestAnswerCutOff: when a source fails in the middle of an answer, the
// connection ends, so that the caller does not take the half for the whole.
func TestAnswerCutOff(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for size, status := range map[int64]int{-1: 200, 100000: 200, 5000: 200} {
		s, l := binaryService(t, func(wire.Binary) (wire.Binary, error) {
			r := io.Reader(io.MultiReader(strings.NewReader(strings.Repeat("x", 50000)), &failing{broken}))
			return wire.ReaderBinary(r, size), nil
		})
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		resp, err := http.Post(srv.URL, ctXOP, strings.NewReader(xopRequest("put", "x")))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil || resp.StatusCode != status {
			t.Errorf("size %d: status %d, %v", size, resp.StatusCode, err)
		}
		want := "disk on fire"
		if size == 5000 {
			want = "its size was given as 5000 bytes"
		}
		if s := l.String(); !strings.Contains(s, `level=ERROR msg="answer cut off"`) || !strings.Contains(s, want) {
			t.Errorf("size %d: log %s", size, s)
		}
	}
	// What cannot even begin is a fault.
	s, _ := binaryService(t, func(wire.Binary) (wire.Binary, error) { return wire.FileBinary("/nonexistent"), nil })
	if w := post(t, s, xopRequest("put", "x"), ctXOP, ""); w.Code != 500 || !strings.Contains(w.Body.String(), "internal error") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// TestNoRoomForAttachments: trouble of ours is not blamed on the peer.
func TestNoRoomForAttachments(t *testing.T) {
	t.Parallel()
	s, l := binaryService(t, func(b wire.Binary) (wire.Binary, error) { return b, nil })
	s.Attachments.Dir = "/nonexistent"
	w := post(t, s, xopRequest("put", strings.Repeat("x", 1000)), ctXOP, "")
	if w.Code != 500 || !strings.Contains(w.Body.String(), "internal error") || !strings.Contains(l.String(), "AttachmentLimits.Dir") {
		t.Errorf("%d %s\n%s", w.Code, w.Body, l)
	}
}

// TestMTOMDemanded: an operation whose description demands MTOM answers so,
// without binary content and to anybody.
func TestMTOMDemanded(t *testing.T) {
	t.Parallel()
	s := &soapserver.Service{}
	op := operation("put")
	op.MTOMRequired = true
	soapserver.Handle(s, op, func(context.Context, *text) (*text, error) { return &text{"x"}, nil })
	w := post(t, s, envelope(ns11, "", `<put/>`), ct11, "")
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, `multipart/related; type="application/xop+xml"`) {
		t.Errorf("content type %s", ct)
	}
}

// TestAttackMTOMAction: the action inside a multipart message counts like the one
// outside.
func TestAttackMTOMAction(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	body := func(action string) string {
		return "--b\r\nContent-Type: application/xop+xml; type=\"application/soap+xml\"; action=\"" + action + "\"\r\n\r\n" +
			envelope(ns12, "", "<delete/>") + "\r\n--b--\r\n"
	}
	const ct = `multipart/related; boundary=b; type="application/xop+xml"; start-info="application/soap+xml"`
	for _, tt := range []struct {
		outer, inner string
		want         int
	}{
		{"", "urn:x/delete", 200}, {`; action="urn:x/delete"`, "urn:x/delete", 200},
		{`; action="urn:x/delete"`, "urn:x/echo", 400}, {"", "urn:x/echo", 400}, {`; action="urn:x/echo"`, "urn:x/delete", 400},
	} {
		if w := post(t, s, body(tt.inner), ct+tt.outer, ""); w.Code != tt.want {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}
