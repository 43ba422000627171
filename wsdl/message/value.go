package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

type kind int

const (
	null kind = iota
	text
	number
	boolean
	array
	object
	file // bytes, which become text once their type is known
)

func (k kind) String() string {
	return [...]string{"null", "a string", "a number", "a boolean", "an array", "an object", "a file"}[k]
}

// value is a JSON value that keeps the order of members and the digits of
// numbers.
type value struct {
	kind    kind
	text    string // of text, number, boolean and file
	items   []*value
	members []member
}

type member struct {
	key string
	val *value
}

func (v *value) get(key string) *value {
	for _, m := range v.members {
		if m.key == key {
			return m.val
		}
	}
	return nil
}

func (v *value) add(key string, w *value) { v.members = append(v.members, member{key, w}) }

// scalar reports whether v can be the text of an element.
func (v *value) scalar() bool {
	return v.kind == text || v.kind == number || v.kind == boolean || v.kind == file
}

// maxJSONDepth bounds how deep JSON may be nested.
const maxJSONDepth = 1000

// parseJSON reads one JSON value. Members with the same name are an error:
// one of them would be lost.
func parseJSON(data []byte) (*value, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("more follows the value")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		at := data[:min(int(d.InputOffset()), len(data))]
		line := bytes.Count(at, []byte("\n")) + 1
		return nil, fmt.Errorf("message: JSON, line %d: %w", line, err)
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (*value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &value{}, nil
	case string:
		return &value{kind: text, text: t}, nil
	case json.Number:
		return &value{kind: number, text: t.String()}, nil
	case bool:
		return &value{kind: boolean, text: fmt.Sprint(t)}, nil
	case json.Delim:
		if t == '[' {
			v := &value{kind: array}
			for d.More() {
				item, err := parseValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				v.items = append(v.items, item)
			}
			_, err := d.Token()
			return v, err
		}
		v := &value{kind: object}
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := k.(string)
			if seen[key] {
				return nil, fmt.Errorf("%q is there twice; a repeated element is an array", key)
			}
			seen[key] = true
			val, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			v.add(key, val)
		}
		_, err := d.Token()
		return v, err
	}
	return nil, fmt.Errorf("unexpected %v", t) // no other token exists
}

// json returns v as indented JSON without a newline at the end.
func (v *value) json() []byte {
	var b bytes.Buffer
	v.write(&b, "\n")
	return b.Bytes()
}

func (v *value) write(b *bytes.Buffer, indent string) {
	switch v.kind {
	case null:
		b.WriteString("null")
	case number, boolean:
		b.WriteString(v.text)
	case text, file:
		writeString(b, v.text)
	case array:
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(indent + "  ")
			item.write(b, indent+"  ")
		}
		if len(v.items) > 0 {
			b.WriteString(indent)
		}
		b.WriteByte(']')
	case object:
		b.WriteByte('{')
		for i, m := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(indent + "  ")
			writeString(b, m.key)
			b.WriteString(": ")
			m.val.write(b, indent+"  ")
		}
		if len(v.members) > 0 {
			b.WriteString(indent)
		}
		b.WriteByte('}')
	}
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string in a Buffer cannot fail
	b.Truncate(b.Len() - 1)
}

// isJSONNumber reports whether s is a number as JSON writes it (RFC 8259 6).
func isJSONNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789+-.eE") == "" && json.Valid([]byte(s))
}
