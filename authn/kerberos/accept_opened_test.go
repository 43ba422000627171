package kerberos

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// again has all further tokens of o carry the ticket of the first one.
func (o *order) again(t *testing.T) {
	t.Helper()
	o.req = nil
	var first krb5.Ticket
	o.req = func(r *krb5.APReq) {
		if first.EncPart.Cipher == nil {
			first = r.Ticket
		}
		r.Ticket = first
	}
	o.token(t)
}

// TestAttackKnownTicket: a ticket that was opened before proves nothing by itself,
// and all that may change since is checked again.
func TestAttackKnownTicket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.keytab")
	o := newOrder(t, krb5.AES256SHA1)
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 3, o.key}))
	kt, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	now, looked := fixedNow, fixedNow
	kt.now = func() time.Time { return looked }
	m := &Mechanism{Keytab: kt, Now: func() time.Time { return now }}
	o.again(t)
	_, first, err := login1(m, authn.Exchange{}, o.token(t))
	if err != nil {
		t.Fatal(err)
	}
	groups := slices.Clone(first.Groups)
	token := o.token(t)
	_, second, err := login1(m, authn.Exchange{}, token)
	if err != nil {
		t.Fatal(err)
	}
	if second == first || second.String() != first.String() || second.SID != first.SID || second.UPN != first.UPN || !slices.Equal(second.Groups, groups) ||
		second.DisplayName != first.DisplayName || second.Evidence == first.Evidence {
		t.Errorf("the second login is %+v, the first was %+v", second, first)
	}
	_ = append(second.Groups, authn.Group{SID: "S-1-5-32-544"})
	_, id, err := login1(m, authn.Exchange{}, token)
	wantRefused(t, id, err, authn.ReasonReplay, "")

	stolen := *o // by who does not have the session key
	stolen.session = randomKey(t, krb5.AES256SHA1)
	_, id, err = login1(m, authn.Exchange{}, stolen.token(t))
	wantRefused(t, id, err, authn.ReasonIntegrity, "")

	other := *o
	other.auth = func(a *krb5.Authenticator) { a.CName = krb5.NewPrincipalName(krb5.NamePrincipal, "bob") }
	_, id, err = login1(m, authn.Exchange{}, other.token(t))
	wantRefused(t, id, err, authn.ReasonIntegrity, "")

	for _, tt := range []struct {
		change func(*krb5.Ticket)
		want   authn.Reason
	}{
		{func(k *krb5.Ticket) { k.SName = krb5.NewPrincipalName(krb5.NameService, "HTTP/other.corp.test") }, authn.ReasonWrongTarget},
		{func(k *krb5.Ticket) { k.EncPart.Cipher = slices.Clone(k.EncPart.Cipher); k.EncPart.Cipher[20] ^= 1 }, authn.ReasonWrongKey},
		{func(k *krb5.Ticket) { k.EncPart.EType = krb5.AES128SHA1 }, authn.ReasonWrongKey},
	} {
		changed := *o
		changed.req = func(r *krb5.APReq) {
			o.req(r)
			tt.change(&r.Ticket)
		}
		_, id, err = login1(m, authn.Exchange{}, changed.token(t))
		wantRefused(t, id, err, tt.want, "")
	}

	now = fixedNow.Add(10 * time.Hour)
	_, id, err = login1(m, authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonExpired, "")
	now = fixedNow

	// The password was changed because somebody had it: the old key is out.
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 4, randomKey(t, krb5.AES256SHA1)}))
	looked = looked.Add(keytabRecheck)
	_, id, err = login1(m, authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonWrongKey, "")
}

// A ticket whose PAC is refused is refused each time.
func TestAttackKnownTicketAlteredPAC(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	o.rawPAC = func(b []byte) []byte {
		// The first signature that is not the KDC's: any bit of what it covers.
		b[len(b)/2] ^= 1
		return b
	}
	o.again(t)
	for range 3 {
		_, id, err := login1(m, authn.Exchange{}, o.token(t))
		if id != nil || err == nil {
			t.Errorf("let in as %v", id)
		}
	}
	o = newOrder(t, krb5.AES256SHA1)
	m = o.mechanism(t)
	o.pac = func(c *pac.Contents) { c.Client.Name = "bob" }
	o.again(t)
	for range 3 {
		_, id, err := login1(m, authn.Exchange{}, o.token(t))
		wantRefused(t, id, err, authn.ReasonIntegrity, "another ticket")
	}
}

// Logins with one ticket at the same time, as of a page with many pictures.
func TestKnownTicketRace(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	o.again(t)
	var tokens [][]byte
	for range 64 {
		tokens = append(tokens, o.token(t))
	}
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			if _, id, err := login1(m, authn.Exchange{}, token); err != nil || id.Account != "alice" {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	wg.Wait()
}

// TestAttackManyTickets: what is kept of tickets is bounded, by number and size.
func TestAttackManyTickets(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 40_000, maxToken} {
		var o openedTickets
		used := openedID{1}
		o.put(used, &openedTicket{size: 1})
		for i := range 3 * maxOpened {
			var id openedID
			binary.BigEndian.PutUint64(id[8:], uint64(i))
			o.put(id, &openedTicket{size: size})
			n, bytes := len(o.young)+len(o.old), 0
			if i%1000 != 0 {
				continue
			}
			for _, age := range []map[openedID]*openedTicket{o.young, o.old} {
				for _, k := range age {
					bytes += k.size
				}
			}
			if n > maxOpened || bytes > maxOpenedBytes {
				t.Fatalf("%d tickets of %d bytes are kept", n, bytes)
			}
			if o.get(id) == nil {
				t.Fatal("the last one is gone")
			}
		}
		if o.get(used) != nil {
			t.Error("one that was not used is kept")
		}
	}
}
