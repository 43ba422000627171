package xsd

import "strings"

// ParseString returns s. 3.2.1.
func ParseString(s string) (string, error) { return s, nil }

// ParseNormalizedString returns s with each white space made a space. 3.3.1.
func ParseNormalizedString(s string) (string, error) {
	if strings.ContainsAny(s, "\t\n\r") {
		return strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, s), nil
	}
	return s, nil
}

// ParseToken returns s with white space collapsed. It serves xs:token (3.3.2),
// xs:anyURI and the name types, whose finer rules are left to the application.
func ParseToken(s string) (string, error) { return Collapse(s), nil }

// Collapse returns s without white space at the ends and with single spaces
// inside. 4.3.6.
func Collapse(s string) string {
	s = trim(s)
	for i := 0; i < len(s); i++ {
		if isSpace(s[i]) && (s[i] != ' ' || isSpace(s[i+1])) {
			return strings.Join(fields(s), " ")
		}
	}
	return s
}

// fields splits at XML white space, which strings.Fields does not.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// ParseList returns a function that parses a list of items. 2.5.1.2.
func ParseList[T any](item func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		parts := fields(s)
		list := make([]T, 0, len(parts))
		for _, p := range parts {
			v, err := item(p)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
}

// AppendList returns a function that appends a list of items whose lexical
// forms need no escaping. A list of strings is written as text, joined by
// spaces.
func AppendList[T any](item func([]byte, T) []byte) func([]byte, []T) []byte {
	return func(dst []byte, list []T) []byte {
		for i, v := range list {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = item(dst, v)
		}
		return dst
	}
}
