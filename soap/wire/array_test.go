package wire

import (
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/xsd"
)

const encodedRoot = `<b xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" xmlns:f="http://www.w3.org/2003/05/soap-encoding">`

func getInt(r *Reader) int32 { return ValueOrZero(r, xsd.ParseInt32) }

func putInt(w *Writer, name xml.Name, v int32) {
	w.Typed(n(XSD, "int"))
	Put(w, name, xsd.AppendInt32, v)
}

func TestReadArray(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, doc, want string }{
		{"plain", `<a e:arrayType="xsd:int[2]"><item>1</item><item>2</item></a>`, "[1 2]"},
		{"any names, no size", `<a><x>1</x><y xsi:type="xsd:int">2</y></a>`, "[1 2]"},
		{"empty", `<a e:arrayType="xsd:int[0]"/>`, "[]"},
		{"nil", `<a xsi:nil="true"/>`, "nil"},
		{"nil item", `<a><x>1</x><x xsi:nil="1"/></a>`, "[1 0]"},
		{"references", `<a><x href="#1"/><x href="#1"/><x id="1">7</x></a>`, "[7 7 7]"},
		{"offset", `<a e:arrayType="xsd:int[5]" e:offset="[2]"><x>1</x><x>2</x></a>`, "[0 0 1 2]"},
		{"positions", `<a e:arrayType="xsd:int[9]"><x e:position="[3]">3</x><x>4</x><x e:position="[1]">1</x></a>`, "[0 1 0 3 4]"},
		{"position of the target", `<a><x href="#1"/><x e:position="[2]" href="#1"/></a><c><z e:position="[5]" id="1">7</z></c>`, "[7 0 7]"},
		{"of two dimensions", `<a e:arrayType="xsd:int[2,3]"><x>1</x><x e:position="[1,2]">2</x></a>`, "[1 0 0 0 0 2]"},
		{"SOAP 1.2", `<a f:itemType="xsd:int" f:arraySize="* "><x>1</x></a>`, "[1]"},
		{"bad position", `<a><x e:position="[-1]">3</x></a>`, "!x: malformed index or size of an array"},
		{"huge position", `<a><x e:position="[99999999999999999999]">3</x></a>`, "!x: malformed index or size of an array"},
		{"far position", `<a><x e:position="[999999999]">3</x></a>`, "!exceeds the elements limit of 524288"},
		{"position of another dimension", `<a e:arrayType="xsd:int[2]"><x e:position="[0,1]">3</x></a>`, "!x: malformed index or size of an array"},
		{"position outside", `<a e:arrayType="xsd:int[2,2]"><x e:position="[0,2]">3</x></a>`, "!x: array item at an index outside of the array"},
		{"bad item", `<a><x>one</x></a>`, "!x: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, encodedRoot+tt.doc+"</b>", Options{})
			r.Encoded(false)
			r.Child()
			list := ReadArray(r, getInt)
			check(t, r, fmt.Sprint(list), list == nil, tt.want)
		})
	}
}

func check(t *testing.T, r *Reader, got string, isNil bool, want string) {
	t.Helper()
	msg, bad := strings.CutPrefix(want, "!")
	switch err := r.Err(); {
	case bad:
		if err == nil || !strings.Contains(err.Error(), msg) {
			t.Errorf("got %s, %v, want %s", got, err, msg)
		}
	case err != nil, want != got && (want != "nil" || !isNil):
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestReadRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, doc, want string }{
		{"plain", `<a e:arrayType="xsd:int[2,3]"><i>1</i><i>2</i><i>3</i><i>4</i><i>5</i><i>6</i></a>`, "[[1 2 3] [4 5 6]]"},
		{"partly sent", `<a e:arrayType="xsd:int[2,2]" e:offset="[0,1]"><i>1</i></a>`, "[[0 1] [0 0]]"},
		{"SOAP 1.2", `<a f:itemType="xsd:int" f:arraySize="2 1"><i>1</i><i>2</i></a>`, "[[1] [2]]"},
		{"empty", `<a e:arrayType="xsd:int[0,0]"/>`, "[]"},
		{"nil", `<a xsi:nil="true"/>`, "nil"},
		{"no size", `<a><i>1</i></a>`, "!i: array of two dimensions without its size"},
		{"another size", `<a e:arrayType="xsd:int[2]"><i>1</i></a>`, "!i: array of two dimensions without its size"},
		{"no room", `<a e:arrayType="xsd:int[1000000000,0]"><i>1</i></a>`, "!i: array item at an index outside of the array"},
		{"too many", `<a e:arrayType="xsd:int[1,2]"><i>1</i><i>2</i><i>3</i></a>`, "!i: array item at an index outside of the array"},
		{"huge", `<a e:arrayType="xsd:int[1000000000,1000000000]"><i>1</i></a>`, "!exceeds the elements limit of 524288"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, encodedRoot+tt.doc+"</b>", Options{})
			r.Encoded(false)
			r.Child()
			rows := ReadRows(r, getInt)
			check(t, r, fmt.Sprint(rows), rows == nil, tt.want)
		})
	}
}

// TestAttackSparseArrays has many short arrays that say they are long.
func TestAttackSparseArrays(t *testing.T) {
	t.Parallel()
	one := `<a><x e:position="[100000]">1</x></a>`
	r := start(t, encodedRoot+strings.Repeat(one, 1000)+"</b>", Options{})
	r.Encoded(false)
	items := 0
	for r.Child() {
		items += len(ReadArray(r, getInt))
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "exceeds the elements limit") || items > 524288 {
		t.Errorf("%d items, %v", items, err)
	}
}

// TestAttackSparseArrayMemory has a line that makes an array of large items.
func TestAttackSparseArrayMemory(t *testing.T) {
	t.Parallel()
	r := start(t, encodedRoot+`<a><x e:position="[500000]">1</x></a></b>`, Options{})
	r.Encoded(false)
	r.Child()
	items := ReadArray(r, func(r *Reader) [64]int64 { r.Skip(); return [64]int64{} })
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "references limit") || len(items) > 10<<20/512 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestWriteArray(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		write func(*Writer)
		want  string
	}{
		"1.1": {func(w *Writer) {
			w.Encoded(false)
			WriteArray(w, n("", "a"), n(XSD, "int"), "", []int32{1, 2}, putInt)
		}, `<a xmlns:xsi="XSI" xmlns:enc="ENC11" xmlns:xsd="XSD" xsi:type="enc:Array" enc:arrayType="xsd:int[2]"><item xsi:type="xsd:int">1</item><item xsi:type="xsd:int">2</item></a>`},
		"1.2": {func(w *Writer) {
			w.Encoded(true)
			WriteArray(w, n("", "a"), n(XSD, "int"), "", []int32{1}, putInt)
		}, `<a xmlns:xsi="XSI" xmlns:enc="ENC12" xmlns:xsd="XSD" xsi:type="enc:Array" enc:itemType="xsd:int" enc:arraySize="1"><item xsi:type="xsd:int">1</item></a>`},
		"literal": {func(w *Writer) {
			WriteArray(w, n("", "a"), n(XSD, "int"), "", []int32{1}, putInt)
		}, `<a><item>1</item></a>`},
		"rows": {func(w *Writer) {
			w.Encoded(false)
			WriteRows(w, n("", "a"), n(XSD, "int"), "", [][]int32{{1, 2, 3}, {4, 5, 6}}, func(w *Writer, name xml.Name, v int32) { Put(w, name, xsd.AppendInt32, v) })
		}, `<a xmlns:xsi="XSI" xmlns:enc="ENC11" xmlns:xsd="XSD" xsi:type="enc:Array" enc:arrayType="xsd:int[2,3]"><item>1</item><item>2</item><item>3</item><item>4</item><item>5</item><item>6</item></a>`},
		"rows of different length": {func(w *Writer) {
			WriteRows(w, n("", "a"), n(XSD, "int"), "", [][]int32{{1}, {4, 5}}, putInt)
		}, "!the rows of an array differ in length"},
		"of arrays": {func(w *Writer) {
			w.Encoded(false)
			WriteArray(w, n("", "a"), n(XSD, "int"), "[]", [][]int32{{}}, func(w *Writer, name xml.Name, v []int32) { WriteArray(w, name, n(XSD, "int"), "", v, putInt) })
		}, `<a xmlns:xsi="XSI" xmlns:enc="ENC11" xmlns:xsd="XSD" xsi:type="enc:Array" enc:arrayType="xsd:int[][1]"><item xsi:type="enc:Array" enc:arrayType="xsd:int[0]"/></a>`},
		"type told already": {func(w *Writer) {
			w.Encoded(false)
			w.NextType(n(XSD, "short"))
			putInt(w, n("", "a"), 1)
		}, `<a xmlns:xsi="XSI" xmlns:xsd="XSD" xsi:type="xsd:short">1</a>`},
		"nothing of any type": {func(w *Writer) {
			w.Encoded(false)
			(&Any{}).MarshalWire(w, n("", "a"))
		}, `<a xmlns:xsi="XSI" xsi:nil="true"/>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w Writer
			tt.write(&w)
			b, err := w.Bytes()
			got := strings.NewReplacer(XSI, "XSI", XSD, "XSD", SOAPEnc11, "ENC11", SOAPEnc12, "ENC12").Replace(string(b))
			if msg, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), msg) {
					t.Errorf("got %v, want %s", err, msg)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
			r := NewReader(b, Options{})
			if r.Next(); name == "rows" {
				if rows := ReadRows(r, getInt); !reflect.DeepEqual(rows, [][]int32{{1, 2, 3}, {4, 5, 6}}) {
					t.Errorf("read again: %v, %v", rows, r.Err())
				}
			}
		})
	}
}
