package authz

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// A PathError is why a path is refused with 400: two programs may understand it
// differently.
type PathError struct{ Why string }

func (e *PathError) Error() string { return "authz: path refused: " + e.Why }

// CleanPath returns the path on which policy decides, and which must be the one
// that is forwarded: set URL.Path to it and URL.RawPath to "". Dot segments are
// resolved, also those with an encoded dot, and empty segments are removed. A
// path that somebody behind may take for another one is a *PathError: with an
// encoded slash, a backslash, a parameter (;), a control character, what looks
// encoded twice, bytes that are no UTF-8, more .. than segments, a segment that
// ends with a dot or a space, which Windows drops, a stream of NTFS (::$DATA), a
// short name (PAYROL~1), or a session that ASP.NET takes out of paths.
func CleanPath(u *url.URL) (string, error) {
	p := u.Path
	if u.RawPath != "" { // it differs from the usual encoding of Path
		if why := badEscape(u.RawPath); why != "" {
			return "", &PathError{why}
		}
	}
	if p == "" && u.Opaque == "" {
		return "/", nil
	}
	if why := badPath(p); why != "" {
		return "", &PathError{why}
	}
	if !needsCleaning(p) {
		return p, nil
	}
	return resolveDots(p)
}

func badEscape(raw string) string {
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] == '%' && raw[i+1] == '2' && raw[i+2]|0x20 == 'f' {
			return "it has an encoded slash"
		}
	}
	return ""
}

// badPath says what is wrong with a path that was decoded once.
func badPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		return "it does not begin with a slash"
	}
	ascii := true
	for i := range len(p) {
		switch c := p[i]; {
		case c < 0x20 || c == 0x7f:
			return "it has a control character"
		case c == '\\':
			return "it has a backslash"
		case c == ';':
			return "it has a parameter (;), which some servers cut off"
		case c == ':' && i+1 < len(p) && p[i+1] == '$':
			return "it names a stream of a file (:$), which Windows takes for the file"
		case c == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]):
			return "it is encoded twice"
		case c == '(' && p[i-1] == '/' && i+2 < len(p) && p[i+2] == '(' && isLetter(p[i+1]):
			return "it has a session as ASP.NET writes it, (S(...)), which it takes out wherever it stands"
		case c == '~' && isShortName(p[i+1:]):
			return "it has a short name of Windows (NAME~1), which stands for another one"
		case c >= utf8.RuneSelf:
			ascii = false
		case (c == ' ' || c == '.') && (i+1 == len(p) || p[i+1] == '/') && !isDots(p, i):
			return "a segment ends with a dot or a space, which Windows drops"
		}
	}
	if !ascii && !utf8.ValidString(p) {
		return "it is not UTF-8"
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isShortName reports whether what follows a tilde makes a name of the form 8.3:
// digits up to the end of the name or its extension.
func isShortName(rest string) bool {
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	return digits > 0 && (digits == len(rest) || rest[digits] == '/' || rest[digits] == '.')
}

// isDots reports whether the segment that ends at i is "." or "..".
func isDots(p string, i int) bool {
	s := p[strings.LastIndexByte(p[:i], '/')+1 : i+1]
	return s == "." || s == ".."
}

func needsCleaning(p string) bool {
	return strings.Contains(p, "//") || strings.Contains(p, "/./") || strings.Contains(p, "/../") ||
		strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..")
}

func resolveDots(p string) (string, error) {
	var kept []string
	segments := strings.Split(p[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "", ".":
		case "..":
			if len(kept) == 0 { // RFC 3986 5.2.4 would take /../x for /x
				return "", &PathError{"it leads out of the root"}
			}
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, s)
			continue
		}
		if last && len(kept) > 0 { // a directory keeps its slash
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/"), nil
}
