package wire

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestNillable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		n    Nillable[string]
		zero bool
		get  string
	}{
		{"absent", Nillable[string]{}, true, ""},
		{"nil", NilValue[string](), false, ""},
		{"value", Some("x"), false, "x"},
		{"empty value", Some(""), false, ""},
	}
	for _, tt := range tests {
		if tt.n.IsZero() != tt.zero || tt.n.Get() != tt.get {
			t.Errorf("%s: IsZero %v, Get %q", tt.name, tt.n.IsZero(), tt.n.Get())
		}
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	r := start(t, "<a><b/></a>", Options{})
	r.Require(true, "fine")
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	r.Require(false, "element c is missing")
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "wire: a: element c is missing: line 1") {
		t.Errorf("got %v", err)
	}
	w := NewWriter(nil)
	w.Start(n("", "a"))
	w.Require(true, "fine")
	w.Require(false, "c is missing")
	w.End()
	if _, err := w.Bytes(); err == nil || err.Error() != "wire: write element a: c is missing" {
		t.Errorf("got %v", err)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	r := start(t, "<a><b><c/></b><d/></a>", Options{})
	r.Child()
	if r.Unknown(); !r.Child() || r.Local() != "d" {
		t.Errorf("at %s, %v", r.Local(), r.Err())
	}
	r = start(t, "<a><b/></a>", Options{Strict: true})
	r.Child()
	r.Unknown()
	var ve *ValueError
	if !errors.As(r.Err(), &ve) || ve.Name.Local != "b" {
		t.Errorf("got %v", r.Err())
	}
}

func TestKnow(t *testing.T) {
	t.Parallel()
	const known = "urn:known"
	r := start(t, `<a xmlns="urn:known"><b xmlns:p="urn:known" xmlns:q="urn:other"><p:c/><q:d/></b></a>`, Options{})
	r.Know(known)
	var got []string
	for k := r.Next(); k != EOF; k = r.Next() {
		got = append(got, clark(r.Name()))
		if r.Space() == known && unsafe.StringData(r.Space()) != unsafe.StringData(known) {
			t.Errorf("%s has a namespace of its own", clark(r.Name()))
		}
	}
	want := "{urn:known}b {urn:known}c {urn:known}c {urn:other}d {urn:other}d {urn:known}b {urn:known}a"
	if s := strings.Join(got, " "); s != want || r.Err() != nil {
		t.Errorf("got %s, %v", s, r.Err())
	}
}

func TestAttrQName(t *testing.T) {
	t.Parallel()
	r := start(t, "<a xmlns:p='u' b='p:x' c='q:x'/>", Options{})
	if q := r.AttrQName(r.Attrs()[0]); q != n("u", "x") {
		t.Errorf("got %v", q)
	}
	r.AttrQName(r.Attrs()[1])
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "wire: c: undeclared prefix q") {
		t.Errorf("got %v", err)
	}
}

func TestTextLists(t *testing.T) {
	t.Parallel()
	got, err := ParseTextList[string](" a\t\r\nb  c\u00a0d ")
	if err != nil || !slices.Equal(got, []string{"a", "b", "c\u00a0d"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if s := TextList(got); s != "a b c\u00a0d" {
		t.Errorf("got %q", s)
	}
}

func TestRawIsText(t *testing.T) {
	t.Parallel()
	type doc struct{ X Raw }
	var d doc
	if err := json.Unmarshal([]byte(`{"X":"<a>1</a>t"}`), &d); err != nil || d.X.Name().Local != "a" {
		t.Errorf("got %v, %v", d.X, err)
	}
	if err := json.Unmarshal([]byte(`{"X":"<a>"}`), &d); err == nil {
		t.Errorf("accepted as %v", d.X)
	}
	x, err := TextRaw("a<b")
	if err != nil || x.String() != "a&lt;b" || x.Text() != "a<b" || x.Name() != (xml.Name{}) {
		t.Errorf("got %v, %v", x, err)
	}
	y, err := RawOf(&Empty{}, n("u", "e"))
	if err != nil || x.Append(y).String() != `a&lt;b<n1:e xmlns:n1="u"/>` {
		t.Errorf("got %v, %v", x.Append(y), err)
	}
	if err := x.Decode(&Empty{}); err == nil {
		t.Error("decoded an element from text")
	}
	if _, err := TextRaw("\x00"); err == nil {
		t.Error("control character accepted")
	}
}

func TestAnyDecodesInPlace(t *testing.T) {
	t.Parallel()
	r := start(t, `<a xmlns:i="`+XSI+`" xmlns="u"><b i:type="T" c="1"><d/>x</b></a>`, Options{})
	r.Child()
	var x, again Any
	x.UnmarshalWire(r)
	if err := x.Decode(&again); err != nil {
		t.Fatal(err)
	}
	if again.Type != n("u", "T") || len(again.Attrs) != 1 || again.Attrs[0] != x.Attrs[0] || again.Content != x.Content {
		t.Errorf("got %+v from %+v", again, x)
	}
	bad := &Any{Attrs: []xml.Attr{{Name: n("", `x="1" y`), Value: "2"}}}
	if b, err := Marshal(bad, n("", "a")); err == nil {
		t.Errorf("wrote %s", b)
	}
}

func TestReadFrom(t *testing.T) {
	t.Parallel()
	r, err := ReadFrom(strings.NewReader("<a>x</a>"), Options{Limits: Limits{Bytes: 8}})
	if err != nil || r.Next() != Start || r.Text() != "x" {
		t.Errorf("at the limit: %v, %v", err, r.Err())
	}
	src := strings.NewReader("<a>" + strings.Repeat("x", 100))
	r, err = ReadFrom(src, Options{Limits: Limits{Bytes: 8}})
	var le *LimitError
	if err != nil || !errors.As(r.Err(), &le) || le.Limit != "bytes" {
		t.Errorf("beyond the limit: %v, %v", err, r.Err())
	}
	if read := 103 - src.Len(); read != 9 {
		t.Errorf("%d bytes read", read)
	}
	if _, err := ReadFrom(io.MultiReader(strings.NewReader("<a>"), failing{}), Options{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestSpan cuts a document at its tokens and puts it together again.
func TestSpan(t *testing.T) {
	t.Parallel()
	const doc = "<?xml version='1.0'?>\n<a b='1'><!-- c -->t<b/><c>&lt;<![CDATA[x]]></c></a>\n"
	r := NewReader([]byte(doc), Options{})
	var got strings.Builder
	done := 0
	for r.Next() != EOF {
		from, to := r.Span()
		if from < done || to < from {
			t.Fatalf("token at %d to %d after %d", from, to, done)
		}
		got.WriteString(r.Document()[done:to])
		done = to
	}
	got.WriteString(r.Document()[done:])
	if r.Err() != nil || got.String() != doc {
		t.Errorf("got %q, %v", got.String(), r.Err())
	}
}
