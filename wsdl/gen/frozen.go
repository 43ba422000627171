package gen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// NamesFile is the name of the file among the generated ones that keeps Go
// names as they are.
//
// It is JSON: "format" is 1, and "names" has a member for each type, fault,
// header, client and enumeration value of the package. The key says what it is
// in the description ("type {urn:x}Order", "fault {urn:x}busy"; what is written
// inside something else follows after a slash, "type {urn:x}Order/item"); "go"
// is the name it has, "members" are the names of its fields or methods. Keys
// are sorted. What is no longer in the description stays, so that its name is
// not given to something else; a program's author may change or delete entries.
const NamesFile = "names.json"

// namesGenerator tells a generated names file from a file that happens to have
// that name.
const namesGenerator = "soapward generate"

type namesDoc struct {
	Generator string                `json:"generator"`
	Format    int                   `json:"format"`
	Names     map[string]*namesItem `json:"names"`
}

type namesItem struct {
	Go      string            `json:"go"`
	Members map[string]string `json:"members,omitempty"`
}

// keep reads an earlier NamesFile and reserves its names.
func (g *generator) keep(data []byte) error {
	fail := func(err error) error { return fmt.Errorf("gen: %s: %w", NamesFile, err) }
	var d namesDoc
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fail(err)
	}
	if d.Generator != namesGenerator {
		return fail(errors.New("it was not written by soapward generate"))
	}
	if d.Format != 1 {
		return fail(fmt.Errorf("format %d is not known; use the release of soapward that wrote it", d.Format))
	}
	g.kept = d.Names
	kept := map[string]string{}
	for _, p := range g.packages {
		p.scope.kept = kept
	}
	for _, key := range slices.Sorted(maps.Keys(d.Names)) {
		item := d.Names[key]
		if item == nil {
			return fail(fmt.Errorf("%q has no name", key))
		}
		scope := g.scopeOf(key)
		for _, n := range formsOf(key)(item.Go) {
			if err := scope.reserve(n); err != nil {
				return fail(fmt.Errorf("%q: %w", key, err))
			}
		}
		kept[key] = item.Go
		members := newScope("MarshalWire", "UnmarshalWire")
		for _, k := range slices.Sorted(maps.Keys(item.Members)) {
			if err := members.reserve(item.Members[k]); err != nil {
				return fail(fmt.Errorf("%q: %q: %w", key, k, err))
			}
		}
	}
	return nil
}

// scopeOf returns the scope for the name of a key: that of the package of its
// namespace, or of the root for what belongs to clients and servers.
func (g *generator) scopeOf(key string) *scope {
	kind, rest, _ := strings.Cut(key, " ")
	switch kind {
	case "client", "port", "header", "input", "output":
		return g.pkg
	}
	space := ""
	if _, in, ok := strings.Cut(rest, "{"); ok {
		space, _, _ = strings.Cut(in, "}")
	}
	return g.packageOf(space).scope
}

// reserve takes a name that somebody may have written by hand.
func (s *scope) reserve(name string) error {
	switch {
	case !token.IsIdentifier(name) || !token.IsExported(name):
		return fmt.Errorf("%q is not an exported Go name", name)
	case s.used[name]:
		return fmt.Errorf("the name %s is taken", name)
	}
	s.used[name] = true
	return nil
}

// names returns the content of NamesFile.
func (g *generator) names() ([]byte, error) {
	d := namesDoc{Generator: namesGenerator, Format: 1, Names: map[string]*namesItem{}}
	maps.Copy(d.Names, g.kept)
	made := map[string]string{}
	for _, p := range g.packages {
		maps.Copy(made, p.scope.made)
	}
	for key, name := range made {
		item := &namesItem{Go: name, Members: map[string]string{}}
		if old := g.kept[key]; old != nil {
			maps.Copy(item.Members, old.Members)
		}
		if m := g.members[key]; m != nil {
			taken := map[string]string{}
			for k, n := range m.made {
				taken[n] = k
			}
			maps.DeleteFunc(item.Members, func(k, n string) bool { // see scope.fixed
				_, now := taken[n]
				return now || slices.Contains(m.lost, n)
			})
			maps.Copy(item.Members, m.made)
		}
		d.Names[key] = item
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return nil, errors.Join(errors.New("gen: write "+NamesFile), err)
	}
	return b.Bytes(), nil
}

// pick returns the name of what key says: that of an earlier run, or else the
// first candidate that is free in all its forms, or else the first with a
// number. The key gets a number too if it was used before; unique tells.
func (s *scope) pick(key string, candidates ...string) string {
	if n, ok := s.kept[key]; ok {
		s.made[key] = n
		return n
	}
	forms := formsOf(key)
	for i := 1; ; i++ {
		for _, c := range candidates {
			if i > 1 {
				c = candidates[0] + strconv.Itoa(i)
			}
			free := func(n string) bool { return !s.used[n] && !token.IsKeyword(n) }
			if c == "" || slices.ContainsFunc(forms(c), func(n string) bool { return !free(n) }) {
				continue
			}
			for _, n := range forms(c) {
				s.used[n] = true
			}
			s.made[key] = c
			return c
		}
	}
}

// unique makes a key that was not picked with before.
func (s *scope) unique(key string) string {
	k := key
	for i := 2; ; i++ {
		if _, ok := s.made[k]; !ok {
			return k
		}
		k = key + "#" + strconv.Itoa(i)
	}
}

// fixed takes a name that cannot be another, from a member of an earlier run
// if need be.
func (s *scope) fixed(name string) {
	for k, n := range s.kept {
		if n == name {
			delete(s.kept, k)
			s.lost = append(s.lost, n)
		}
	}
	s.used[name] = true
}

// keeps reports whether a member had that name in an earlier run.
func (s *scope) keeps(name string) bool {
	for _, n := range s.kept {
		if n == name {
			return true
		}
	}
	return false
}

// formsOf says which names are made of the one that a key has.
func formsOf(key string) func(string) []string {
	kind, _, _ := strings.Cut(key, " ")
	switch kind {
	case "client":
		return func(n string) []string {
			return []string{n + "Client", n + "Server", "New" + n + "Client", "Register" + n, "Unimplemented" + n, n + "URL"}
		}
	case "port":
		return func(n string) []string { return []string{n + "URL", "New" + n + "Client"} }
	case "header":
		return func(n string) []string { return []string{"With" + n, n + "From", "Find" + n} }
	}
	return func(n string) []string { return []string{n} }
}

// memberScope returns the scope of the fields or methods of what key says.
func (g *generator) memberScope(key string, reserved ...string) *scope {
	s := newScope(reserved...)
	if item := g.kept[key]; item != nil {
		s.kept = maps.Clone(item.Members)
		for _, n := range item.Members {
			s.used[n] = true
		}
	}
	g.members[key] = s
	return s
}
