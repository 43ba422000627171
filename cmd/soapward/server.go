package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// serverVariable is the environment variable that stands for --server.
const serverVariable = "SOAPWARD_SERVER"

// tokenSpare is how long a token must still last to be used.
const tokenSpare = 30 * time.Second

// serverFlags say at which gateway a command works.
type serverFlags struct{ server string }

func (f *serverFlags) register(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.server, "server", "", "work at the gateway at `URL`, after soapward login (default: "+serverVariable+")")
}

// named is the gateway of the flag or the environment, empty for none.
func (f *serverFlags) named() string {
	if f.server != "" {
		return f.server
	}
	return os.Getenv(serverVariable)
}

// find is the gateway of a command that works at one only: as named, or that of
// the last login.
func (f *serverFlags) find(cmd *cobra.Command, tokens *tokenFile) (string, error) {
	server := f.named()
	if server == "" {
		all, err := tokens.read()
		if err != nil {
			return "", err
		}
		if all.Last == "" {
			return "", usagef(cmd, "which gateway? Add --server URL, or set %s; after soapward login it is known", serverVariable)
		}
		server = all.Last
	}
	return checkServer(cmd, server)
}

// checkServer returns the URL of a gateway in its simplest form.
func checkServer(cmd *cobra.Command, server string) (string, error) {
	at, err := client.CheckURL(server)
	switch {
	case errors.Is(err, client.ErrURL):
		return "", usagef(cmd, "--server: %w", err)
	case err != nil:
		return "", withRemedy(err, "use https://, or go to the machine itself")
	}
	return at, nil
}

// client returns a client of the gateway, as whoever is logged in there.
func (f *serverFlags) client(cmd *cobra.Command) (*client.Client, error) {
	tokens, err := ownTokens()
	if err != nil {
		return nil, err
	}
	server, err := f.find(cmd, tokens)
	if err != nil {
		return nil, err
	}
	all, err := tokens.read()
	if err != nil {
		return nil, err
	}
	l := all.Servers[server]
	if l == nil {
		return nil, notLoggedIn(server, "you are not logged in to "+server)
	}
	h, err := httpClient(l.CAFile)
	if err != nil {
		return nil, err
	}
	s := &renewer{tokens: tokens, server: server, http: h}
	return &client.Client{URL: server, HTTP: h, Token: s.token, Agent: agent()}, nil
}

// agent is what the gateway lists sessions of this program with.
func agent() string {
	text := "soapward/" + readBuildInfo().Version
	if host, err := os.Hostname(); err == nil {
		text += " (" + oneLine(host) + ")"
	}
	return text
}

// httpClient trusts the authorities of the system, and those of a file besides.
func httpClient(caFile string) (*http.Client, error) {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{}
	}
	t = t.Clone()
	t.MaxResponseHeaderBytes = 64 << 10
	if caFile == "" {
		return &http.Client{Transport: t}, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates: %s has none in PEM", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: t}, nil
}

// notLoggedIn is the error for a gateway that has to be logged in to.
func notLoggedIn(server, text string) error {
	return withRemedy(errors.New(text), "soapward login --server "+shellWord(server))
}

// A renewer has the token for one gateway, and gets a new one when it is over.
type renewer struct {
	tokens *tokenFile
	server string
	http   *http.Client
	last   authn.Secret // that was used
}

// token is client.Client.Token.
func (r *renewer) token(ctx context.Context, renew bool) (authn.Secret, error) {
	all, err := r.tokens.read()
	if err != nil {
		return authn.Secret{}, err
	}
	if l := all.Servers[r.server]; l != nil && r.good(l, renew) {
		r.last = l.Token.Secret
		return r.last, nil
	}
	err = r.tokens.change(ctx, func(all *tokenSet, save func() error) error {
		l := all.Servers[r.server]
		if l == nil {
			return notLoggedIn(r.server, "you are not logged in to "+r.server)
		}
		if !r.good(l, renew) { // else another command was faster
			if err := r.renew(ctx, l, save); err != nil {
				return err
			}
		}
		r.last = l.Token.Secret
		return nil
	})
	if err != nil {
		return authn.Secret{}, err
	}
	return r.last, nil
}

// good reports whether a token can be used: it is not over, and, if the last one
// was refused, it is another.
func (r *renewer) good(l *serverLogin, renew bool) bool {
	if renew && l.Token.Reveal() == r.last.Reveal() {
		return false
	}
	return time.Until(l.Expires) > tokenSpare
}

// renew asks the provider whether the user may go on, and exchanges what it says
// for a new token. The provider's new refresh token is kept before anything else:
// the old one may be of no use any more.
func (r *renewer) renew(ctx context.Context, l *serverLogin, save func() error) error {
	over := "your login to " + r.server + " is over"
	if l.Provider == nil || l.Refresh.IsEmpty() {
		return notLoggedIn(r.server, over)
	}
	p, err := provider(l.Provider, r.http, 0)
	if err != nil {
		return err
	}
	for again := false; ; again = true {
		// An error with tokens is about the name of the user, which the gateway finds
		// out itself.
		_, t, err := p.Refresh(ctx, &oidc.Tokens{Refresh: l.Refresh.Secret, Subject: l.Subject})
		if t == nil {
			if errors.Is(err, authn.ErrBadCredentials) {
				return notLoggedIn(r.server, over+": the provider "+l.Provider.Name+" says no")
			}
			return providerError(l.Provider.Name, err)
		}
		l.Refresh.Secret = t.Refresh
		if err := save(); err != nil {
			return err
		}
		if t.IDToken.IsEmpty() {
			return notLoggedIn(r.server, over+", and "+l.Provider.Name+" gives no ID token without a new login")
		}
		token, err := tokenFor(ctx, r.server, r.http, wire.TokenRequest{
			Provider: l.Provider.Name, IDToken: wire.Password{Secret: t.IDToken}, Nonce: nonceIn(t.IDToken),
		})
		if err == nil {
			l.take(token)
			return nil
		}
		if _, refused := errors.AsType[*notTakenError](err); !refused || again || t.Refresh.IsEmpty() {
			return err
		}
		// An ID token counts once, and within a second a provider may make the same
		// one for another command.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(nextSecond):
		}
	}
}

// nextSecond is until when times in ID tokens, whole seconds, are others for sure.
const nextSecond = 1100 * time.Millisecond

// A notTakenError says that a gateway did not take what proves a login.
type notTakenError struct{ text string }

func (e *notTakenError) Error() string { return e.text }

// take puts a new token into a login.
func (l *serverLogin) take(t *wire.Token) {
	l.Token, l.Expires, l.Name, l.Role = t.Token, t.Expires, t.Name, t.Role.String()
}

// tokenFor gets a token of a gateway for what proves a login.
func tokenFor(ctx context.Context, server string, h *http.Client, q wire.TokenRequest) (*wire.Token, error) {
	c := &client.Client{URL: server, HTTP: h, Agent: agent()}
	t := &wire.Token{}
	err := c.Call(ctx, http.MethodPost, "/token", q, t)
	var e *admin.Error
	switch {
	case errors.As(err, &e) && e.Kind == wire.Unauthenticated:
		text := server + " did not take the login: " + e.Text
		if q.User != "" {
			return nil, withRemedy(&notTakenError{text}, "check name, password and one-time password, which counts once: wait for the next one; the log of the gateway says more"+reference(e))
		}
		return nil, withRemedy(&notTakenError{text}, "the log of the gateway says why"+reference(e))
	case errors.As(err, &e) && e.Kind == admin.Forbidden:
		return nil, withRemedy(fmt.Errorf("%s knows you, but you are no administrator: %s", server, e.Text),
			"ask an administrator to name a role or a user of yours in admin.roles"+reference(e))
	case err != nil:
		return nil, forReader(err)
	case t.Token.IsEmpty() || !t.Expires.After(time.Now()):
		return nil, forReader(&client.TransportError{Server: server, Err: client.ErrAnswer})
	}
	return t, nil
}

func reference(e *admin.Error) string {
	if e.Ref == "" {
		return ""
	}
	return " (reference " + e.Ref + ")"
}

// transportError adds to an error of a client what the reader can do.
func transportError(e *client.TransportError) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var header tls.RecordHeaderError
	again := "soapward login --server " + shellWord(e.Server) + " --ca-file FILE"
	switch {
	case errors.As(e.Err, &unknown):
		return withRemedy(fmt.Errorf("%s has a certificate of somebody who is not known here: %w", e.Server, e.Err),
			"get the certificate of that authority from whoever runs the gateway, and: "+again)
	case errors.As(e.Err, &name), errors.As(e.Err, &invalid):
		return withRemedy(fmt.Errorf("the certificate of %s is not good: %w", e.Server, e.Err), "look whether the address is right; whoever runs the gateway renews its certificate")
	case errors.As(e.Err, &header), errors.Is(e.Err, http.ErrSchemeMismatch):
		return withRemedy(fmt.Errorf("%s does not speak TLS: %w", e.Server, e.Err), "look whether the port is that of the admin listener")
	case client.Unreachable(e.Err):
		return withRemedy(fmt.Errorf("no connection to %s: %w", e.Server, e.Err), "look at the address, and whether the gateway runs and listens there (admin.addr, admin.networks)")
	case errors.Is(e.Err, client.ErrAnswer), errors.Is(e.Err, client.ErrRedirect):
		why := strings.TrimPrefix(e.Err.Error(), client.ErrAnswer.Error()+": ")
		return withRemedy(fmt.Errorf("%s does not answer as a gateway: %s", e.Server, why), "look whether the address is that of the admin listener (admin.url)")
	}
	return withRemedy(fmt.Errorf("%s: %w", e.Server, e.Err), "try again")
}
