package authn

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"strings"
)

// MaxResponseBody bounds the body of a ResponseError, in bytes. A longer one is
// not sent; the client gets the Middleware's own.
const MaxResponseBody = 64 << 10

// maxResponseHeader bounds the header of a ResponseError: names and values, in
// bytes.
const maxResponseHeader = 16 << 10

// A ResponseError is a refusal whose answer the authenticator chose. An
// Authenticator never gets the ResponseWriter: it returns one of these, and
// Middleware writes it. Most authenticators return a *RefusedError instead,
// which tells the client nothing; this one is for custom authentication.
//
// errors.Is reports it as ErrBadCredentials if the status is 401, and as what
// Err is.
type ResponseError struct {
	// Status is from 400 to 599. Any other is answered as a failure of the
	// authenticator: 503.
	Status int

	// Header is added to the answer. Not sent are the fields that belong to the
	// connection or to the server (Connection, Transfer-Encoding,
	// Content-Length, ...), and Set-Cookie and Clear-Site-Data unless
	// AllowCookies is set. With a 401, WWW-Authenticate takes the place of the
	// authenticators' challenges.
	Header http.Header

	// AllowCookies sends Set-Cookie and Clear-Site-Data, with which whoever
	// filled Header can log a browser in as somebody else, or out.
	AllowCookies bool

	// Body is sent as it is, as text/plain if Header has no Content-Type. Nil
	// means the Middleware's own.
	Body []byte

	Err error // the cause, for the log only; may be nil
}

func (e *ResponseError) Error() string {
	s := fmt.Sprintf("authn: refused with status %d", e.Status)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// GoString implements fmt.GoStringer. It leaves header and body out.
func (e *ResponseError) GoString() string { return e.Error() }

// Unwrap returns the cause.
func (e *ResponseError) Unwrap() error { return e.Err }

// Is reports whether target is ErrBadCredentials and the status says so.
func (e *ResponseError) Is(target error) bool {
	return target == ErrBadCredentials && e.Status == http.StatusUnauthorized
}

// LogValue implements slog.LogValuer. Header and body are left out.
func (e *ResponseError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// valid reports whether the answer can be sent.
func (e *ResponseError) valid() bool {
	size := 0
	for name, values := range e.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return e.Status >= 400 && e.Status <= 599 && len(e.Body) <= MaxResponseBody && size <= maxResponseHeader
}

// setHeader puts into h what of the header may be sent, and reports whether a
// challenge is in it.
func (e *ResponseError) setHeader(h http.Header) (challenged bool) {
	for name, values := range e.Header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name == "Set-Cookie" || name == "Clear-Site-Data" {
			if !e.AllowCookies {
				continue
			}
		} else if serverField(name) {
			continue
		}
		for _, v := range values {
			h.Add(name, v)
			challenged = challenged || name == "Www-Authenticate"
		}
	}
	return challenged
}

// write sends the body that the authenticator chose. The header is set.
func (e *ResponseError) write(w http.ResponseWriter) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.Body) // a client that went away
}

// serverField reports whether a header field is the server's to set: those of
// the connection (RFC 9110 7.6.1), of the message's framing, of its caching, and
// those by which the Middleware speaks itself.
func serverField(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Content-Encoding",
		"Date", "Cache-Control", "Persistent-Auth", "Alt-Svc", "Strict-Transport-Security":
		return true
	}
	return strings.HasPrefix(name, "Access-Control-") // it is not for a refusal to open the service to other sites
}
