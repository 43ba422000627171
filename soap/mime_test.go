package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

// album is a message whose binaries are read when somebody asks for them.
type album struct {
	files []wire.Binary
	bytes [][]byte
	refs  []wire.Binary
	photo *wire.Binary
	raw   wire.Raw
	text  string
	named string // of an attachment to look for
}

func (x *album) UnmarshalWire(r *wire.Reader) {
	if x.named != "" {
		b := r.Part(x.named)
		x.photo = &b
	}
	for r.Child() {
		switch r.Local() {
		case "file":
			x.files = append(x.files, r.Binary())
		case "bytes":
			x.bytes = append(x.bytes, r.Base64())
		case "ref":
			x.refs = append(x.refs, r.Ref())
		case "raw":
			x.raw = r.Content()
		case "text":
			for r.Next() == wire.Text {
				x.text += r.Chars()
			}
		default:
			r.Unknown()
		}
	}
}

var albumName = xml.Name{Space: "urn:x", Local: "album"}

func albumWith(content string) string {
	return open11 + `<s:Body><album xmlns="urn:x" xmlns:i="http://www.w3.org/2004/08/xop/include">` + content + `</album></s:Body>` + closed
}

const rootXOP = "Content-Type: application/xop+xml; charset=utf-8; type=\"text/xml\"|Content-ID: <root>"

// openAlbum reads a multipart message up to its envelope.
func openAlbum(t *testing.T, params, doc string, x *album, l AttachmentLimits) (*Attachments, error) {
	t.Helper()
	if l.Dir == "" {
		l.Dir = t.TempDir()
	}
	c := ParseContentType("multipart/related; boundary=b" + params)
	o := wire.Options{Limits: wire.Limits{Bytes: 100000}, Strict: true}
	r, a, err := c.OpenParts(strings.NewReader(doc), o, l)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := errors.Join(a.Close(), a.Close()); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(l.Dir); len(left) > 0 {
			t.Errorf("temporary files are left: %v", left)
		}
	})
	m, err := Read(r)
	if err == nil {
		err = m.Decode(albumName, x)
	}
	return a, err
}

// readAll reads everything there is, in the order of the fields.
func (x *album) readAll() error {
	all := append(append([]wire.Binary{}, x.files...), x.refs...)
	if x.photo != nil {
		all = append(all, *x.photo)
	}
	for _, b := range all {
		if _, err := b.WriteTo(io.Discard); err != nil {
			return err
		}
	}
	return nil
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 2000)
	tests := []struct {
		name, doc string
		named     string
		want      string
	}{
		{"in order", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/></file><file><i:Include href="cid:2"/></file>`),
			"Content-ID: <1>|Content-Type: image/png", long, "Content-ID: <2>", "two"), "", "image/png=20000 =two"},
		{"out of order", multi(rootXOP, albumWith(`<file><i:Include href="cid:2"/></file><file><i:Include href="cid:1"/></file>`),
			"Content-ID: <1>", long, "Content-ID: <2>", "two"), "", "=two =20000"},
		{"inline", multi(rootXOP, albumWith(`<file xmlns:m="http://www.w3.org/2005/05/xmlmime" m:contentType="a/b"> dHd
			v </file><file/>`)), "", "a/b=two ="},
		{"bytes and binary", multi(rootXOP, albumWith(`<bytes> <i:Include href="cid:2"/> </bytes><file><i:Include href="cid:1"/></file><bytes>dHdv</bytes>`),
			"Content-ID: <1>", long, "Content-ID: <2>", "two"), "", "=20000 bytes two bytes two"},
		{"one part twice", multi(rootXOP, albumWith(`<file><i:Include href="cid:2"/></file><file><i:Include href="cid:2"/></file><bytes><i:Include href="cid:2"/></bytes><bytes><i:Include href="cid:2"/></bytes>`),
			"Content-ID: <2>", "two"), "", "=two =two bytes two bytes two"},
		{"binary twice", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/></file><file><i:Include href="cid:1"/></file>`),
			"Content-ID: <1>", long), "", "=20000 =20000"},
		{"raw and text", multi(rootXOP, albumWith(`<raw><a>x<b><i:Include href="cid:2"/></b></a><i:Include href="cid:2"/></raw><text>a<i:Include href="cid:2"/></text>`),
			"Content-ID: <2>", "two"), "", `raw <a xmlns="urn:x" xmlns:i="http://www.w3.org/2004/08/xop/include">x<b>dHdv</b></a>dHdv text adHdv`},
		{"swaRef", multi("Content-Type: text/xml", albumWith(`<ref>cid:a%25b@x</ref>`), "Content-ID: <a%b@x>", "two"), "", "=two"},
		{"named", multi("Content-Type: text/xml", albumWith(``), "Content-ID: <other@x>", long, "Content-ID: <my%20photo=1@x>", "two"), "my photo", "=two"},
		{"bare name", multi("Content-Type: text/xml", albumWith(``), "Content-ID: <photo>", "two"), "photo", "=two"},
		{"quoted-printable", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/></file>`),
			"Content-ID: <1>|Content-Transfer-Encoding: quoted-printable", "t=77=\r\no"), "", "=two"},
		{"base64", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/></file>`),
			"Content-ID: <1>|Content-Transfer-Encoding: Base64", "dH\r\ndv\r\n"), "", "=two"},
		{"extension inside an include", multi(rootXOP, albumWith(`<file><i:Include href="cid:1" x="y"><z/></i:Include></file>`), "Content-ID: <1>", "two"), "", "=two"},
		{"nested multipart attachment is content", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/></file>`),
			"Content-ID: <1>|Content-Type: multipart/mixed; boundary=c", "--c\r\n\r\nx\r\n--c--"), "", "multipart/mixed; boundary=c=--c\r\n\r\nx\r\n--c--"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &album{named: tt.named}
			a, err := openAlbum(t, "", tt.doc, x, AttachmentLimits{Memory: 100})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			all := append(append([]wire.Binary{}, x.files...), x.refs...)
			if x.photo != nil {
				all = append(all, *x.photo)
			}
			for _, b := range all {
				v, err := b.Bytes(1 << 20)
				if err != nil {
					t.Fatal(err)
				}
				s := string(v)
				if s == long {
					s = "20000"
				}
				media, err := b.MediaType()
				if err != nil {
					t.Error(err)
				}
				got = append(got, media+"="+s)
			}
			for _, b := range x.bytes {
				got = append(got, "bytes "+string(b))
			}
			if !x.raw.IsZero() {
				got = append(got, "raw "+x.raw.String())
			}
			if x.text != "" {
				got = append(got, "text "+x.text)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			if err := a.Drain(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAttackAttachmentReferences shows references that lead nowhere, and parts
// that are not what they seem.
func TestAttackAttachmentReferences(t *testing.T) {
	t.Parallel()
	file := func(href string) string { return `<file><i:Include href="` + href + `"/></file>` }
	tests := []struct{ name, doc, named, want string }{
		{"to nothing", multi(rootXOP, albumWith(file("cid:1"))), "", "names no part"},
		{"empty", multi(rootXOP, albumWith(file("cid:")), "", "x"), "", "names no part"},
		{"no cid", multi(rootXOP, albumWith(file("http://127.0.0.1/x"))), "", "is no cid: URL"},
		{"to the envelope", multi(rootXOP, albumWith(file("cid:root"))), "", "refers to itself"},
		{"bytes of the envelope", multi(rootXOP, albumWith(`<bytes><i:Include href="cid:root"/></bytes>`)), "", "refers to itself"},
		{"swaRef to nothing", multi("Content-Type: text/xml", albumWith(`<ref>cid:1</ref>`), "Content-ID: <2>", "x"), "", "names no part"},
		{"no attachment of that name", multi("Content-Type: text/xml", albumWith(``), "Content-ID: <photos=1@x>", "x"), "photo", `there is no attachment "photo"`},
		{"two of that name", multi("Content-Type: text/xml", albumWith(``), "Content-ID: <photo=1@x>", "x", "Content-ID: <photo=2@x>", "x"), "photo", "two attachments have the same name"},
		{"the same id behind it", multi(rootXOP, albumWith(file("cid:1")), "Content-ID: <1>", "x", "Content-ID: <1>", "y"), "", "same Content-ID"},
		{"the id of the envelope again", multi(rootXOP, albumWith(file("cid:1")), "Content-ID: <1>", "x", "Content-ID: <root>", albumWith("")), "", "same Content-ID"},
		{"text beside an include", multi(rootXOP, albumWith(`<file>YWJj<i:Include href="cid:1"/></file>`), "Content-ID: <1>", "x"), "", "not alone"},
		{"two includes", multi(rootXOP, albumWith(`<bytes><i:Include href="cid:1"/><i:Include href="cid:1"/></bytes>`), "Content-ID: <1>", "x"), "", "not alone"},
		{"element beside an include", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"/><a/></file>`), "Content-ID: <1>", "x"), "", "element where only text"},
		{"include in an include", multi(rootXOP, albumWith(`<file><i:Include href="cid:1"><a><i:Include href="cid:1"/></a></i:Include></file>`), "Content-ID: <1>", "x"), "", "inside an xop:Include"},
		{"include among elements", multi(rootXOP, albumWith(`<i:Include href="cid:1"/>`), "Content-ID: <1>", "x"), "", "text where only elements"},
		{"include in place of the envelope", multi(rootXOP, `<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:1"/>`, "Content-ID: <1>", open11+body+closed), "", "is the root element"},
		{"include in place of the body", multi(rootXOP, open11+`<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:1"/>`+closed, "Content-ID: <1>", body), "", "text where only elements"},
		{"include outside of XOP", multi("Content-Type: text/xml", albumWith(file("cid:1")), "Content-ID: <1>", "x"), "", "element where only text"},
		{"the envelope is multipart", multi("Content-Type: multipart/related; boundary=c", "--c\r\n\r\n"+albumWith("")+"\r\n--c--"), "", "itself multipart"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &album{named: tt.named}
			a, err := openAlbum(t, "", tt.doc, x, AttachmentLimits{})
			if err == nil {
				err = errors.Join(x.readAll(), a.Drain())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if f := RequestFault(err); f.Code != CodeClient || f.Status != 400 || f.Reason == "the message could not be read" {
				t.Errorf("fault %+v", f)
			}
		})
	}
}

// TestAttackAttachmentLink: a reference that is not to an attachment is kept as
// it is, and nothing opens what it names.
func TestAttackAttachmentLink(t *testing.T) {
	t.Parallel()
	x := &album{}
	a, err := openAlbum(t, "", multi("Content-Type: text/xml", albumWith(`<ref>file:///etc/passwd</ref>`)), x, AttachmentLimits{})
	if err != nil || len(x.refs) != 1 {
		t.Fatal(err)
	}
	if uri, ok := x.refs[0].Link(); uri != "file:///etc/passwd" || !ok {
		t.Errorf("got %q, %v", uri, ok)
	}
	if err := errors.Join(x.readAll(), a.Drain()); err == nil || !strings.Contains(err.Error(), "not in the message") {
		t.Errorf("got %v", err)
	}
	var w wire.Writer
	w.Ref(xml.Name{Local: "ref"}, x.refs[0])
	if b, err := w.Bytes(); string(b) != "<ref>file:///etc/passwd</ref>" || err != nil {
		t.Errorf("got %s, %v", b, err)
	}
}

// TestAttackAttachmentLimits shows that each limit holds, whatever the order in
// which parts are read.
func TestAttackAttachmentLimits(t *testing.T) {
	t.Parallel()
	first := `<file><i:Include href="cid:1"/></file>`
	second := `<file><i:Include href="cid:2"/></file>`
	long := strings.Repeat("x", 50000)
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("Content-ID: <%d>", i+10), "")
	}
	tests := []struct {
		name, doc string
		limits    AttachmentLimits
		want      string
		status    int
	}{
		{"one part", multi(rootXOP, albumWith(first), "Content-ID: <1>", long), AttachmentLimits{Part: 40000}, "40000 bytes of one attachment", 413},
		{"all parts", multi(rootXOP, albumWith(first+second), "Content-ID: <1>", long, "Content-ID: <2>", long), AttachmentLimits{Total: 80000}, "80000 bytes of attachments", 413},
		{"all parts, one unread", multi(rootXOP, albumWith(second), "Content-ID: <1>", long, "Content-ID: <2>", long), AttachmentLimits{Total: 80000}, "80000 bytes of attachments", 413},
		{"all parts, none read", multi(rootXOP, albumWith(""), "Content-ID: <1>", long, "Content-ID: <2>", long), AttachmentLimits{Total: 80000}, "80000 bytes of attachments", 413},
		{"parts in front of the envelope", multi("Content-ID: <0>", long, "Content-ID: <1>", long, "Content-ID: <2>", long+long, rootXOP, albumWith(first)), AttachmentLimits{Total: 60000, Part: 60000}, "60000 bytes of attachments", 413},
		{"kept parts", multi(rootXOP, albumWith(second+first), "Content-ID: <1>", long, "Content-ID: <2>", "x"), AttachmentLimits{Memory: 1000, Spool: 40000}, "40000 bytes of attachments that are kept", 413},
		{"number", multi(append([]string{rootXOP, albumWith("")}, many...)...), AttachmentLimits{Count: 20}, "20 attachments", 400},
		{"references", multi(rootXOP, albumWith(func() (s string) {
			for i := range 50 {
				s += fmt.Sprintf(`<file><i:Include href="cid:%d"/></file>`, i)
			}
			return s
		}())), AttachmentLimits{Count: 20}, "20 attachments", 400},
		{"header", multi(rootXOP, albumWith(first), "Content-ID: <1>|X: "+long, "x"), AttachmentLimits{Header: 20000}, "20000 bytes of the header", 400},
		{"many headers", multi(rootXOP, albumWith(first), "Content-ID: <1>"+strings.Repeat("|a: b", 20000), "x"), AttachmentLimits{}, "16384 bytes of the header", 400},
		{"preamble", strings.Repeat("hello\r\n", 20000) + multi(rootXOP, albumWith("")), AttachmentLimits{}, "16384 bytes of the header", 400},
		{"base64 of line ends", multi(rootXOP, albumWith(first), "Content-ID: <1>|Content-Transfer-Encoding: base64", strings.Repeat("\r\n", 80000)), AttachmentLimits{Total: 80000}, "80000 bytes of attachments", 413},
		{"one part read in many places", multi(rootXOP, albumWith(strings.Repeat(first, 4)), "Content-ID: <1>", long), AttachmentLimits{}, "100000 bytes of attachments that are read again", 413},
		{"bytes in a small message", multi(rootXOP, albumWith(strings.Repeat(`<bytes><i:Include href="cid:1"/></bytes>`, 3)), "Content-ID: <1>", long), AttachmentLimits{}, "larger than 100000 bytes", 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &album{}
			start := ""
			if strings.Contains(tt.name, "in front") {
				start = `; start="<root>"`
			}
			a, err := openAlbum(t, start, tt.doc, x, tt.limits)
			if err == nil {
				if err = x.readAll(); err == nil {
					err = a.Drain()
				}
			}
			var limit *wire.LimitError
			if !errors.As(err, &limit) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if f := RequestFault(err); f.Code != CodeClient || f.Status != tt.status || !strings.Contains(f.Reason, tt.want) {
				t.Errorf("fault %+v", f)
			}
		})
	}
}

// TestAttackAttachmentForms shows malformed bodies: cut, wrongly encoded, with
// boundaries that two readers might see differently.
func TestAttackAttachmentForms(t *testing.T) {
	t.Parallel()
	first := `<file><i:Include href="cid:1"/></file>`
	whole := multi(rootXOP, albumWith(first), "Content-ID: <1>", "abc")
	tests := []struct{ name, params, doc, want string }{
		{"cut in a part", "", whole[:len(whole)-10], "malformed: unexpected EOF"},
		{"cut behind a part", "", strings.TrimSuffix(whole, "--b--\r\n") + "--b\r\nContent-ID: <2>\r\n", "malformed"},
		{"not base64", "", multi(rootXOP, albumWith(first), "Content-ID: <1>|Content-Transfer-Encoding: base64", "!!!!"), "illegal base64"},
		{"unknown encoding", "", multi(rootXOP, albumWith(first), "Content-ID: <1>|Content-Transfer-Encoding: x-uuencode", "x"), "unknown Content-Transfer-Encoding"},
		{"boundary with a tail", "", multi(rootXOP, albumWith(first), "Content-ID: <1>", "abc\r\n--b--x"), "malformed"},
		{"malformed header", "", multi(rootXOP, albumWith(first), "Content-ID <1>", "x"), "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &album{}
			a, err := openAlbum(t, tt.params, tt.doc, x, AttachmentLimits{})
			if err == nil {
				err = errors.Join(x.readAll(), a.Drain())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if f := RequestFault(err); f.Code != CodeClient || f.Status != 400 || strings.Contains(f.Reason, "EOF") {
				t.Errorf("fault %+v", f)
			}
		})
	}
	for _, header := range []string{
		"multipart/related; boundary=" + strings.Repeat("b", 71),
		"multipart/related; boundary=b; boundary=c",
		"multipart/related; boundary=b; action=urn:x/y; boundary=c",
		`multipart/related; boundary=""`,
		"multipart/related; boundary=b, multipart/related; boundary=c",
	} {
		if c := ParseContentType(header); c.IsXML() && c.boundary != "b, multipart/related" {
			t.Errorf("%q is read with the boundary %q", header, c.boundary)
		}
	}
	// What looks like a boundary inside of a line, or is longer, is content.
	x := &album{}
	const tricky = "a --b\r\n --b\r\n--bb\r\n-- b\n--b x"
	if _, err := openAlbum(t, "", multi(rootXOP, albumWith(first), "Content-ID: <1>", tricky), x, AttachmentLimits{}); err != nil {
		t.Fatal(err)
	}
	if b, err := x.files[0].Bytes(1000); err != nil || string(b) != tricky {
		t.Errorf("got %q, %v", b, err)
	}
}
