package form

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTarget bounds where a login may lead, in bytes.
const maxTarget = 2048

// SafeTarget returns s if it is a path of this server for every browser, with or
// without a query, and else nothing: for whoever leads people on after a login that
// a Link led to.
func SafeTarget(s string) string { return safeTarget(s) }

// safeTarget returns s if it is a path of this server for every browser, with or
// without a query, and else nothing. Whoever wants to lead people elsewhere after
// a login has ways to write that: "//evil", "/\evil", "/%09/evil",
// "https:evil", a tab or a line break that browsers take out (WHATWG URL 4.4).
func safeTarget(s string) string {
	if len(s) > maxTarget || !strings.HasPrefix(s, "/") || !utf8.ValidString(s) || !isPlain(s) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	// Somebody behind us may decode once more.
	decoded := u.Path
	for range 3 {
		if strings.HasPrefix(decoded, "//") || !isPlain(decoded) || dotted(decoded) {
			return ""
		}
		next, err := url.PathUnescape(decoded)
		if err != nil || next == decoded {
			break
		}
		decoded = next
	}
	u.Fragment, u.RawFragment = "", ""
	out := u.RequestURI()
	if strings.HasPrefix(out, "//") || len(out) > maxTarget { // escaped, it may be three times as long
		return ""
	}
	return out
}

// isPlain reports whether s has nothing that browsers read as something else: a
// backslash is a slash to them, and some characters are left out.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' })
}

// dotted reports whether a path has segments that a browser resolves.
func dotted(p string) bool {
	for seg := range strings.SplitSeq(p, "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// target returns where a login leads: to want, if that is on this server and not
// the login itself.
func (f *Form) target(want string) string {
	t := safeTarget(want)
	p, _, _ := strings.Cut(t, "?")
	if t == "" || p == f.c.Path || strings.HasPrefix(p, f.c.Path+"/") {
		return f.c.Home
	}
	return t
}

// wanted is where somebody goes on whom r was refused to. What was posted is
// lost.
func (f *Form) wanted(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return f.c.Home
	}
	return f.target(r.URL.RequestURI())
}
