package soapclient

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// StatusError reports an HTTP response that is not the SOAP message it should
// be.
type StatusError struct {
	Code        int    // HTTP status
	ContentType string // as the server says
	Challenges  []string
	Location    string        // where the server redirects to, without query
	LoginForm   bool          // the body is a page with a form for a password
	RetryAfter  time.Duration // what the server asks for; zero if nothing
	Excerpt     string        // the beginning of the body, made printable
	Err         error         // what else is known, such as a *soap.Fault; may be nil
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d %s", e.Code, http.StatusText(e.Code))
	switch {
	case e.Code == http.StatusUnauthorized:
		b.WriteString(": the server wants a login")
		if len(e.Challenges) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(e.Challenges, ", "))
		}
		b.WriteString("; use an http.Client whose Transport is an authclient.Transport")
	case e.Code == http.StatusProxyAuthRequired:
		b.WriteString(": a proxy on the way wants a login")
	case e.Location != "":
		fmt.Fprintf(&b, ": the server redirects to %q, where the message was not sent: if that is right, use it as the URL", e.Location)
	case e.LoginForm:
		b.WriteString(": the answer is a page with a form to log in: this address is for browsers, or a single sign-on stands in front of the service; " +
			"it needs an endpoint that takes logins of HTTP (Negotiate, NTLM, Basic)")
	case e.Err == nil:
		fmt.Fprintf(&b, ": not a SOAP message (content type %q)", e.ContentType)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	} else if e.Excerpt != "" {
		fmt.Fprintf(&b, ": %q", e.Excerpt)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

func needsLogin(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired
}

// excerptBytes bounds what of a foreign answer is kept, pageBytes what of a page
// is looked at.
const (
	excerptBytes = 512
	pageBytes    = 64 << 10
)

func statusError(resp *http.Response, err error) error {
	size := excerptBytes
	if isPage(resp.Header.Get("Content-Type")) {
		size = pageBytes
	}
	b := make([]byte, size)
	n, _ := io.ReadFull(resp.Body, b) // what cannot be read is not shown
	_ = drain(resp.Body)
	return excerptError(resp, b[:n], err)
}

func excerptError(resp *http.Response, body []byte, err error) error {
	e := &StatusError{
		Code:        resp.StatusCode,
		ContentType: resp.Header.Get("Content-Type"),
		Excerpt:     printable(body),
		Err:         err,
	}
	if isPage(e.ContentType) {
		e.LoginForm = passwordField.Match(body)
	}
	if l := resp.Header.Get("Location"); l != "" && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.Location = "another address"
		if u, err := url.Parse(l); err == nil {
			if resp.Request != nil && resp.Request.URL != nil {
				u = resp.Request.URL.ResolveReference(u)
			}
			u.User, u.RawQuery, u.Fragment = nil, "", ""
			e.Location = printable([]byte(u.String()))
		}
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	// Only the schemes: a challenge can carry a token.
	for _, c := range resp.Header.Values("Www-Authenticate") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(c), " ")
		e.Challenges = append(e.Challenges, printable([]byte(scheme)))
	}
	return e
}

func isPage(contentType string) bool {
	ct := strings.ToLower(contentType)
	return strings.HasPrefix(ct, "text/html") || strings.HasPrefix(ct, "application/xhtml+xml")
}

// passwordField is the field of a form for a password, or what hands a browser
// over to a single sign-on.
var passwordField = regexp.MustCompile(`(?i)<input\b[^>]*(\btype\s*=\s*["']?password\b|\bname\s*=\s*["']?SAMLRequest\b)`)

// retryAfter reads a Retry-After, seconds or a date. RFC 9110 10.2.3.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// printable cuts b to its first characters that are safe in a log line.
func printable(b []byte) string {
	var s strings.Builder
	for len(b) > 0 && s.Len() < excerptBytes {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case unicode.IsSpace(r):
			if str := s.String(); str != "" && str[len(str)-1] != ' ' {
				s.WriteByte(' ')
			}
		case r != utf8.RuneError && unicode.IsPrint(r):
			s.WriteRune(r)
		}
	}
	return strings.TrimSpace(s.String())
}
