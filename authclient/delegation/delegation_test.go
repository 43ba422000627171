package delegation

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/soap"
)

var _ soap.FaultChooser = (*Error)(nil)

const (
	frontSPN = "HTTP/front.corp.test"
	plainSPN = "HTTP/plain.corp.test"
	backSPN  = "HTTP/back.corp.test"
	otherSPN = "HTTP/other.corp.test" // listed in no account
)

// world is a domain with callers, two services of ours and two back ends.
type world struct {
	*kdc.KDC
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "pw-alice"},
		{Name: "bob", Password: "pw-bob"},
		{Name: "sam", Password: "pw-sam", Sensitive: true},
		{Name: "pru", Password: "pw-pru", Groups: []uint32{525}},
		{Name: "front", Password: "pw-front", SPNs: []string{frontSPN}, TrustedToAuth: true, DelegateTo: []string{backSPN}},
		{Name: "plain", Password: "pw-plain", SPNs: []string{plainSPN}, DelegateTo: []string{backSPN}},
		{Name: "back", Password: "pw-back", SPNs: []string{backSPN}},
		{Name: "other", Password: "pw-other", SPNs: []string{otherSPN}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return &world{k, t}
}

func (w *world) config() kerberos.Config {
	return kerberos.Config{DefaultRealm: w.Realm(), Realms: map[string]kerberos.Realm{w.Realm(): {KDCs: []string{w.Addr()}}}}
}

func (w *world) client(name string) *kerberos.Client {
	w.t.Helper()
	c, err := kerberos.NewPasswordClient(w.config(), name, authn.NewSecret("pw-"+name))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) mechanism(account, spn string) *kerberos.Mechanism {
	w.t.Helper()
	b, err := w.Keytab(account, spn)
	if err != nil {
		w.t.Fatal(err)
	}
	k, err := kerberos.ParseKeytab(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return &kerberos.Mechanism{Keytab: k, AllowForwardedTGT: true}
}

// kerberosLogin is a caller's login to a service of ours.
func (w *world) kerberosLogin(user, account, spn string, forward bool) *authn.Identity {
	w.t.Helper()
	in := w.client(user).NewInitiator(spn, kerberos.InitiatorConfig{Forward: forward})
	token, _, err := in.Step(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	reply, id, err := w.mechanism(account, spn).NewAcceptor(authn.Exchange{}).Step(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, done, err := in.Step(w.t.Context(), reply); !done || err != nil {
		w.t.Fatal(done, err)
	}
	return id
}

// ntlmLogin is what an NTLM login of a domain user leaves.
func (w *world) ntlmLogin(user string) *authn.Identity {
	w.t.Helper()
	id := w.kerberosLogin(user, "front", frontSPN, false)
	n := *id
	n.Mechanism, n.Evidence, n.UPN = authn.MechanismNTLM, nil, ""
	return &n
}

func (w *world) delegator(account string, us ...Upstream) *Delegator {
	w.t.Helper()
	return &Delegator{
		Client: w.client(account), Kerberos: w.config(), Upstreams: us,
		Domains: map[string]string{"corp": "CORP.TEST"},
		Logger:  slog.New(slog.DiscardHandler),
	}
}

func target(spn string) authclient.Target {
	host := strings.TrimPrefix(spn, "HTTP/")
	return authclient.Target{Scheme: "https", Host: host + ":443", SPN: spn}
}

// seenBy logs in to a back end and returns whom it sees.
func (w *world) seenBy(account, spn string, c authclient.Credential) *authn.Identity {
	w.t.Helper()
	in, err := c.NewInitiator(authclient.SchemeNegotiate, target(spn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	token, _, err := in.Step(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	reply, id, err := spnego.NewAcceptor([]authn.Mechanism{w.mechanism(account, spn)}, authn.Exchange{}).Step(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, done, err := in.Step(w.t.Context(), reply); !done || err != nil {
		w.t.Fatal(done, err)
	}
	return id
}

func TestDelegate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listed := Upstream{SPN: "http/BACK.corp.test"}
	transition := Upstream{SPN: backSPN, ProtocolTransition: true}
	for _, tc := range []struct {
		name     string
		id       *authn.Identity
		account  string
		upstream Upstream
		want     Method
	}{
		{"own ticket", w.kerberosLogin("alice", "plain", plainSPN, false), "plain", listed, Constrained},
		{"own ticket where transition is on", w.kerberosLogin("alice", "front", frontSPN, false), "front", transition, Constrained},
		{"own ticket before a forwarded one", w.kerberosLogin("alice", "plain", plainSPN, true), "plain", listed, Constrained},
		{"NTLM", w.ntlmLogin("alice"), "front", transition, Transition},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			d := w.delegator(tc.account, tc.upstream)
			c, m, err := d.Delegate(t.Context(), tc.id, target(backSPN))
			if err != nil {
				t.Fatal(err)
			}
			if m != tc.want {
				t.Errorf("method %s, want %s", m, tc.want)
			}
			seen := w.seenBy("back", backSPN, c)
			if seen.SID != tc.id.SID || seen.Account != tc.id.Account {
				t.Errorf("the back end sees %v (%s), want %v (%s)", seen, seen.SID, tc.id, tc.id.SID)
			}
			again, _, err := d.Delegate(t.Context(), tc.id, target(backSPN))
			if err != nil || again != c {
				t.Errorf("second call: %v, another credential (%v)", err, again != c)
			}
		})
	}
}

func TestDelegatePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := func(pw string) *authn.Identity {
		id := *w.ntlmLogin("alice")
		id.Mechanism = "Basic"
		id.Evidence = &password.Secret{User: `CORP\alice`, Password: authn.NewSecret(pw)}
		return &id
	}
	d := w.delegator("front", Upstream{SPN: otherSPN, ProtocolTransition: true})
	c, m, err := d.Delegate(t.Context(), login("pw-alice"), target(otherSPN))
	if err != nil || m != Password {
		t.Fatal(m, err)
	}
	if seen := w.seenBy("other", otherSPN, c); seen.Account != "alice" {
		t.Errorf("the back end sees %v", seen)
	}

	// A KDC that does not take the password is not asked to take our word.
	d = w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	_, _, err = d.Delegate(t.Context(), login("changed since"), target(backSPN))
	var de *Error
	if !errors.As(err, &de) || len(de.Tried) != 1 || de.Tried[0].Method != Password || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("old password: %v", err)
	}
	old := login("changed since")
	asked := w.Stats().AS
	for range 5 { // five more would lock the account
		if _, _, err = d.Delegate(t.Context(), old, target(backSPN)); !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("old password again: %v", err)
		}
	}
	if now := w.Stats().AS; now != asked {
		t.Errorf("the KDC was asked %d times more about a password it had refused", now-asked)
	}
	if _, m, err := d.Delegate(t.Context(), login("pw-alice"), target(backSPN)); err != nil || m != Password {
		t.Errorf("the new password: %s, %v", m, err)
	}

	// An account of our own has no SID: its password is not tried at the KDC.
	local := login("pw-alice")
	local.SID = ""
	w.KDC.SetFault(kdc.Fault{Silent: true})
	if _, _, err = w.delegator("front", Upstream{SPN: backSPN}).Delegate(t.Context(), local, target(backSPN)); !errors.Is(err, errNotOfDomain) {
		t.Errorf("local account: %v, want %v", err, errNotOfDomain)
	}
}

// With no account of our own a forwarded ticket is all there is.
func TestDelegateForwarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: otherSPN})
	d.Client = nil
	id := w.kerberosLogin("alice", "front", frontSPN, true)
	c, m, err := d.Delegate(t.Context(), id, target(otherSPN))
	if err != nil || m != Forwarded {
		t.Fatal(m, err)
	}
	if seen := w.seenBy("other", otherSPN, c); seen.SID != id.SID {
		t.Errorf("the back end sees %v, want %v", seen, id)
	}

	// Constrained delegation comes first; where that is refused, the ticket
	// the caller handed over still works.
	d = w.delegator("front", Upstream{SPN: otherSPN})
	if _, m, err = d.Delegate(t.Context(), id, target(otherSPN)); err != nil || m != Forwarded {
		t.Errorf("after a refusal: %s, %v", m, err)
	}
}

func TestDelegateRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ntlm := w.ntlmLogin("alice")
	oidc := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "OIDC"}
	local := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	unmapped := *ntlm
	unmapped.Domain = "ELSEWHERE"
	gone := *ntlm
	gone.Account = "nobody"
	transition := Upstream{SPN: backSPN, ProtocolTransition: true}
	for _, tc := range []struct {
		name     string
		id       *authn.Identity
		account  string
		upstream Upstream
		spn      string
		is       error
		tried    []Method
		cause    string
		remedy   string
		fault    string
	}{
		{"double hop", ntlm, "front", Upstream{SPN: backSPN}, backSPN, ErrDoubleHop, nil, "double hop",
			"Set-ADAccountControl front -TrustedToAuthForDelegation $true (Samba: samba-tool delegation for-any-protocol front on)", "DoubleHop"},
		{"another login without evidence", oidc, "front", Upstream{SPN: backSPN}, backSPN, ErrNoEvidence, nil, "login by OIDC",
			"samba-tool delegation add-service front HTTP/back.corp.test", "NotDelegated"},
		{"anonymous", nil, "front", transition, backSPN, ErrNoEvidence, nil, "anonymous", "require a login", "NotDelegated"},
		{"not listed", ntlm, "front", transition, otherSPN, ErrNotListed, nil, otherSPN, "add the upstream", "NotDelegated"},
		{"sensitive, own ticket", w.kerberosLogin("sam", "front", frontSPN, false), "front", Upstream{SPN: backSPN}, backSPN,
			kerberos.ErrNotDelegable, nil, "not forwardable", "Set-ADAccountControl sam -AccountNotDelegated $false", "NotDelegated"},
		{"sensitive, NTLM", w.ntlmLogin("sam"), "front", transition, backSPN, kerberos.ErrNotDelegable, []Method{Transition}, "KDC", "sensitive", "NotDelegated"},
		{"protected", w.ntlmLogin("pru"), "front", transition, backSPN, kerberos.ErrNotDelegable, nil, "Protected Users", "service account", "NotDelegated"},
		{"account not trusted for transition", w.ntlmLogin("alice"), "plain", transition, backSPN, kerberos.ErrNotDelegable, []Method{Transition}, "KDC",
			"samba-tool delegation for-any-protocol plain on", "NotDelegated"},
		{"target not listed at the KDC", w.kerberosLogin("alice", "front", frontSPN, false), "front", Upstream{SPN: otherSPN}, otherSPN, nil, []Method{Constrained},
			"msDS-AllowedToDelegateTo", "samba-tool delegation add-service front HTTP/other.corp.test", "NotDelegated"},
		{"local account of the same name", local, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "no SID", "Principal", "NotDelegated"},
		{"OIDC user without a rule", oidc, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "no SID", "Principal", "NotDelegated"},
		{"unknown domain", &unmapped, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "ELSEWHERE", "Domains", "NotDelegated"},
		{"unknown user", &gone, "front", transition, backSPN, nil, []Method{Transition}, "does not exist", "", "NotDelegated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			d := w.delegator(tc.account, tc.upstream)
			c, m, err := d.Delegate(t.Context(), tc.id, target(tc.spn))
			var de *Error
			if c != nil || m != "" || !errors.As(err, &de) {
				t.Fatalf("credential %v, method %q, error %v", c, m, err)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v is not %v", err, tc.is)
			}
			if errors.Is(err, ErrDoubleHop) != (tc.is == ErrDoubleHop) {
				t.Errorf("%v: ErrDoubleHop %v", err, errors.Is(err, ErrDoubleHop))
			}
			var tried []Method
			for _, a := range de.Tried {
				tried = append(tried, a.Method)
			}
			if !slices.Equal(tried, tc.tried) {
				t.Errorf("tried %v, want %v", tried, tc.tried)
			}
			if !strings.Contains(de.Cause, tc.cause) || !strings.Contains(de.Remedy, tc.remedy) {
				t.Errorf("cause  %q, want %q in it\nremedy %q, want %q in it", de.Cause, tc.cause, de.Remedy, tc.remedy)
			}
			if q, _ := de.SOAPFault(); q != (xml.Name{Space: Namespace, Local: tc.fault}) {
				t.Errorf("subcode %v, want %s", q, tc.fault)
			}
		})
	}
}

// Threat 22. The name that logged in must mean the same account to the KDC.
func TestAttackTransitionToAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	id := *w.ntlmLogin("alice")
	id.SID = "S-1-5-21-9-9-9-1104" // alice of another domain that calls itself CORP
	_, _, err := d.Delegate(t.Context(), &id, target(backSPN))
	if !errors.Is(err, errOtherAccount) {
		t.Errorf("%v, want %v", err, errOtherAccount)
	}

	// A rule of the operator decides instead, where there is no SID.
	d = w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	d.Principal = func(id *authn.Identity) (string, error) {
		account, ok := map[string]string{"alice@idp.example": "bob", "bob@idp.example": "alice"}[id.Account]
		if !ok {
			return "", errors.New("test: no account")
		}
		return account, nil
	}
	for user, want := range map[string]string{"alice@idp.example": "bob", "bob@idp.example": "alice"} {
		c, m, err := d.Delegate(t.Context(), &authn.Identity{Account: user, Mechanism: "OIDC"}, target(backSPN))
		if err != nil || m != Transition {
			t.Fatal(m, err)
		}
		if seen := w.seenBy("back", backSPN, c); seen.Account != want {
			t.Errorf("for %s the back end sees %v, want %s", user, seen, want)
		}
	}
}

// Threat 22. Tickets of one caller are never another's, whatever the callers
// share, and of many at once each gets its own.
func TestAttackMixedCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	ids := []*authn.Identity{w.ntlmLogin("alice"), w.ntlmLogin("bob"),
		w.kerberosLogin("alice", "front", frontSPN, false), w.kerberosLogin("bob", "front", frontSPN, false)}
	var wg sync.WaitGroup
	got := make([]map[authclient.Credential]bool, len(ids))
	var mu sync.Mutex
	for i := range ids {
		got[i] = map[authclient.Credential]bool{}
		for range 8 {
			wg.Go(func() {
				c, _, err := d.Delegate(t.Context(), ids[i], target(backSPN))
				if err != nil {
					t.Error(err)
					return
				}
				if ticket := c.(*authclient.Ticket).Ticket; ticket.Client() != ids[i].Account+"@CORP.TEST" {
					t.Errorf("%v got the %v", ids[i], ticket)
				}
				mu.Lock()
				defer mu.Unlock()
				got[i][c] = true
			})
		}
	}
	wg.Wait()
	keys := map[string]bool{}
	for i, cs := range got {
		if len(cs) != 1 {
			t.Errorf("caller %d got %d credentials in 8 calls at once, want one", i, len(cs))
		}
		for c := range cs {
			keys[c.Key()] = true
		}
	}
	if len(keys) != len(ids) {
		t.Errorf("%d connection keys for %d logins", len(keys), len(ids))
	}
}

func TestServiceAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours := authclient.Credential(&authclient.Kerberos{Client: w.client("front")})
	for _, tc := range []struct {
		name string
		id   *authn.Identity
	}{
		{"double hop", w.ntlmLogin("alice")},
		{"anonymous", nil},
		{"protected", w.ntlmLogin("pru")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			var log bytes.Buffer
			d := w.delegator("front", Upstream{SPN: backSPN, Service: ours})
			d.Logger = slog.New(slog.NewJSONHandler(&log, nil))
			c, m, err := d.Delegate(t.Context(), tc.id, target(backSPN))
			if err != nil || m != AsService || c != ours {
				t.Fatal(c, m, err)
			}
			if seen := w.seenBy("back", backSPN, c); seen.Account != "front" {
				t.Errorf("the back end sees %v", seen)
			}
			if s := log.String(); strings.Count(s, "acting as service account") != 1 || !strings.Contains(s, backSPN) || !strings.Contains(s, `"cause"`) {
				t.Errorf("log: %s", s)
			}
		})
	}
	t.Run("caller who can be passed on", func(t *testing.T) {
		d := w.delegator("front", Upstream{SPN: backSPN, Service: ours})
		_, m, err := d.Delegate(t.Context(), w.kerberosLogin("alice", "front", frontSPN, false), target(backSPN))
		if err != nil || m != Constrained {
			t.Error(m, err)
		}
	})
}

// An outage must not change in whose name a request is made.
func TestAttackServiceAccountByOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.kerberosLogin("alice", "front", frontSPN, false)
	d := w.delegator("front", Upstream{SPN: backSPN, Service: &authclient.Kerberos{Client: w.client("front")}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, m, err := d.Delegate(t.Context(), id, target(backSPN))
	if c != nil || m != "" || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("credential %v, method %q, error %v, want ErrUnavailable", c, m, err)
	}
	var de *Error
	if !errors.As(err, &de) {
		t.Fatal(err)
	}
	if q, _ := de.SOAPFault(); q.Local != "Unavailable" {
		t.Errorf("subcode %v", q)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, _, err := w.delegator("front", d.Upstreams...).Delegate(ctx, id, target(backSPN)); c != nil || err == nil {
		t.Errorf("caller gone: credential %v, error %v", c, err)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front",
		Upstream{SPN: backSPN},
		Upstream{SPN: otherSPN, ProtocolTransition: true, Service: &authclient.Kerberos{}})
	noClient := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	noClient.Client = nil
	noClient.Kerberos = kerberos.Config{}
	for _, tc := range []struct {
		d              *Delegator
		mechanism, spn string
		want           []Method
	}{
		{d, authn.MechanismKerberos, backSPN, []Method{Constrained, Forwarded}},
		{d, authn.MechanismNTLM, backSPN, nil},
		{d, "Basic", backSPN, []Method{Password}},
		{d, authn.MechanismNTLM, otherSPN, []Method{Transition, AsService}},
		{d, authn.MechanismKerberos, otherSPN, []Method{Constrained, Forwarded, Transition, AsService}},
		{d, authn.MechanismKerberos, "HTTP/unknown", nil},
		{noClient, authn.MechanismNTLM, backSPN, nil},
		{noClient, authn.MechanismKerberos, backSPN, nil},
		{noClient, "Basic", backSPN, nil},
	} {
		if got := tc.d.Plan(tc.mechanism, tc.spn); !slices.Equal(got, tc.want) {
			t.Errorf("Plan(%s, %s) = %v, want %v", tc.mechanism, tc.spn, got, tc.want)
		}
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := Source(w.delegator("front", Upstream{SPN: backSPN}))
	id := w.kerberosLogin("alice", "front", frontSPN, false)
	c, err := s.Credential(authn.NewContext(t.Context(), id), target(backSPN))
	if err != nil {
		t.Fatal(err)
	}
	if seen := w.seenBy("back", backSPN, c); seen.SID != id.SID {
		t.Errorf("the back end sees %v", seen)
	}
	if c, err = s.Credential(t.Context(), target(backSPN)); c != nil || !errors.Is(err, ErrNoEvidence) {
		t.Errorf("no caller: %v, %v", c, err)
	}
}

func TestErrorForClients(t *testing.T) {
	t.Parallel()
	e := (&Error{
		Identity: &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM},
		Target:   target(backSPN),
		Tried:    []Attempt{{Transition, errors.New("kdc said INTERNALDETAIL")}},
	}).because(ErrDoubleHop, "cause INTERNALDETAIL", "run INTERNALDETAIL")

	f := soap.AsFault(fmt.Errorf("call: %w", e))
	if len(f.Subcodes) != 1 || f.Subcodes[0] != (xml.Name{Space: Namespace, Local: "DoubleHop"}) || f.Ref == "" || f.Internal() {
		t.Errorf("fault %+v", f)
	}
	r := httptest.NewRecorder()
	e.Problem("ref-1").ServeHTTP(r, nil)
	var p Problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	want := Problem{Type: "urn:soapward:delegation:DoubleHop", Title: p.Title, Status: 502, Ref: "ref-1"}
	if r.Code != 502 || r.Header().Get("Content-Type") != "application/problem+json" || p != want || p.Title == "" {
		t.Errorf("%d %v %+v", r.Code, r.Header(), p)
	}
	for _, s := range []string{f.Reason, r.Body.String()} {
		if strings.Contains(s, "INTERNALDETAIL") || strings.Contains(s, "alice") || strings.Contains(s, "back.corp") {
			t.Errorf("a client sees %q", s)
		}
	}

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "err", e)
	for _, s := range []string{`CORP\alice`, "err.mech=NTLM", "err.upstream=" + backSPN, "s4u2self+s4u2proxy: kdc said", "err.cause=", "err.remedy="} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log does not tell %q: %s", s, log.String())
		}
	}
	if s := e.Error(); !strings.HasPrefix(s, `delegation: act for CORP\alice (NTLM) at HTTP/back.corp.test: `) {
		t.Errorf("text %q", s)
	}
}

func TestDomainPrincipal(t *testing.T) {
	t.Parallel()
	domains := map[string]string{"CORP": "CORP.TEST"}
	const sid = "S-1-5-21-1-2-3-1104"
	for _, tc := range []struct {
		name string
		id   authn.Identity
		want string // "" means refused
	}{
		{"mapped", authn.Identity{Account: "alice", Domain: "corp", SID: sid, UPN: "a@x.test"}, "alice@CORP.TEST"},
		{"DNS domain", authn.Identity{Account: "alice", Domain: "sub.corp.test", SID: sid}, "alice@SUB.CORP.TEST"},
		{"UPN", authn.Identity{Account: "alice", Domain: "OTHER", SID: sid, UPN: "a@x.test"}, "a@x.test"},
		{"not mapped", authn.Identity{Account: "alice", Domain: "OTHER", SID: sid}, ""},
		{"no SID", authn.Identity{Account: "alice", Domain: "CORP", UPN: "a@x.test"}, ""},
		{"well-known SID", authn.Identity{Account: "SYSTEM", Domain: "CORP", SID: "S-1-5-18"}, ""},
	} {
		got, err := DomainPrincipal(&tc.id, domains)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestExpiredEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.kerberosLogin("alice", "front", frontSPN, true)
	d := w.delegator("front", Upstream{SPN: backSPN})
	d.testOnlyNow = func() time.Time { return id.Expires.Add(time.Second) }
	_, _, err := d.Delegate(t.Context(), id, target(backSPN))
	var de *Error
	if !errors.Is(err, ErrNoEvidence) || !errors.As(err, &de) || !strings.Contains(de.Remedy, "log in again") {
		t.Errorf("%v", err)
	}
}
