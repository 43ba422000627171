package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/soapward/soapward/authn"
)

const (
	loopbackPath    = "/callback"
	maxUserCode     = 64
	maxDeviceLife   = 30 * time.Minute
	maxPollInterval = time.Minute
)

// A Native is a program on somebody's own machine: it has no secret (RFC 8252). It
// is told an ID token and passes it on to whoever wants to know the user, who checks
// it with VerifyIDToken; the claim for the user's name need not be in it here.
type Native struct {
	Provider *Provider // ClientID is that of the program

	// OpenBrowser opens a URL. An error is no failure: the URL is shown in any case.
	// Nil opens none.
	OpenBrowser func(url string) error

	// Show tells the user where to go, and which code to type there, if any. Both
	// are printable ASCII.
	Show func(url, code string)
}

// pageDone is what the browser shows in the end. Nothing of the provider is in it.
const pageDone = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%[1]s</title></head>
<body><h1>%[1]s</h1><p>You can close this window and go back to the command line.</p></body></html>
`

// Loopback logs in with the system's browser, which is led back to a random port on
// this machine, http://127.0.0.1:PORT/callback: providers compare all but the port
// with what is registered (RFC 8252 7.3). What does not know the state of the login
// does not end it. It takes one answer, and ends with ctx.
func (n *Native) Loopback(ctx context.Context) (id authn.Secret, t *Tokens, err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return id, nil, fmt.Errorf("oidc: a port for the browser to come back to: %w", err)
	}
	host := listener.Addr().String()
	at, l, err := n.Provider.Begin(ctx, "http://"+host+loopbackPath, "")
	if err != nil {
		_ = listener.Close()
		return id, nil, err
	}
	type result struct {
		e   *ended
		err error
	}
	results := make(chan result, 1)
	var answered atomic.Bool
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A page that has the name of its host resolved to this machine sends
			// another host.
			if r.URL.Path != loopbackPath || r.Host != host || r.Method != http.MethodGet || !l.knows(r) {
				http.NotFound(w, r)
				return
			}
			if !answered.CompareAndSwap(false, true) {
				http.Error(w, "this login has ended", http.StatusGone)
				return
			}
			e, err := n.Provider.finish(ctx, l, r)
			title := "You are logged in"
			if err != nil {
				title = "The login failed"
			}
			h := w.Header()
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			h.Set("Cache-Control", "no-store")
			h.Set("Referrer-Policy", "no-referrer") // the address has the code in it
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Connection", "close")
			_, _ = fmt.Fprintf(w, pageDone, title)
			results <- result{e, err}
		}),
	}
	go func() { _ = server.Serve(listener) }()
	defer func() {
		// The page is on its way to the browser.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close()
		}
	}()
	n.show(at, "")
	if n.OpenBrowser != nil {
		_ = n.OpenBrowser(at)
	}
	select {
	case <-ctx.Done():
		return id, nil, ctx.Err()
	case r := <-results:
		if r.err != nil {
			return id, nil, r.err
		}
		return r.e.tokens.IDToken, r.e.tokens, nil
	}
}

// knows reports whether a request has the state of the login.
func (l *Login) knows(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("state")), []byte(l.State)) == 1
}

func (n *Native) show(url, code string) {
	if n.Show != nil {
		n.Show(url, code)
	}
}

// Device logs in with a browser anywhere (RFC 8628). A refusal wraps
// authn.ErrBadCredentials, be it that the user said no or waited too long.
func (n *Native) Device(ctx context.Context) (id authn.Secret, t *Tokens, err error) {
	p := n.Provider
	d, err := p.metadata(ctx)
	if err != nil {
		return id, nil, err
	}
	if d.Device == "" {
		return id, nil, fmt.Errorf("oidc: provider %s offers no login by a device code: it has no device_authorization_endpoint", p.c.Name)
	}
	c := p.oauth(d, "")
	da, err := c.DeviceAuth(p.withClient(ctx))
	if err != nil {
		return id, nil, p.tokenError(err)
	}
	at, err := checkDevice(da, p.c.Issuer)
	if err != nil {
		return id, nil, p.unavailable("device endpoint", err)
	}
	if latest := time.Now().Add(maxDeviceLife); da.Expiry.IsZero() || da.Expiry.After(latest) {
		da.Expiry = latest
	}
	if da.Interval <= 0 {
		da.Interval = 5 // RFC 8628 3.2
	}
	da.Interval = min(da.Interval, int64(maxPollInterval/time.Second))
	n.show(at, da.UserCode)
	answer, err := n.poll(ctx, c, da)
	if err != nil {
		return id, nil, err
	}
	// There was no request of a browser that could have had a nonce.
	e, err := p.take(ctx, answer, wanted{client: p.c.ClientID})
	if err != nil {
		return id, nil, err
	}
	if e.id == nil {
		return id, nil, p.refuse(authn.ReasonMalformed, "is it an OpenID Connect provider? The scope openid was asked for", "no ID token")
	}
	return e.tokens.IDToken, e.tokens, nil
}

// checkDevice refuses what would play with the user's terminal, and returns where
// to go.
func checkDevice(da *oauth2.DeviceAuthResponse, issuer string) (string, error) {
	printable := !strings.ContainsFunc(da.UserCode, func(r rune) bool { return r < ' ' || r > '~' })
	if da.DeviceCode == "" || da.UserCode == "" || len(da.UserCode) > maxUserCode || !printable {
		return "", errors.New("its answer has no code for the user")
	}
	if err := checkURL(da.VerificationURI, issuer); err != nil {
		return "", err
	}
	if da.VerificationURIComplete != "" {
		return da.VerificationURIComplete, checkURL(da.VerificationURIComplete, issuer)
	}
	return da.VerificationURI, nil
}

// poll waits for the user. An answer that does not come is asked for again, with
// twice the time between (RFC 8628 3.5).
func (n *Native) poll(ctx context.Context, c *oauth2.Config, da *oauth2.DeviceAuthResponse) (*oauth2.Token, error) {
	p := n.Provider
	for {
		answer, err := c.DeviceAccessToken(p.withClient(ctx), da)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) && !time.Now().Before(da.Expiry):
			return nil, p.refuse(authn.ReasonExpired, "", "nobody used the code in time")
		}
		var re *oauth2.RetrieveError
		if errors.As(err, &re) {
			if re.ErrorCode == "expired_token" {
				return nil, p.refuse(authn.ReasonExpired, "", "nobody used the code in time")
			}
			return nil, p.tokenError(err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return nil, p.tokenError(err)
		}
		da.Interval = min(2*da.Interval, int64(maxPollInterval/time.Second))
	}
}
