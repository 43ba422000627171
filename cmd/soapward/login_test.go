package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// TestLoginThroughProxy has gateway and command line reach the provider by a web proxy
// alone: the gateway by its configuration, the command line by the environment, which
// does not lead to a gateway on the same machine.
func TestLoginThroughProxy(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Options{TLS: true, Host: "example.com"}) // of its certificate; only the proxy knows where it is
	ofGateway, ofDesk := oidctest.NewProxy(t, p, false), oidctest.NewProxy(t, p, false)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOfficeAt(t, p, fmt.Sprintf(", title: Contoso, proxy: %q, ca_file: %q", ofGateway.URL, ca))
	var around atomic.Int32
	p.Set(func(s *oidctest.Switches) {
		s.Serve = func(_ http.ResponseWriter, r *http.Request) bool {
			if !ofGateway.Carried(r.RemoteAddr) && !ofDesk.Carried(r.RemoteAddr) {
				around.Add(1)
			}
			return false
		}
	})
	env := []string{"HTTPS_PROXY=" + ofDesk.URL, "HTTP_PROXY=" + ofDesk.URL}
	out, err := o.elsewhere(env, "login", "--server", o.server, "--ca-file", ca)
	if err != nil || !strings.Contains(out, "Log in at Contoso with any browser") || !strings.Contains(out, `as it\alice@example.com (administrator)`) {
		t.Fatalf("%v, %s", err, out)
	}
	o.change(func(l *serverLogin) { l.Expires = time.Now().Add(-time.Minute) })
	if code, out, errs := o.with(env, "whoami"); code != 0 {
		t.Errorf("renewed: %d, %s%s", code, out, errs)
	}
	if code, out, errs := o.with(env, "realm", "test", "it", "--kind", "provider"); code != 0 || !strings.Contains(out, "/revoke\n") {
		t.Errorf("test: %d, %s%s", code, out, errs)
	}

	// A proxy that wants a login is named, by either.
	ofDesk.Refuse(407)
	ofGateway.Refuse(407)
	kept := o.kept()
	o.change(func(l *serverLogin) { l.Expires = time.Now().Add(-time.Minute) })
	if code, out, errs := o.with(env, "whoami"); code != 1 || !strings.Contains(errs, "through the proxy "+ofDesk.URL+": it wants a login (status 407)") {
		t.Errorf("renewed: %d, %s%s", code, out, errs)
	}
	o.change(func(l *serverLogin) { l.Expires = kept.Expires })
	if code, out, errs := o.with(env, "realm", "test", "it", "--kind", "provider"); code != 1 || !strings.Contains(out+errs, "through the proxy "+ofGateway.URL+": it wants a login") ||
		!strings.Contains(out+errs, "oidc: issuer, ca_file, proxy; whether this machine reaches "+strings.TrimPrefix(ofGateway.URL, "http://")) {
		t.Errorf("test: %d, %s%s", code, out, errs)
	}
	if code, out, errs := o.with(env, "logout"); code != 0 || !strings.Contains(out, "logged out of") || !strings.Contains(errs, "warning: it did not take back what your login was renewed with: ") ||
		!strings.Contains(errs, "\n  try: end your sessions at the provider") {
		t.Errorf("logout: %d, %s%s", code, out, errs)
	}
	host := strings.TrimPrefix(p.Issuer, "https://")
	for _, proxy := range []*oidctest.Proxy{ofGateway, ofDesk} {
		if asked := proxy.Asked(); len(asked) == 0 || slices.ContainsFunc(asked, func(a string) bool { return a != host }) {
			t.Errorf("%s was asked for %q, want %q", proxy.URL, asked, host)
		}
	}
	if n := around.Load(); n != 0 {
		t.Errorf("%d requests went around the proxies", n)
	}
}

// A logout waits for a provider for as long as it says, for its document too, whose
// fetching does not end with who asked for it.
func TestLogoutPatience(t *testing.T) {
	t.Parallel()
	asked := false
	h := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = true
		if end, ok := r.Context().Deadline(); !ok || time.Until(end) > revokePatience {
			t.Errorf("%s may take until %v", r.URL, end)
		}
		return nil, errors.New("away")
	})}
	cmd, errs := newLogoutCommand(), &strings.Builder{}
	cmd.SetContext(t.Context())
	cmd.SetErr(errs)
	l := &serverLogin{Provider: &wire.Provider{Name: "it", Issuer: "https://id.example.com", ClientID: "desktop"}}
	l.Refresh.Secret = authn.NewSecret("refresh")
	revoke(cmd, l, h)
	if !asked || !strings.HasPrefix(errs.String(), "warning: it did not take back") {
		t.Errorf("asked: %v; %s", asked, errs)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Several providers are told with their titles, as which none is chosen, and with
// nothing that a terminal obeys.
func TestLoginChoice(t *testing.T) {
	t.Parallel()
	ways := &wire.Providers{Providers: []wire.Provider{{Name: "it", Title: "Con\x1b[2Jtoso"}, {Name: "partners"}}}
	for provider, want := range map[string]string{
		"":     "there are several providers: add --provider with one of it (Con?[2Jtoso), partners",
		"it":   "",
		"Con?": `has no provider "Con?", but it (Con?[2Jtoso), partners`,
	} {
		p, err := (&adminLoginFlags{provider: provider}).choose(newLoginCommand(), "https://gw.corp.test", ways)
		if want == "" && (err != nil || p.Name != provider) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %+v, %v; want %q", provider, p, err, want)
		}
	}
}
