package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/outbound"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// outboundGateway is the outbound side of a gateway in the test domain.
type outboundGateway struct {
	*outbound.Set
	issuer *identity.Issuer
	log    *logBuffer
}

const outboundConfig = `
listen: [{addr: ":443"}]
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["%s"], keytab: "%s"}
    ntlm: {verifier: winbind, domain: CORP}
services:
  hr: {match: {path: /hr/}, login: [corp/negotiate], upstream: {url: "http://127.0.0.1:1", identity: {jwt: {header: X-Identity, key: {file: id.key}}}}}
upstreams:
%s`

// startOutbound makes the upstreams. Passwords are in files NAME.secret.
func startOutbound(t *testing.T, dc *adtest.DC, upstreams string, passwords map[string]string) *outboundGateway {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"id.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))}
	for name, password := range passwords {
		files[name+".secret"] = password + "\n"
	}
	files["gw.yaml"] = fmt.Sprintf(outboundConfig, dc.IP, dc.Keytab(adtest.Web), upstreams)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "gw.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	g := &outboundGateway{log: new(logBuffer)}
	if g.issuer, err = identity.New(c, nil); err != nil {
		t.Fatal(err)
	}
	g.Set, err = outbound.New(c, outbound.Parts{Issuer: g.issuer, Logger: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the gateway:\n%s", g.log)
		}
	})
	return g
}

// URL serves an upstream and returns where.
func (g *outboundGateway) URL(t *testing.T, name string) string {
	t.Helper()
	for _, e := range g.Endpoints() {
		if e.Name == name {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				e.Handler.ServeHTTP(w, r.WithContext(trail.With(authn.WithRef(r.Context(), "ref"), new(trail.Trail))))
			}))
			t.Cleanup(s.Close)
			return s.URL
		}
	}
	t.Fatalf("no upstream %s", name)
	return ""
}

// post sends a body as the caller of a token, and returns status and answer.
func (g *outboundGateway) post(t *testing.T, url string, id *authn.Identity, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if id != nil {
		token, err := g.issuer.Token(t.Context(), id, "hr")
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Identity", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// callerOf is who logs in at a service of the domain, by Kerberos or NTLM.
func callerOf(t *testing.T, dc *adtest.DC, service, spn, user string, ntlm bool) *authn.Identity {
	t.Helper()
	client, err := passwordClient(t, dc, user)
	if err != nil {
		t.Fatal(err)
	}
	id, err := login(t.Context(), client, spn, domainKerberos(t, dc, service))
	if err != nil {
		t.Fatal(err)
	}
	if ntlm {
		n := *id
		n.Mechanism, n.Evidence = authn.MechanismNTLM, nil
		return &n
	}
	return id
}

// The gateway calls Apache as the callers of its services, with a real domain
// controller to ask.
func TestGatewayOutboundDelegation(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	backend := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, http.HandlerFunc(countBody))
	other := peers.StartApache(t, dc, adtest.Other, "other.corp.test", false, http.HandlerFunc(countBody))
	entry := func(name, account string, to *peers.Apache, rest string) string {
		return fmt.Sprintf("  %s: {listen: \"127.0.0.1:%d\", url: \"%s\", spn: HTTP/%s, delegation: {principal: %s@CORP.TEST, keytab: %q}, %s}\n",
			name, 9300+len(name), to.Address(), to.Host, account, dc.Keytab(account), rest)
	}
	service := fmt.Sprintf("service: {principal: %s@CORP.TEST, keytab: %q}", adtest.Web, dc.Keytab(adtest.Web))
	g := startOutbound(t, dc,
		entry("a", adtest.Front, backend, "act_as: [caller]")+
			entry("aa", adtest.Web, backend, "act_as: [caller], protocol_transition: true")+
			entry("aaa", adtest.Web, backend, "act_as: [caller, service], on_double_hop: next, "+service)+
			entry("aaaa", adtest.Front, other, "act_as: [caller]")+
			entry("aaaaa", adtest.Front, backend, "act_as: [caller], protocol_transition: true"), nil)
	for _, tt := range []struct {
		name, upstream, service, spn, user string
		ntlm                               bool
		want                               string // whom Apache sees; empty: refused
		reason                             delegation.Reason
	}{
		{"own ticket", "a", adtest.Front, adtest.FrontSPN, adtest.Alice, false, adtest.Alice, ""},
		{"own ticket, trusted service", "aa", adtest.Web, adtest.WebSPN, adtest.Bob, false, adtest.Bob, ""},
		{"NTLM, transition", "aa", adtest.Web, adtest.WebSPN, adtest.Alice, true, adtest.Alice, ""},
		{"NTLM, next", "aaa", adtest.Web, adtest.WebSPN, adtest.Alice, true, adtest.Web, ""},
		{"Kerberos where a service is next", "aaa", adtest.Web, adtest.WebSPN, adtest.Bob, false, adtest.Bob, ""},
		{"double hop", "a", adtest.Front, adtest.FrontSPN, adtest.Alice, true, "", delegation.ReasonDoubleHop},
		{"NTLM, transition is not the account's right", "aaaaa", adtest.Front, adtest.FrontSPN, adtest.Alice, true, "", delegation.ReasonNoTransitionRight},
		{"sensitive", "a", adtest.Front, adtest.FrontSPN, adtest.Carol, false, "", delegation.ReasonSensitive},
		{"protected", "a", adtest.Front, adtest.FrontSPN, adtest.Peggy, false, "", delegation.ReasonProtectedUser},
		{"a server that the directory does not list", "aaaa", adtest.Front, adtest.FrontSPN, adtest.Alice, false, "", delegation.ReasonNotAllowedTarget},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := g.URL(t, tt.upstream)
			id := callerOf(t, dc, tt.service, tt.spn, tt.user, tt.ntlm)
			for _, body := range []string{"<a/>", "", strings.Repeat("<line/>", 100_000)} {
				status, got := g.post(t, url+"/x", id, io.MultiReader(strings.NewReader(body)))
				if tt.want != "" {
					if want := fmt.Sprintf("%s@%s %d", tt.want, adtest.Realm, len(body)); status != http.StatusOK || got != want {
						t.Errorf("%d %.200q, want %q", status, got, want)
					}
					continue
				}
				var p delegation.Problem
				if err := json.Unmarshal([]byte(got), &p); err != nil || status != http.StatusBadGateway || strings.Contains(got, adtest.Realm) {
					t.Errorf("%d %s: %v", status, got, err)
				}
				if want := "reason=" + string(tt.reason) + " "; !strings.Contains(g.log.String(), want) {
					t.Errorf("the log does not say %q", want)
				}
			}
		})
	}
}

// countBody answers who Apache says the caller is, and how long the body was.
func countBody(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "%s %d", r.Header.Get(peers.RemoteUser), n)
}

// Apache with gss-ntlmssp takes the gateway's accounts, and a Squid that wants a
// login of its own is no obstacle.
func TestGatewayOutboundNTLM(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	plain := startNTLMApache(t, dc, false, http.HandlerFunc(countBody))
	s := peers.StartSquid(t, dc, "127.0.0.1", false, squidNTLM)
	open := plainServer(t)
	bound := boundServer(t)
	g := startOutbound(t, dc,
		fmt.Sprintf("  direct: {listen: \"127.0.0.1:9300\", url: %q, act_as: [service], service: {user: 'CORP\\alice', password: {file: alice.secret}}}\n", plain.Address())+
			fmt.Sprintf("  fixed: {listen: \"127.0.0.1:9301\", url: %q, act_as: [fixed], fixed: {user: 'CORP\\carol', password: {file: carol.secret}}}\n", plain.Address())+
			fmt.Sprintf("  through: {listen: \"127.0.0.1:9302\", url: %q, act_as: [fixed], fixed: {user: 'CORP\\bob', password: {file: bob.secret}}, proxy: {url: %q, account: {user: 'CORP\\alice', password: {file: proxy.secret}}}}\n", open.URL, s.URL.String())+
			fmt.Sprintf("  tunnel: {listen: \"127.0.0.1:9303\", url: %q, ca_file: %q, act_as: [fixed], fixed: {user: 'CORP\\bob', password: {file: local.secret}}, proxy: {url: %q, account: {user: 'CORP\\alice', password: {file: proxy.secret}}}}\n", bound.URL, bound.CAFile, s.URL.String())+
			fmt.Sprintf("  refused: {listen: \"127.0.0.1:9304\", url: %q, act_as: [fixed], fixed: {user: 'CORP\\bob', password: {file: local.secret}}, proxy: {url: %q, account: {user: 'CORP\\alice', password: {file: local.secret}}}}\n", open.URL, s.URL.String()),
		map[string]string{"alice": ntlmUsers["alice"], "carol": ntlmUsers["carol"], "bob": ntlmUsers["bob"], "proxy": localPass, "local": "bob-local"})
	for _, tt := range []struct{ upstream, want string }{
		{"direct", "alice"}, {"fixed", "carol"}, {"through", `alice "" "" <a/>`}, {"tunnel", `"user":"corp\\bob"`},
	} {
		url := g.URL(t, tt.upstream)
		for range 3 {
			if status, got := g.post(t, url+"/x", nil, strings.NewReader("<a/>")); status != http.StatusOK || !strings.Contains(strings.ToLower(got), tt.want) {
				t.Errorf("%s: %d %q, want %q", tt.upstream, status, got, tt.want)
			}
		}
	}
	status, got := g.post(t, g.URL(t, "refused"), nil, strings.NewReader("<a/>"))
	if status != http.StatusBadGateway || !strings.Contains(got, "proxy-refused") {
		t.Errorf("refused: %d %s", status, got)
	}
	// Larger than what is kept, on a connection that is logged in.
	large := bytes.Repeat([]byte("0123456789abcdef"), 70<<16)
	if status, got := g.post(t, g.URL(t, "direct"), nil, io.MultiReader(bytes.NewReader(large))); status != http.StatusOK || got != fmt.Sprintf(`CORP\alice %d`, len(large)) {
		t.Errorf("%d MiB: %d %.100q", len(large)>>20, status, got)
	}
	for _, secret := range []string{ntlmUsers["alice"], localPass, "bob-local"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// Users of the domain, all at once, through the gateway to an Apache that others
// wrote.
func TestAttackCallersMixedAtApacheThroughGateway(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	backend := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
	g := startOutbound(t, dc, fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", url: %q, spn: HTTP/backend.corp.test, act_as: [caller], protocol_transition: true, delegation: {principal: %s@CORP.TEST, keytab: %q}}\n",
		backend.Address(), adtest.Web, dc.Keytab(adtest.Web)), nil)
	at := g.URL(t, "up")
	type caller struct {
		name string
		id   *authn.Identity
	}
	var callers []caller
	for _, name := range []string{adtest.Alice, adtest.Bob} {
		for _, ntlm := range []bool{false, true} {
			callers = append(callers, caller{name, callerOf(t, dc, adtest.Web, adtest.WebSPN, name, ntlm)})
		}
	}
	var wg sync.WaitGroup
	for n := range 64 {
		c := callers[n%len(callers)]
		wg.Go(func() {
			for k := range 4 {
				body := fmt.Sprintf("%s %d %d", c.name, n, k)
				status, got := g.post(t, at+"/"+url.PathEscape(body), c.id, strings.NewReader(body))
				// Apache closes idle connections when it is short of threads, and a
				// request that meets that is not sent twice by itself.
				for range 3 {
					if status != http.StatusBadGateway || !strings.Contains(got, "upstream-broken") {
						break
					}
					status, got = g.post(t, at+"/"+url.PathEscape(body), c.id, strings.NewReader(body))
				}
				if want := c.name + "@" + adtest.Realm + "\n" + body; status != http.StatusOK || got != want {
					t.Errorf("%d %q, want %q", status, got, want)
				}
			}
		})
	}
	wg.Wait()
}
