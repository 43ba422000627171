package delegation

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

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
		{Name: "dora", Password: "pw-dora"},
		{Name: "sue", Password: "pw-sue"},
		{Name: "nora", Password: "pw-nora"},
		{Name: "limited", Password: "pw-limited", SPNs: []string{"HTTP/limited.corp.test"}, TrustedToAuth: true, DelegateTo: []string{backSPN}, Sensitive: true},
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

func TestServiceAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours := authclient.Credential(&authclient.Kerberos{Client: w.client("front")})
	elsewhere, noGroups := *w.ntlmLogin("alice"), *w.ntlmLogin("pru")
	elsewhere.Domain, noGroups.Groups = "ELSEWHERE", nil
	for _, tc := range []struct {
		name       string
		id         *authn.Identity
		transition bool
	}{
		{"double hop", w.ntlmLogin("alice"), false},
		{"anonymous", nil, false},
		{"protected", w.ntlmLogin("pru"), false},
		{"protected, as only the KDC's ticket tells", &noGroups, true},
		{"of a domain that is not mapped", &elsewhere, true},
		{"sensitive", w.kerberosLogin("sam", "front", frontSPN, false), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			var log bytes.Buffer
			d := w.delegator("front", Upstream{SPN: backSPN, Service: ours, ProtocolTransition: tc.transition})
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
