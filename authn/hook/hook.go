package hook

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/soapward/soapward/authn"
)

// A Request is what a hook sees of an HTTP request: all but its body. It belongs
// to the hook.
type Request struct {
	Method string
	Host   string
	Path   string
	Query  url.Values
	Header http.Header
	Client netip.Addr // zero if it is not known

	// Certificate is the one that the client presented in the TLS handshake, nil
	// if it did not. Unless Verified is set, nobody checked who issued it, and
	// anybody can make one with any name.
	Certificate *x509.Certificate
	Verified    bool
}

// A Func says who sent a request. It returns exactly one of an identity and an
// error:
//
//   - authn.ErrNoCredentials: the request is not for this hook, ask the next;
//   - *authn.ResponseError: refused, with the status, header and body in it;
//   - an error wrapping authn.ErrUnavailable: nobody could say, 503;
//   - any other error: refused, 401. The text is for the log.
//
// Package throttle counts a refusal with 401 as a guess if the request has an
// Authorization header. A hook that takes credentials elsewhere returns a
// *authn.RefusedError whose Reason says so, such as authn.ReasonWrongPassword.
//
// It must be safe for concurrent use and look at its context.
type Func func(ctx context.Context, r *Request) (*authn.Identity, error)

// Authenticator asks a Func about each request. The fields must not change after
// the first request. It is safe for concurrent use.
type Authenticator struct {
	Hook Func // must be set

	// Mechanism is the one of identities that name none, and is in the log.
	// Empty means "custom".
	Mechanism string

	// Offer are the challenges for clients that sent no credentials.
	Offer []authn.Challenge

	// Client returns the address of the client, as proxies that are trusted tell
	// it. Nil means authn.ClientAddr: what authn.Proxies in front said, else
	// RemoteAddr.
	Client func(*http.Request) netip.Addr

	Now func() time.Time // nil means time.Now
}

var _ authn.Authenticator = (*Authenticator)(nil)

// Challenges implements authn.Authenticator.
func (a *Authenticator) Challenges(*http.Request) []authn.Challenge { return a.Offer }

// Authenticate implements authn.Authenticator.
func (a *Authenticator) Authenticate(r *http.Request) (*authn.Result, error) {
	mech := cmp.Or(a.Mechanism, "custom")
	id, err := a.Hook(r.Context(), newRequest(r, a.Client))
	reason := authn.ReasonPolicy
	if _, _, sent := authn.Authorization(r); sent {
		reason = authn.ReasonUnknownUser
	}
	if err := outcome(r.Context(), mech, reason, "", id, err); err != nil {
		return nil, err
	}
	return &authn.Result{Identity: complete(id, mech, clock(a.Now)), Fresh: true}, nil
}

// newRequest copies what hooks see. client may be nil.
func newRequest(r *http.Request, client func(*http.Request) netip.Addr) *Request {
	req := &Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone()}
	if req.Client = authn.ClientAddr(r); client != nil {
		req.Client = client(r)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		req.Certificate, req.Verified = r.TLS.PeerCertificates[0], len(r.TLS.VerifiedChains) > 0
	}
	return req
}

// complete fills in what a hook need not know.
func complete(id *authn.Identity, mech string, now time.Time) *authn.Identity {
	c := *id
	c.Mechanism = cmp.Or(c.Mechanism, mech)
	if c.AuthTime.IsZero() {
		c.AuthTime = now
	}
	return &c
}

func clock(now func() time.Time) time.Time {
	if now != nil {
		return now()
	}
	return time.Now()
}

// outcome turns what a hook returned into what an Authenticator returns.
// reason is that of a refusal that has none.
func outcome(ctx context.Context, mech string, reason authn.Reason, user string, id *authn.Identity, err error) error {
	var chosen *authn.ResponseError
	switch {
	case err == nil && id == nil:
		return fmt.Errorf("hook: %s returned neither an identity nor an error", mech)
	case err == nil && id.Account == "":
		return fmt.Errorf("hook: %s returned an identity without an account", mech)
	case err == nil, errors.Is(err, authn.ErrNoCredentials):
		return err
	case errors.As(err, &chosen):
		if chosen.Status != http.StatusUnauthorized {
			return err
		}
		c := *chosen // the hook may hold on to its own
		c.Err = refused(mech, reason, user, chosen.Err)
		return &c
	case errors.Is(err, authn.ErrUnavailable), errors.Is(err, authn.ErrOverloaded), ctx.Err() != nil:
		return fmt.Errorf("hook: %s: %w", mech, err)
	}
	return refused(mech, reason, user, err)
}

// refused makes a refusal of an error, if it is not one.
func refused(mech string, reason authn.Reason, user string, err error) error {
	var re *authn.RefusedError
	if errors.As(err, &re) {
		return err
	}
	return &authn.RefusedError{Mechanism: mech, Reason: reason, User: user, Err: err}
}

// A PasswordFunc judges a user name and a password, as an Authenticator's Func
// judges a request. It is a password.Verifier:
//
//	&password.Basic{Verifier: hook.PasswordFunc(check)}
type PasswordFunc func(ctx context.Context, user, password string) (*authn.Identity, error)

// VerifyPassword implements password.Verifier.
func (f PasswordFunc) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" {
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user, Err: errors.New("empty name or password")}
	}
	id, err := f(ctx, user, password)
	if err := outcome(ctx, "password hook", authn.ReasonWrongPassword, user, id, err); err != nil {
		return nil, err
	}
	return id, nil
}
