package backend

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A field is a line of a header. Its name is as net/http has it.
type field struct{ name, value string }

// A head is that of an answer.
type head struct {
	status int
	minor  int // of HTTP/1
	fields []field

	length  int64 // of Content-Length; -1: none
	chunked bool

	close, keepAlive bool
	options          []string // of Connection, which are names of fields too
	upgrade          string
	trailer          []string // names that are announced
	ownConnection    bool     // the backend ties a login to the connection
	eventStream      bool
	idle             time.Duration // for how long the backend keeps the connection; 0: it does not say
}

// read reads a head. What is not strictly HTTP is refused, since whoever comes
// after us may understand it in another way (RFC 9112 11.2).
func (h *head) read(b *reader) error {
	text, err := b.block(maxHead)
	if err != nil {
		return err
	}
	*h = head{fields: h.fields[:0], options: h.options[:0], trailer: h.trailer[:0], length: -1}
	line, rest, ok := strings.Cut(text, "\r\n")
	if !ok || !h.statusLine(line) {
		return protocolError("the first line is no status line of HTTP/1")
	}
	if h.fields, err = parseFields(h.fields, rest); err != nil {
		return err
	}
	coded, written := false, ""
	for i := range h.fields {
		f := &h.fields[i]
		switch f.name {
		case "Content-Length":
			n, ok := parseLength(f.value)
			if !ok || h.length >= 0 && f.value != written {
				return protocolError("Content-Length is not one number")
			}
			h.length, written = n, f.value
		case "Transfer-Encoding": // RFC 9112 6.1
			if coded || !strings.EqualFold(f.value, "chunked") {
				return protocolError("Transfer-Encoding is not chunked alone")
			}
			coded = true
		case "Connection":
			h.options = appendTokens(h.options, f.value)
		case "Upgrade":
			h.upgrade = f.value
		case "Keep-Alive":
			h.idle = parseKeepAlive(f.value)
		case "Trailer":
			h.trailer = appendTokens(h.trailer, f.value)
		case "Content-Type":
			const stream = "text/event-stream"
			h.eventStream = len(f.value) >= len(stream) && strings.EqualFold(f.value[:len(stream)], stream)
		case "Www-Authenticate", "Persistent-Auth":
			h.ownConnection = h.ownConnection || f.name == "Persistent-Auth" || bindsConnection(f.value)
		}
	}
	for i, name := range h.trailer {
		h.trailer[i] = http.CanonicalHeaderKey(name)
	}
	for _, o := range h.options {
		h.close = h.close || strings.EqualFold(o, "close")
		h.keepAlive = h.keepAlive || strings.EqualFold(o, "keep-alive")
	}
	switch h.chunked = coded; {
	case len(h.options) > maxOptions || len(h.trailer) > maxOptions:
		return protocolError("Connection or Trailer has more than " + strconv.Itoa(maxOptions) + " names")
	case coded && h.length >= 0:
		return protocolError("it has both Content-Length and Transfer-Encoding")
	case coded && h.minor == 0:
		return protocolError("HTTP/1.0 knows no Transfer-Encoding")
	}
	return nil
}

// statusLine reads "HTTP/1.1 200 OK". Many leave the last space out where the
// phrase is empty.
func (h *head) statusLine(s string) bool {
	const prefix = "HTTP/1."
	if len(s) < len("HTTP/1.1 200") || !strings.HasPrefix(s, prefix) || s[len(prefix)+1] != ' ' || !validValue(s) {
		return false
	}
	h.minor = int(s[len(prefix)]) - '0'
	code, phrase := s[len(prefix)+2:len(prefix)+5], s[len(prefix)+5:]
	for _, c := range []byte(code) {
		if c < '0' || c > '9' {
			return false
		}
		h.status = 10*h.status + int(c-'0')
	}
	return (h.minor == 0 || h.minor == 1) && h.status >= 100 && (phrase == "" || phrase[0] == ' ')
}

// reusable reports whether the backend keeps the connection after this answer.
func (h *head) reusable() bool {
	return !h.close && (h.minor == 1 || h.keepAlive) && !h.ownConnection
}

// names reports whether Connection lists a field, which goes no further then.
func (h *head) names(field string) bool {
	for _, o := range h.options {
		if strings.EqualFold(o, field) {
			return true
		}
	}
	return false
}

// parseFields appends the fields of text, whose lines all end with CRLF.
func parseFields(to []field, text string) ([]field, error) {
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\r\n")
		text = rest
		if len(to) >= maxFields {
			return to, protocolError("it has more than " + strconv.Itoa(maxFields) + " fields")
		}
		name, value, ok := strings.Cut(line, ":")
		switch {
		case line != "" && (line[0] == ' ' || line[0] == '\t'):
			return to, protocolError("a field goes on in a second line") // RFC 9112 5.2
		case !ok || !isToken(name):
			return to, protocolError("a field has no name")
		}
		value = strings.Trim(value, " \t")
		if !validValue(value) {
			return to, protocolError("a field has a control character")
		}
		if !isCanonical(name) {
			name = http.CanonicalHeaderKey(name)
		}
		to = append(to, field{name, value})
	}
	return to, nil
}

func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > maxHeadLength {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, true
}

// parseKeepAlive reads "timeout=5, max=100", as Apache writes it (RFC 2068
// 19.7.1.1).
func parseKeepAlive(s string) time.Duration {
	for _, item := range appendTokens(nil, s) {
		if seconds, ok := strings.CutPrefix(item, "timeout="); ok {
			if n, ok := parseLength(seconds); ok && n < 1<<20 {
				return time.Duration(n) * time.Second
			}
		}
	}
	return 0
}

// appendTokens appends the items of a list (RFC 9110 5.6.1), of which one more
// than maxOptions is enough to know that there are too many.
func appendTokens(to []string, list string) []string {
	for list != "" && len(to) <= maxOptions {
		item, rest, _ := strings.Cut(list, ",")
		if item = strings.Trim(item, " \t"); item != "" {
			to = append(to, item)
		}
		list = rest
	}
	return to
}

// bindsConnection reports whether a challenge, or credentials, are of a scheme
// that logs a connection in, so that nobody else may use it.
func bindsConnection(s string) bool {
	scheme, _, _ := strings.Cut(s, " ")
	return strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate")
}

// token has the characters of names (RFC 9110 5.6.2).
var token = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c > ' ' && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isCanonical reports whether a name is as http.CanonicalHeaderKey makes it.
func isCanonical(name string) bool {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			return false
		}
		upper = c == '-'
	}
	return true
}
