package wire

import (
	"encoding/xml"
	"errors"
	"strings"
)

// Nillable is an optional element that may also be present without a value, as
// xsi:nil="true". The zero value is absent.
type Nillable[T any] struct {
	Value *T   // the value, or nil
	Nil   bool // present without value; Value is nil then
}

// Some returns a Nillable that holds v.
func Some[T any](v T) Nillable[T] { return Nillable[T]{Value: &v} }

// NilValue returns a Nillable that is present without value.
func NilValue[T any]() Nillable[T] { return Nillable[T]{Nil: true} }

// IsZero reports whether the element is absent.
func (n Nillable[T]) IsZero() bool { return n.Value == nil && !n.Nil }

// Get returns the value, or the zero value if there is none.
func (n Nillable[T]) Get() (v T) {
	if n.Value != nil {
		v = *n.Value
	}
	return v
}

// Require stops the Reader unless ok: what tells what the element lacks.
func (r *Reader) Require(ok bool, what string) {
	if !ok {
		r.Fail(errors.New(what))
	}
}

// Require stops the Writer unless ok: what tells what the value lacks.
func (w *Writer) Require(ok bool, what string) {
	if !ok {
		w.Fail(errors.New(what))
	}
}

var errTwice = errors.New("element is there twice")

// Once stops the Reader if *seen is set: an element that may be there once is
// there again. It sets *seen.
func (r *Reader) Once(seen *bool) {
	if *seen {
		r.Fail(errTwice)
	}
	*seen = true
}

// AttrQName returns the qualified name in an attribute of the element the
// Reader is at the start of.
func (r *Reader) AttrQName(a xml.Attr) xml.Name {
	q, err := r.QName(a.Value)
	if err != nil {
		r.stop(&ValueError{Pos: r.Pos(), Name: a.Name, Err: err})
	}
	return q
}

// NilOnly reports whether the element the Reader is at the start of says
// xsi:nil="true" and nothing else: it has no attribute of its own.
func (r *Reader) NilOnly() bool {
	for i := range r.attrs {
		if r.attrs[i].Name.Space != XSI {
			return false
		}
	}
	return r.Nil()
}

// EndNil writes xsi:nil="true" and ends the element just started.
func (w *Writer) EndNil() {
	w.Attr(xsiNil, "true")
	w.End()
}

// QNameList consumes the current element and returns the qualified names in
// it, separated by white space.
func (r *Reader) QNameList() []xml.Name {
	scope := r.Scope()
	s, _ := r.content()
	if r.err != nil {
		return nil
	}
	list, err := r.qnames(scope, s)
	r.Fail(err)
	return list
}

// AttrQNameList returns the qualified names in an attribute of the element the
// Reader is at the start of.
func (r *Reader) AttrQNameList(a xml.Attr) []xml.Name {
	list, err := r.qnames(r.Scope(), a.Value)
	if err != nil {
		r.stop(&ValueError{Pos: r.Pos(), Name: a.Name, Err: err})
	}
	return list
}

func (r *Reader) qnames(scope Scope, s string) ([]xml.Name, error) {
	words := strings.FieldsFunc(s, func(c rune) bool { return c < 0x80 && isSpace(byte(c)) })
	list := make([]xml.Name, len(words))
	for i, w := range words {
		q, err := scope.QName(w)
		if err != nil {
			return nil, err
		}
		list[i] = xml.Name{Space: r.Keep(q.Space), Local: r.Keep(q.Local)}
	}
	return list, nil
}

// QNameList writes qualified names as characters.
func (w *Writer) QNameList(list []xml.Name) {
	for i, q := range list {
		if i > 0 {
			w.Text(" ")
		}
		w.QName(q)
	}
}

// Default returns a function that parses like parse, and takes def for nothing:
// what an empty element with a default means. XML Schema 1 3.3.4.
func Default[T any](parse func(string) (T, error), def string) func(string) (T, error) {
	return func(s string) (T, error) {
		if s == "" {
			s = def
		}
		return parse(s)
	}
}

// ParseTextList parses a list of strings, which share memory with s. XML Schema 2
// 2.5.1.2.
func ParseTextList[T ~string](s string) ([]T, error) {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	list := make([]T, len(parts))
	for i, p := range parts {
		list[i] = T(p)
	}
	return list, nil
}

// TextList returns the lexical form of a list of strings.
func TextList[T ~string](list []T) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(v))
	}
	return b.String()
}

// More returns s with room for one element more, for a list that is being read
// from children of one element. Where it grows it makes room for as many as the
// rest of the message may hold, judged by those before, but for at most four
// times as many as there are (eight after the first): what a message makes of
// memory stays in proportion to it.
func More[T any](r *Reader, s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return more(r, s)
}

func more[T any](r *Reader, s []T) []T {
	n, room := len(s), 1
	switch {
	case n > 0 && len(r.open) >= 2:
		read := r.tok - r.open[len(r.open)-2].from
		rest := (len(r.doc) - r.tok) / max(read/n, 1)
		room = min(max(n+rest+rest/8+2, n+n/4+1), 4*max(n, 2))
	case n > 0:
		room = 2 * n
	}
	t := make([]T, n, room)
	copy(t, s)
	return t
}
