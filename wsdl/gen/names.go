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

	kept map[string]string // names of an earlier run, by key
	made map[string]string // names picked, by key
	lost []string          // of kept, see fixed
}

func newScope(reserved ...string) *scope {
	s := &scope{used: map[string]bool{}, made: map[string]string{}}
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
		"init", "main", "context", "embed", "errors", "fmt", "http", "log", "WSDL", "WSDLFile", "soap", "soapclient", "soapserver", "wire", "xml", "xsd",
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

// initialisms are words that Go names write in capitals: those that linters
// know, and some that names of services are full of.
var initialisms = func() map[string]string {
	m := map[string]string{"Ids": "IDs", "Urls": "URLs", "Uris": "URIs"}
	for _, w := range strings.Fields("ACL API ASCII CPU CSS DB DNS EOF GID GUID HTML HTTP HTTPS ID IP JSON QPS RAM RPC " +
		"SID SIP SLA SMTP SQL SSH TCP TLS TS TTL UDP UI UID UPN URI URL UTF8 UUID VM XML XMPP XSRF XSS AMQP RTP") {
		m[w[:1]+strings.ToLower(w[1:])] = w
	}
	return m
}()

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
