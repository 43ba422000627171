package kerberos

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// tamperedReply is a KDC's reply, open, for a test to change.
type tamperedReply struct {
	rep  *krb5.KDCRep
	part *krb5.EncKDCRepPart
	key  krb5.Key // the part is sealed with
	raw  []byte   // sent instead if it is set
}

// tamper returns a client of a KDC whose replies to requests of one type
// change falsifies, knowing all keys. The user's password is that of the
// fixture.
func tamper(t *testing.T, r *realmFixture, user string, typ krb5.MsgType, change func(x *tamperedReply)) *Client {
	t.Helper()
	var c *Client
	s := startScriptedKDC(t, func(_ string, req []byte) []byte {
		out := r.Handle(req)
		if got, _ := krb5.TypeOf(out); got != typ {
			return out
		}
		rep, err := krb5.ParseKDCRep(out)
		if err != nil {
			t.Error(err)
			return nil
		}
		usage := krb5.UsageASRepPart
		key, err := longTermKey(rep.EncPart.EType, user)
		if typ == krb5.MsgTGSRep {
			usage = krb5.UsageTGSRepPartKey
			c.c.cache.mu.Lock()
			key = c.c.cache.entries[tgtKey].ticket.key
			c.c.cache.mu.Unlock()
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		plain, err := rep.EncPart.Open(key, usage)
		if err != nil {
			t.Error(err)
			return nil
		}
		part, err := krb5.ParseEncKDCRepPart(plain)
		if err != nil {
			t.Error(err)
			return nil
		}
		x := &tamperedReply{rep: rep, part: part, key: key}
		change(x)
		if x.raw != nil {
			return x.raw
		}
		if plain, err = x.part.Marshal(typ); err == nil {
			rep.EncPart, err = krb5.Seal(x.key, usage, 0, plain)
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		if out, err = rep.Marshal(); err != nil {
			t.Error(err)
		}
		return out
	})
	cfg := r.config()
	cfg.Realms = map[string]Realm{"CORP.TEST": {KDCs: []string{"tcp/" + s.addr}}}
	c = r.clientWith(t, cfg, user, "pw-"+strings.TrimPrefix(user, "svc-"))
	return c
}

func longTermKey(e krb5.EType, user string) (krb5.Key, error) {
	return krb5.StringToKey(e, "pw-"+strings.TrimPrefix(user, "svc-"), "CORP.TEST"+user, nil)
}

func setSName(x *tamperedReply, inside, outside bool, name krb5.PrincipalName) {
	if inside {
		x.part.SName = name
	}
	if outside {
		x.rep.Ticket.SName, x.rep.Ticket.Raw = name, nil
	}
}

// docs/threat-model.md 20a: a reply that is not the answer to the request.
func TestAttackKDCReplyContents(t *testing.T) {
	t.Parallel()
	other := krb5.NewPrincipalName(krb5.NameService, "HTTP/evil.corp.test")
	bob := krb5.NewPrincipalName(krb5.NamePrincipal, "bob")
	random, err := krb5.RandomKey(krb5.AES256SHA1)
	if err != nil {
		t.Fatal(err)
	}
	rc4, err := krb5.RandomKey(krb5.RC4HMAC)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(x *tamperedReply)
		says   string // "" means that the reply is taken
	}{
		"unchanged":                 {func(*tamperedReply) {}, ""},
		"another request's nonce":   {func(x *tamperedReply) { x.part.Nonce++ }, "nonce"},
		"other service":             {func(x *tamperedReply) { setSName(x, true, true, other) }, "a ticket for HTTP/evil.corp.test"},
		"other service inside":      {func(x *tamperedReply) { setSName(x, true, false, other) }, "different services"},
		"other service outside":     {func(x *tamperedReply) { setSName(x, false, true, other) }, "different services"},
		"other realm inside":        {func(x *tamperedReply) { x.part.SRealm = "EVIL.TEST" }, "realm EVIL.TEST"},
		"other realm outside":       {func(x *tamperedReply) { x.rep.Ticket.Realm, x.rep.Ticket.Raw = "EVIL.TEST", nil }, "different services"},
		"other client":              {func(x *tamperedReply) { x.rep.CName = bob }, "bob"},
		"other client realm":        {func(x *tamperedReply) { x.rep.CRealm = "EVIL.TEST" }, "EVIL.TEST"},
		"ended":                     {func(x *tamperedReply) { x.part.EndTime = x.part.AuthTime.Add(-time.Hour) }, "ended"},
		"begins later":              {func(x *tamperedReply) { x.part.StartTime = x.part.AuthTime.Add(time.Hour) }, "begins in"},
		"marked invalid":            {func(x *tamperedReply) { x.part.Flags |= krb5.FlagInvalid }, "invalid"},
		"weak session key":          {func(x *tamperedReply) { x.part.Key = rc4 }, "rc4-hmac, which is not allowed"},
		"sealed with another key":   {func(x *tamperedReply) { x.key = random }, "integrity"},
		"cut short":                 {func(x *tamperedReply) { b, _ := x.rep.Marshal(); x.raw = b[:len(b)-1] }, "malformed"},
		"a byte too many":           {func(x *tamperedReply) { b, _ := x.rep.Marshal(); x.raw = append(b, 0) }, "malformed"},
		"reply of the other type":   {func(x *tamperedReply) { x.rep.Type ^= krb5.MsgASRep ^ krb5.MsgTGSRep; x.raw, _ = x.rep.Marshal() }, "answered"},
		"error without a parseable": {func(x *tamperedReply) { x.raw = []byte{0x7e, 2, 0x30, 0} }, "malformed"},
	} {
		for typ, kind := range map[krb5.MsgType]string{krb5.MsgASRep: "AS", krb5.MsgTGSRep: "TGS"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				r := startRealm(t)
				c := tamper(t, r, "alice", typ, tc.change)
				err := c.Login(t.Context())
				if typ == krb5.MsgTGSRep && err == nil {
					_, err = c.Ticket(t.Context(), appSPN)
				}
				switch {
				case tc.says == "" && err != nil:
					t.Error(err)
				case tc.says != "" && err == nil:
					t.Error("the reply was taken")
				case tc.says != "" && !strings.Contains(err.Error(), tc.says):
					t.Errorf("got %v, want %q", err, tc.says)
				}
			})
		}
	}
}

// A reply to a client that need not prove itself may not be sealed with a key
// that is not allowed, or guessing passwords becomes cheap for who answers.
func TestAttackReplySealedWithRC4(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"grace", "alice"} { // without preauth, and with
		r := startRealm(t)
		rc4, err := longTermKey(krb5.RC4HMAC, user)
		if err != nil {
			t.Fatal(err)
		}
		err = tamper(t, r, user, krb5.MsgASRep, func(x *tamperedReply) { x.key = rc4 }).Login(t.Context())
		if err == nil || !strings.Contains(err.Error(), "sealed with rc4-hmac") {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// A KDC, or whoever can speak for it, that answers with somebody else's ticket.
func TestAttackS4UReplyContents(t *testing.T) {
	t.Parallel()
	bob := krb5.NewPrincipalName(krb5.NamePrincipal, "bob")
	key, err := longTermKey(krb5.AES256SHA1, "svc-app")
	if err != nil {
		t.Fatal(err)
	}
	inside := func(x *tamperedReply, change func(p *krb5.EncTicketPart)) {
		plain, err := x.rep.Ticket.EncPart.Open(key, krb5.UsageTicket)
		if err != nil {
			t.Error(err)
			return
		}
		p, err := krb5.ParseEncTicketPart(plain)
		if err != nil {
			t.Error(err)
			return
		}
		change(p)
		if plain, err = p.Marshal(); err == nil {
			x.rep.Ticket.EncPart, err = krb5.Seal(key, krb5.UsageTicket, x.rep.Ticket.EncPart.KVNO, plain)
		}
		if err != nil {
			t.Error(err)
		}
		x.rep.Ticket.Raw = nil
	}
	bobsPAC := func(p *krb5.EncTicketPart) {
		b, err := pac.Build(pac.Contents{
			Logon:  &pac.LogonInfo{Account: "bob", Domain: "CORP", DomainSID: "S-1-5-21-1-2-3", UserID: 1001, PrimaryGroupID: 513},
			Client: pac.ClientInfo{Name: p.CName.String(), AuthTime: p.AuthTime},
		}, key, key)
		if err != nil {
			t.Error(err)
			return
		}
		ad, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: b})
		if err != nil {
			t.Error(err)
		}
		p.AuthorizationData = []krb5.AuthorizationData{ad}
	}
	const upn = "alice.liddell@example.com"
	for name, tc := range map[string]struct {
		user   string
		proxy  bool // the reply to S4U2Proxy is changed, else that to S4U2Self
		change func(x *tamperedReply)
		says   string
	}{
		"unchanged":               {user: "alice", change: func(*tamperedReply) {}},
		"unchanged, sealed anew":  {user: upn, change: func(x *tamperedReply) { inside(x, func(*krb5.EncTicketPart) {}) }},
		"self: another client":    {"alice", false, func(x *tamperedReply) { x.rep.CName = bob }, "of bob instead of alice"},
		"self: another outside":   {upn, false, func(x *tamperedReply) { x.rep.CName = bob }, "inside and of bob@CORP.TEST outside"},
		"self: another inside":    {"alice", false, func(x *tamperedReply) { inside(x, func(p *krb5.EncTicketPart) { p.CName = bob }) }, "of bob@CORP.TEST inside"},
		"self: another's PAC":     {"alice", false, func(x *tamperedReply) { inside(x, bobsPAC) }, `the ticket is of CORP\bob`},
		"self: another realm":     {"alice", false, func(x *tamperedReply) { x.rep.CRealm = "EVIL.TEST" }, "a ticket of realm EVIL.TEST"},
		"self: for other service": {"alice", false, func(x *tamperedReply) { setSName(x, true, true, bob) }, "a ticket for bob"},
		"self: referral":          {"alice", false, func(x *tamperedReply) { setSName(x, true, true, krb5.TGSName("B.TEST")) }, "another realm"},
		"proxy: another client":   {"alice", true, func(x *tamperedReply) { x.rep.CName = bob }, "of bob@CORP.TEST instead of alice"},
		"proxy: another realm":    {"alice", true, func(x *tamperedReply) { x.rep.CRealm = "EVIL.TEST" }, "EVIL.TEST"},
		"proxy: other service":    {"alice", true, func(x *tamperedReply) { setSName(x, true, true, bob) }, "a ticket for bob"},
		"proxy: referral":         {"alice", true, func(x *tamperedReply) { setSName(x, true, true, krb5.TGSName("B.TEST")) }, "in realm B.TEST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRealm(t)
			var proxy atomic.Bool
			c := tamper(t, r, "svc-app", krb5.MsgTGSRep, func(x *tamperedReply) {
				if proxy.Load() == tc.proxy {
					tc.change(x)
				}
			})
			ev, err := c.S4U2Self(t.Context(), tc.user)
			if err == nil {
				proxy.Store(true)
				_, err = c.S4U2Proxy(t.Context(), ev, backSPN)
			}
			switch {
			case tc.says == "" && err != nil && name == "unchanged":
				t.Error(err)
			case tc.says == "" && ev == nil:
				t.Error(err)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// A false KDC that offers a weak key wants to see something sealed with it.
func TestAttackPreauthDowngrade(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]krb5.ETypeInfo2Entry{
		"RC4":            {EType: krb5.RC4HMAC},
		"DES":            {EType: krb5.DESCBCMD5},
		"one iteration":  {EType: krb5.AES256SHA1, Salt: "CORP.TESTalice", HasSalt: true, Params: []byte{0, 0, 0, 1}},
		"4G iterations":  {EType: krb5.AES256SHA1, Salt: "CORP.TESTalice", HasSalt: true, Params: []byte{255, 255, 255, 255}},
		"odd parameters": {EType: krb5.AES256SHA1, Salt: "CORP.TESTalice", HasSalt: true, Params: []byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRealm(t)
			infos, err := krb5.MarshalETypeInfo2([]krb5.ETypeInfo2Entry{info})
			if err != nil {
				t.Fatal(err)
			}
			data, err := krb5.MarshalMethodData([]krb5.PAData{{Type: krb5.PAETypeInfo2, Value: infos}})
			if err != nil {
				t.Fatal(err)
			}
			m := krb5.ErrorMessage{STime: r.clock.now(), Code: krb5.CodePreauthRequired, Realm: "CORP.TEST", SName: krb5.TGSName("CORP.TEST"), Data: data}
			reply, err := m.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			var proofs atomic.Int64
			s := startScriptedKDC(t, func(_ string, req []byte) []byte {
				q, err := krb5.ParseKDCReq(req)
				if err != nil {
					t.Error(err)
				} else if _, ok := krb5.FindPAData(q.PAData, krb5.PAEncTimestamp); ok {
					proofs.Add(1)
				}
				return reply
			})
			cfg := r.config()
			cfg.Realms = map[string]Realm{"CORP.TEST": {KDCs: []string{s.addr}}}
			if err := r.clientWith(t, cfg, "alice", "pw-alice").Login(t.Context()); err == nil {
				t.Error("logged in")
			}
			if n := proofs.Load(); n != 0 {
				t.Errorf("%d proofs were sent", n)
			}
		})
	}
}

// A KDC that asks for a proof again and again gets one.
func TestAttackPreauthLoop(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	var first atomic.Pointer[[]byte]
	s := startScriptedKDC(t, func(_ string, req []byte) []byte {
		out := r.Handle(req)
		first.CompareAndSwap(nil, &out)
		return *first.Load()
	})
	cfg := r.config()
	cfg.Realms = map[string]Realm{"CORP.TEST": {KDCs: []string{s.addr}}}
	err := r.clientWith(t, cfg, "alice", "pw-alice").Login(t.Context())
	var ke *KDCError
	if !errors.As(err, &ke) || ke.Name != "KDC_ERR_PREAUTH_REQUIRED" || s.requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, s.requests.Load())
	}
}

// docs/threat-model.md 35: nothing that this side of the package hands out prints a
// secret, however it is printed.
func TestAttackSecretsInOutput(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	const password = "S3cret-of-alice"
	if err := r.SetPassword("alice", password); err != nil {
		t.Fatal(err)
	}
	c := r.clientWith(t, r.config(), "alice", password)
	tkt, err := c.Ticket(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	i := c.NewInitiator(appSPN, InitiatorConfig{Forward: true})
	if _, _, err := i.Step(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	given := tkt.NewInitiator(InitiatorConfig{})
	if _, _, err := given.Step(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	svc := r.client(t, "svc-app")
	ev, err := svc.S4U2Self(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := svc.S4U2Proxy(t.Context(), ev, backSPN)
	if err != nil {
		t.Fatal(err)
	}
	_, refusal := r.clientWith(t, r.config(), "bob", password).Ticket(t.Context(), appSPN)
	keytab, err := NewKeytabClient(r.config(), "svc-app", r.keytab(t, "svc-app"))
	if err != nil {
		t.Fatal(err)
	}
	longTerm, err := krb5.StringToKey(krb5.AES256SHA1, "pw-app", "CORP.TESTsvc-app", nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{
		"password":     []byte(password),
		"session key":  tkt.open().key.Bytes(),
		"ticket":       tkt.open().Raw[40:72],
		"proxy key":    proxy.open().key.Bytes(),
		"proxy ticket": proxy.open().Raw[40:72],
		"evidence":     ev.open().ticket.Raw[40:72],
		"subkey":       i.sent.subkey.Bytes(),
		"keytab key":   longTerm.Bytes(),
	}
	leaks := func(v any) (found []string) {
		var out bytes.Buffer
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %X %d", v, v, v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		for what, s := range secrets {
			for _, form := range []string{
				string(s), hex.EncodeToString(s), strings.ToUpper(hex.EncodeToString(s)),
				strings.Trim(fmt.Sprint(s[:8]), "[]"), strings.Trim(fmt.Sprintf("%#v", s[:8]), "[]byte{}"),
			} {
				if strings.Contains(out.String(), form) {
					found = append(found, what)
				}
			}
		}
		return found
	}
	type holder struct{ inside any } // hidden fields are printed without asking their methods
	for what, s := range secrets {
		if len(leaks(holder{s})) == 0 {
			t.Errorf("the test does not see the %s", what)
		}
	}
	for name, v := range map[string]any{
		"client": c, "client value": *c, "ticket": tkt, "ticket value": *tkt, "initiator": i, "initiator of a ticket": given,
		"evidence": ev, "proxy ticket": proxy, "service": svc, "refusal": refusal, "keytab client": keytab, "hidden client": holder{*c},
		"hidden ticket": holder{*tkt}, "hidden initiator": holder{i}, "config": r.config(),
	} {
		if found := leaks(v); len(found) > 0 {
			t.Errorf("%s prints %v", name, found)
		}
	}
}
