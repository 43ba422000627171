package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Middleware refuses requests that no authenticator vouches for. Its fields
// must not change after the first call to Wrap.
type Middleware struct {
	// Authenticators are asked in order. The first that does not answer
	// ErrNoCredentials decides. None means that every request is refused.
	Authenticators []Authenticator

	Logger *slog.Logger // nil means slog.Default()

	// Deny writes status and body of a refusal; the challenge headers are
	// already set in w. ref is the reference that the log line carries too.
	// Nil writes a line of plain text. A SOAP endpoint sets it to
	// soapserver.Deny.
	Deny func(w http.ResponseWriter, r *http.Request, status int, ref string)

	// Observe is told each login once, when it brings a new caller, and each
	// refusal: neither the first legs of a handshake nor requests without
	// credentials. It is called before the answer is written, so it must not
	// wait. Nil tells nobody. Package authn/audit keeps what it hears.
	Observe func(ctx context.Context, d *Decision)

	// AllowAnonymous reports whether a request that brought no credentials at all
	// is passed on without an identity. One whose credentials are wrong is not.
	// Clients that wait to be asked are anonymous then. Nil means never; a
	// handler that is behind it must be ready for a nil identity.
	AllowAnonymous func(*http.Request) bool

	testOnlyBodyTimeout time.Duration // bodyTimeout
}

// bodyTimeout is how long a client that is not let in, or not yet, may take to
// send its body. net/http reads up to 256 KiB of one to keep the connection,
// without a limit of its own.
const bodyTimeout = 30 * time.Second

// maxUnwanted is how much of a body net/http reads to keep a connection.
const maxUnwanted = 256 << 10

// maxLogged bounds what a client chose in a log line, in bytes.
const maxLogged = 256

// Wrap returns next behind authentication. next finds the caller with
// FromContext.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	if len(m.Authenticators) == 0 {
		m.logger().Warn("every request is refused", slog.String("cause", "authn.Middleware has no Authenticators"))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		res, err := m.authenticate(r)
		switch {
		case err != nil && m.anonymous(r, err):
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), nil)))
		case err != nil:
			m.refuse(w, r, err, time.Since(begin))
		case res.Identity != nil:
			if res.Final != nil {
				w.Header().Set("WWW-Authenticate", res.Final.String())
			}
			if res.Persistent {
				w.Header().Set("Persistent-Auth", "true")
			}
			if res.Fresh {
				d := NewDecision(r, res.Identity, nil)
				d.Duration = time.Since(begin)
				m.logLogin(r, d)
				m.observe(r, d)
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), res.Identity)))
		default:
			m.limitBody(w, r)
			readExpected(r)
			w.Header().Set("WWW-Authenticate", res.Continue.String())
			noStore(w)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// authenticate asks the authenticators. It returns exactly one of a valid
// result and an error.
func (m *Middleware) authenticate(r *http.Request) (_ *Result, err error) {
	if ctx, end := StartSpan(r.Context(), SpanLogin); ctx != r.Context() {
		r = r.WithContext(ctx)
		defer func() {
			if errors.Is(err, ErrNoCredentials) {
				end(nil) // every exchange begins like this
				return
			}
			end(err)
		}()
	}
	for _, a := range m.Authenticators {
		res, err := a.Authenticate(r)
		if errors.Is(err, ErrNoCredentials) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if (res.Identity == nil) == (res.Continue == nil) {
			return nil, errors.New("authn: authenticator returned neither or both of identity and challenge")
		}
		return res, nil
	}
	return nil, ErrNoCredentials
}

// anonymous reports whether a request without credentials may pass.
func (m *Middleware) anonymous(r *http.Request, err error) bool {
	_, _, sent := Authorization(r)
	return m.AllowAnonymous != nil && errors.Is(err, ErrNoCredentials) && !sent && m.AllowAnonymous(r)
}

// refuse answers 401 with all challenges, 503 when the credentials could not be
// judged, 429 when they were not looked at after too many failures, or what the
// authenticator chose. The cause goes to the log only.
func (m *Middleware) refuse(w http.ResponseWriter, r *http.Request, err error, took time.Duration) {
	status, text := http.StatusUnauthorized, ""
	level := slog.LevelInfo
	d := NewDecision(r, nil, err)
	d.Duration = took
	ref := d.Ref
	var (
		blocked *BlockedError
		chosen  *ResponseError // the authenticator's own answer
	)
	challenged := false
	switch scheme, _, sent := Authorization(r); {
	case errors.As(err, &chosen) && chosen.valid():
		if status = chosen.Status; status >= 500 {
			level = slog.LevelError
		}
		challenged = chosen.setHeader(w.Header())
	case chosen != nil:
		err = fmt.Errorf("%w, which cannot be sent: %w", errBadResponse, err)
		chosen, status, level = nil, http.StatusServiceUnavailable, slog.LevelError
	case errors.Is(err, ErrNoCredentials) && !sent:
		level = slog.LevelDebug // every exchange begins like this
		d = nil
	case errors.Is(err, ErrNoCredentials):
		err = schemeError(scheme)
	case errors.As(err, &blocked):
		// Without a challenge: on 401 a browser would ask for another password,
		// which cannot help, and clients would try the next scheme.
		status, text = http.StatusTooManyRequests, blocked.Text()
		w.Header().Set("Retry-After", blocked.retryAfter())
	case errors.Is(err, ErrOverloaded):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
	case errors.Is(err, ErrConnState):
		if r.ProtoMajor == 1 { // it is of no use to anybody who has to log in
			w.Header().Set("Connection", "close")
		}
	case errors.Is(err, ErrBadCredentials):
	case r.Context().Err() != nil: // the client went away, which may be the cause
		status = http.StatusServiceUnavailable
	default: // ErrUnavailable, or something that should not happen
		status, level = http.StatusServiceUnavailable, slog.LevelError
	}
	if status == http.StatusUnauthorized && !challenged {
		for _, a := range m.Authenticators {
			for _, c := range a.Challenges(r) {
				w.Header().Add("WWW-Authenticate", c.String())
			}
		}
	}
	if l := m.logger(); l.Enabled(r.Context(), level) {
		l.LogAttrs(r.Context(), level, "request refused",
			slog.String("ref", ref), slog.Int("status", status),
			slog.String("peer", peer(r)), slog.String("user_agent", clip(r.UserAgent())),
			slog.Any("cause", cause(err)))
	}
	if d != nil {
		m.observe(r, d)
	}
	noStore(w)
	m.limitBody(w, r)
	if chosen != nil && chosen.Body != nil {
		chosen.write(w)
		return
	}
	if m.Deny != nil {
		m.Deny(w, r, status, ref)
		return
	}
	if text == "" {
		text = http.StatusText(status)
	}
	http.Error(w, text+" (reference "+ref+")", status)
}

// logLogin writes the line by hand: slog.Logger would look for its caller, which
// is always this function.
func (m *Middleware) logLogin(r *http.Request, d *Decision) {
	ctx, h := r.Context(), m.logger().Handler()
	if !h.Enabled(ctx, slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(d.Time, slog.LevelInfo, "login", 0)
	line.AddAttrs(slog.String("ref", d.Ref), slog.String("peer", d.Peer), slog.Any("user", d.Identity))
	_ = h.Handle(ctx, line) // as slog.Logger does: nobody could be told
}

func (m *Middleware) logger() *slog.Logger {
	if m.Logger != nil {
		return m.Logger
	}
	return slog.Default()
}

// errBadResponse is for the log.
var errBadResponse = errors.New("authn: an authenticator chose an answer")

// cause prefers the structured form of a refusal over its text.
func cause(err error) any {
	var re *RefusedError
	if errors.As(err, &re) {
		return re
	}
	var be *BlockedError
	if errors.As(err, &be) {
		return be
	}
	return err.Error()
}

// limitBody ends the connection of a client that sends its body too slowly. A
// server without deadlines, such as a test's, has none to set.
func (m *Middleware) limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 { // -1 where it is not known
		return
	}
	d := bodyTimeout
	if m.testOnlyBodyTimeout > 0 {
		d = m.testOnlyBodyTimeout
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}

// readExpected takes the body of a client that waits for leave to send it
// (RFC 9110 10.1.1). An answer without that leave would have net/http close the
// connection, and with it end the handshake that the answer is a leg of.
func readExpected(r *http.Request) {
	if r.Header.Get("Expect") != "" && r.ContentLength <= maxUnwanted {
		_, _ = io.CopyN(io.Discard, r.Body, maxUnwanted+1)
	}
}

// noStore keeps a refusal, which differs between callers, out of caches.
func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }
