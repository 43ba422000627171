package backend

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// answerOf reads an answer with our reader. rest is what it left.
func answerOf(src io.Reader, method string) (h *head, content []byte, trailer []field, rest int, err error) {
	var in reader
	in.init(src)
	in.begin()
	h = new(head)
	if err := h.read(&in); err != nil {
		return nil, nil, nil, 0, err
	}
	b := body{in: &in, framing: h.framing(method)}
	if b.framing == byCount {
		b.left = h.length
	}
	for {
		p, err := b.next()
		content = append(content, p...)
		if errors.Is(err, io.EOF) {
			return h, content, b.trailer, in.buffered(), nil
		}
		if err != nil {
			return h, content, nil, 0, err
		}
	}
}

var answers = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\ngone",
	"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\nA \r\n0123456789\r\n0\r\n\r\nmore",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nA : b\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nxyz",
	"HTTP/2.0 200 OK\r\n\r\n",
	"\r\nHTTP/1.1 200 OK\r\n\r\n",
}

// FuzzResponse compares our reader with that of net/http: what we take, it takes
// as well, with the same status, fields, body and trailer, however the bytes come.
func FuzzResponse(f *testing.F) {
	for _, a := range answers {
		f.Add([]byte(a), false)
		f.Add([]byte(a), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, isHead bool) {
		method := http.MethodGet
		if isHead {
			method = http.MethodHead
		}
		h, content, trailer, _, err := answerOf(bytes.NewReader(raw), method)
		h2, content2, _, _, err2 := answerOf(iotest.OneByteReader(bytes.NewReader(raw)), method)
		if (err == nil) != (err2 == nil) || !bytes.Equal(content, content2) || (h == nil) != (h2 == nil) {
			t.Fatalf("at once: %q, %v; byte by byte: %q, %v", content, err, content2, err2)
		}
		if err != nil {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(raw), 1<<20), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("we take what net/http refuses: %v", err)
		}
		other, err := io.ReadAll(resp.Body)
		if h.status == http.StatusSwitchingProtocols { // net/http gives the connection as the body
			other, err = nil, nil
		}
		if err != nil || !bytes.Equal(other, content) {
			t.Fatalf("net/http has the body %q, %v; we have %q", other, err, content)
		}
		if resp.StatusCode != h.status || resp.ProtoMinor != h.minor {
			t.Fatalf("net/http has %s %s; we have %d", resp.Proto, resp.Status, h.status)
		}
		for name, values := range resp.Header {
			var ours []string
			for _, f := range h.fields {
				if f.name == name {
					ours = append(ours, f.value)
				}
			}
			if !slices.Equal(ours, values) && name != "Content-Length" && name != "Connection" {
				t.Fatalf("net/http has %s: %q; we have %q", name, values, ours)
			}
		}
		for name, values := range resp.Trailer {
			var ours []string
			for _, f := range trailer {
				if f.name == name {
					ours = append(ours, f.value)
				}
			}
			if !slices.Equal(ours, values) {
				t.Fatalf("net/http has the trailer %s: %q; we have %q", name, values, ours)
			}
		}
	})
}

func TestResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw, want string // the body
		refused         string
		rest            int
	}{
		{"length", answers[0], "hello", "", 0},
		{"no phrase", answers[1], "", "", 0},
		{"until the end", answers[2], "gone", "", 0},
		{"204 with a body", answers[3], "", "", 5},
		{"304", answers[4], "", "", 0},
		{"chunks", answers[5], "hello world", "", 0},
		{"chunks, padded, and more", answers[6], "0123456789", "", 4},
		{"length twice", answers[7], "hello", "", 0},
		{"length as a list", answers[8], "", "Content-Length is not one number", 0},
		{"length with a sign", answers[9], "", "Content-Length is not one number", 0},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "", "Content-Length is not one number", 0},
		{"length and chunks", answers[10], "", "both Content-Length and Transfer-Encoding", 0},
		{"bare line ends", answers[11], "", "without CR", 0},
		{"bare line end later", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\nhello", "", "without CR", 0},
		{"bare empty line", "HTTP/1.1 200 OK\r\nA: b\r\n\nhello", "", "without CR", 0},
		{"CR within", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", "", "control character", 0},
		{"folded", answers[12], "", "goes on in a second line", 0},
		{"folded, the first", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "", "goes on in a second line", 0},
		{"space before the colon", answers[13], "", "no name", 0},
		{"no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", "", "no name", 0},
		{"NUL", answers[14], "", "control character", 0},
		{"chunks with bare line ends", answers[15], "", "without CR", 0},
		{"chunk longer than it says", answers[16], "", "a line is too long", 0},
		{"chunk of a size without end", answers[17], "", "no length", 0},
		{"chunk of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "", "no length", 0},
		{"trailer about the body", answers[18], "", "a trailer says how long", 0},
		{"gzip", answers[19], "", "not chunked alone", 0},
		{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", "not chunked alone", 0},
		{"chunks in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", "HTTP/1.0", 0},
		{"2.0", answers[21], "", "no status line", 0},
		{"an empty line first", answers[22], "", "no status line", 0},
		{"no number", "HTTP/1.1 2oo OK\r\n\r\n", "", "no status line", 0},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "", "no status line", 0},
		{"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", "", "unexpected EOF", 0},
		{"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "", "unexpected EOF", 0},
		{"cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", "", "unexpected EOF", 0},
		{"cut before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "", "unexpected EOF", 0},
		{"cut in the trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "", "unexpected EOF", 0},
		{"many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxFields+1) + "\r\n", "", "more than 1000 fields", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, src := range []io.Reader{strings.NewReader(tt.raw), iotest.OneByteReader(strings.NewReader(tt.raw)), iotest.DataErrReader(strings.NewReader(tt.raw))} {
				_, got, _, rest, err := answerOf(src, http.MethodGet)
				if tt.refused != "" {
					if err == nil || !strings.Contains(err.Error(), tt.refused) {
						t.Errorf("got %q, %v; want an error with %q", got, err, tt.refused)
					}
					continue
				}
				if err != nil || string(got) != tt.want {
					t.Errorf("got %q, %v; want %q", got, err, tt.want)
				}
				if _, bytewise := src.(*strings.Reader); bytewise && rest != tt.rest {
					t.Errorf("%d bytes are left, want %d", rest, tt.rest)
				}
			}
		})
	}
}
