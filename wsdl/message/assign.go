package message

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxIndex bounds what a[N] makes room for.
const maxIndex = 100_000

// FromArgs makes a request of arguments:
//
//	name=value            an element, or an attribute as @name=value
//	customer.name=value   an element within another
//	line[0].sku=value     one of a repeated element; name=value again adds one
//	content=@file         the value is what read returns for file, as base64 or
//	                      hex where the type wants that; @@ is an @ itself
//	name:=json            a JSON value, such as null
//	name.#any=<a/>        XML, where any element may stand; or name.#any=@file
//
// A dot in a name is written \. and a namespace {namespace}name.
func (b *Body) FromArgs(args []string, read func(name string) ([]byte, error)) (*Request, error) {
	root := &value{kind: object}
	for _, a := range args {
		v, path, err := parseArg(a, read)
		if err == nil {
			err = assign(root, path, v)
		}
		if err != nil {
			return nil, fmt.Errorf("message: argument %q: %w", clip(a), err)
		}
	}
	return b.encodeFrom(root, true)
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

type step struct {
	key   string
	index int // -1: none
}

func parseArg(a string, read func(string) ([]byte, error)) (*value, []step, error) {
	var path []step
	rest := a
	for {
		st, n, err := parseStep(rest)
		if err != nil {
			return nil, nil, err
		}
		path, rest = append(path, st), rest[n:]
		if strings.HasPrefix(rest, ".") {
			rest = rest[1:]
			continue
		}
		break
	}
	switch {
	case strings.HasPrefix(rest, ":="):
		v, err := parseJSON([]byte(rest[2:]))
		return v, path, err
	case !strings.HasPrefix(rest, "="):
		return nil, nil, fmt.Errorf("want name=value")
	}
	s := rest[1:]
	switch {
	case strings.HasPrefix(s, "@@"):
		s = s[1:]
	case strings.HasPrefix(s, "@"):
		data, err := read(s[1:])
		if key := path[len(path)-1].key; err == nil && (key == "#any" || key == "#xml") { // a document, most often
			return &value{kind: text, text: strings.TrimSpace(string(data[len(declaration.Find(data)):]))}, path, nil
		}
		return &value{kind: file, text: string(data)}, path, err
	}
	return &value{kind: text, text: s}, path, nil
}

// parseStep reads one name and its index, and returns how long they are.
func parseStep(s string) (st step, n int, err error) {
	st.index = -1
	var key strings.Builder
	for n < len(s) {
		switch c := s[n]; {
		case c == '{':
			end := strings.IndexByte(s[n:], '}')
			if end < 0 {
				return st, 0, fmt.Errorf("{ without }")
			}
			key.WriteString(s[n : n+end+1])
			n += end + 1
			continue
		case c == '\\' && n+1 < len(s):
			n++
			key.WriteByte(s[n])
		case c == '.', c == '=', c == '[', c == ':' && strings.HasPrefix(s[n:], ":="):
			if key.Len() == 0 {
				return st, 0, fmt.Errorf("a name is missing")
			}
			st.key = key.String()
			if c != '[' {
				return st, n, nil
			}
			end := strings.IndexByte(s[n:], ']')
			if end < 0 {
				return st, 0, fmt.Errorf("[ without ]")
			}
			i, err := strconv.Atoi(s[n+1 : n+end])
			if err != nil || i < 0 || i > maxIndex {
				return st, 0, fmt.Errorf("[%s] is no index", s[n+1:n+end])
			}
			st.index = i
			return st, n + end + 1, nil
		default:
			key.WriteByte(c)
		}
		n++
	}
	return st, 0, fmt.Errorf("want name=value")
}

// onlyAttributes reports whether v is an object of attributes alone.
func (v *value) onlyAttributes() bool {
	return v.kind == object && !slices.ContainsFunc(v.members, func(m member) bool { return !strings.HasPrefix(m.key, "@") })
}

// assign puts v at path. A name that has a value already becomes an array.
func assign(at *value, path []step, v *value) error {
	for i, st := range path {
		last := i == len(path)-1
		if at.scalar() && strings.HasPrefix(st.key, "@") { // amount=1 amount.@currency=EUR
			inner := *at
			*at = value{kind: object, members: []member{{"#text", &inner}}}
		}
		if at.kind != object {
			return fmt.Errorf("%s has a value already", path[i-1].key)
		}
		old := at.get(st.key)
		switch {
		case old == nil && st.index < 0 && last:
			at.add(st.key, v)
			return nil
		case old == nil && st.index < 0:
			old = &value{kind: object}
			at.add(st.key, old)
		case old == nil:
			old = &value{kind: array}
			at.add(st.key, old)
			fallthrough
		case st.index >= 0:
			if old.kind != array {
				return fmt.Errorf("%s is given with and without index", st.key)
			}
			switch {
			case st.index > len(old.items):
				return fmt.Errorf("%s[%d] is given before %s[%d]", st.key, st.index, st.key, len(old.items))
			case st.index == len(old.items) && last:
				old.items = append(old.items, v)
				return nil
			case st.index == len(old.items):
				old.items = append(old.items, &value{kind: object})
			case last:
				return fmt.Errorf("%s[%d] is given twice", st.key, st.index)
			}
			old = old.items[st.index]
		case last && old.kind == array:
			old.items = append(old.items, v)
			return nil
		case last && v.scalar() && old.onlyAttributes(): // the other way round
			old.add("#text", v)
			return nil
		case last:
			if v.kind == array {
				return fmt.Errorf("%s is given twice", st.key)
			}
			first := *old
			*old = value{kind: array, items: []*value{&first, v}}
			return nil
		}
		at = old
	}
	return nil
}
