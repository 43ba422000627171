package authn

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// parseForwardedFor returns the hops of one line of X-Forwarded-For, the last
// one first, and the zero address for one that cannot be read.
func parseForwardedFor(line string) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for more := true; more; {
			i := strings.LastIndexByte(line, ',')
			hop := strings.TrimSpace(line[i+1:])
			if more = i >= 0; more {
				line = line[:i]
			}
			if !yield(parseHop(hop)) {
				return
			}
		}
	}
}

// parseForwarded returns the hops of one line of Forwarded (RFC 7239 4), the
// last one first. A line that is not well formed as a whole is one hop that
// cannot be read: a quotation mark that a client left open must not swallow what
// the proxy wrote behind it, nor pass for its end.
func parseForwarded(line string) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		hops, ok := forwardedElements(line)
		if !ok {
			yield(netip.Addr{})
			return
		}
		for _, hop := range slices.Backward(hops) {
			if !yield(hop) {
				return
			}
		}
	}
}

// forwardedElements reads forwarded-element *( OWS "," OWS forwarded-element ).
// Of a long line the last hops are enough.
func forwardedElements(s string) (hops []netip.Addr, ok bool) {
	for {
		var hop netip.Addr
		seen := false
		for {
			name, rest, found := strings.Cut(strings.TrimLeft(s, " \t"), "=")
			if !found || !isToken(name) {
				return nil, false
			}
			value, rest, valid := forwardedValue(rest)
			if !valid {
				return nil, false
			}
			if strings.EqualFold(name, "for") {
				if seen { // RFC 7239 4: once per element
					return nil, false
				}
				seen, hop = true, parseHop(value)
			}
			s = rest
			if !strings.HasPrefix(s, ";") {
				break
			}
			s = s[1:]
		}
		if len(hops) > 2*maxHops {
			hops = slices.Delete(hops, 0, maxHops)
		}
		hops = append(hops, hop)
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return hops, true
		}
		if s[0] != ',' {
			return nil, false
		}
		s = s[1:]
	}
}

// forwardedValue reads a token or a quoted-string (RFC 9110 5.6.4). Proxies
// write addresses with colons and brackets without the quotation marks that
// RFC 7239 6 wants, so these pass.
func forwardedValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, "\",; \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], end > 0 && !strings.HasPrefix(s[end:], `"`)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// isToken reports whether s is a token (RFC 9110 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
