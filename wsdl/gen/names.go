package gen

import (
	"errors"
	"fmt"
	"go/token"
	"strconv"
	"strings"
	"unicode"
)

// scope hands out identifiers, each once.
type scope struct {
	used map[string]bool
}

func newScope(reserved ...string) *scope {
	s := &scope{used: map[string]bool{}}
	for _, r := range reserved {
		s.used[r] = true
	}
	return s
}

// packageScope reserves what generated files use at package level: predeclared
// names, and the packages they import.
func packageScope() *scope {
	return newScope(
		"bool", "byte", "error", "float32", "float64", "int", "int8", "int16", "int32", "int64", "string",
		"uint", "uint8", "uint16", "uint32", "uint64", "any", "true", "false", "nil", "append", "len", "new",
		"init", "main", "context", "embed", "errors", "http", "soap", "soapclient", "soapserver", "wire", "xml", "xsd",
		"r", "w", "x", "v", "a", "q", "name", "more", "seen", "ctx", "req", "opts", "client", "_")
}

// take returns the first candidate that is free, or else the first with the
// smallest number behind it that makes it free.
func (s *scope) take(candidates ...string) string {
	for _, c := range candidates {
		if c != "" && !s.used[c] && !token.IsKeyword(c) {
			s.used[c] = true
			return c
		}
	}
	for i := 2; ; i++ {
		c := candidates[0] + strconv.Itoa(i)
		if !s.used[c] {
			s.used[c] = true
			return c
		}
	}
}

// initialisms keep their case in Go names.
var initialisms = map[string]string{
	"Id": "ID", "Ids": "IDs", "Url": "URL", "Urls": "URLs", "Uri": "URI", "Uris": "URIs", "Http": "HTTP", "Https": "HTTPS",
	"Xml": "XML", "Json": "JSON", "Html": "HTML", "Api": "API", "Sql": "SQL", "Guid": "GUID", "Uuid": "UUID", "Ip": "IP",
	"Sid": "SID", "Upn": "UPN",
}

// exported makes an exported Go name of an XML name.
func exported(s string) string {
	var b strings.Builder
	word := make([]rune, 0, 16)
	flush := func() {
		if len(word) == 0 {
			return
		}
		word[0] = unicode.ToUpper(word[0])
		t := string(word)
		if u, ok := initialisms[t]; ok {
			t = u
		}
		b.WriteString(t)
		word = word[:0]
	}
	for _, c := range s {
		switch {
		case c == '_' || c == '-' || c == '.' || !unicode.IsLetter(c) && !unicode.IsDigit(c):
			flush()
			continue
		case unicode.IsUpper(c) && len(word) > 0 && !unicode.IsUpper(word[len(word)-1]):
			flush()
		}
		word = append(word, c)
	}
	flush()
	name := b.String()
	if name == "" {
		return "X"
	}
	first := []rune(name)[0]
	if unicode.IsDigit(first) {
		return "N" + name
	}
	if !unicode.IsUpper(first) { // scripts without case
		return "X" + name
	}
	return name
}

// spaceSuffix makes a name suffix of a namespace, from its last word.
func spaceSuffix(space string) string {
	space = strings.TrimRight(space, "/#:")
	if i := strings.LastIndexAny(space, "/:#"); i >= 0 {
		space = space[i+1:]
	}
	if space == "" {
		return ""
	}
	s := exported(space)
	if len(s) > 30 {
		s = s[:30]
	}
	return strings.ToValidUTF8(s, "")
}

// CheckPackage tells why a name cannot be Options.Package.
func CheckPackage(name string) error {
	switch {
	case token.IsKeyword(name):
		return fmt.Errorf("%q is a Go keyword, so no package can have that name", name)
	case name == "main":
		return errors.New(`"main" is the package of a program, which others cannot import`)
	case name != PackageName(name):
		return fmt.Errorf("%q is not a package name of lower-case letters and digits", name)
	}
	return nil
}

// PackageName makes a package name of any name.
func PackageName(s string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(s) {
		if c >= 'a' && c <= 'z' || b.Len() > 0 && c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	switch p := b.String(); {
	case p == "" || token.IsKeyword(p) || p == "main":
		return "service"
	default:
		return p
	}
}
