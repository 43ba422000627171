package delegation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/internal/kdc"
)

// giveTarget lists spn for account.
func (w *world) giveTarget(account, spn string) error {
	return w.Update(account, func(a *kdc.Account) { a.DelegateTo = append(slices.Clone(a.DelegateTo), spn) })
}

// passwordLogin is what a login by Basic leaves.
func (w *world) passwordLogin(user string) *authn.Identity {
	id := w.ntlmLogin(user)
	id.Mechanism = "Basic"
	id.Evidence = &password.Secret{User: user, Password: authn.NewSecret("pw-" + user)}
	return id
}

// Which methods an upstream allows decides, in the order of the design.
func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket, forwarded, pw := w.kerberosLogin("alice", "front", frontSPN, false), w.kerberosLogin("alice", "front", frontSPN, true), w.passwordLogin("alice")
	for _, tc := range []struct {
		name    string
		id      *authn.Identity
		methods []Method
		want    Method // empty: ReasonMethod
	}{
		{"all", pw, nil, Password},
		{"password not listed, transition is", pw, []Method{Constrained, Transition}, Transition},
		{"neither", pw, []Method{Constrained}, ""},
		{"all, ticket", ticket, nil, Constrained},
		{"ticket, transition only", ticket, []Method{Transition}, Transition},
		{"forwarded", forwarded, []Method{Transition, Forwarded}, Forwarded},
		{"forwarded comes second", forwarded, []Method{Forwarded, Constrained}, Constrained},
		{"none", ticket, []Method{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true, Methods: tc.methods})
			c, m, err := d.Delegate(t.Context(), tc.id, target(backSPN))
			var de *Error
			if tc.want == "" {
				if !errors.As(err, &de) || de.Reason != ReasonMethod || len(de.Tried) != 0 {
					t.Errorf("%s, %v", m, err)
				}
				return
			}
			if err != nil || m != tc.want {
				t.Fatal(m, err)
			}
			if seen := w.seenBy("back", backSPN, c); seen.SID != tc.id.SID {
				t.Errorf("the back end sees %v", seen)
			}
		})
	}
}

// The account of the back end lists ours: neither TrustedToAuthForDelegation
// nor msDS-AllowedToDelegateTo is needed.
func TestResourceBased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("plain", Upstream{SPN: otherSPN, ProtocolTransition: true})
	ids := map[Method]*authn.Identity{Constrained: w.kerberosLogin("alice", "plain", plainSPN, false), Transition: w.ntlmLogin("alice")}
	for m, id := range ids {
		if _, _, err := d.Delegate(t.Context(), id, target(otherSPN)); err == nil {
			t.Errorf("%s: passed on before the back end allows it", m)
		}
	}
	if err := w.Update("other", func(a *kdc.Account) { a.ActFor = []string{"plain"} }); err != nil {
		t.Fatal(err)
	}
	d = w.delegator("plain", d.Upstreams...)
	for m, id := range ids {
		c, got, err := d.Delegate(t.Context(), id, target(otherSPN))
		if err != nil || got != m {
			t.Fatal(got, err)
		}
		if seen := w.seenBy("other", otherSPN, c); seen.SID != id.SID {
			t.Errorf("%s: the back end sees %v", m, seen)
		}
	}
	// Sensitive users are not passed on that way either.
	_, _, err := d.Delegate(t.Context(), w.ntlmLogin("sam"), target(otherSPN))
	var de *Error
	if !errors.As(err, &de) || de.Reason != ReasonSensitive {
		t.Errorf("sensitive: %v", err)
	}
}

// Threat 22. A UPN that somebody says who is not trusted with it names nobody.
func TestAttackUPNOfAnotherMechanism(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	d.AllowUPN = map[string][]string{"OIDC": {"corp.test"}}
	if err := w.Add(kdc.Account{Name: "trent", Password: "pw-trent", UPN: "trent@evil.test"}); err != nil {
		t.Fatal(err)
	}
	oidc := authn.Identity{Account: "subject-4711", UPN: "alice@CORP.test", Mechanism: "OIDC"}
	c, m, err := d.Delegate(t.Context(), &oidc, target(backSPN))
	if err != nil || m != Transition {
		t.Fatal(m, err)
	}
	if seen := w.seenBy("back", backSPN, c); seen.Account != "alice" {
		t.Errorf("the back end sees %v", seen)
	}
	// Not alice@corp.test@CORP.TEST.
	if client := c.(*authclient.Ticket).Ticket.Client(); client != "alice@CORP.TEST" {
		t.Errorf("the ticket is in the name of %s", client)
	}
	for name, change := range map[string]func(*authn.Identity){
		"mechanism":  func(id *authn.Identity) { id.Mechanism = "hook" },
		"suffix":     func(id *authn.Identity) { id.UPN = "trent@evil.test" }, // whom the KDC knows
		"no suffix":  func(id *authn.Identity) { id.UPN = "alice" },
		"two":        func(id *authn.Identity) { id.UPN = "alice@corp.test@evil.test" },
		"no UPN":     func(id *authn.Identity) { id.UPN = "" },
		"NetBIOS":    func(id *authn.Identity) { id.UPN = `CORP\alice@corp.test` },
		"no account": func(id *authn.Identity) { id.UPN = "@corp.test" },
		"other SID":  func(id *authn.Identity) { id.SID = "S-1-5-21-9-9-9-1104" },
		"local SID":  func(id *authn.Identity) { id.SID = "S-1-5-18" },
	} {
		id := oidc
		change(&id)
		if c, m, err := d.Delegate(t.Context(), &id, target(backSPN)); c != nil || err == nil {
			t.Errorf("%s: passed on by %s", name, m)
		}
	}
}

// Threat 22. What a login left ends with it: neither is a kept ticket used
// after it, nor our word taken for it.
func TestAttackTransitionAfterLoginEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	var ahead time.Duration
	d.testOnlyNow = func() time.Time { return time.Now().Add(ahead) }
	oidc := *w.ntlmLogin("alice")
	oidc.Mechanism, oidc.Expires = "OIDC", time.Now().Add(5*time.Minute)
	for name, id := range map[string]*authn.Identity{"ticket": w.kerberosLogin("alice", "front", frontSPN, false), "session": &oidc} {
		ahead = 0
		if _, _, err := d.Delegate(t.Context(), id, target(backSPN)); err != nil {
			t.Fatal(err)
		}
		ahead = time.Until(id.Expires) + time.Second
		c, m, err := d.Delegate(t.Context(), id, target(backSPN))
		var de *Error
		if c != nil || !errors.As(err, &de) || de.Reason != ReasonLoginExpired || len(de.Tried) != 0 {
			t.Errorf("%s: %s, %v", name, m, err)
		}
	}
}

// Each decision is told once, whatever it is.
func TestObserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN}, Upstream{SPN: otherSPN, Service: &authclient.Kerberos{Client: w.client("front")}})
	var mu sync.Mutex
	var got []Decision
	d.Observe = func(_ context.Context, dec Decision) { mu.Lock(); defer mu.Unlock(); got = append(got, dec) }
	ticket, ntlm := w.kerberosLogin("alice", "front", frontSPN, false), w.ntlmLogin("alice")
	for _, tc := range []struct {
		id     *authn.Identity
		spn    string
		method Method
		reason Reason
	}{
		{ticket, backSPN, Constrained, ""},
		{ntlm, backSPN, "", ReasonDoubleHop},
		{ntlm, otherSPN, AsService, ReasonDoubleHop},
		{nil, backSPN, "", ReasonNoEvidence},
		{ntlm, "HTTP/unknown", "", ReasonNotListed},
	} {
		got = nil
		_, m, err := d.Delegate(t.Context(), tc.id, target(tc.spn))
		if len(got) != 1 {
			t.Fatalf("%d decisions", len(got))
		}
		dec := got[0]
		if dec.Identity != tc.id || dec.Target.SPN != tc.spn || dec.Method != tc.method || dec.Method != m || dec.Reason != tc.reason || dec.Took <= 0 {
			t.Errorf("%+v, want method %q and reason %q", dec, tc.method, tc.reason)
		}
		if (dec.Err == nil) != (tc.reason == "") || dec.Err != nil && dec.Err.Reason != tc.reason || err != nil && err != error(dec.Err) {
			t.Errorf("error %v, returned %v", dec.Err, err)
		}
	}
}

// Threat 22. Nothing that is printed, logged or encoded has a ticket or a
// password in it.
func TestAttackPrintedDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true, Service: &authclient.Kerberos{Client: w.client("front")}})
	var decisions []Decision
	d.Observe = func(_ context.Context, dec Decision) { decisions = append(decisions, dec) }
	pw := w.passwordLogin("bob")
	values := []any{d, pw, pw.Evidence}
	var tokens [][]byte
	for _, id := range []*authn.Identity{w.kerberosLogin("alice", "front", frontSPN, true), w.ntlmLogin("alice"), pw, w.ntlmLogin("sam")} {
		c, _, err := d.Delegate(t.Context(), id, target(backSPN))
		values = append(values, c, err, id)
		if ticket, ok := c.(*authclient.Ticket); ok {
			values = append(values, ticket.Ticket, *ticket.Ticket)
			in, err := c.NewInitiator(authclient.SchemeNegotiate, target(backSPN), nil)
			if err != nil {
				t.Fatal(err)
			}
			token, _, err := in.Step(t.Context(), nil) // has the ticket in it
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		if ev, ok := id.Evidence.(*kerberos.Evidence); ok {
			values = append(values, ev, *ev)
		}
	}
	for _, dec := range decisions {
		values = append(values, dec)
	}
	if len(decisions) != 4 {
		t.Fatalf("%d decisions", len(decisions))
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range values {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		log.Info("x", "v", v)
		text.Info("x", "v", v)
	}
	for _, secret := range []string{"pw-bob", fmt.Sprintf("%x", "pw-bob"), fmt.Sprint([]byte("pw-bob"))} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the password is printed: %.300s", out.String()[strings.Index(out.String(), secret):])
		}
	}
	for _, token := range tokens {
		for i := 0; i+16 <= len(token); i += 8 {
			part := token[i : i+16]
			for _, form := range []string{string(part), fmt.Sprintf("%x", part), strings.Trim(fmt.Sprint(part), "[]"), base64.StdEncoding.EncodeToString(part[:15])} {
				if strings.Contains(out.String(), form) {
					t.Fatalf("bytes %d to %d of a token are printed", i, i+16)
				}
			}
		}
	}
	if len(tokens) != 3 || out.Len() < 1000 {
		t.Errorf("%d tokens, %d bytes printed", len(tokens), out.Len())
	}
}
