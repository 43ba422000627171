package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a configuration. An alias counts as what it stands for.
const (
	maxSize  = 1 << 20
	maxNodes = 50_000
	maxDepth = 24
	maxShown = 60 // of a value, in an error
)

// decoder puts a tree of YAML into structs, and collects what is wrong.
type decoder struct {
	files []string                       // that are read; see filePosition
	read  func(string) ([]byte, error)   // an included one; nil: none is
	glob  func(string) ([]string, error) // included ones that fit a pattern; nil as read is
	errs  []*Error
	more  int
	nodes int
	depth int

	base    int          // the lines of the file that document parses; see filePosition
	marks   map[any]mark // where values stand, by their addresses
	secrets []*Secret
}

type mark struct{ line, column int }

// decodable is a type with a text form of its own. The error says what is wanted.
type decodable interface {
	decode(d *decoder, n *yaml.Node, path string)
}

// choices is a type of which some words are values.
type choices interface{ choices() []string }

var errMany = errors.New("too much")

// document parses the text into a tree of one document.
func (d *decoder) document(text []byte) *yaml.Node {
	top := &yaml.Node{Line: d.base}
	if len(text) > maxSize {
		d.fail(top, "the file is larger than %d KiB", maxSize>>10)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		d.fail(top, "the file is empty: want a configuration")
		return nil
	} else if err != nil {
		d.syntax(err)
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		second.Line += d.base
		d.fail(&second, "a second document begins here: want one")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
	}
	return doc.Content[0]
}

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax takes the line out of an error of the parser.
func (d *decoder) syntax(err error) {
	text := err.Error()
	n := &yaml.Node{Line: d.base}
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		n.Line += line
		n.Column = 1
		text = "yaml: " + text[len(m[0]):]
	}
	d.fail(n, "%s", clip(text))
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	e := &Error{File: d.files[0], Text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.file, e.Line = filePosition(n.Line)
		e.File, e.Column = d.files[e.file], n.Column
	}
	d.add(e)
}

// failAt is fail about a value that was decoded.
func (d *decoder) failAt(v any, format string, args ...any) { d.fail(d.node(v), format, args...) }

func (d *decoder) add(e *Error) {
	if len(d.errs) >= 10*maxErrors {
		d.more++
		return
	}
	d.errs = append(d.errs, e)
}

// err returns what was collected, in the order of the text.
func (d *decoder) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	out := &Errors{List: d.errs, More: d.more, Files: d.files}
	if n := len(out.List); n > maxErrors {
		out.List, out.More = out.List[:maxErrors], out.More+n-maxErrors
	}
	return out
}

// value decodes n into v, which can be set.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.depth++
	defer func() { d.depth-- }()
	if d.nodes++; d.nodes > maxNodes || d.depth > maxDepth {
		d.fail(n, "the configuration is too large, or its aliases too many: want at most %d values, nested %d deep", maxNodes, maxDepth)
		panic(errMany)
	}
	if n.Kind == yaml.AliasNode {
		d.value(n.Alias, v, path)
		return
	}
	d.marks[v.Addr().Interface()] = mark{n.Line, n.Column}
	if x, ok := v.Addr().Interface().(decodable); ok {
		x.decode(d, n, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), path)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.String:
		d.text(n, v, path)
	case reflect.Bool:
		if s, ok := d.scalar(n, "true or false", path); ok {
			switch s {
			case "true":
				v.SetBool(true)
			case "false":
				v.SetBool(false)
			default:
				d.want(n, "true or false", path)
			}
		}
	case reflect.Int:
		if s, ok := d.scalar(n, "a whole number", path); ok {
			i, err := strconv.Atoi(s)
			if err != nil || i < 0 || i > 1_000_000_000 {
				d.want(n, "a whole number, not below zero", path)
			}
			v.SetInt(int64(i))
		}
	default:
		panic("config: no way to decode " + v.Type().String())
	}
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string) {
	c, limited := v.Interface().(choices)
	want := "text"
	if limited {
		want = "one of " + strings.Join(c.choices(), ", ")
	}
	s, ok := d.scalar(n, want, path)
	switch {
	case !ok:
	case limited && !slices.Contains(c.choices(), s):
		d.fail(n, "%s: %q is not known: want %s%s", path, clip(s), want, meant(s, c.choices()))
	case s == "":
		d.fail(n, "%s is empty: want text, or leave the line out", path)
	default:
		v.SetString(s)
	}
}

// scalar returns the text of a single value.
func (d *decoder) scalar(n *yaml.Node, want, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!binary" || strings.ContainsRune(n.Value, 0) {
		d.want(n, want, path)
		return "", false
	}
	return n.Value, true
}

// want says what n should be, and what it is.
func (d *decoder) want(n *yaml.Node, want, path string) {
	if path == "" {
		path = "the configuration"
	}
	is := "a list"
	switch {
	case n.Kind == yaml.MappingNode:
		is = "a table of keys"
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		is = "nothing"
	case n.Kind == yaml.ScalarNode:
		is = strconv.Quote(clip(n.Value))
	}
	d.fail(n, "%s is %s: want %s", path, is, want)
}

// pairs calls f for each key of a table, once.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.want(n, "a table of keys", path)
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, "a key%s is not text", in(path))
			continue
		case key.Tag == "!!merge":
			d.fail(key, "merge keys (<<) are not taken%s: write the keys out, or put an alias in place of a whole value", in(path))
			continue
		case seen[key.Value] != 0:
			d.fail(key, "key %q%s is there twice, first in %s", clip(key.Value), in(path), d.place(seen[key.Value]))
			continue
		}
		seen[key.Value] = max(key.Line, 1)
		f(key, value)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	fields := make(map[string]reflect.Value)
	collect(v, fields)
	d.pairs(n, path, func(key, value *yaml.Node) {
		field, ok := fields[key.Value]
		if !ok {
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			slices.Sort(names)
			hint := meant(key.Value, names)
			if hint == "" && len(names) <= 12 {
				hint = ": want one of " + strings.Join(names, ", ")
			}
			d.fail(key, "unknown key %q%s%s", clip(key.Value), in(path), hint)
			return
		}
		if value.Tag == "!!null" && value.Kind == yaml.ScalarNode {
			d.fail(key, "%s has no value: give it one, or leave the line out", join(path, key.Value))
			return
		}
		d.value(value, field, join(path, key.Value))
	})
}

// collect puts the fields of a struct under their keys.
func collect(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch key, inline := keyOf(f); {
		case inline:
			collect(v.Field(i), fields)
		case key != "":
			fields[key] = v.Field(i)
		}
	}
}

// keyOf returns the key of a field, or that its own fields stand in its place.
func keyOf(f reflect.StructField) (key string, inline bool) {
	key, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key, rest == "inline"
}

var nameOfEntry = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	m := reflect.MakeMap(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node) {
		if !nameOfEntry.MatchString(key.Value) {
			d.fail(key, "name %q%s: want letters, digits, dots, hyphens and underscores, at most 64", clip(key.Value), in(path))
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e, join(path, key.Value))
		m.SetMapIndex(reflect.ValueOf(key.Value), e)
	})
	v.Set(m)
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.want(n, "a list", path)
		return
	}
	if len(n.Content) == 0 { // nobody, or what is inherited, or the default: it could mean each
		d.fail(n, "%s is an empty list: give it something, or leave the line out", path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, e := range n.Content {
		d.value(e, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// mayHavePassword finds a user with a password in a URL, however broken, and a
// password among keywords or in a query.
var mayHavePassword = regexp.MustCompile(`(?i)//[^/\s]*:.*@|password\s*=`)

// clip bounds a text of the file in an error, and leaves passwords out.
func clip(s string) string {
	if mayHavePassword.MatchString(s) {
		return "(not shown: it may have a password in it)"
	}
	if len(s) > maxShown {
		return s[:maxShown] + "..."
	}
	return s
}

// meant is the nearest of some names to one that is not known, as a question.
func meant(s string, names []string) string {
	best, most := "", 3
	for _, name := range names {
		if d := distance(strings.ToLower(s), name); d < most && d < len(name) {
			best, most = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// distance is the number of letters to add, drop, change or swap with their
// neighbours.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}

// decodeStruct decodes a struct whose type has defaults.
func decodeStruct[T any](d *decoder, n *yaml.Node, v *T, path string) {
	d.structure(n, reflect.ValueOf(v).Elem(), path)
}

func (d *decoder) root(n *yaml.Node, c *Config) { d.value(n, reflect.ValueOf(c).Elem(), "") }
