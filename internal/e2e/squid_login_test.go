package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// squidHost is a name that the test domain has a service for.
const squidHost = "other.corp.test"

// clientBehind makes our client for requests through s.
func clientBehind(t *testing.T, s *peers.Squid, at, server authclient.Source, caFiles ...string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, file := range caFiles {
		pem, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		roots.AppendCertsFromPEM(pem)
	}
	tr := &authclient.Transport{
		Source: server, Proxy: at,
		Base: &http.Transport{Proxy: s.Proxy, DialContext: dialLoopback, TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// plainServer is a server without a login that tells which user a proxy saw,
// what login reached it, and the body.
func plainServer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %q %q ", r.Header.Get(peers.ProxyUser), r.Header.Get("Proxy-Authorization"), r.Header.Get("Authorization"))
		_, _ = io.Copy(w, r.Body) // the test compares
	}))
	t.Cleanup(s.Close)
	return s
}

// boundServer is one of ours with TLS that wants NTLM and channel bindings.
func boundServer(t *testing.T) *server {
	t.Helper()
	m := localNTLM(t)
	m.Binding = authn.BindingRequired
	return startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}, tls: true})
}

func localCredential(user, password string) *authclient.NTLM {
	return &authclient.NTLM{User: `CORP\` + user, Password: authn.NewSecret(password)}
}

// TestOurClientBehindSquid: each login at the proxy, for requests that go to
// it, and for tunnels in which NTLM logs in at the server as somebody else.
func TestOurClientBehindSquid(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	kc, err := passwordClient(t, dc, adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	byKerberos := peers.SquidKerberos(dc, adtest.Other, adtest.OtherSPN)
	for _, tt := range []struct {
		name       string
		secure     bool
		auth       []peers.SquidAuthFor
		credential authclient.Credential
	}{
		{"Kerberos", false, []peers.SquidAuthFor{byKerberos}, &authclient.Kerberos{Client: kc}},
		{"Kerberos, NTLM offered too", false, []peers.SquidAuthFor{byKerberos, squidNTLM}, &authclient.Kerberos{Client: kc}},
		{"NTLM", false, []peers.SquidAuthFor{squidNTLM}, localCredential(localUser, localPass)},
		{"NTLM, Kerberos offered too", false, []peers.SquidAuthFor{byKerberos, squidNTLM}, localCredential(localUser, localPass)},
		{"NTLM over TLS", true, []peers.SquidAuthFor{squidNTLM}, localCredential(localUser, localPass)},
		{"Kerberos over TLS", true, []peers.SquidAuthFor{byKerberos}, &authclient.Kerberos{Client: kc}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := peers.StartSquid(t, dc, squidHost, tt.secure, tt.auth...)
			plain, bound := plainServer(t), boundServer(t)
			client := clientBehind(t, s, authclient.Static(tt.credential), authclient.Static(localCredential("bob", "bob-local")), dc.CAFile, bound.CAFile)
			for _, body := range []string{"<a/>", strings.Repeat("<line/>", 1<<20/7), ""} {
				status, answer, err := post(t.Context(), t, client, plain.URL+"/x", body)
				if want := `alice "" "" ` + body; err != nil || status != http.StatusOK || answer != want {
					t.Errorf("http: status %d, %v, answer %.100q, want %.100q", status, err, answer, want)
				}
				status, answer, err = post(t.Context(), t, client, bound.URL+"/x", body)
				if err != nil || status != http.StatusOK {
					t.Fatalf("https: status %d, %v, answer %.100q", status, err, answer)
				}
				me := decodeWhoami(t, answer)
				if me.User != `CORP\bob` || me.Mechanism != authn.MechanismNTLM {
					t.Errorf("https: caller = %+v, want bob by NTLM", me)
				}
				checkBody(t, me, body)
			}
			resp, err := client.Get(plain.URL)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			for _, r := range s.Requests(t, 4) { // the tunnel is logged when it ends
				if r.User != localUser {
					t.Errorf("Squid passed %+v, want alice's requests only", r)
				}
			}
		})
	}
}

// NTLM logs a connection in at an http server, through a Squid that has logged
// it in as somebody else: it keeps a connection to the server for each of ours,
// and says so (RFC 4559 6). Our server would refuse, had it been told of a
// proxy.
func TestAttackNTLMThroughSquid(t *testing.T) {
	t.Parallel()
	s := peers.StartSquid(t, nil, squidHost, false, squidNTLM)
	server := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
	users := map[string]authclient.Credential{localUser: localCredential(localUser, localPass), "bob": localCredential("bob", "bob-local")}
	client := clientBehind(t, s, authclient.Static(localCredential(localUser, localPass)), contextSource{})
	var wg sync.WaitGroup
	for name, credential := range users {
		for range 4 {
			wg.Go(func() {
				for range 8 {
					status, answer, err := post(withCredential(t.Context(), credential), t, client, server.URL, "<a/>")
					if err != nil || status != http.StatusOK {
						t.Errorf("%s: status %d, %v", name, status, err)
						return
					}
					if me := decodeWhoami(t, answer); me.User != `CORP\`+name {
						t.Errorf("%s is %+v", name, me)
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestOurClientRefusedBySquid(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	byNTLM := peers.StartSquid(t, nil, squidHost, false, squidNTLM)
	// A proxy that has not the key of the name it goes by.
	imposter := peers.StartSquid(t, dc, squidHost, false, peers.SquidKerberos(dc, adtest.Web, adtest.WebSPN))
	right, err := passwordClient(t, dc, adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := kerberos.NewPasswordClient(krbConfig(t, dc), adtest.Alice, authn.NewSecret("wrong"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		squid  *peers.Squid
		source authclient.Source
		scheme string // of the refusal
		text   string
	}{
		{"wrong password", byNTLM, authclient.Static(localCredential(localUser, "wrong")), "NTLM", "refused the NTLM login"},
		{"unknown user", byNTLM, authclient.Static(localCredential("nobody", "x")), "NTLM", "refused the NTLM login"},
		{"scheme that is not offered", byNTLM, authclient.Static(&authclient.Kerberos{Client: right}), "", "asks for a login by NTLM, which the credential cannot do"},
		{"no credential", byNTLM, nil, "", "set Transport.Proxy"},
		{"ticket for another key", imposter, authclient.Static(&authclient.Kerberos{Client: right}), "Negotiate", "refused the Negotiate login"},
		{"wrong password at the KDC", imposter, authclient.Static(&authclient.Kerberos{Client: wrong}), "-", "Negotiate login at proxy"},
	} {
		for _, target := range []string{plainServer(t).URL, "https://127.0.0.1:1/"} {
			_, answer, err := post(t.Context(), t, clientBehind(t, tt.squid, tt.source, nil), target, "<a/>")
			if err == nil || !strings.Contains(err.Error(), "proxy "+tt.squid.String()) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %s: answer %.100q, error %v, want %q at the proxy", tt.name, target, answer, err, tt.text)
			}
			var refused *authclient.RefusedError
			if ok := errors.As(err, &refused); ok != (tt.scheme != "-") || ok && (!refused.Proxy || refused.Scheme != tt.scheme) {
				t.Errorf("%s: %s: %+v, want a refusal of %q", tt.name, target, refused, tt.scheme)
			}
			if tt.scheme == "-" && !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%s: error %v, want bad credentials", tt.name, err)
			}
		}
	}
}

// Two users through one client and one Squid at the same time: what Squid notes
// of each request is its own user.
func TestAttackUsersMixedAtSquid(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	kerberosCredential := func(name string) authclient.Credential {
		kc, err := passwordClient(t, dc, name)
		if err != nil {
			t.Fatal(err)
		}
		return &authclient.Kerberos{Client: kc}
	}
	for _, tt := range []struct {
		name  string
		auth  peers.SquidAuthFor
		users map[string]authclient.Credential
	}{
		{"NTLM", squidNTLM, map[string]authclient.Credential{
			localUser: localCredential(localUser, localPass), "bob": localCredential("bob", "bob-local"),
		}},
		{"Kerberos", peers.SquidKerberos(dc, adtest.Other, adtest.OtherSPN), map[string]authclient.Credential{
			adtest.Alice: kerberosCredential(adtest.Alice), adtest.Bob: kerberosCredential(adtest.Bob),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := peers.StartSquid(t, dc, squidHost, false, tt.auth)
			plain := plainServer(t)
			tunnelled := map[string]*httptest.Server{} // one for each, by which the log tells tunnels apart
			var cas []string
			for name := range tt.users {
				u := httptest.NewTLSServer(plain.Config.Handler)
				t.Cleanup(u.Close)
				tunnelled[name] = u
				cas = append(cas, writeCA(t, u.Certificate()))
			}
			client := clientBehind(t, s, contextSource{}, nil, cas...)
			const workers, rounds = 4, 8
			var wg sync.WaitGroup
			for name, credential := range tt.users {
				for range workers {
					wg.Go(func() {
						for range rounds {
							ctx := withCredential(t.Context(), credential)
							_, answer, err := post(ctx, t, client, plain.URL, name)
							if want := name + ` "" "" ` + name; err != nil || answer != want {
								t.Errorf("http: answer %q, %v, want %q", answer, err, want)
							}
							_, answer, err = post(ctx, t, client, tunnelled[name].URL, name)
							if want := ` "" "" ` + name; err != nil || answer != want {
								t.Errorf("https: answer %q, %v, want %q", answer, err, want)
							}
						}
					})
				}
			}
			wg.Wait()
			client.CloseIdleConnections()
			tunnels := 0
			for _, r := range s.Requests(t, 2*workers*rounds+2) {
				if r.Method != http.MethodConnect {
					continue
				}
				tunnels++
				if want := strings.TrimPrefix(tunnelled[r.User].URL, "https://"); r.Target != want {
					t.Errorf("Squid let %s tunnel to %s, want %s", r.User, r.Target, want)
				}
			}
			if tunnels < 2 {
				t.Errorf("%d tunnels in the log, want one for each user at least", tunnels)
			}
		})
	}
}
