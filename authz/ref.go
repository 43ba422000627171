package authz

import (
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// refKind is how a group or user is written.
type refKind uint8

const (
	plainRef refKind = iota // staff
	nameRef                 // CORP\Payroll
	dnRef                   // CN=Payroll,OU=Groups,DC=corp,DC=test
	sidRef                  // S-1-5-21-1-2-3-513
	upnRef                  // alice@corp.test, of users
)

// A ref is a group or user as somebody wrote it. Two that mean the same have the
// same key.
type ref struct {
	kind refKind
	text string
	key  string
}

// SIDs that everybody has who is who he is (MS-DTYP 2.4.2.4).
const (
	sidEveryone      authn.SID = "S-1-1-0"
	sidAnonymous     authn.SID = "S-1-5-7"
	sidAuthenticated authn.SID = "S-1-5-11"
	sidSystem        authn.SID = "S-1-5-18"
	sidGuests        authn.SID = "S-1-5-32-546"
)

// wellKnown has the names that Windows gives to SIDs that are the same
// everywhere (MS-DTYP 2.4.2.4), folded.
var wellKnown = map[string]authn.SID{
	"everyone":                                sidEveryone,
	"authenticated users":                     sidAuthenticated,
	`nt authority\authenticated users`:        sidAuthenticated,
	`nt authority\network`:                    "S-1-5-2",
	`nt authority\interactive`:                "S-1-5-4",
	`nt authority\service`:                    "S-1-5-6",
	`nt authority\system`:                     sidSystem,
	`nt authority\local service`:              "S-1-5-19",
	`nt authority\network service`:            "S-1-5-20",
	`nt authority\this organization`:          "S-1-5-15",
	`builtin\administrators`:                  "S-1-5-32-544",
	`builtin\users`:                           "S-1-5-32-545",
	`builtin\guests`:                          sidGuests,
	`builtin\power users`:                     "S-1-5-32-547",
	`builtin\account operators`:               "S-1-5-32-548",
	`builtin\server operators`:                "S-1-5-32-549",
	`builtin\print operators`:                 "S-1-5-32-550",
	`builtin\backup operators`:                "S-1-5-32-551",
	`builtin\replicator`:                      "S-1-5-32-552",
	`builtin\remote desktop users`:            "S-1-5-32-555",
	`builtin\network configuration operators`: "S-1-5-32-556",
	`builtin\performance monitor users`:       "S-1-5-32-558",
	`builtin\performance log users`:           "S-1-5-32-559",
	`builtin\distributed com users`:           "S-1-5-32-562",
	`builtin\iis_iusrs`:                       "S-1-5-32-568",
	`builtin\cryptographic operators`:         "S-1-5-32-569",
	`builtin\event log readers`:               "S-1-5-32-573",
	`builtin\hyper-v administrators`:          "S-1-5-32-578",
	`builtin\remote management users`:         "S-1-5-32-580",
}

// parseGroup reads a group as people write it.
func parseGroup(text string) ref {
	if sid, ok := wellKnown[directory.FoldName(text)]; ok {
		return ref{sidRef, text, string(sid)}
	}
	return parseRef(text)
}

// parseUser reads a user as people write it.
func parseUser(text string) ref {
	r := parseRef(text)
	if r.kind == plainRef && strings.Contains(text, "@") {
		r.kind = upnRef
	}
	return r
}

func parseRef(text string) ref {
	text = strings.TrimSpace(text)
	if sid := strings.ToUpper(text); isSID(sid) {
		return ref{sidRef, text, sid}
	}
	if key, ok := foldDN(text); ok {
		return ref{dnRef, text, key}
	}
	if domain, account, ok := strings.Cut(text, `\`); ok && domain != "" && account != "" {
		return ref{nameRef, text, directory.FoldName(text)}
	}
	return ref{plainRef, text, directory.FoldName(text)}
}

// isSID reports whether s has the form of MS-DTYP 2.4.2.1.
func isSID(s string) bool {
	rest, ok := strings.CutPrefix(s, "S-1-")
	if !ok || len(s) > 184 { // 15 subauthorities of ten digits
		return false
	}
	digits := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c == '-' && digits > 0:
			digits = 0
		default:
			return false
		}
	}
	return digits > 0
}

// foldDN returns a distinguished name (RFC 4514) in the form in which two of
// them are compared: without space around names and values, without regard to
// case, and with one way of escaping. It reports false for what is none.
func foldDN(s string) (string, bool) {
	if !strings.Contains(s, "=") {
		return "", false
	}
	var out strings.Builder
	for len(s) > 0 || out.Len() == 0 {
		name, rest, ok := strings.Cut(s, "=")
		name = directory.FoldName(name)
		if !ok || !isAttribute(name) {
			return "", false
		}
		value, after, sep, ok := dnValue(rest)
		if !ok || !utf8.ValidString(value) { // folding would make all invalid bytes the same
			return "", false
		}
		out.WriteString(name)
		out.WriteByte('=')
		for _, c := range []byte(directory.Fold(value)) {
			if strings.IndexByte(`,+"\<>;=`, c) >= 0 {
				out.WriteByte('\\')
			}
			out.WriteByte(c)
		}
		if sep != 0 {
			if after == "" {
				return "", false
			}
			out.WriteByte(sep)
		}
		s = after
	}
	return out.String(), true
}

// dnValue reads an attribute value up to its end, a comma or a plus.
func dnValue(s string) (value, rest string, sep byte, ok bool) {
	s = strings.TrimLeft(s, " ")
	var b []byte
	kept := 0 // what must not be trimmed, because it was escaped
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '+':
			return trimFrom(b, kept), s[i+1:], c, true
		case '\\':
			switch {
			case i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
				b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
				i += 2
			case i+1 < len(s):
				b = append(b, s[i+1])
				i++
			default:
				return "", "", 0, false
			}
			kept = len(b)
		default:
			b = append(b, c)
		}
	}
	return trimFrom(b, kept), "", 0, true
}

func trimFrom(b []byte, kept int) string {
	return string(b[:kept]) + strings.TrimRight(string(b[kept:]), " ")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// isAttribute reports whether s is an attribute's name or OID, folded.
func isAttribute(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return s != ""
}
