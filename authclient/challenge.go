package authclient

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// maxTokenText bounds a token a server sends, before base64 is undone.
const maxTokenText = 128 << 10

// offer is one challenge of a WWW-Authenticate or Proxy-Authenticate header.
type offer struct {
	scheme string
	token  string // token68, if that is what follows the scheme
}

// parseOffers reads the challenges in the headers of that name (RFC 9110
// 11.6.1): several may share a line, separated like the parameters of one.
func parseOffers(h http.Header, name string) []offer {
	var out []offer
	for _, line := range h.Values(name) {
		for line != "" {
			var item string
			item, line = nextItem(line)
			if item == "" {
				continue
			}
			word, rest, spaced := strings.Cut(item, " ")
			if strings.ContainsAny(word, "=\"") {
				continue // parameter of the challenge before it
			}
			o := offer{scheme: word}
			if rest = strings.TrimSpace(rest); spaced && isToken68(rest) {
				o.token = rest
			}
			out = append(out, o)
		}
	}
	return out
}

// nextItem cuts s at the first comma outside a quoted string.
func nextItem(s string) (item, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return strings.TrimSpace(s[:i]), s[i+1:]
		}
	}
	return strings.TrimSpace(s), ""
}

// isToken68 reports whether s is token68 rather than a parameter: padding may
// stand only at its end.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	return body != "" && !strings.ContainsAny(body, "=\", \t")
}

// offers reports whether scheme is among those offered.
func offers(offered []string, scheme string) bool {
	return slices.ContainsFunc(offered, func(s string) bool { return strings.EqualFold(s, scheme) })
}

// tokenOf returns the token that came under scheme in the headers of that
// name, or nil.
func tokenOf(h http.Header, name, scheme string) []byte {
	for _, o := range parseOffers(h, name) {
		if strings.EqualFold(o.scheme, scheme) && o.token != "" && len(o.token) <= maxTokenText {
			if b, err := base64.StdEncoding.DecodeString(o.token); err == nil && len(b) > 0 {
				return b
			}
		}
	}
	return nil
}

func schemesOf(os []offer) []string {
	names := make([]string, len(os))
	for i, o := range os {
		names[i] = o.scheme
	}
	return names
}
