package soap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

func TestParseContentType(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header string
		want   Content
		isXML  bool
	}{
		{`text/xml`, Content{Type: "text/xml", Version: V11}, true},
		{`Text/XML; Charset="ISO-8859-1"`, Content{Type: "text/xml", Charset: "ISO-8859-1", Version: V11}, true},
		{`application/soap+xml; action="urn:a"; charset=utf-8`, Content{Type: "application/soap+xml", Charset: "utf-8", Action: "urn:a", Version: V12}, true},
		{`application/soap+xml; charset=utf-8; action=http://x/a/b`, Content{Type: "application/soap+xml", Charset: "utf-8", Action: "http://x/a/b", Version: V12}, true},
		{`text/xml; action="urn:a"`, Content{Type: "text/xml", Version: V11}, true},
		{`multipart/related; boundary=b; type="application/xop+xml"; start="<r>"; start-info="application/soap+xml"; action="urn:a"`,
			Content{Type: "multipart/related", Action: "urn:a", Version: V12, boundary: "b", start: "<r>", xop: true}, true},
		{`Multipart/Related; boundary=b; type=text/xml;`, Content{Type: "multipart/related", Version: V11, boundary: "b"}, true},
		{`multipart/related`, Content{Type: "multipart/related", Version: V11}, false},
		{`multipart/form-data; boundary=b`, Content{Type: "multipart/form-data", Version: V11}, false},
		{`text/html`, Content{Type: "text/html", Version: V11}, false},
		{``, Content{Version: V11}, false},
		{`;`, Content{Version: V11}, false},
		{`text/xml, text/plain`, Content{Version: V11}, false},
	}
	for _, tt := range tests {
		if got := ParseContentType(tt.header); got != tt.want || got.IsXML() != tt.isXML {
			t.Errorf("%q: %+v, %v, want %+v, %v", tt.header, got, got.IsXML(), tt.want, tt.isXML)
		}
	}
}

// TestUsualContentType shows that the short way to read a Content-Type finds
// what the long one does.
func TestUsualContentType(t *testing.T) {
	t.Parallel()
	usual := 0
	for _, typ := range []string{"text/xml", "application/soap+xml", "text/xml ", "text/html", "Text/xml", ""} {
		for _, rest := range []string{
			"", ";", "; ", ";charset=utf-8", "; charset=UTF-8", `; charset="utf-8"`, `; charset="utf-8`, "; charset=", `; charset=""`,
			"; charset=a b", "; charset=utf-8;", "; charset=utf-8; x=y", ";  charset=utf-8", "; Charset=utf-8", "; charset =utf-8",
			"; charset=iso-8859-1", `; charset="a\\b"`, `; action="urn:x"`, "; charset=utf-8, text/html", "; charset='utf-8'", "; charset=ü",
		} {
			got, ok := usualContentType(typ + rest)
			if !ok {
				continue
			}
			usual++
			if want := anyContentType(typ + rest); got != want {
				t.Errorf("%q: %+v, want %+v", typ+rest, got, want)
			}
		}
	}
	if usual < 10 {
		t.Errorf("only %d are usual", usual)
	}
}

// multi joins parts, each a header and a body, into a multipart message.
func multi(parts ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(parts); i += 2 {
		b.WriteString("--b\r\n" + strings.ReplaceAll(parts[i], "|", "\r\n") + "\r\n\r\n" + parts[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

const include1 = `<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:one%40x"/>`

func orderWith(v string) string {
	return open11 + `<s:Body><order xmlns="urn:x"><id>` + v + `</id></order></s:Body>` + closed
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	const root = "Content-Type: application/xop+xml; charset=utf-8; type=\"text/xml\"|Content-ID: <root>"
	const bin = "\x00\x01\xFF\r\n--not the boundary"
	tests := []struct{ name, params, doc, want string }{
		{"MTOM", "", multi(root, orderWith(include1), "Content-ID: <one@x>", bin), base64.StdEncoding.EncodeToString([]byte(bin))},
		{"include with end tag and space", "", multi(root, orderWith(strings.Replace(include1, "/>", "> </i:Include>", 1)), "Content-ID: <one@x>", "abc"), "YWJj"},
		{"start names the root", `; start="<root>"`, multi("Content-ID: <one@x>", "abc", root, orderWith(include1)), "YWJj"},
		{"base64 on the wire", "", multi(root, orderWith(include1), "Content-ID: <one@x>|Content-Transfer-Encoding: BASE64", "YW\r\nJj"), "YWJj"},
		{"quoted-printable envelope", "", multi("Content-Type: text/xml|Content-Transfer-Encoding: quoted-printable", strings.ReplaceAll(orderWith("7"), "=", "=3D")), "7"},
		{"latin-1 envelope", "", multi(strings.Replace(root, "utf-8", "iso-8859-1", 1), orderWith("<!-- \xE9 -->\n"+include1+"\n"), "Content-ID: <one@x>", "abc"), "YWJj"},
		{"attachments without MTOM", "", multi("Content-Type: text/xml", orderWith("cid:one@x"), "Content-ID: <one@x>", "abc"), "cid:one@x"},
		{"preamble", "", "hello\r\n" + multi(root, orderWith("7")), "7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := ParseContentType("multipart/related; boundary=b"+tt.params).Open(strings.NewReader(tt.doc), wire.Options{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := Read(r)
			if err != nil {
				t.Fatal(err)
			}
			var v order
			if err := m.Decode(orderName, &v); err != nil || v.ID != tt.want {
				t.Errorf("got %q, %v, want %q", v.ID, err, tt.want)
			}
		})
	}
}

// TestAttackMultipart shows multipart messages that are refused.
func TestAttackMultipart(t *testing.T) {
	t.Parallel()
	const root = "Content-Type: application/xop+xml|Content-ID: <root>"
	many := []string{root, orderWith("7")}
	for i := range 256 {
		many = append(many, fmt.Sprintf("Content-ID: <%d>", i), "x")
	}
	tests := []struct{ name, params, doc, want string }{
		{"include names nothing", "", multi(root, orderWith(include1)), "names no part"},
		{"include is no cid", "", multi(root, orderWith(strings.Replace(include1, "cid:", "file:///", 1))), "is no cid: URL"},
		{"include without href", "", multi(root, orderWith(`<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include"/>`), "", "no id"), "is no cid: URL"},
		{"same id twice", "", multi(root, orderWith(include1), "Content-ID: <one@x>", "a", "Content-ID: <one@x>", "b"), "same Content-ID"},
		{"two roots", `; start="<root>"`, multi(root, orderWith("7"), root, orderWith("8")), "same Content-ID"},
		{"start names nothing", `; start="<other>"`, multi(root, orderWith("7")), "no part holds the envelope"},
		{"no parts", "", "--b--\r\n", "multipart message"},
		{"not multipart", "", orderWith("7"), "malformed"},
		{"cut", "", strings.TrimSuffix(multi(root, orderWith("7")), "\r\n--b--\r\n"), "malformed"},
		{"too many parts", "", multi(many...), "limit of 256 attachments"},
		{"too long", "", multi(root, orderWith(include1), "Content-ID: <one@x>", strings.Repeat("x", 200000)), "limit of 100000 bytes of one attachment"},
		{"one part included often", "", multi(root, orderWith(strings.Repeat(include1+"</id><id>", 100)), "Content-ID: <one@x>", strings.Repeat("x", 10000)), "the message is larger than 100000 bytes"},
		{"two includes in one element", "", multi(root, orderWith(include1+include1), "Content-ID: <one@x>", "x"), "not alone"},
		{"malformed envelope", "", multi(root, orderWith("<a>")), "only text is allowed"},
		{"dtd", "", multi(root, "<!DOCTYPE a>"+orderWith("7")), "document type declaration refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := wire.Options{Limits: wire.Limits{Bytes: 100000}}
			r, err := ParseContentType("multipart/related; boundary=b"+tt.params).Open(strings.NewReader(tt.doc), o)
			if err == nil {
				err = readOrder(r)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			status := 400
			if strings.Contains(tt.want, " bytes") {
				status = 413
			}
			if f := RequestFault(err); f.Code != CodeClient || f.Status != status || f.Reason == "the message could not be read" {
				t.Errorf("fault %+v", f)
			}
		})
	}
	failing := io.MultiReader(strings.NewReader("--b\r\n\r\n"), errorReader{})
	if _, err := ParseContentType("multipart/related; boundary=b").Open(failing, wire.Options{}); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
}

func readOrder(r *wire.Reader) error {
	m, err := Read(r)
	if err == nil {
		err = m.Decode(orderName, &order{})
	}
	return err
}

var errGone = errors.New("peer has gone away")

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errGone }

// FuzzMultipart: no input makes opening a message panic, and what comes out
// keeps the limit.
func FuzzMultipart(f *testing.F) {
	const root = "Content-Type: application/xop+xml|Content-ID: <root>"
	f.Add("multipart/related; boundary=b", []byte(multi(root, orderWith(include1), "Content-ID: <one@x>", "abc")))
	f.Add(`multipart/related; boundary=b; start="<root>"`, []byte(multi("", "x", root, orderWith("7"))))
	f.Add("multipart/related; boundary=b", []byte(multi("Content-Transfer-Encoding: base64", "PGEvPg==")))
	f.Add("Text/XML; charset=iso-8859-1", []byte("<a>\xE9</a>"))
	f.Add(`application/soap+xml; action=urn:x/y`, []byte("<a/>"))
	f.Add("multipart/related; boundary=b", []byte(multi(root, orderWith("7"), "Content-ID: <p=1@x>|Content-Transfer-Encoding: quoted-printable", "=41", "", "x", "Content-ID: <one@x>", "abc")))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		const limit = 4096
		c := ParseContentType(header)
		r, err := c.Open(strings.NewReader(string(body)), wire.Options{Limits: wire.Limits{Bytes: limit}})
		if err != nil {
			return
		}
		if len(r.Document()) > limit {
			t.Fatalf("%d bytes from %d", len(r.Document()), len(body))
		}
		for r.Next() != wire.EOF {
		}
		// Streamed: nothing more comes out than limits allow, in whatever order,
		// and what is whole to the one way is whole to the other.
		small := AttachmentLimits{Total: limit, Memory: 64, Spool: 512, Count: 16, Header: 256, Dir: t.TempDir()}
		r, a, err := c.OpenParts(bytes.NewReader(body), wire.Options{Limits: wire.Limits{Bytes: limit}}, small)
		if err != nil {
			return
		}
		defer a.Close()
		x := &album{named: "p"}
		if m, err := Read(r); err == nil {
			_ = m.Decode(m.Body, x)
		}
		total := 0
		for i := len(x.files) - 1; i >= 0; i-- {
			b, _ := x.files[i].Bytes(1 << 20)
			total += len(b)
		}
		_ = x.readAll()
		for {
			at, err := a.Next()
			if err != nil {
				break
			}
			b, _ := at.Bytes(1 << 20)
			total += len(b)
		}
		if total > 16*limit {
			t.Fatalf("%d bytes from %d", total, len(body))
		}
		_ = a.Drain()
	})
}
