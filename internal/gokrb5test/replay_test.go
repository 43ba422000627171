package gokrb5test

import (
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/service"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/krb5"
)

// TestDefectReplayNotAtomic: of several requests with the same token that come
// at once, gokrb5 takes more than one. It looks for the token and remembers it
// in two steps, between which others look for it too. That happens most easily
// while its full cache is swept, because all wait for the end of that.
func TestDefectReplayNotAtomic(t *testing.T) {
	t.Parallel()
	if !runInChild(t) { // whose one replay cache is filled
		return
	}
	r := startRealm(t)
	c := r.ticketFor(t, appSPN)
	their, our := theirServer(r.theirKeytab(t, appSPN)), ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)})
	busy(t)
	const senders = 8
	atOnce := func(s *server, token []byte) []*answer {
		answers := make([]*answer, senders)
		var ready, done sync.WaitGroup
		ready.Add(senders)
		for i := range answers {
			done.Go(func() {
				ready.Done()
				ready.Wait()
				answers[i] = s.send(t, token)
			})
		}
		done.Wait()
		return answers
	}
	const rounds = 100
	for round := 1; ; round++ {
		token := c.token(t)
		theirs, ours := 0, 0
		for _, a := range atOnce(their, token) {
			if theyAccept(t, a, aliceName) {
				theirs++
			}
		}
		for _, a := range atOnce(our, token) {
			if a.id != nil {
				weAccept(t, a)
				ours++
			} else {
				weRefuse(t, a, authn.ReasonReplay)
			}
		}
		if ours != 1 {
			t.Fatalf("round %d: we took %d of %d requests with one token", round, ours, senders)
		}
		if theirs > 1 && round >= 3 {
			t.Logf("round %d: gokrb5 took %d of %d requests with one token", round, theirs, senders)
			return
		}
		if round == rounds {
			gone(t, "takes a token twice that comes twice at the same time (%d rounds)", rounds)
			return
		}
	}
}

// busy fills gokrb5's replay cache, and has it swept as the cache itself does,
// again and again.
func busy(t *testing.T) {
	cache, now := service.GetReplayCache(kerberos.DefaultSkew), time.Now()
	name := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "somebody")
	for i := range 50_000 {
		cache.AddEntry(name, types.Authenticator{CName: name, CTime: now.Add(time.Duration(i) * time.Microsecond)})
	}
	stop := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				cache.ClearOldEntries(kerberos.DefaultSkew)
			}
		}
	})
	t.Cleanup(func() { close(stop); sweeper.Wait() })
}

// TestDefectReplayRenamed: the name of the service on a ticket is not
// protected, and gokrb5 takes a token for another one after it was rewritten.
func TestDefectReplayRenamed(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	req := r.ticketFor(t, appSPN).apReq(t)
	token := negotiate(t, req)
	req.Ticket.SName = krb5.NewPrincipalName(krb5.NameService, aliasSPN)
	renamed := negotiate(t, req)

	their, our := theirServer(r.theirKeytab(t, appSPN, aliasSPN)), ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN, aliasSPN)})
	theyMustAccept(t, their.send(t, token))
	if a := their.send(t, token); theyAccept(t, a, aliceName) {
		t.Error("gokrb5 takes a token twice as it is")
	}
	if a := their.send(t, renamed); !theyAccept(t, a, aliceName) {
		gone(t, "takes a token again under another name (status %d)", a.status)
	}
	weAccept(t, our.send(t, token))
	weRefuse(t, our.send(t, token), authn.ReasonReplay)
	weRefuse(t, our.send(t, renamed), authn.ReasonReplay)
}

// TestDefectReplayTooShort: a client's clock may be ahead by the skew, so that
// its authenticator is good for twice the skew. gokrb5 forgets it after one.
func TestDefectReplayTooShort(t *testing.T) {
	t.Parallel()
	if !runInChild(t) { // which has one replay cache, with the skew of its first user
		return
	}
	const skew = 4 * time.Second
	r := startRealm(t)
	c := r.ticketFor(t, appSPN)
	k := r.theirKeytab(t, appSPN)
	their := theirServer(k, service.MaxClockSkew(skew))
	our := ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN), Skew: skew})
	theyMustAccept(t, their.send(t, c.token(t)))
	// The cache is swept each time the skew has passed. What comes just before
	// that is swept the next time.
	begin := time.Now()
	waitUntil(t, begin.Add(skew*2/3))
	var made time.Time
	c.auth = func(a *krb5.Authenticator) {
		made = a.Time().Add(skew - skew/8)
		a.CTime, a.CUSec = made.Truncate(time.Second), made.Nanosecond()/1000
	}
	token := c.token(t)
	theyMustAccept(t, their.send(t, token))
	weAccept(t, our.send(t, token))
	replayed := false
	for tick := time.Tick(20 * time.Millisecond); time.Until(made.Add(skew)) > 0 && !replayed; <-tick {
		replayed = theyAccept(t, their.send(t, token), aliceName)
		if a := our.send(t, token); time.Until(made.Add(skew)) > 0 {
			weRefuse(t, a, authn.ReasonReplay)
		}
	}
	if !replayed {
		gone(t, "forgets an authenticator before it ends")
	}
}

// TestDefectReplaySharedSkew: all of gokrb5's handlers share one replay cache,
// which forgets after the skew of the first one that was used.
func TestDefectReplaySharedSkew(t *testing.T) {
	t.Parallel()
	if !runInChild(t) {
		return
	}
	const skew = time.Second
	r := startRealm(t)
	c := r.ticketFor(t, appSPN)
	k := r.theirKeytab(t, appSPN)
	theyMustAccept(t, theirServer(k, service.MaxClockSkew(skew)).send(t, c.token(t)))
	weAccept(t, ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN), Skew: skew}).send(t, c.token(t)))

	their, our := theirServer(k), ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}) // five minutes
	token := c.token(t)
	theyMustAccept(t, their.send(t, token))
	weAccept(t, our.send(t, token))
	replayed, until := false, time.Now().Add(time.Minute)
	for tick := time.Tick(20 * time.Millisecond); time.Now().Before(until) && !replayed; <-tick {
		replayed = theyAccept(t, their.send(t, token), aliceName)
		weRefuse(t, our.send(t, token), authn.ReasonReplay)
	}
	if !replayed {
		gone(t, "forgets an authenticator after another handler's skew")
	}
}

// waitUntil waits for a moment that the test is about.
func waitUntil(t *testing.T, moment time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
