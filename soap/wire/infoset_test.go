package wire

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// infoset returns what a Reader sees from its current place to the end, one
// line per start, end and run of text.
func infoset(r *Reader) (string, error) { return new(dump).read(r) }

func (d *dump) read(r *Reader) (string, error) {
	for {
		switch r.Next() {
		case Start:
			d.start(r.Name(), r.Attrs())
		case End:
			d.end(r.Name())
		case Text:
			d.text.WriteString(r.Chars())
		case EOF:
			d.flush()
			return d.out.String(), r.Err()
		}
	}
}

// stdInfoset is the same, as encoding/xml sees the document.
func stdInfoset(doc string) (string, error) { return new(dump).readStd(doc) }

func (d *dump) readStd(doc string) (string, error) {
	depth, roots := 0, 0
	dec := xml.NewDecoder(strings.NewReader(doc))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // doc is UTF-8
	for {
		t, err := dec.Token()
		if err == io.EOF {
			if roots != 1 {
				return "", fmt.Errorf("%d roots", roots)
			}
			d.flush()
			return d.out.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
			as := slices.DeleteFunc(t.Attr, func(a xml.Attr) bool {
				return a.Name.Space == "xmlns" || a.Name == xml.Name{Local: "xmlns"}
			})
			d.start(t.Name, as)
		case xml.EndElement:
			depth--
			d.end(t.Name)
		case xml.CharData:
			if depth > 0 {
				d.text.Write(t)
			}
		}
	}
}

type dump struct {
	out, text strings.Builder
	fold      bool // the white space of attributes, and so of namespaces, becomes spaces
}

func (d *dump) flush() {
	if d.text.Len() > 0 {
		fmt.Fprintf(&d.out, "\"%s\"\n", legible(d.text.String()))
		d.text.Reset()
	}
}

// legible makes s fit between quotes in a line.
var legible = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace

func (d *dump) start(n xml.Name, attrs []xml.Attr) {
	d.flush()
	as := make([]string, len(attrs))
	for i, a := range attrs {
		as[i] = fmt.Sprintf(` %s="%s"`, d.name(a.Name), d.attrText(a.Value))
	}
	slices.Sort(as)
	fmt.Fprintf(&d.out, "<%s%s>\n", d.name(n), strings.Join(as, ""))
}

func (d *dump) end(n xml.Name) {
	d.flush()
	fmt.Fprintf(&d.out, "</%s>\n", d.name(n))
}

func (d *dump) name(n xml.Name) string { return d.attrText(clark(n)) }

// attrText makes s, which came from an attribute, fit between quotes in a line.
func (d *dump) attrText(s string) string {
	if d.fold {
		s = foldSpace(s)
	}
	return legible(s)
}

var foldSpace = strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace

// rewrite copies what r sees to w.
func rewrite(w *Writer, r *Reader) {
	for {
		switch r.Next() {
		case Start:
			w.Start(r.Name())
			for _, a := range r.Attrs() {
				w.Attr(a.Name, a.Value)
			}
		case End:
			w.End()
		case Text:
			w.Text(r.Chars())
		case EOF:
			return
		}
	}
}

// checkLeaves reads a document once by Next and once with Text for the elements
// that hold no others: what is read, and where it is refused, must be the same.
func checkLeaves(tb testing.TB, doc []byte, o Options) {
	tb.Helper()
	type leaf struct {
		text   strings.Builder
		parent int
		inner  bool // holds elements
	}
	var all []*leaf // in document order
	at := -1        // the innermost open one
	r := NewReader(doc, o)
	for k := r.Next(); k != EOF; k = r.Next() {
		switch k {
		case Start:
			if at >= 0 {
				all[at].inner = true
			}
			all = append(all, &leaf{parent: at})
			at = len(all) - 1
		case Text:
			all[at].text.WriteString(r.Chars())
		case End:
			at = all[at].parent
		}
	}
	again := NewReader(doc, o)
	for i := 0; again.Next() != EOF; {
		if again.kind != Start {
			continue
		}
		l := all[i]
		i++
		if l.inner {
			continue
		}
		name := again.Name()
		got := again.Text()
		if again.Err() == nil && (got != l.text.String() || again.Name() != name || again.kind != End) {
			tb.Fatalf("%q: %s is %q to Text, %q to Next", doc, clark(name), got, l.text.String())
		}
	}
	if fmt.Sprint(r.Err()) != fmt.Sprint(again.Err()) {
		tb.Fatalf("%q: Text leads to %v, Next to %v", doc, again.Err(), r.Err())
	}
}
