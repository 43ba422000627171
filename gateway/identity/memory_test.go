package identity

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// ticketEvidence stands for what a Kerberos login leaves.
type ticketEvidence struct {
	client  string
	expires time.Time
}

func (*ticketEvidence) EvidenceKind() string  { return "ticket" }
func (e *ticketEvidence) Client() string      { return e.client }
func (e *ticketEvidence) Expires() time.Time  { return e.expires }
func (*ticketEvidence) Forwardable() bool     { return true }
func (*ticketEvidence) HasForwardedTGT() bool { return false }

// passwordEvidence stands for what a login by password leaves.
type passwordEvidence struct{ password string }

func (*passwordEvidence) EvidenceKind() string { return "password" }

// A caller gets the same token as long as it is good for a while, and never
// another caller's.
func TestTokenReused(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	end := c.now().Add(time.Hour)
	with := func(change func(*authn.Identity)) *authn.Identity {
		id := alice(c.now())
		id.Evidence = &ticketEvidence{"alice@CORP.TEST", end}
		change(id)
		return id
	}
	first := with(func(*authn.Identity) {})
	text := token(t, i, first, "hr")
	for _, tt := range []struct {
		name string
		id   *authn.Identity
		same bool
	}{
		{"the same", first, true},
		{"the same ticket once more", with(func(id *authn.Identity) { id.AuthTime = id.AuthTime.Add(time.Second) }), true},
		{"another ticket", with(func(id *authn.Identity) { id.Evidence = &ticketEvidence{"alice@CORP.TEST", end.Add(1)} }), false},
		{"another principal", with(func(id *authn.Identity) { id.Evidence = &ticketEvidence{"bob@CORP.TEST", end} }), false},
		{"no evidence", with(func(id *authn.Identity) { id.Evidence = nil }), false},
		{"a password", with(func(id *authn.Identity) { id.Evidence = &passwordEvidence{"a"} }), false},
		{"another object with a password", with(func(id *authn.Identity) { id.Evidence = &passwordEvidence{"a"} }), false},
		{"another mechanism", with(func(id *authn.Identity) { id.Mechanism = authn.MechanismNTLM }), false},
		{"a role less", with(func(id *authn.Identity) { id.Roles = nil }), false},
		{"a group less", with(func(id *authn.Identity) { id.Groups = id.Groups[1:] }), false},
		{"another name", with(func(id *authn.Identity) { id.DisplayName = "A." }), false},
		{"another UPN", with(func(id *authn.Identity) { id.UPN = "a@corp.test" }), false},
		{"an end", with(func(id *authn.Identity) { id.Expires = end }), false},
		{"another account", with(func(id *authn.Identity) { id.Account = "bob" }), false},
	} {
		got := token(t, i, tt.id, "hr")
		if (got == text) != tt.same {
			t.Errorf("%s: the same token: %v, want %v", tt.name, got == text, tt.same)
		}
		if id, err := i.Identity(t.Context(), got); err != nil || !tt.same && id != tt.id {
			t.Errorf("%s: %v, %v, want the caller it was made for", tt.name, id, err)
		}
		if tt.same {
			continue
		}
		text = token(t, i, first, "hr") // may be another one by now
	}
	c.add(149 * time.Second)
	if token(t, i, first, "hr") != text {
		t.Error("another token with more than half of the lifetime left")
	}
	c.add(2 * time.Second)
	if token(t, i, first, "hr") == text {
		t.Error("the same token with less than half of the lifetime left")
	}
}

// Somebody at two machines comes with two tickets in turn. Each has a token that is
// used again: one for all would be made, and remembered, with every request.
func TestTokenOfTwoTickets(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	var ids [2]*authn.Identity
	var first [2]string
	for n := range ids {
		ids[n] = alice(c.now())
		ids[n].Evidence = &ticketEvidence{"alice@CORP.TEST", c.now().Add(time.Duration(n+1) * time.Hour)}
		first[n] = token(t, i, ids[n], "hr")
	}
	for n, id := range ids {
		if token(t, i, id, "hr") != first[n] {
			t.Errorf("ticket %d has another token now", n+1)
		}
	}
}

// What a login left is found by the token until that expires, and no longer kept.
func TestEvidence(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	id := alice(c.now())
	id.Evidence = &ticketEvidence{"alice@CORP.TEST", c.now().Add(time.Hour)}
	text := token(t, i, id, "hr")
	got, err := i.Identity(t.Context(), text)
	if err != nil || got != id {
		t.Fatalf("%v, %v, want the identity itself", got, err)
	}
	i.known.mu.Lock()
	i.known.remove(i.known.queue[0]) // as if another process had made it
	i.known.mu.Unlock()
	got, err = i.Identity(t.Context(), text)
	if err != nil || got.Evidence != nil || got.SID != id.SID || got.Mechanism != id.Mechanism || got.Groups[0].Name != `CORP\Payroll` || got.Groups[1].SID == "" || !slices.Equal(got.Roles, id.Roles) {
		t.Errorf("%+v, %v, want what the claims say", got, err)
	}

	for n := range 3 {
		id := alice(c.now())
		id.Account = fmt.Sprint(n)
		token(t, i, id, "hr")
	}
	c.add(5 * time.Minute)
	token(t, i, id, "hr")
	if n := len(i.known.queue) + len(i.known.byToken) + len(i.known.byLogin); n != 3 {
		t.Errorf("%d entries, want one in each", n)
	}
}

func TestMemoryBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	i.known.max = 8
	var texts []string
	for n := range 20 {
		id := alice(c.now())
		id.Account, id.Evidence = fmt.Sprint(n), &passwordEvidence{}
		texts = append(texts, token(t, i, id, "hr"))
		c.add(time.Second)
	}
	if n := len(i.known.byToken); n != 8 || len(i.known.queue) != 8 || len(i.known.byLogin) != 8 {
		t.Errorf("%d are remembered, want 8", n)
	}
	for n, text := range texts {
		id, err := i.Identity(t.Context(), text)
		if err != nil || (id.Evidence != nil) != (n >= 12) || id.Account != fmt.Sprint(n) {
			t.Errorf("%d: %+v, %v, want the evidence of the last 8", n, id, err)
		}
	}
}
