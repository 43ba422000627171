package tokentext

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/soapward/soapward/authn/ntlm"
)

// found is a token, or a header without one, as it stood in the input.
type found struct {
	line     int    // 0 if there is one line only
	header   string // "" if it stood alone
	scheme   string // "" if it stood alone
	text     string // what stood behind the scheme
	raw      []byte // decoded text, up to the first character that cannot be
	encoding string
	problem  string // of the encoding

	total, totalOf int // length that the token says it has, when text had totalOf characters
}

func (f *found) fromServer() bool { return strings.HasSuffix(f.header, "Authenticate") }

var (
	headerLine = regexp.MustCompile(`(?i)(?:^|[^a-z0-9-])((?:proxy-|www-)?authenticate|(?:proxy-)?authorization|(?:proxy-)?authentication-info)["']?\s*[:=]\s*(.*)$`)
	// Somewhere in a line, as in a log or in JSON.
	schemeInLine = regexp.MustCompile(`(?i)(?:^|[^a-z0-9+/=_-])(negotiate|ntlm|kerberos|basic|bearer)\s+([a-z0-9+/=_.~-]{16,})`)
	moreOfToken  = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`)
)

// headers and schemes as they are written, by their lower case.
var (
	headers = map[string]string{
		"authorization": "Authorization", "proxy-authorization": "Proxy-Authorization",
		"www-authenticate": "WWW-Authenticate", "proxy-authenticate": "Proxy-Authenticate", "authenticate": "Authenticate",
		"authentication-info": "Authentication-Info", "proxy-authentication-info": "Proxy-Authentication-Info",
	}
	schemes = map[string]string{
		"negotiate": "Negotiate", "ntlm": "NTLM", "kerberos": "Kerberos", "basic": "Basic", "bearer": "Bearer", "digest": "Digest",
	}
)

// cutScheme parts the name of a scheme from what stands behind it.
func cutScheme(s string) (scheme, rest string, ok bool) {
	word := s
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		word, rest = s[:i], strings.TrimSpace(s[i:])
	}
	scheme, ok = schemes[strings.ToLower(word)]
	return scheme, rest, ok
}

// find returns the tokens in what somebody pasted or piped.
func find(input []byte) []*found {
	input = fromUTF16(bytes.TrimPrefix(input, []byte("\xef\xbb\xbf")))
	if isBinary(input) {
		return []*found{{raw: input, encoding: "binary"}}
	}
	all := findHeaders(string(input))
	if len(all) == 0 {
		text := strings.Trim(strings.Join(strings.Fields(string(input)), ""), `"'`+"`")
		if text == "" {
			return nil
		}
		all = []*found{{text: text}}
		if parts := strings.Split(text, "."); len(parts) == 3 && strings.HasPrefix(text, "eyJ") {
			all[0].scheme = "Bearer"
		}
	}
	for _, f := range all[:min(len(all), maxTokens)] { // the others are counted only
		f.decode()
	}
	if strings.Count(strings.TrimSpace(string(input)), "\n") == 0 {
		for _, f := range all {
			f.line = 0
		}
	}
	return all
}

// fromUTF16 is text as PowerShell writes it to files, in UTF-8.
func fromUTF16(b []byte) []byte {
	rest, ok := bytes.CutPrefix(b, []byte{0xff, 0xfe})
	if !ok {
		return b
	}
	units := make([]uint16, len(rest)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(rest[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// isBinary reports whether b is no text.
func isBinary(b []byte) bool {
	return !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r'
	})
}

// findHeaders finds what stands behind the name of a header or of a scheme.
func findHeaders(text string) []*found {
	var all []*found
	header := ""             // whose value is on the next line, as browsers copy it
	var open *found          // which the next line may go on with
	var tail strings.Builder // of open
	closeOpen := func() {
		if open != nil {
			open.text += tail.String()
			tail.Reset()
			open = nil
		}
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimSpace(line)
		value := strings.TrimLeft(bare, "<>*# \t")
		if open != nil && value == bare && moreOfToken.MatchString(bare) && open.incomplete(tail.Len()) {
			if len(open.text) < headerText { // which tells how long the token is
				open.text += bare
			} else {
				tail.WriteString(bare)
			}
			continue
		}
		closeOpen()
		if m := headerLine.FindStringSubmatch(value); m != nil {
			header, value = headers[strings.ToLower(m[1])], m[2]
			if value == "" {
				continue
			}
		} else if name, ok := headers[strings.ToLower(value)]; ok {
			header = name
			continue
		} else if _, rest, ok := cutScheme(value); !ok || strings.ContainsAny(rest, " \t") {
			header = ""
			for _, m := range schemeInLine.FindAllStringSubmatch(value, -1) {
				all = append(all, &found{line: number, scheme: schemes[strings.ToLower(m[1])], text: m[2]})
			}
			continue
		}
		list := challenges(value)
		for _, f := range list {
			f.line, f.header = number, header
		}
		if len(list) == 1 {
			open = list[0]
		}
		all, header = append(all, list...), ""
	}
	closeOpen()
	return all
}

// challenges takes apart the value of a header, which may be a list.
func challenges(value string) []*found {
	var all []*found
	quoted := false
	for _, part := range strings.FieldsFunc(value, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	}) {
		scheme, text, ok := cutScheme(strings.Trim(part, " \t\"'"))
		if !ok {
			continue // a parameter of the one before
		}
		f := &found{scheme: scheme, text: text}
		// A command line goes on behind the quote.
		if i := strings.IndexAny(f.text, `"'`); i >= 0 && f.scheme != "Digest" {
			f.text = f.text[:i]
		}
		if f.binary() {
			f.text = strings.Join(strings.Fields(f.text), "")
		}
		all = append(all, f)
	}
	return all
}

// binary reports whether the scheme is of tokens in base64.
func (f *found) binary() bool {
	return f.scheme == "Negotiate" || f.scheme == "NTLM" || f.scheme == "Kerberos"
}

// headerText is how much text the header of a message takes at most: 88 bytes.
const headerText = 160

// incomplete reports whether the token, of which more characters have been
// found than are in text, says that it is longer.
func (f *found) incomplete(more int) bool {
	if !f.binary() {
		return false
	}
	if f.total == 0 || f.totalOf != len(f.text) {
		begin, _, _ := decodeText(f.text[:min(len(f.text), headerText)])
		f.totalOf = len(f.text)
		if n, ok := derLength(begin); ok && !bytes.HasPrefix(begin, []byte("NTLM")) {
			f.total = n
		} else if f.total = ntlm.Extent(begin); ntlm.TypeOf(begin) == 0 && len(begin) >= 12 {
			f.total = 1 // none that is known
		}
	}
	return !strings.HasSuffix(f.text, "=") && (len(f.text)+more)*3/4 < f.total
}

// decode fills raw.
func (f *found) decode() {
	if f.text == "" || f.scheme != "" && !f.binary() {
		return
	}
	f.raw, f.encoding, f.problem = decodeText(f.text)
}

// decodeText decodes base64, in either alphabet and with or without padding, or
// hexadecimal digits.
func decodeText(s string) (b []byte, encoding, problem string) {
	digits := strings.NewReplacer(":", "", "0x", "").Replace(s)
	if n := len(digits) &^ 1; n > 0 {
		if b, err := hex.DecodeString(digits[:n]); err == nil && looksLikeToken(b) {
			if n != len(digits) {
				problem = "the hexadecimal digits end inside a byte"
			}
			return b, "hex", problem
		}
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	end := strings.IndexFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '+' && r != '/' || r >= 0x80
	})
	if end >= 0 {
		r, _ := utf8.DecodeRuneInString(s[end:])
		problem = fmt.Sprintf("character %d of the text, %q, is not base64: decoded up to there", utf8.RuneCountInString(s[:end])+1, r)
		s = s[:end]
	}
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
		if problem == "" {
			problem = "the base64 text ends inside a byte: something is missing at its end"
		}
	}
	b, _ = base64.RawStdEncoding.DecodeString(s) // of its alphabet, and no impossible length
	return b, "base64", problem
}

// other shows schemes that have no token for us. Their values are passwords, or
// as good as one.
func (f *found) other(n *Node) {
	if f.fromServer() {
		n.add("no token", "", "the server offers this scheme")
		return
	}
	switch f.scheme {
	case "Basic":
		n = n.group("Basic credentials", "RFC 7617; the password can be read by whoever has the header")
		b, _, problem := decodeText(strings.TrimSpace(f.text))
		user, _, ok := bytes.Cut(b, []byte(":"))
		switch {
		case problem != "":
			n.problem("%s", problem)
		case !ok:
			n.problem("there is no colon between user and password")
		default:
			n.add("user-id", string(user))
			n.add("password", "not shown")
		}
	case "Bearer":
		note := "RFC 6750"
		if strings.HasPrefix(f.text, "eyJ") {
			note += "; a JSON Web Token by its look"
		}
		n.add("bearer token", fmt.Sprintf("%d characters, not decoded", len(f.text)), note)
	default:
		n.group("Digest credentials", "RFC 7616; not decoded")
	}
}
