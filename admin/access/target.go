package access

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTarget bounds where a sign-in may lead, in bytes.
const maxTarget = 2048

// target returns want if it is a page of the console for every browser, and else
// its first page. Whoever wants to lead people elsewhere has ways to write that:
// "//evil", "/\evil", "/console/..//evil", a tab or a line break that browsers
// take out (WHATWG URL 4.4).
func target(want string) string {
	if len(want) > maxTarget || !strings.HasPrefix(want, home) || !utf8.ValidString(want) || !plain(want) {
		return home
	}
	u, err := url.Parse(want)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return home
	}
	// Somebody in front of us may decode once more.
	decoded := u.Path
	for range 3 {
		// A user's name may have a backslash, which is a slash to some.
		slashed := strings.ReplaceAll(decoded, `\`, "/")
		if !strings.HasPrefix(slashed, home) || !plain(slashed) || dotted(slashed) {
			return home
		}
		next, err := url.PathUnescape(decoded)
		if err != nil || next == decoded {
			break
		}
		decoded = next
	}
	if decoded == logoutPath || decoded == loginPath || strings.HasPrefix(decoded, loginPath+"/") {
		return home
	}
	u.Fragment, u.RawFragment = "", ""
	out := u.RequestURI()
	if len(out) > maxTarget { // escaped, it may be three times as long
		return home
	}
	return out
}

// plain reports whether s has nothing that browsers read as something else.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' })
}

// dotted reports whether a path has segments that a browser resolves, or empty
// ones.
func dotted(p string) bool {
	for seg := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return strings.Contains(p, "//")
}
