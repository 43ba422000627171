package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

var (
	nameItem      = xml.Name{Local: "item"} // any name will do: SOAP 1.1 5.4.2
	namePosition  = xml.Name{Space: SOAPEnc11, Local: "position"}
	nameArrayType = xml.Name{Space: SOAPEnc11, Local: "arrayType"}
	nameItemType  = xml.Name{Space: SOAPEnc12, Local: "itemType"}
	nameArraySize = xml.Name{Space: SOAPEnc12, Local: "arraySize"}

	errIndex  = errors.New("malformed index or size of an array")
	errRange  = errors.New("array item at an index outside of the array")
	errNoSize = errors.New("array of two dimensions without its size")
)

// Encoded makes what follows an encoded message: Typed and the arrays write
// what SOAP encoding wants to know.
func (w *Writer) Encoded(soap12 bool) {
	w.encoding = SOAPEnc11
	if soap12 {
		w.encoding = SOAPEnc12
	}
}

// Literal ends what Encoded began.
func (w *Writer) Literal() { w.encoding = "" }

// Typed makes the next element of an encoded message begin with xsi:type,
// unless NextType has said which already. In other messages it does nothing.
// SOAP 1.1 5.1 wants it only where the type is not known, but many peers read
// by it alone.
func (w *Writer) Typed(t xml.Name) {
	if w.encoding == "" {
		return
	}
	for i := range w.next {
		if w.next[i].name == xsiType {
			return
		}
	}
	w.NextType(t)
}

// startArray begins an array.
func (w *Writer) startArray(name, item xml.Name, inner string, size ...int) {
	if w.encoding == "" {
		w.Start(name)
		return
	}
	w.Typed(xml.Name{Space: w.encoding, Local: "Array"})
	w.Start(name)
	if w.encoding == SOAPEnc12 { // SOAP 1.2 Part 2 3.1.6
		if inner != "" {
			item = xml.Name{Space: SOAPEnc12, Local: "Array"}
		}
		w.AttrQName(nameItemType, item)
		w.Attr(nameArraySize, joinInts(size, " "))
		return
	}
	w.BeginAttr(nameArrayType) // SOAP 1.1 5.4.2
	w.QName(item)
	w.Text(inner + "[" + joinInts(size, ",") + "]")
	w.EndAttr()
}

func joinInts(list []int, sep string) string {
	var b []byte
	for i, n := range list {
		if i > 0 {
			b = append(b, sep...)
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}

// WriteArray writes an array of SOAP encoding. The items are of type item, or
// if inner is "[]" or the like, arrays of that type. put writes one as an
// element of the name it is given.
func WriteArray[T any](w *Writer, name, item xml.Name, inner string, list []T, put func(*Writer, xml.Name, T)) {
	w.startArray(name, item, inner, len(list))
	for _, v := range list {
		put(w, nameItem, v)
	}
	w.End()
}

// WriteRows is WriteArray for an array of two dimensions. All rows must be of
// one length.
func WriteRows[T any](w *Writer, name, item xml.Name, inner string, rows [][]T, put func(*Writer, xml.Name, T)) {
	columns := 0
	if len(rows) > 0 {
		columns = len(rows[0])
	}
	w.startArray(name, item, inner, len(rows), columns)
	for _, row := range rows {
		w.Require(len(row) == columns, "the rows of an array differ in length")
		for _, v := range row {
			put(w, nameItem, v)
		}
	}
	w.End()
}

// ReadArray consumes the current element and returns the array in it: nil for
// xsi:nil. get consumes one item. Items that a partly transmitted or sparse
// array leaves out (SOAP 1.1 5.4.2.1, 5.4.2.2) are zero values.
func ReadArray[T any](r *Reader, get func(*Reader) T) []T {
	if r.Nil() {
		r.Skip()
		return nil
	}
	list, _ := readItems(r, 1, get)
	return list
}

// ReadRows is ReadArray for an array of two dimensions.
func ReadRows[T any](r *Reader, get func(*Reader) T) [][]T {
	if r.Nil() {
		r.Skip()
		return nil
	}
	list, size := readItems(r, 2, get)
	rows := [][]T{}
	if r.err != nil || len(list) == 0 {
		return rows
	}
	columns := size[1] // above zero, or there would be no item
	for whole := size[0] * columns; len(list) < whole && hole[T](r); {
		var none T
		list = append(list, none)
	}
	for ; len(list) >= columns && r.err == nil; list = list[columns:] {
		rows = append(rows, list[:columns:columns])
	}
	return rows
}

// readItems reads the items of an array in the order of their indexes.
func readItems[T any](r *Reader, rank int, get func(*Reader) T) (list []T, size []int) {
	size = r.arraySize()
	if rank > 1 && len(size) != rank {
		size = nil
	}
	next := 0
	if s, ok := r.Attr(SOAPEnc11, "offset"); ok {
		next = r.index11(s, rank, size)
	}
	list = []T{}
	for r.Child() {
		if rank > 1 && size == nil {
			r.Fail(errNoSize)
			break
		}
		if s, ok := r.Attr(SOAPEnc11, "position"); ok {
			next = r.index11(s, rank, size)
		}
		if rank > 1 && next >= size[0]*size[1] {
			r.Fail(errRange)
		}
		for len(list) < next && hole[T](r) {
			var none T
			list = append(list, none)
		}
		if r.err != nil {
			break
		}
		v := get(r)
		if next < len(list) {
			list[next] = v
		} else {
			list = append(list, v)
		}
		next++
	}
	return list, size
}

// hole counts an item that is not there like one that is, and its memory, so that
// a short message makes neither a long array nor a large one.
func hole[T any](r *Reader) bool {
	if r.err != nil {
		return false
	}
	if r.elements++; r.elements > r.lim.Elements {
		r.limit("elements", int64(r.lim.Elements), r.tok)
		return false
	}
	if r.added += int64(reflect.TypeFor[T]().Size()); r.added > r.lim.References {
		r.limit("references", r.lim.References, r.tok)
		return false
	}
	return true
}

// maxSize bounds what an index or a size may say, so that two multiply without
// overflow.
const maxSize = 1 << 30

// arraySize returns the dimensions that the current element tells, if it does.
func (r *Reader) arraySize() []int {
	if s, ok := r.Attr(SOAPEnc11, "arrayType"); ok {
		i := strings.LastIndexByte(s, '[')
		if i < 0 {
			return nil
		}
		inner, _, _ := strings.Cut(s[i+1:], "]")
		size, _ := ints(strings.Split(inner, ","))
		return size
	}
	if s, ok := r.Attr(SOAPEnc12, "arraySize"); ok {
		size, _ := ints(strings.Fields(s))
		return size
	}
	return nil
}

func ints(list []string) ([]int, bool) {
	var all []int
	for _, s := range list {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 0 || n > maxSize {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

// index11 parses "[1,2]" and returns the index in a flat array.
func (r *Reader) index11(s string, rank int, size []int) int {
	s = strings.TrimSpace(s)
	in, ok := ints(strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ","))
	switch {
	case !ok || len(in) == 0 || len(in) > rank && len(in) != len(size):
		r.Fail(errIndex)
		return 0
	case len(in) == 1:
		return in[0]
	case len(size) != len(in) || len(in) != 2:
		r.Fail(fmt.Errorf("array of %d dimensions", len(in)))
		return 0
	case in[0] >= size[0] || in[1] >= size[1]:
		r.Fail(errRange)
		return 0
	}
	return in[0]*size[1] + in[1]
}

// ValueOrZero is Value for what SOAP encoding allows to be nil at any time:
// the zero value then.
func ValueOrZero[T any](r *Reader, parse func(string) (T, error)) (v T) {
	if r.Nil() {
		r.Skip()
		return v
	}
	return Value(r, parse)
}
