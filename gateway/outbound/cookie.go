package outbound

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
)

// cookieKey keys the marks of cookies, so that nobody makes those of another.
var cookieKey = sync.OnceValue(func() []byte {
	k := make([]byte, 32)
	_, _ = rand.Read(k) // never fails (crypto/rand)
	return k
})

// mark is what the names of the principal's cookies begin with, where requests of
// several go to the server. A program may have one jar for all whom it calls for;
// to the server, a cookie is as good as the login that it was given after.
func (x *call) mark() string {
	if !slices.Contains(x.upstream.config.ActAs, config.AsCaller) {
		return ""
	}
	m := hmac.New(sha256.New, cookieKey())
	m.Write([]byte(x.upstream.name + "\x00" + x.target.Host + "\x00" + x.principal))
	return "sw" + hex.EncodeToString(m.Sum(nil)[:12]) + "-"
}

// ownCookies leaves in a request those cookies that the server gave to the same
// principal.
func (x *call) ownCookies(h http.Header) {
	withoutSessions(h)
	mark := x.mark()
	if mark == "" || len(h["Cookie"]) == 0 {
		return
	}
	var own []string
	for _, line := range h["Cookie"] {
		for one := range strings.SplitSeq(line, ";") {
			if c, ok := strings.CutPrefix(strings.TrimSpace(one), mark); ok {
				own = append(own, c)
			}
		}
	}
	if h.Del("Cookie"); len(own) > 0 {
		h.Set("Cookie", strings.Join(own, "; "))
	}
}

// withoutSessions takes the cookies of our sessions out of a request: browsers
// send those of one port to all others of a machine.
func withoutSessions(h http.Header) {
	var kept []string
	for _, line := range h["Cookie"] {
		for one := range strings.SplitSeq(line, ";") {
			if one = strings.TrimSpace(one); one != "" && !isSession(one) {
				kept = append(kept, one)
			}
		}
	}
	if len(h["Cookie"]) == 0 {
		return
	}
	if h.Del("Cookie"); len(kept) > 0 {
		h.Set("Cookie", strings.Join(kept, "; "))
	}
}

// isSession reports whether name=value is a cookie of our sessions, as browsers
// send it: without a sign in front (RFC 6265bis 5.4).
func isSession(pair string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(pair, "= \t"), "=")
	name, _, _ = strings.Cut(name, ";")
	return login.IsCookie(strings.TrimSpace(name))
}

// localCookies makes the server's cookies those of the local address: no domain,
// no base path, and no Secure where the program does not call by https.
func (x *call) localCookies(h http.Header) {
	if len(h["Set-Cookie"]) > 0 {
		h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], isSession)
	}
	lines, mark, base := h["Set-Cookie"], x.mark(), x.base()
	for i, line := range lines {
		parts := strings.Split(line, ";")
		out := []string{mark + strings.TrimSpace(parts[0])}
		for _, p := range parts[1:] {
			name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			switch strings.ToLower(name) {
			case "domain", "":
				continue
			case "secure", "partitioned":
				if x.local.Scheme == "http" {
					continue
				}
			case "samesite": // None wants Secure
				if x.local.Scheme == "http" && strings.EqualFold(value, "none") {
					continue
				}
			case "path":
				if rest, ok := strings.CutPrefix(value, base); ok && base != "" && (rest == "" || rest[0] == '/') {
					out = append(out, "Path=/"+strings.TrimPrefix(rest, "/"))
					continue
				}
			}
			out = append(out, strings.TrimSpace(p))
		}
		lines[i] = strings.Join(out, "; ")
	}
}
