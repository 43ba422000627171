package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/admin/client"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// codeVariable is the environment variable a one-time password may come from.
const codeVariable = "SOAPWARD_CODE"

// loginPatience is how long somebody may take to log in at a provider.
const loginPatience = 15 * time.Minute

type adminLoginFlags struct {
	serverFlags
	device       bool
	provider     string
	local        string
	passwordFile string
	caFile       string
}

func newLoginCommand() *cobra.Command {
	f := &adminLoginFlags{}
	cmd := &cobra.Command{
		Use:   "login [--server URL] [--device] [--provider NAME] [--local USER]",
		Short: "Log in to a gateway, to administer it",
		Long: `Log in to the gateway at URL, its admin listener, as an administrator. Commands
with --server, and those that work at a gateway only, then do so in your name:
user, session, audit, sync, config, realm, status.

The login is that of your company's provider (OpenID Connect), in the browser of
this machine. Without one, or with --device, the browser may be anywhere: you are
shown an address and a code. The login is renewed in silence for as long as the
provider lets it be. HTTPS_PROXY and NO_PROXY, where they are set, are the way to
the provider and to the gateway.

--local logs in as a local administrator, with password and one-time password,
also while no provider works. The password is asked for, or taken from
` + passwordVariable + ` or --password-file; the one-time password is asked for, or
taken from ` + codeVariable + `.

Logins are kept in soapward/tokens.json in the directory for configuration of
your system (XDG_CONFIG_HOME, ~/.config), readable by you alone.`,
		Example: `  soapward login --server https://gw-admin.corp.test
  soapward login --server https://gw-admin.corp.test:9180 --ca-file corp-ca.pem
  soapward login --server http://127.0.0.1:9180 --local admin
  soapward login --device`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.device, "device", false, "log in with a browser anywhere, by a code")
	fl.StringVar(&f.provider, "provider", "", "log in at the provider `NAME`, where there are several")
	fl.StringVar(&f.local, "local", "", "log in as the local administrator `USER`, without a provider")
	fl.StringVar(&f.passwordFile, "password-file", "", "with --local: read the password from the first line of `FILE`")
	fl.StringVar(&f.caFile, "ca-file", "", "trust the authorities in `FILE` (PEM) too, now and later")
	return cmd
}

func (f *adminLoginFlags) run(cmd *cobra.Command) error {
	switch {
	case f.local != "" && (f.device || f.provider != ""):
		return usagef(cmd, "--local is without a provider: neither --device nor --provider goes with it")
	case f.local == "" && f.passwordFile != "":
		return usagef(cmd, "--password-file is for --local")
	}
	tokens, err := ownTokens()
	if err != nil {
		return err
	}
	server, err := f.find(cmd, tokens)
	if err != nil {
		return err
	}
	all, err := tokens.read() // before somebody logs in for nothing
	if err != nil {
		return err
	}
	l := &serverLogin{}
	if old := all.Servers[server]; old != nil {
		l.CAFile = old.CAFile
	}
	if f.caFile != "" {
		if l.CAFile, err = filepath.Abs(f.caFile); err != nil {
			return err
		}
	}
	h, err := httpClient(l.CAFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), loginPatience)
	defer cancel()
	ways := &wire.Providers{}
	if err := (&client.Client{URL: server, HTTP: h, Agent: agent()}).Call(ctx, http.MethodGet, "/login", nil, ways); err != nil {
		return forReader(err)
	}
	var q *wire.TokenRequest
	if f.local != "" {
		q, err = f.asLocal(cmd, server, ways)
		l.Local = true
	} else {
		q, err = f.atProvider(ctx, cmd, server, ways, l, h, all)
	}
	if err != nil {
		return err
	}
	t, err := tokenFor(ctx, server, h, *q)
	if err != nil {
		return err
	}
	l.take(t)
	if err := tokens.change(ctx, func(all *tokenSet, _ func() error) error {
		all.Servers[server], all.Last = l, server
		return nil
	}); err != nil {
		return err
	}
	return printLogin(cmd, server, l, "logged in to "+server+" as ")
}

// asLocal asks for what proves a local administrator.
func (f *adminLoginFlags) asLocal(cmd *cobra.Command, server string, ways *wire.Providers) (*wire.TokenRequest, error) {
	if !ways.Local {
		return nil, withRemedy(errors.New(server+" has no local administrators: admin.local.disabled"), "log in without --local")
	}
	pw, err := readPassword(cmd, f.local, f.passwordFile, passwordVariable, "--password-file")
	if err != nil {
		return nil, err
	}
	q := &wire.TokenRequest{User: f.local, Password: wire.Password{Secret: pw}}
	if code, ok := os.LookupEnv(codeVariable); ok {
		q.Code.Secret = authn.NewSecret(strings.TrimSpace(code))
		return q, nil
	}
	if hasTerminal(cmd) {
		code, err := askFor(cmd, "One-time password of "+f.local+" (empty: none): ", codeVariable, "")
		if err != nil {
			return nil, err
		}
		q.Code.Secret = authn.NewSecret(strings.TrimSpace(code))
	}
	return q, nil
}

// atProvider logs in at a provider, and notes in l what a new token takes later.
func (f *adminLoginFlags) atProvider(ctx context.Context, cmd *cobra.Command, server string, ways *wire.Providers, l *serverLogin, h *http.Client, all *tokenSet) (*wire.TokenRequest, error) {
	chosen, err := f.choose(cmd, server, ways)
	if err != nil {
		return nil, err
	}
	if others := all.sharing(server, chosen); len(others) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s takes logins of the same client (%s at %s) as %s: whoever runs one of them can use your login at the other.\n  have a client of its own for each: desktop_client_id\n\n",
			server, oneLine(chosen.ClientID), oneLine(chosen.Issuer), strings.Join(others, ", "))
	}
	p, err := provider(chosen, h, 0)
	if err != nil {
		return nil, err
	}
	device := f.device
	if !device && headless() {
		m, err := p.Check(ctx)
		device = err == nil && m.Device != ""
	}
	n := &oidc.Native{Provider: p, Show: func(url, code string) {
		showLogin(cmd.ErrOrStderr(), cmp.Or(chosen.Title, chosen.Name), url, code, device)
	}}
	if !headless() && !device {
		n.OpenBrowser = openBrowser
	}
	do := n.Loopback
	if device {
		do = n.Device
	}
	id, t, err := do(ctx)
	if err != nil {
		return nil, providerError(chosen.Name, err)
	}
	l.Provider, l.Refresh.Secret, l.Subject = chosen, t.Refresh, t.Subject
	return &wire.TokenRequest{Provider: chosen.Name, IDToken: wire.Password{Secret: id}, Nonce: nonceIn(id)}, nil
}

// choose returns the provider to log in at.
func (f *adminLoginFlags) choose(cmd *cobra.Command, server string, ways *wire.Providers) (*wire.Provider, error) {
	var names []string
	for i := range ways.Providers {
		p := &ways.Providers[i]
		if p.Name == f.provider || f.provider == "" && len(ways.Providers) == 1 {
			return p, nil
		}
		name := oneLine(p.Name)
		if p.Title != "" {
			name += " (" + oneLine(p.Title) + ")"
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0 && ways.Local:
		return nil, withRemedy(errors.New(server+" has no provider for administrators"), "log in as a local administrator: --local USER")
	case len(names) == 0:
		return nil, withRemedy(errors.New(server+" lets no administrator log in"), "set admin.login or admin.local in its configuration")
	case f.provider == "":
		return nil, usagef(cmd, "there are several providers: add --provider with one of %s", strings.Join(names, ", "))
	}
	return nil, usagef(cmd, "%s has no provider %q, but %s", server, f.provider, strings.Join(names, ", "))
}

// provider is a provider as this program sees it. Who the user is is for the
// gateway to say; sub is the claim that each has. patience is for each request to it,
// where zero is that of package oidc.
func provider(p *wire.Provider, h *http.Client, patience time.Duration) (*oidc.Provider, error) {
	out, err := oidc.New(oidc.Config{
		Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, Scopes: p.Scopes, UsernameClaim: "sub", HTTP: h, Timeout: patience,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, withRemedy(fmt.Errorf("the gateway names a provider that cannot be: %w", err), "look at realms."+oneLine(p.Name)+".oidc in its configuration")
	}
	return out, nil
}

// providerError adds to an error of a provider what the reader can do.
func providerError(name string, err error) error {
	switch name = oneLine(name); {
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, authn.ErrUnavailable):
		return withRemedy(fmt.Errorf("nobody logged in at %s in time", name), "run it again")
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, authn.ErrBadCredentials):
		return withRemedy(fmt.Errorf("%s refuses the login: %w", name, err), "ask whoever runs the provider whether you may use this program")
	case errors.Is(err, authn.ErrUnavailable):
		return withRemedy(fmt.Errorf("%s does not answer as it should: %w", name, err), "try again; a local administrator logs in without it: --local USER")
	}
	return withRemedy(fmt.Errorf("%s: %w", name, err), "try without --device, or with it")
}

// nonceIn is the nonce of an ID token, which the gateway compares. One that was
// refreshed may have none.
func nonceIn(t authn.Secret) string {
	parts := strings.Split(t.Reveal(), ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct{ Nonce string }
	if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(b, &claims) != nil {
		return ""
	}
	return claims.Nonce
}

// showLogin tells where to log in. The address is in one piece, so that it can be
// copied.
func showLogin(w io.Writer, name, url, code string, device bool) {
	where := "in the browser that opens, or at this address"
	if device {
		where = "with any browser at this address"
	}
	fmt.Fprintf(w, "Log in at %s %s:\n\n  %s\n\n", oneLine(name), where, oneLine(url))
	if code != "" {
		fmt.Fprintf(w, "with the code %s. It is yours only if you have just run this command.\n\n", oneLine(code))
	}
}

// headless reports whether there is no browser that could come back to this
// machine: somebody is logged in from another one, or there is no display.
func headless() bool {
	display := os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	switch {
	case os.Getenv("SSH_CONNECTION") != "" || os.Getenv("SSH_TTY") != "":
		return !display
	case runtime.GOOS == "windows", runtime.GOOS == "darwin":
		return false
	}
	return !display
}

// openBrowser opens an address, which is one of HTTP, in the user's browser.
func openBrowser(url string) error {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "windows":
		cmd = exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	case "darwin":
		cmd = exec.Command("open", url)
	default:
		cmd = exec.Command("xdg-open", url)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // some go on until the browser ends
	return nil
}

// adminLoginJSON is a login for programs.
type adminLoginJSON struct {
	Server   string    `json:"server"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	Local    bool      `json:"local"`
	Provider string    `json:"provider,omitempty"`
	Expires  time.Time `json:"expires"`
	Renewed  bool      `json:"renewed"` // in silence, when it is over
}

func printLogin(cmd *cobra.Command, server string, l *serverLogin, text string) error {
	j := adminLoginJSON{Server: server, Name: l.Name, Role: l.Role, Local: l.Local, Expires: l.Expires, Renewed: !l.Refresh.IsEmpty()}
	if l.Provider != nil {
		j.Provider = l.Provider.Name
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), j)
	}
	p := printer(cmd)
	end := "until " + localTime(l.Expires)
	if j.Renewed {
		end += ", and renewed then"
	}
	p.Line(oneLine(text + l.Name + " (" + l.Role + "), " + end))
	return p.Err
}

func newWhoamiCommand() *cobra.Command {
	f := &serverFlags{}
	cmd := &cobra.Command{
		Use:   "whoami [--server URL]",
		Short: "Show who you are to a gateway, and what you may do",
		Long: `Show as whom commands work at the gateway, and with which role, as the gateway
says it now.`,
		Example: `  soapward whoami
  soapward whoami --server https://gw-admin.corp.test --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			me, err := c.Me(cmd.Context())
			if err != nil {
				return forReader(err)
			}
			tokens, err := ownTokens()
			if err != nil {
				return err
			}
			all, err := tokens.read()
			if err != nil {
				return err
			}
			l := all.Servers[c.URL]
			if l == nil {
				return notLoggedIn(c.URL, "you are not logged in to "+c.URL)
			}
			l.Name, l.Role, l.Local = me.Name, me.Role.String(), me.Local
			return printLogin(cmd, c.URL, l, c.URL+": ")
		},
	}
	f.register(cmd)
	return cmd
}

func newLogoutCommand() *cobra.Command {
	f := &serverFlags{}
	cmd := &cobra.Command{
		Use:   "logout [--server URL]",
		Short: "End your login to a gateway",
		Long: `End the login to the gateway there, and forget it here. The provider is asked to
take back what the login was renewed with, if it can; its session with your
browser is another one and goes on.`,
		Example: `  soapward logout
  soapward logout --server https://gw-admin.corp.test`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.logout(cmd) },
	}
	f.register(cmd)
	return cmd
}

func (f *serverFlags) logout(cmd *cobra.Command) error {
	tokens, err := ownTokens()
	if err != nil {
		return err
	}
	server, err := f.find(cmd, tokens)
	if err != nil {
		return err
	}
	var gone *serverLogin
	if err := tokens.change(cmd.Context(), func(all *tokenSet, _ func() error) error {
		gone = all.Servers[server]
		delete(all.Servers, server)
		if all.Last == server {
			all.Last = ""
			if len(all.Servers) == 1 {
				for all.Last = range all.Servers {
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if gone == nil {
		return fmt.Errorf("you were not logged in to %s", server)
	}
	// It is forgotten in any case; what follows is for the gateway and the provider.
	h, err := httpClient(gone.CAFile)
	if err == nil {
		revoke(cmd, gone, h)
		c := &client.Client{URL: server, HTTP: h, Agent: agent(), Token: func(context.Context, bool) (authn.Secret, error) { return gone.Token.Secret, nil }}
		err = c.Call(cmd.Context(), http.MethodDelete, "/token", nil, nil)
	}
	var e *admin.Error
	if errors.As(err, &e) && e.Kind == wire.Unauthenticated {
		err = nil // it was over
	}
	if err != nil {
		return fmt.Errorf("forgotten here, but not ended at %s, where it is good until %s: %w", server, localTime(gone.Expires), forReader(err))
	}
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), struct {
			Server string `json:"server"`
			Name   string `json:"name"`
		}{server, gone.Name})
	}
	p := printer(cmd)
	p.Line(oneLine("logged out of " + server))
	return p.Err
}

// revokePatience is how long a provider may take at a logout, which it is only nice to
// have for.
const revokePatience = 5 * time.Second

// revoke has the provider take back what a login would be renewed with.
func revoke(cmd *cobra.Command, l *serverLogin, h *http.Client) {
	if l.Provider == nil || l.Refresh.IsEmpty() {
		return
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), revokePatience)
	defer cancel()
	p, err := provider(l.Provider, h, revokePatience) // its document is fetched without ctx
	if err == nil {
		err = p.Revoke(ctx, &oidc.Tokens{Refresh: l.Refresh.Secret, Subject: l.Subject})
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s did not take back what your login was renewed with: %s\n  try: end your sessions at the provider, if others could have read it: it may still be good\n", oneLine(l.Provider.Name), oneLine(err.Error()))
	}
}
