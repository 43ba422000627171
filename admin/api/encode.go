package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := encode(v)
	if err != nil {
		panic("api: " + err.Error()) // a type that cannot be JSON
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// encode returns the JSON of v and a newline. A list is never null.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if v != nil {
		v = withoutNil(reflect.ValueOf(v)).Interface()
	}
	err := e.Encode(v)
	return b.Bytes(), err
}

// withoutNil returns v with empty lists for those that are nil. What v points to
// may belong to others, and stays as it is.
func withoutNil(v reflect.Value) reflect.Value {
	if !hasLists(v.Type()) {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(withoutNil(v.Elem()))
		return p
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		s.Set(v)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if _, options, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && (!v.Field(i).IsZero() || !strings.HasPrefix(options, "omit")) {
				s.Field(i).Set(withoutNil(v.Field(i)))
			}
		}
		return s
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			list.Index(i).Set(withoutNil(v.Index(i)))
		}
		return list
	default:
		return v
	}
}

// hasLists reports whether a type may have a list in it that JSON would show as
// null. Types that write their own JSON have none.
func hasLists(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer:
		return hasLists(t.Elem())
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && hasLists(f.Type) {
				return true
			}
		}
	}
	return false
}
