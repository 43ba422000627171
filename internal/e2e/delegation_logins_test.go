package e2e

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/kdc"
)

// bearer takes callers at the word of somebody else, as OIDC does: the token
// is a key of it.
type bearer map[string]authn.Identity

func (bearer) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: "Bearer"}}
}

func (b bearer) Authenticate(r *http.Request) (*authn.Result, error) {
	scheme, token, _ := authn.Authorization(r)
	id, ok := b[token]
	switch {
	case scheme != "Bearer":
		return nil, authn.ErrNoCredentials
	case !ok:
		return nil, authn.ErrBadCredentials
	}
	return &authn.Result{Identity: &id, Fresh: true}, nil
}

// serveTo serves h to callers who log in by one of as, and returns its URL.
func serveTo(t *testing.T, h http.Handler, as ...authn.Authenticator) *url.URL {
	t.Helper()
	m := &authn.Middleware{Authenticators: as, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s := httptest.NewUnstartedServer(nil)
	s.Config = iwa.Server(m.Wrap(h))
	s.Start()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// decisions remembers what a Delegator observes. It is safe for concurrent use.
type decisions struct {
	mu   sync.Mutex
	list []delegation.Decision
}

func (d *decisions) add(_ context.Context, dec delegation.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, dec)
}

// as adds a header to a request without a body.
func as(ctx context.Context, t *testing.T, url, authorization string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	return r
}

// Callers by password and callers whom somebody else vouches for reach Apache,
// and a back end of ours, as themselves.
func TestDelegationOtherLogins(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	apache := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
	ours := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Backend)}})
	accounts, err := ntlm.NewAccounts(adtest.NetBIOS, "corp.test", ntlm.Account{
		Name: adtest.Bob, Password: authn.NewSecret(adtest.Password(t, adtest.Bob)), SID: authn.SID(dc.SID(t, adtest.Bob)),
	})
	if err != nil {
		t.Fatal(err)
	}
	vouched := bearer{
		"sid": {Account: "bob", Domain: adtest.NetBIOS, UPN: "bob@corp.test", SID: authn.SID(dc.SID(t, adtest.Bob)), Mechanism: "OIDC"},
		"upn": {Account: "subject-4711", UPN: "bob@corp.test", Mechanism: "OIDC"},
		// A SID of another account than the name's.
		"mismatch": {Account: "bob", Domain: adtest.NetBIOS, SID: authn.SID(dc.SID(t, adtest.Alice)), Mechanism: "OIDC"},
	}
	logins := []authn.Authenticator{&password.Basic{Verifier: accounts, AllowInsecureHTTP: true}, vouched}
	basic := func() string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("bob", adtest.Password(t, adtest.Bob))
		return r.Header.Get("Authorization")
	}()

	for _, tt := range []struct {
		name, service, authorization string
		upstream                     delegation.Upstream
		allowUPN                     bool
		method                       delegation.Method
		reason                       delegation.Reason
	}{
		{"Basic", "", basic, delegation.Upstream{}, false, delegation.Password, ""},
		{"Basic, where passwords are not listed", adtest.Web, basic,
			delegation.Upstream{ProtocolTransition: true, Methods: []delegation.Method{delegation.Constrained, delegation.Transition}}, false, delegation.Transition, ""},
		{"OIDC with SID", adtest.Web, "Bearer sid", delegation.Upstream{ProtocolTransition: true}, false, delegation.Transition, ""},
		{"OIDC with UPN only", adtest.Web, "Bearer upn", delegation.Upstream{ProtocolTransition: true}, true, delegation.Transition, ""},
		{"OIDC with UPN only, not trusted", adtest.Web, "Bearer upn", delegation.Upstream{ProtocolTransition: true}, false, "", delegation.ReasonNoPrincipal},
		{"OIDC with the SID of another", adtest.Web, "Bearer mismatch", delegation.Upstream{ProtocolTransition: true}, true, "", delegation.ReasonOtherAccount},
		{"OIDC, no transition", adtest.Web, "Bearer sid", delegation.Upstream{}, false, "", delegation.ReasonNoEvidence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log, seen := new(logBuffer), new(decisions)
			tt.upstream.SPN = adtest.BackendSPN
			d := delegator(t, dc, tt.service, tt.upstream, log)
			d.Observe = seen.add
			if tt.allowUPN {
				d.AllowUPN = map[string][]string{"OIDC": {"corp.test"}}
			}
			onward := ourClient(t, dc, delegation.Source(d))
			for _, to := range []struct{ url, want string }{
				{apache.URL("/x"), "bob@" + adtest.Realm + "\n"},
				{ours.At("backend.corp.test", "/x"), `"sid":"` + dc.SID(t, adtest.Bob) + `"`},
			} {
				front := serveTo(t, withLog(log, relay(onward, to.url)), logins...)
				status, answer, err := answerTo(as(t.Context(), t, front.String(), tt.authorization))
				if err != nil {
					t.Fatal(err)
				}
				if tt.reason == "" && (status != http.StatusOK || !strings.Contains(answer, to.want)) {
					t.Errorf("status %d, answer %q, want %q\n%s", status, answer, to.want, log)
				}
				if tt.reason != "" && (status != http.StatusBadGateway || !strings.Contains(answer, delegation.Namespace)) {
					t.Errorf("status %d, answer %q, want a problem", status, answer)
				}
			}
			for _, dec := range seen.list {
				if dec.Method != tt.method || dec.Reason != tt.reason {
					t.Errorf("decision: method %q, reason %q, want %q and %q: %v", dec.Method, dec.Reason, tt.method, tt.reason, dec.Err)
				}
			}
			if len(seen.list) != 2 {
				t.Errorf("%d decisions, want 2", len(seen.list))
			}
		})
	}
}

// answerTo sends a request and returns status and answer.
func answerTo(r *http.Request) (int, string, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// The account of the back end lists the front service, which needs no right of
// its own then. Samba 4.17 does not have that; the in-process KDC does.
func TestDelegationResourceBased(t *testing.T) {
	t.Parallel()
	k, err := kdc.New(kdc.Config{Realm: adtest.Realm})
	if err != nil {
		t.Fatal(err)
	}
	const frontSPN, backSPN = "HTTP/front.corp.test", "HTTP/back.corp.test"
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "pw-alice"},
		{Name: "sam", Password: "pw-sam", Sensitive: true},
		{Name: "front", Password: "pw-front", SPNs: []string{frontSPN}},
		{Name: "back", Password: "pw-back", SPNs: []string{backSPN}, ActFor: []string{"front"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	cfg := kerberos.Config{DefaultRealm: k.Realm(), Realms: map[string]kerberos.Realm{k.Realm(): {KDCs: []string{k.Addr()}}}}
	client := func(name string) *kerberos.Client {
		c, err := kerberos.NewPasswordClient(cfg, name, authn.NewSecret("pw-"+name))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	accept := func(account, spn string) *iwa.Authenticator {
		b, err := k.Keytab(account, spn)
		if err != nil {
			t.Fatal(err)
		}
		keytab, err := kerberos.ParseKeytab(b)
		if err != nil {
			t.Fatal(err)
		}
		return &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keytab}}
	}
	transport := func(s authclient.Source) *http.Client {
		tr := &authclient.Transport{Source: s, Base: &http.Transport{DialContext: dialLoopback}}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}

	log, seen := new(logBuffer), new(decisions)
	d := &delegation.Delegator{
		Client: client("front"), Upstreams: []delegation.Upstream{{SPN: backSPN, ProtocolTransition: true}},
		AllowUPN: map[string][]string{"OIDC": {"corp.test"}}, Observe: seen.add,
	}
	back := serveTo(t, http.HandlerFunc(serveWhoami), accept("back", backSPN))
	back.Host = "back.corp.test:" + back.Port()
	vouched := bearer{}
	for _, user := range []string{"alice", "sam"} {
		vouched[user] = authn.Identity{Account: user, UPN: user + "@corp.test", Mechanism: "OIDC"}
	}
	front := serveTo(t, withLog(log, relay(transport(delegation.Source(d)), back.String())), accept("front", frontSPN), vouched)
	status, answer, err := answerTo(as(t.Context(), t, front.String(), "Bearer alice"))
	if err != nil || status != http.StatusOK || !strings.Contains(answer, `"user":"CORP\\alice"`) {
		t.Errorf("by transition: status %d, answer %q, %v", status, answer, err)
	}
	named := *front
	named.Host = "front.corp.test:" + front.Port()
	status, answer, err = post(t.Context(), t, transport(authclient.Static(&authclient.Kerberos{Client: client("alice")})), named.String(), "")
	if err != nil || status != http.StatusOK || !strings.Contains(answer, `"user":"CORP\\alice"`) {
		t.Errorf("by her own ticket: status %d, answer %q, %v", status, answer, err)
	}
	status, _, err = answerTo(as(t.Context(), t, front.String(), "Bearer sam"))
	if err != nil || status != http.StatusBadGateway || !strings.Contains(log.String(), "reason=sensitive") {
		t.Errorf("sensitive: status %d, %v, log %s", status, err, log)
	}
	if n := len(seen.list); n != 3 || seen.list[0].Method != delegation.Transition || seen.list[1].Method != delegation.Constrained {
		t.Errorf("%d decisions: %+v", n, seen.list)
	}
}
