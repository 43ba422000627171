// Package ntlmtest checks implementations of ntlm.Verifier. A verifier's own
// test describes users that exist and calls Run.
package ntlmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// Login is a login that must succeed.
type Login struct {
	Name     string // as a client writes it: DOMAIN\user, user@domain, user
	Password string

	// Want is who that is. Only the fields that are set are compared, and of
	// groups that the wanted ones are among those found.
	Want authn.Identity
}

// Refusal is a login that must be refused.
type Refusal struct {
	Name     string
	Password string
	Reason   authn.Reason
}

// Config describes a verifier and the users it knows.
type Config struct {
	Verifier ntlm.Verifier

	// Names are what the challenge says. A domain controller wants to find the
	// name of the computer account that asks.
	Names ntlm.Names

	// Logins are at least two users, with all the spellings of their names that
	// are to work.
	Logins []Login

	// Refusals are at least a wrong password and an unknown user.
	Refusals []Refusal
}

// Run checks the verifier.
func Run(t *testing.T, c Config) {
	if len(c.Logins) < 2 || len(c.Refusals) < 2 {
		t.Fatal("ntlmtest: too few logins or refusals")
	}
	for _, l := range c.Logins {
		t.Run("accepts "+l.Name, func(t *testing.T) { c.accepts(t, l) })
	}
	for _, r := range c.Refusals {
		t.Run(fmt.Sprintf("refuses %s as %s", r.Name, r.Reason), func(t *testing.T) { c.refuses(t, r) })
	}
	t.Run("refuses altered answers", c.refusesAltered)
	t.Run("refuses what is no answer", c.refusesGarbage)
	t.Run("keeps users apart", c.keepsApart)
}

// exchange logs in and returns both ends.
func (c *Config) exchange(ctx context.Context, v ntlm.Verifier, name, password string) (*authn.Identity, authn.MessageSigner, authn.MessageSigner, error) {
	cred, err := ntlm.NewCredential(name, authn.NewSecret(password))
	if err != nil {
		return nil, nil, nil, err
	}
	m := &ntlm.Mechanism{Verifier: v, Names: c.Names, RequireMIC: true}
	a, i := m.NewAcceptor(authn.Exchange{Peer: "127.0.0.1:1"}), &ntlm.Initiator{Credential: cred}
	var id *authn.Identity
	var fromClient, fromServer []byte
	for range 2 {
		if fromClient, _, err = i.Step(ctx, fromServer); err != nil {
			return nil, nil, nil, fmt.Errorf("client: %w", err)
		}
		if fromServer, id, err = a.Step(ctx, fromClient); err != nil {
			return nil, nil, nil, err
		}
	}
	return id, a.(authn.MessageSigner), i, nil
}

func (c *Config) accepts(t *testing.T, l Login) {
	v := &watching{Verifier: c.Verifier}
	// The MIC is required, so that the exchange fails unless the session base
	// key is right.
	id, server, client, err := c.exchange(t.Context(), v, l.Name, l.Password)
	if err != nil {
		t.Fatal(err)
	}
	checkIdentity(t, id, &l.Want)
	if id.Evidence != nil {
		t.Errorf("evidence %v after NTLM", id.Evidence.EvidenceKind())
	}
	if v.changed {
		t.Error("the verifier changed the attempt")
	}
	mic, err := client.GetMIC([]byte("message"))
	if err == nil {
		err = server.VerifyMIC([]byte("message"), mic)
	}
	if err != nil {
		t.Errorf("the two ends have different keys: %v", err)
	}
}

func checkIdentity(t *testing.T, got, want *authn.Identity) {
	t.Helper()
	for _, f := range []struct{ name, got, want string }{
		{"account", got.Account, want.Account},
		{"domain", got.Domain, want.Domain},
		{"UPN", got.UPN, want.UPN},
		{"display name", got.DisplayName, want.DisplayName},
		{"SID", string(got.SID), string(want.SID)},
	} {
		if f.want != "" && f.got != f.want {
			t.Errorf("%s %q, want %q", f.name, f.got, f.want)
		}
	}
	for _, g := range want.Groups {
		if !slices.Contains(got.Groups, g) {
			t.Errorf("group %v is missing in %v", g, got.Groups)
		}
	}
}

func (c *Config) refuses(t *testing.T, r Refusal) {
	id, _, _, err := c.exchange(t.Context(), c.Verifier, r.Name, r.Password)
	var re *authn.RefusedError
	if id != nil || !errors.As(err, &re) || !errors.Is(err, authn.ErrBadCredentials) {
		t.Fatalf("identity %v, err %v; want a *authn.RefusedError", id, err)
	}
	if re.Reason != r.Reason {
		t.Errorf("reason %q, want %q", re.Reason, r.Reason)
	}
	if strings.Contains(re.Error(), r.Password) {
		t.Errorf("the error shows the password: %v", re)
	}
}

// attempt returns a correct answer of the first user.
func (c *Config) attempt(t *testing.T) *ntlm.Attempt {
	t.Helper()
	var got *ntlm.Attempt
	stop := errors.New("stop")
	_, _, _, err := c.exchange(t.Context(), verifierFunc(func(a *ntlm.Attempt) error {
		got = clone(a)
		return stop
	}), c.Logins[0].Name, c.Logins[0].Password)
	if !errors.Is(err, stop) {
		t.Fatalf("exchange: %v", err)
	}
	return got
}

func (c *Config) refusesAltered(t *testing.T) {
	for _, alter := range []struct {
		name string
		f    func(*ntlm.Attempt)
	}{
		{"challenge", func(a *ntlm.Attempt) { a.ServerChallenge[7] ^= 1 }},
		{"proof", func(a *ntlm.Attempt) { a.Response[0] ^= 1 }},
		{"last byte", func(a *ntlm.Attempt) { a.Response[len(a.Response)-1] ^= 1 }},
		{"domain", func(a *ntlm.Attempt) { a.Domain += "x" }},
		{"user", func(a *ntlm.Attempt) { a.User += "x" }},
	} {
		t.Run(alter.name, func(t *testing.T) {
			a := c.attempt(t)
			alter.f(a)
			c.mustRefuse(t, a)
		})
	}
}

func (c *Config) refusesGarbage(t *testing.T) {
	for _, n := range []int{0, 1, 16, 24, 43, 44} {
		t.Run(fmt.Sprintf("%d bytes", n), func(t *testing.T) {
			a := c.attempt(t)
			a.Response = make([]byte, n)
			c.mustRefuse(t, a)
		})
	}
}

func (c *Config) mustRefuse(t *testing.T, a *ntlm.Attempt) {
	t.Helper()
	id, key, err := c.Verifier.VerifyNTLM(t.Context(), a)
	if id != nil || key != (ntlm.SessionBaseKey{}) || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("identity %v, key given %v, err %v; want a refusal", id, key != ntlm.SessionBaseKey{}, err)
	}
}

// keepsApart logs different users in at the same time.
func (c *Config) keepsApart(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			l := c.Logins[n%len(c.Logins)]
			id, _, _, err := c.exchange(t.Context(), c.Verifier, l.Name, l.Password)
			if err != nil {
				t.Errorf("%s: %v", l.Name, err)
				return
			}
			if l.Want.Account != "" && id.Account != l.Want.Account {
				t.Errorf("%s: logged in as %v, want %v", l.Name, id, l.Want.Account)
			}
		})
	}
	wg.Wait()
}

// watching notices whether the attempt is changed.
type watching struct {
	ntlm.Verifier
	changed bool
}

func (v *watching) VerifyNTLM(ctx context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	before := clone(a)
	id, key, err := v.Verifier.VerifyNTLM(ctx, a)
	v.changed = before.User != a.User || before.Domain != a.Domain ||
		before.ServerChallenge != a.ServerChallenge || !bytes.Equal(before.Response, a.Response)
	return id, key, err
}

func clone(a *ntlm.Attempt) *ntlm.Attempt {
	c := *a
	c.Response = bytes.Clone(a.Response)
	return &c
}

type verifierFunc func(*ntlm.Attempt) error

func (f verifierFunc) VerifyNTLM(_ context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	return nil, ntlm.SessionBaseKey{}, f(a)
}
