package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/e2e/gateway/rig"
)

// kind sends requests of one kind of login, as one user.
type kind struct {
	name string
	send func(context.Context) (*rig.Answer, error)
	want string // user; with fault, a word of the refusal

	// fault says that the refusal is the right answer: who cannot be passed on.
	fault bool
}

// judge says what an answer is.
func (k *kind) judge(a *rig.Answer, err error) verdict {
	switch {
	case err != nil || a == nil:
		return neither
	case a.Status == http.StatusOK && (k.fault || a.User() != k.want):
		return wrong
	case a.Status == http.StatusOK:
		return right
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusBadGateway, a.Status == http.StatusTooManyRequests:
		return refused
	}
	return neither
}

// kinds are all logins, inbound, and outbound in each name.
func (s *soak) kinds(t *testing.T) []*kind {
	t.Helper()
	dc, port := s.world.DC, s.port
	client := func(o ...rig.Option) *rig.Client { return rig.NewClient(t, dc, port, o...) }
	kerberos := func(user string) rig.Option {
		k, err := rig.KerberosOf(t, dc, user)
		if err != nil {
			t.Fatal(err)
		}
		return rig.As(k)
	}
	get := func(c *rig.Client, path string) func(context.Context) (*rig.Answer, error) {
		return func(ctx context.Context) (*rig.Answer, error) { return c.Get(ctx, path) }
	}
	session := client(rig.KeepCookies)
	formed := func(ctx context.Context) (*rig.Answer, error) {
		a, err := session.Get(ctx, rig.Form)
		if err != nil || a.Status != http.StatusUnauthorized {
			return a, err
		}
		if a, err = session.LogIn(ctx, rig.Form, "carol", rig.Password); err != nil || a.Status != http.StatusSeeOther {
			return a, err
		}
		return session.Get(ctx, rig.Form)
	}
	windows := client(rig.KeepCookies, kerberos("alice"))
	all := []*kind{
		{name: "none", send: get(client(rig.Fresh), rig.Open)},
		{name: "Kerberos, alice", send: get(client(kerberos("alice")), rig.Kerberos), want: `CORP\alice`},
		{name: "Kerberos, bob, new connections", send: get(client(kerberos("bob"), rig.Fresh), rig.Kerberos), want: `CORP\bob`},
		{name: "Kerberos and session", send: get(windows, rig.Session), want: `CORP\alice`},
		{name: "NTLM, domain", send: get(client(rig.As(rig.NTLMOf(t, `CORP\bob`))), rig.NTLM), want: `CORP\bob`},
		{name: "NTLM, domain, new connections", send: get(client(rig.As(rig.NTLMOf(t, `CORP\alice`)), rig.Fresh), rig.NTLM), want: `CORP\alice`},
		{name: "NTLM, internal, new connections", send: get(client(rig.As(rig.NTLMOf(t, "dora")), rig.Fresh), rig.Internal), want: "dora"},
		{name: "Basic, internal", send: get(client(rig.As(rig.BasicOf(t, "emil"))), rig.Basic), want: "emil"},
		{name: "Basic, domain", send: get(client(rig.As(rig.BasicOf(t, `CORP\alice`))), rig.Domain), want: `CORP\alice`},
		{name: "form", send: formed, want: "carol"},
		{name: "form, login and logout", send: s.inAndOut(t, "fred"), want: "fred"},
		{name: "custom, key", send: get(client(rig.Header("X-Api-Key", s.world.Key.Reveal())), rig.Custom), want: "batch"},
		{name: "out as service", send: s.out("service", nil), want: "svc-web@CORP.TEST"},
		{name: "out as fixed user", send: s.out("fixed", nil), want: "bob@CORP.TEST"},
		{name: "out as caller, alice", send: s.out("caller", get(client(kerberos("alice"), rig.Fresh), rig.Kerberos)), want: "alice@CORP.TEST"},
		{name: "out as caller, bob", send: s.out("caller", get(client(kerberos("bob")), rig.Kerberos)), want: "bob@CORP.TEST"},
		{name: "out as caller after NTLM (double hop)", send: s.out("caller", get(client(rig.As(rig.NTLMOf(t, `CORP\bob`))), rig.NTLM)), fault: true},
	}
	return all
}

// inAndOut logs somebody in by the form, asks, and logs him out, after which his
// session is none.
func (s *soak) inAndOut(t *testing.T, user string) func(context.Context) (*rig.Answer, error) {
	return func(ctx context.Context) (*rig.Answer, error) {
		c := rig.NewClient(t, s.world.DC, s.port, rig.KeepCookies, rig.Fresh)
		a, err := c.LogIn(ctx, rig.Form, user, rig.Password)
		if err != nil || a.Status != http.StatusSeeOther {
			return a, err
		}
		if a, err = c.Get(ctx, rig.Form); err != nil || a.Status != http.StatusOK {
			return a, err
		}
		if out, err := c.LogOut(ctx); err != nil || out.Status >= 500 {
			return out, err
		}
		after, err := c.Get(ctx, rig.Form)
		if err != nil || after.Status >= 500 {
			return after, err
		}
		if after.Status != http.StatusUnauthorized {
			return nil, fmt.Errorf("after the logout: status %d as %q, reference %s", after.Status, after.User(), after.Ref())
		}
		return a, nil
	}
}

// out calls the protected server through an upstream, as the caller whose request
// in gives a token, as a program behind the gateway does.
func (s *soak) out(upstream string, in func(context.Context) (*rig.Answer, error)) func(context.Context) (*rig.Answer, error) {
	return func(ctx context.Context) (*rig.Answer, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+rig.Addr(s.upstreams[upstream])+"/x", strings.NewReader("<a/>"))
		if err != nil {
			return nil, err
		}
		if in != nil {
			a, err := in(ctx)
			if err != nil || a.Status != http.StatusOK {
				return a, err
			}
			if a.Token() == "" {
				return nil, errors.New("the server behind got no token")
			}
			req.Header.Set("X-Identity", a.Token())
		}
		res, err := s.plain.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		return &rig.Answer{Status: res.StatusCode, Body: string(b), Header: res.Header}, nil
	}
}

// start sends requests of all kinds, until stop, which waits for the last.
func (s *soak) start(ctx context.Context, kinds []*kind) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, k := range kinds {
		wg.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				a, err := k.send(context.WithoutCancel(ctx)) // it has an end of its own
				s.ledger.record(k.name, began, a, k.judge(a, err), err)
				select {
				case <-time.After(s.pause/2 + rand.N(s.pause)):
				case <-ctx.Done():
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}
