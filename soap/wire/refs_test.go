package wire

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/xsd"
)

// resolved returns what a Reader of an encoded message sees in the first child
// of its root, attributes left out.
func resolved(doc string, soap12 bool) (string, error) {
	r := NewReader([]byte(doc), Options{})
	r.Next()
	r.Encoded(soap12)
	if !r.Child() {
		return "", r.Err()
	}
	var b strings.Builder
	for depth := r.Depth(); ; {
		switch r.kind {
		case Start:
			fmt.Fprintf(&b, "<%s>", clark(r.Name()))
		case Text:
			b.WriteString(r.Chars())
		case End:
			b.WriteString("</>")
			if r.Depth() < depth {
				return b.String(), nil
			}
		case EOF:
			return "", r.Err()
		}
		r.Next()
	}
}

// TestPeekThroughReferences: looking ahead used to leave the target of a
// reference behind.
func TestPeekThroughReferences(t *testing.T) {
	t.Parallel()
	const doc = `<b><m><x href="#1"/><y href="#2"/><z><w href="#1"/></z><v/></m><r id="1" a="1"><q><u/></q></r><r id="2"/></b>`
	walk := func(peek bool) (seen, peeked string) {
		r := start(t, doc, Options{})
		r.Encoded(false)
		for k := Start; k != EOF; k = r.Next() {
			if k == Start && peek {
				name, _ := r.Peek()
				peeked += clark(name) + ";"
			}
			seen += fmt.Sprint(k, clark(r.Name()), r.Attrs(), r.Depth(), ";")
		}
		if r.Err() != nil {
			t.Error(r.Err())
		}
		return seen, peeked
	}
	want, _ := walk(false)
	got, peeked := walk(true)
	if got != want {
		t.Errorf("with Peek    %s\nwithout Peek %s", got, want)
	}
	if want := "m;x;q;u;;;w;q;u;;;q;u;;;"; peeked != want {
		t.Errorf("peeked %s, want %s", peeked, want)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	const enc = ` xmlns:e="http://www.w3.org/2003/05/soap-encoding"`
	for _, tt := range []struct{ name, doc, want string }{
		{"none", `<b><m><x href="">1</x><y href="http://a.test/#1">2</y></m></b>`, "<m><x>1</><y>2</></>"},
		{"forward", `<b><m><x href="#1"/><y>2</y></m><r id="1">one</r></b>`, "<m><x>one</><y>2</></>"},
		{"with an end tag", `<b><m><x href="#1"> <!-- c --> </x></m><r id="1"><z/></r></b>`, "<m><x><z></></></>"},
		{"backward, inline", `<b><m><x id="1">one</x><y href="#1"/></m></b>`, "<m><x>one</><y>one</></>"},
		{"shared", `<b><m><x href="#1"/><y href="#1"/></m><r id="1"><z>3</z></r></b>`, "<m><x><z>3</></><y><z>3</></></>"},
		{"nested", `<b><m><x href="#1"/></m><r id="1"><z href="#2"/></r><r id="2"><q/></r></b>`, "<m><x><z><q></></></></>"},
		{"in a sibling's tree", `<b><m><x><y id="1">in</y></x><z href="#1"/></m></b>`, "<m><x><y>in</></><z>in</></>"},
		{"empty target", `<b><m><x href="#1"/><y/></m><r id="1"/></b>`, "<m><x></><y></></>"},
		{"namespaces of the target", `<b xmlns:p="urn:outer"><m xmlns:p="urn:m"><p:x href="#1"/><p:y/></m><s xmlns:p="urn:s"><p:r id="1"><p:z/></p:r></s></b>`,
			"<m><{urn:m}x><{urn:s}z></></><{urn:m}y></></>"},
		{"default namespace of the target", `<b><m><x href="#1"/><y/></m><r id="1" xmlns="urn:d"><z/></r></b>`, "<m><x><{urn:d}z></></><y></></>"},
		{"reference as an argument of its own name", `<b><m href="#1"/><r id="1"><z/></r></b>`, "<m><z></></>"},
		{"of SOAP 1.2", `<b` + enc + `><m><x e:ref="1"/><y e:ref="#1"/><z href="#1">kept</z></m><r e:id="1">one</r></b>`, "<m><x>one</><y>one</><z>kept</></>"},
		{"no target", `<b><m><x href="#2"/></m><r id="1"/></b>`, "!x: reference to an id that no element of the body has: line 1, column 7"},
		{"outside", `<b><m><x href="cid:1"/></m></b>`, "!x: reference to something outside the message: line 1, column 7"},
		{"target twice", `<b><m><x href="#1"/></m><r id="1"/><r id="1"/></b>`, "!x: reference to an id that several elements have: line 1, column 7"},
		{"cycle of one", `<b><m><x href="#1"/></m><r id="1"><y href="#1"/></r></b>`, "!y: reference to an element from within itself"},
		{"cycle of two", `<b><m><x href="#1"/></m><r id="1"><y href="#2"/></r><r id="2"><z href="#1"/></r></b>`, "!z: reference to an element from within itself"},
		{"cycle of an inline element", `<b><m><x id="1"><y href="#1"/></x></m></b>`, "!y: reference to an element from within itself"},
		{"chain", `<b><m><x href="#1"/></m><r id="1" href="#2"/><r id="2"/></b>`, "!r: reference to an element that is a reference itself"},
		{"content", `<b><m><x href="#1">2</x></m><r id="1"/></b>`, "!x: reference with content of its own"},
		{"element in it", `<b><m><x href="#1"><y/></x></m><r id="1"/></b>`, "!x: reference with content of its own"},
		{"syntax error behind", `<b><m><x href="#1"/></m><r id="1"></b>`, "!end tag does not match element r: line 1, column 35"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := resolved(tt.doc, strings.Contains(tt.name, "1.2"))
			if msg, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), msg) {
					t.Errorf("got %q, %v, want %s", got, err, msg)
				}
				return
			}
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestReferencesAreOff shows that a literal message may have attributes of any
// name.
func TestReferencesAreOff(t *testing.T) {
	t.Parallel()
	r := start(t, `<b><x href="#1">kept</x><r id="1">one</r></b>`, Options{})
	if r.Child(); r.Text() != "kept" || r.Err() != nil {
		t.Errorf("got %v", r.Err())
	}
}

// TestReferenceAttributes says which attributes a codec sees.
func TestReferenceAttributes(t *testing.T) {
	t.Parallel()
	r := start(t, `<b xmlns:e="`+SOAPEnc11+`"><x href="#1" a="mine" e:position="[2]"/><r id="1" a="its">3</r></b>`, Options{})
	r.Encoded(false)
	r.Child()
	a, _ := r.Attr("", "a")
	p, _ := r.Attr(SOAPEnc11, "position")
	if _, href := r.Attr("", "href"); a != "its" || p != "[2]" || href {
		t.Errorf("got %v", r.Attrs())
	}
	if v := Value(r, xsd.ParseInt32); v != 3 || r.Err() != nil {
		t.Errorf("got %d, %v", v, r.Err())
	}
}

// TestReferencesInRaw captures trees with references.
func TestReferencesInRaw(t *testing.T) {
	t.Parallel()
	const doc = `<b xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:q="urn:q">` +
		`<m><x><y href="#1"/><z>a&amp;b</z></x></m><r id="1" xsi:type="q:t" xmlns:q="urn:other"><q:w xsi:type="xsd:int" n="1">5</q:w></r></b>`
	for name, capture := range map[string]func(*Reader) Raw{
		"raw": (*Reader).Raw,
		"any": func(r *Reader) Raw {
			var x Any
			x.UnmarshalWire(r)
			raw, err := RawOf(&x, n("", "x"))
			r.Fail(err)
			return raw
		},
	} {
		r := start(t, doc, Options{})
		r.Encoded(false)
		r.Child()
		r.Child()
		raw := capture(r)
		if r.Err() != nil || r.kind != End || !r.Is("", "x") {
			t.Fatalf("%s: at %v, %v", name, r.Name(), r.Err())
		}
		d := raw.Reader(Options{})
		d.Child()
		d.Child()
		typ, ok := d.Type()
		if typ != n("urn:other", "t") || !ok || !d.Is("", "y") {
			t.Errorf("%s: y is %v: %s", name, typ, raw)
		}
		d.Child()
		if typ, _ := d.Type(); typ != n(XSD, "int") || !d.Is("urn:other", "w") {
			t.Errorf("%s: w is %v %v: %s", name, d.Name(), typ, raw)
		}
		if s := d.Text(); s != "5" || d.Err() != nil {
			t.Errorf("%s: got %q, %v: %s", name, s, d.Err(), raw)
		}
	}
}

// laughs makes a message in which each of depth elements refers to the next
// ten times.
func laughs(depth, times int) string {
	var b strings.Builder
	b.WriteString(`<b><m><x href="#0"/></m>`)
	for i := range depth {
		fmt.Fprintf(&b, `<r id="%d">%s</r>`, i, strings.Repeat(fmt.Sprintf(`<x href="#%d"/>`, i+1), times))
	}
	fmt.Fprintf(&b, `<r id="%d">ha</r></b>`, depth)
	return b.String()
}

// TestAttackReferences reads messages whose references multiply, and shows that
// time and memory stay in proportion to the limits.
func TestAttackReferences(t *testing.T) {
	const size = 1 << 20
	long := strings.Repeat("x", size/2)
	decls := numbered(200, `xmlns:p%d="u%[1]d"`)
	for name, tt := range map[string]struct{ doc, limit string }{
		"billion laughs":        {laughs(9, 10), "references"},
		"deep":                  {laughs(100, 2), "references"},
		"a long one many times": {`<b><m>` + strings.Repeat(`<x href="#1"/>`, 20_000) + `</m><r id="1">` + long + `</r></b>`, "references"},
		"deeper than allowed":   {laughs(300, 1), "depth"},
		"small ones":            {`<b><m>` + strings.Repeat(`<x href="#1"/>`, size/15) + `</m><r id="1"/></b>`, ""},
		"many targets":          {`<b><m><x href="#1"/></m>` + numberedElements(size/20) + `</b>`, ""},
		"scopes":                {`<b ` + decls + `><m>` + strings.Repeat(`<x href="#1"/>`, 30_000) + `</m><r id="1"/></b>`, "references"},
		"scopes of targets":     {`<b><m><x href="#1"/></m><s ` + decls + `>` + strings.Repeat(`<s xmlns:q="q">`, 50) + numberedElements(size/40) + strings.Repeat("</s>", 50) + `</s></b>`, ""},
	} {
		for use, f := range map[string]func(r *Reader){
			"walk": func(r *Reader) {
				for r.Next() != EOF {
				}
			},
			"capture": func(r *Reader) { r.Child(); r.Raw() },
			"skip":    func(r *Reader) { r.Child(); r.Skip() },
		} {
			t.Run(name+"/"+use, func(t *testing.T) { // not parallel: it measures
				b := []byte(tt.doc)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := NewReader(b, Options{Limits: Limits{Bytes: 2 * size}})
				r.Next()
				r.Encoded(false)
				f(r)
				runtime.ReadMemStats(&after)
				var limit *LimitError
				switch err := r.Err(); {
				case use == "skip" || tt.limit == "":
					if err != nil {
						t.Errorf("got %v", err)
					}
				case !errors.As(err, &limit) || limit.Limit != tt.limit || limit.Pos.Line == 0:
					t.Errorf("got %v, want the limit %s with a position", err, tt.limit)
				}
				if got := after.TotalAlloc - before.TotalAlloc; got > 128<<20 {
					t.Errorf("allocated %d MiB for a message of %d KiB", got>>20, len(b)>>10)
				}
			})
		}
	}
}

func numberedElements(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `<r id="%d"/>`, i)
	}
	return b.String()
}

// FuzzReferences: no input makes an encoded message panic or grow without
// bound, and what is captured of it is what is read.
func FuzzReferences(f *testing.F) {
	f.Add([]byte(`<b><m><x href="#1"/><y href="#1"/></m><r id="1"><z href="#2"/></r><r id="2" xmlns="u"><q/></r></b>`), false)
	f.Add([]byte(`<b xmlns:e="http://www.w3.org/2003/05/soap-encoding"><m><x e:ref="#1">  </x></m><r e:id="1" e:itemType="e:x"><z e:ref="1"/></r></b>`), true)
	f.Add([]byte(`<b><m id="1"><x href="#1"/></m></b>`), false)
	f.Add([]byte(laughs(5, 3)), false)
	f.Fuzz(func(t *testing.T, doc []byte, soap12 bool) {
		want, err := resolved(string(doc), soap12)
		r := NewReader(doc, Options{})
		r.Next()
		r.Encoded(soap12)
		if !r.Child() {
			return
		}
		raw := r.Raw()
		if (err == nil) != (r.Err() == nil) {
			var limit *LimitError
			if errors.As(r.Err(), &limit) { // capturing counts more
				return
			}
			t.Fatalf("read: %v, captured: %v", err, r.Err())
		}
		if err != nil {
			return
		}
		got, err := resolved("<b>"+raw.String()+"</b>", false)
		if err != nil && strings.Contains(err.Error(), "reference") { // an attribute that is one of the other version only
			return
		}
		if got != want || err != nil {
			t.Fatalf("captured %s: %v\n%s\nwant\n%s", raw, err, got, want)
		}
	})
}
