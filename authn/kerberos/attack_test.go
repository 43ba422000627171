package kerberos

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// Threat 17. An AP-REQ is good once.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*krb5.APReq) // what whoever replays can rewrite without a key
	}{
		{"as it was", func(*krb5.APReq) {}},
		{"service name rewritten", func(r *krb5.APReq) { r.Ticket.SName.Components[1] = "APP.corp.test" }},
		{"service name of another type", func(r *krb5.APReq) { r.Ticket.SName.Type = krb5.NameHost }},
		{"realm rewritten", func(r *krb5.APReq) { r.Ticket.Realm = "corp.test" }},
		{"options rewritten", func(r *krb5.APReq) { r.Options = 0 }},
		{"key versions rewritten", func(r *krb5.APReq) { r.Ticket.EncPart.KVNO, r.Authenticator.KVNO = 1, 7 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			m := o.mechanism(t)
			token := o.token(t)
			if _, _, err := login1(m, authn.Exchange{}, token); err != nil {
				t.Fatal(err)
			}
			oid, kind, body, err := krb5.UnframeToken(token)
			if err != nil {
				t.Fatal(err)
			}
			req, err := krb5.ParseAPReq(body)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(req)
			req.Ticket.Raw = nil
			if body, err = req.Marshal(); err != nil {
				t.Fatal(err)
			}
			again, err := krb5.FrameToken(oid, kind, body)
			if err != nil {
				t.Fatal(err)
			}
			_, id, err := login1(m, authn.Exchange{}, again)
			wantRefused(t, id, err, authn.ReasonReplay, "twice")
		})
	}
}

// Threat 17. The check is atomic: of many uses at once one succeeds.
func TestAttackReplayRace(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	for range 20 {
		token := o.token(t)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, id, _ := login1(m, authn.Exchange{}, token); id != nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 uses of one token succeeded", won.Load())
		}
	}
}

// Threat 17. A client whose clock is ahead makes authenticators that are good
// for twice the skew; they are remembered as long.
func TestAttackReplayAtTheEndOfTheSkew(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	now := fixedNow
	m := o.mechanism(t)
	m.Now = func() time.Time { return now }
	o.auth = func(a *krb5.Authenticator) { a.CTime = a.CTime.Add(5 * time.Minute) }
	token := o.token(t)
	for _, at := range []time.Duration{0, 4 * time.Minute, 5*time.Minute + time.Second, 9*time.Minute + 59*time.Second, 10 * time.Minute} {
		now = fixedNow.Add(at)
		_, id, err := login1(m, authn.Exchange{}, token)
		if at == 0 {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		wantRefused(t, id, err, authn.ReasonReplay, "")
	}
	now = fixedNow.Add(10*time.Minute + 2*time.Second)
	_, id, err := login1(m, authn.Exchange{}, token)
	wantRefused(t, id, err, authn.ReasonClockSkew, "") // forgotten, and of no use
}

// Threat 18. A PAC that was altered, signed by somebody else, taken from
// another ticket or added a second time is refused.
func TestAttackPAC(t *testing.T) {
	t.Parallel()
	flip := func(find string) func([]byte) []byte {
		var le []byte
		for _, c := range find {
			le = binary.LittleEndian.AppendUint16(le, uint16(c))
		}
		return func(b []byte) []byte {
			i := bytes.Index(b, le)
			if i < 0 {
				t.Errorf("no %q in the PAC", find)
				return b
			}
			b = bytes.Clone(b)
			b[i] ^= 1
			return b
		}
	}
	admin := func(o *order) func([]byte) []byte { // group 1105 becomes 512, Domain Admins
		return func(b []byte) []byte {
			return bytes.Replace(b, binary.LittleEndian.AppendUint32(nil, 1105), binary.LittleEndian.AppendUint32(nil, 512), 1)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*order)
		reason authn.Reason
	}{
		{"group altered", func(o *order) { o.rawPAC = admin(o) }, authn.ReasonIntegrity},
		{"account altered", func(o *order) { o.rawPAC = flip("alice") }, authn.ReasonIntegrity},
		{"UPN altered", func(o *order) { o.rawPAC = flip("alice@corp") }, authn.ReasonIntegrity},
		{"signed with another key", func(o *order) {
			o.rawPAC = func([]byte) []byte {
				b, err := pac.Build(o.pacContents(), o.session, o.session)
				if err != nil {
					t.Error(err)
				}
				return b
			}
		}, authn.ReasonIntegrity},
		{"of another client", func(o *order) { o.pac = func(c *pac.Contents) { c.Client.Name = "bob" } }, authn.ReasonIntegrity},
		{"of another login", func(o *order) {
			o.pac = func(c *pac.Contents) { c.Client.AuthTime = c.Client.AuthTime.Add(time.Second) }
		}, authn.ReasonIntegrity},
		{"empty", func(o *order) { o.rawPAC = func([]byte) []byte { return nil } }, authn.ReasonMalformed},
		{"cut", func(o *order) { o.rawPAC = func(b []byte) []byte { return b[:len(b)/2] } }, authn.ReasonMalformed},
		{"twice", func(o *order) {
			o.ticket = func(p *krb5.EncTicketPart) {
				p.AuthorizationData = append(p.AuthorizationData, p.AuthorizationData[0])
			}
		}, authn.ReasonIntegrity},
		{"containers nested without end", func(o *order) {
			o.ticket = func(p *krb5.EncTicketPart) {
				for range 100 {
					ad, err := krb5.IfRelevant(p.AuthorizationData...)
					if err != nil {
						t.Error(err)
					}
					p.AuthorizationData = []krb5.AuthorizationData{ad}
				}
			}
		}, authn.ReasonMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			tc.change(o)
			m := o.mechanism(t)
			m.AllowNoPAC = []string{"CORP.TEST"} // a bad PAC is worse than none
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			wantRefused(t, id, err, tc.reason, "")
		})
	}
}

// Threat 19. The name on a ticket is not protected: a ticket for another
// account in the same keytab does not open the door with our name on it.
func TestAttackTicketForAnotherService(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	other := randomKey(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	m.SPNs = []string{"HTTP/app.corp.test"}
	m.Keytab = testKeytab(t,
		testEntry{"svc-app", 3, o.key}, testEntry{"HTTP/app.corp.test", 3, o.key},
		testEntry{"svc-other", 3, other}, testEntry{"HTTP/other.corp.test", 3, other})
	o.key = other
	_, id, err := login1(m, authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonWrongKey, "")

	o.spn = "HTTP/other.corp.test"
	_, id, err = login1(m, authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonWrongTarget, "")
}

// gokrb5 8.4.4 believes the realm in the authenticator: a user of one realm
// logs in as a user of another.
func TestAttackRealmInAuthenticator(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*krb5.Authenticator){
		"realm":          func(a *krb5.Authenticator) { a.CRealm = "EVIL.EXAMPLE" },
		"case of realm":  func(a *krb5.Authenticator) { a.CRealm = "corp.test" },
		"name":           func(a *krb5.Authenticator) { a.CName.Components = []string{"administrator"} },
		"case of name":   func(a *krb5.Authenticator) { a.CName.Components = []string{"Alice"} },
		"more of a name": func(a *krb5.Authenticator) { a.CName.Components = []string{"alice", "admin"} },
		"slash in a name": func(a *krb5.Authenticator) {
			a.CName.Components = []string{"alice/admin"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.auth = change
			_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			wantRefused(t, id, err, authn.ReasonIntegrity, "")
		})
	}
}

// The type outside the authenticator has to be that of the session key.
func TestAttackAuthenticatorType(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.req = func(r *krb5.APReq) { r.Authenticator.EType = krb5.RC4HMAC }
	_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonMalformed, "")
}

// A stolen ticket without its session key is worth nothing.
func TestAttackTicketWithoutSessionKey(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.req = func(r *krb5.APReq) {
		_, _, body, err := krb5.UnframeToken(newOrder(t, krb5.AES256SHA1).token(t))
		if err != nil {
			t.Fatal(err)
		}
		other, err := krb5.ParseAPReq(body)
		if err != nil {
			t.Fatal(err)
		}
		r.Authenticator = other.Authenticator
	}
	_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonIntegrity, "session key")
}

// gokrb5 8.4.4 does not look at the GSS checksum: an AP-REQ that a client made
// for another protocol logs in to HTTP.
func TestAttackNoGSSChecksum(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*krb5.Authenticator){
		"none": func(a *krb5.Authenticator) { a.Checksum = nil },
		"of an application": func(a *krb5.Authenticator) {
			a.Checksum = &krb5.Checksum{Type: krb5.HMACSHA1AES256, Sum: make([]byte, 12)}
		},
		"of another type":       func(a *krb5.Authenticator) { a.Checksum.Type = krb5.HMACSHA1AES256 },
		"short":                 func(a *krb5.Authenticator) { a.Checksum.Sum = a.Checksum.Sum[:23] },
		"length of the binding": func(a *krb5.Authenticator) { a.Checksum.Sum[0] = 0 },
		"delegation cut": func(a *krb5.Authenticator) {
			a.Checksum.Sum[20] |= byte(ContextDelegate)
			a.Checksum.Sum = append(a.Checksum.Sum, 1, 0, 0xff, 0xff)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.auth = change
			_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			wantRefused(t, id, err, authn.ReasonMalformed, "")
		})
	}
}

// Threat 20. Every cut and every flipped bit of a good token is refused, in
// words, without a panic. gokrb5 8.4.4 panics on some, before login.
func TestAttackDamagedToken(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	token := o.token(t)
	unprotected := 0
	for i := range token {
		if _, id, err := login1(m, authn.Exchange{}, token[:i]); id != nil || err == nil {
			t.Fatalf("cut to %d of %d bytes and accepted", i, len(token))
		}
		b := bytes.Clone(token)
		b[i] ^= 0x20
		if _, id, err := login1(m, authn.Exchange{}, b); id != nil {
			unprotected++ // name type, options, versions, case of the name
			if id.SID != "S-1-5-21-1-2-3-1104" || !strings.HasPrefix(id.Account, "alice") {
				t.Fatalf("byte %d flipped: identity %v", i, id)
			}
		} else if err == nil {
			t.Fatalf("byte %d flipped: neither identity nor error", i)
		}
	}
	if unprotected > 40 {
		t.Errorf("%d bytes do not matter", unprotected)
	}
}

// Threat 20. Deep nesting and huge lengths cost nothing.
func TestAttackNestedDER(t *testing.T) { // not parallel: it counts allocations
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	deep := bytes.Repeat([]byte{0x30, 0x80}, maxToken/2)
	nested := []byte{0x30, 0}
	for len(nested) < 30000 {
		n := len(nested)
		nested = append([]byte{0x30, 0x82, byte(n >> 8), byte(n)}, nested...)
	}
	for name, body := range map[string][]byte{
		"indefinite":  deep[:60000],
		"nested":      nested,
		"huge length": {0x6e, 0x84, 0xff, 0xff, 0xff, 0xff},
	} {
		token, err := krb5.FrameToken(OID(), krb5.TokenAPReq, body)
		if err != nil {
			t.Fatal(err)
		}
		allocated := testing.AllocsPerRun(10, func() {
			_, id, err := login1(m, authn.Exchange{}, token)
			wantRefused(t, id, err, authn.ReasonMalformed, "")
		})
		if allocated > 100 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

// Threat 22. A ticket-granting ticket that a client forwards is not kept
// unless that is configured, and never one of somebody else: the cases are in
// TestAcceptForwardedTGT. Here: evidence of a ticket that is not forwardable
// says so.
func TestAttackSensitiveAccount(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.ticket = func(p *krb5.EncTicketPart) { p.Flags &^= krb5.FlagForwardable }
	_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	if err != nil {
		t.Fatal(err)
	}
	if id.Evidence.(*Evidence).Forwardable() {
		t.Error("the evidence claims that the ticket is forwardable")
	}
}

// The replay cache refuses when it is full rather than forget.
func TestAttackReplayCacheFlood(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	m := o.mechanism(t)
	m.Logger = slog.New(slog.DiscardHandler)
	m.Keytab.replay.Max, m.Keytab.replay.MaxPerClient = 3, 3
	first := o.token(t)
	if _, _, err := login1(m, authn.Exchange{}, first); err != nil {
		t.Fatal(err)
	}
	var full int
	for range 5 {
		if _, id, _ := login1(m, authn.Exchange{}, o.token(t)); id == nil {
			full++
		}
	}
	if full != 3 {
		t.Errorf("%d of 5 further logins were refused, want 3", full)
	}
	_, id, err := login1(m, authn.Exchange{}, first)
	wantRefused(t, id, err, authn.ReasonReplay, "")
}
