package gokrb5test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	theirs "github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
)

// web is an HTTP server that counts.
type web struct {
	*httptest.Server
	requests atomic.Int64
	last     atomic.Pointer[answer] // of our server's side
}

type getter interface {
	Get(string) (*http.Response, error)
}

func startWeb(t *testing.T, handler func(*web) http.Handler) *web {
	t.Helper()
	w := newWeb(t, handler)
	w.Start()
	return w
}

func newWeb(t *testing.T, handler func(*web) http.Handler) *web {
	t.Helper()
	w := &web{}
	h := handler(w)
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

// protect is our server's side, which keeps its last answer.
func protect(auth *iwa.Authenticator) func(*web) http.Handler {
	h := ourServerWith(auth).handler
	return func(w *web) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			a := &answer{}
			h(a).ServeHTTP(rw, r)
			w.last.Store(a)
		})
	}
}

// theirHTTP is gokrb5's HTTP client for alice.
func (r *realm) theirHTTP(t *testing.T, w *web) *theirs.Client {
	t.Helper()
	return theirs.NewClient(r.theirClient(t), w.Client(), webSPN)
}

// ourHTTP is our HTTP client for alice.
func (r *realm) ourHTTP(t *testing.T, w *web, change ...func(*authclient.Kerberos)) *http.Client {
	t.Helper()
	k := &authclient.Kerberos{Client: r.ourClient(t)}
	for _, f := range change {
		f(k)
	}
	tr := &authclient.Transport{Source: authclient.Static(k)}
	if base, ok := w.Client().Transport.(*http.Transport); ok {
		tr.Base = base.Clone()
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get returns the status of a GET.
func get(t *testing.T, c getter, url string) (int, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// weGetIn demands that our client logs in to w as alice.
func weGetIn(t *testing.T, r *realm, w *web) {
	t.Helper()
	if status, err := get(t, r.ourHTTP(t, w), w.URL); err != nil || status != http.StatusOK {
		t.Fatalf("we get %d, %v", status, err)
	}
	if id := w.last.Load().id; id.String() != `CORP\alice` {
		t.Errorf("we get in as %v, want alice", id)
	}
}

// TestDefectServerUnverified: gokrb5's client does not ask the server to prove
// itself, and is served by one that has no key.
func TestDefectServerUnverified(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	impostor := startWeb(t, func(*web) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", "Negotiate")
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
	})
	if status, err := get(t, r.theirHTTP(t, impostor), impostor.URL); err != nil || status != http.StatusOK {
		gone(t, "trusts a server without proof (%d, %v)", status, err)
	}
	if status, err := get(t, r.ourHTTP(t, impostor), impostor.URL); !errors.Is(err, authclient.ErrServerUnverified) {
		t.Errorf("we get %d, %v from a server without proof; want %v", status, err, authclient.ErrServerUnverified)
	}
}

// TestDefectClientBinding: gokrb5's client does not bind its login to the TLS
// connection, so servers that demand it refuse it.
func TestDefectClientBinding(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	auth := &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: r.ourKeytab(t, webSPN), Binding: authn.BindingRequired}}
	w := newWeb(t, protect(auth))
	w.StartTLS()
	var err error
	if auth.Binding, err = iwa.CertificateBinding(&w.TLS.Certificates[0]); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.SetSPNEGOHeader(r.theirClient(t), req, webSPN); err != nil {
		t.Fatal(err)
	}
	resp, err := w.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); w.last.Load().reason() != authn.ReasonChannelBinding {
		gone(t, "leaves out the channel binding (status %d)", resp.StatusCode)
	}
	weGetIn(t, r, w)
}

// TestDefectClientDelegation: gokrb5's client forwards nothing. Where it is told
// to say so, it says that it forwards a ticket and sends none.
func TestDefectClientDelegation(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	m := &kerberos.Mechanism{Keytab: r.ourKeytab(t, webSPN), AllowForwardedTGT: true}
	w := startWeb(t, protect(&iwa.Authenticator{Kerberos: m}))
	forwarded := func() bool {
		id := w.last.Load().id
		if id == nil {
			return false
		}
		ev, ok := id.Evidence.(*kerberos.Evidence)
		return ok && ev.HasForwardedTGT()
	}
	if status, err := get(t, r.theirHTTP(t, w), w.URL); err != nil || status != http.StatusOK || forwarded() {
		gone(t, "forwards nothing (%d, %v)", status, err)
	}
	cl := r.theirClient(t)
	ticket, key, err := cl.GetServiceTicket(webSPN)
	if err != nil {
		t.Fatal(err)
	}
	token, err := theirs.NewKRB5TokenAPREQ(cl, ticket, key, []int{gssapi.ContextFlagDeleg}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := token.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if a := ourServer(m).send(t, b); a.reason() != authn.ReasonMalformed {
		gone(t, "sends no ticket with the delegation flag (%d, %v)", a.status, a.err)
	}
	status, err := get(t, r.ourHTTP(t, w, func(k *authclient.Kerberos) { k.Forward = true }), w.URL)
	if err != nil || status != http.StatusOK || !forwarded() {
		t.Errorf("we get %d, %v; want in, and the ticket forwarded", status, err)
	}
}

// TestDefectEndless401: a server that refuses the login makes gokrb5's client
// try again, for as long as the server likes and the stack lasts.
func TestDefectEndless401(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	const patience = 200 // requests, until the server gives in
	w := startWeb(t, func(w *web) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			if w.requests.Load() < patience {
				rw.Header().Set("WWW-Authenticate", "Negotiate")
				rw.WriteHeader(http.StatusUnauthorized)
			}
		})
	})
	if status, err := get(t, r.theirHTTP(t, w), w.URL); status != http.StatusOK || w.requests.Load() != patience {
		gone(t, "tries again for ever (%d requests, status %d, %v)", w.requests.Load(), status, err)
	}
	w.requests.Store(0)
	status, err := get(t, r.ourHTTP(t, w), w.URL)
	var refused *authclient.RefusedError
	if n := w.requests.Load(); !errors.As(err, &refused) || n > 3 {
		t.Errorf("we make %d requests and get %d, %v; want at most 3 and a refusal", n, status, err)
	}
}

// TestDefectChallenges: gokrb5's client logs in only where the first challenge
// is the word Negotiate and nothing else.
func TestDefectChallenges(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for _, tt := range []struct {
		name       string
		challenges []string
	}{
		{"after another one", []string{"NTLM", "Negotiate"}},
		{"in one line with another one", []string{"Negotiate, NTLM"}},
		{"in lower case", []string{"negotiate"}},
		{"after one that looks like it", []string{`Basic realm="a, Negotiate"`, "Negotiate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := protect(&iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: r.ourKeytab(t, webSPN)}})
			w := startWeb(t, func(w *web) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					if req.Header.Get("Authorization") == "" {
						rw.Header()["Www-Authenticate"] = slices.Clone(tt.challenges)
						rw.WriteHeader(http.StatusUnauthorized)
						return
					}
					in(w).ServeHTTP(rw, req)
				})
			})
			if status, err := get(t, r.theirHTTP(t, w), w.URL); err != nil || status != http.StatusUnauthorized || w.requests.Load() != 1 {
				gone(t, "overlooks Negotiate in %q (%d, %v)", tt.challenges, status, err)
			}
			weGetIn(t, r, w)
		})
	}
}
