package kdc

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

func TestServiceTicket(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	r := tgsCall(k, tgt, "http/FRONT.corp.test", krb5.FlagForwardable).seal(t).must(t, k)
	o := open(t, k, r, "front")
	kdcKey, _ := k.krbtgt.ticketKey()
	signed, err := withPAC(o.part, []byte{0})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"kdc": o.pac.VerifyKDC(kdcKey), "full": o.pac.VerifyFull(kdcKey), "ticket": o.pac.VerifyTicket(kdcKey, signed)} {
		if err != nil {
			t.Errorf("%s signature: %v", name, err)
		}
	}
	switch {
	case r.rep.Ticket.SName.String() != "http/FRONT.corp.test" || r.enc.SName.String() != "http/FRONT.corp.test":
		t.Errorf("service: got %s", r.rep.Ticket.SName)
	case o.part.Flags.Has(krb5.FlagInitial):
		t.Error("a service ticket from the TGS is marked initial")
	case !o.part.Flags.Has(krb5.FlagForwardable | krb5.FlagPreAuthent):
		t.Errorf("flags: got %032b", o.part.Flags)
	case o.part.EndTime.After(tgt.enc.EndTime):
		t.Error("the ticket outlives the one it comes from")
	case !o.part.AuthTime.Equal(tgt.enc.AuthTime):
		t.Error("authtime changed")
	case o.logon.FullName != "Alice Example":
		t.Errorf("logon information: %+v", o.logon)
	}
	if r := tgsCall(k, tgt, "CIFS/other.corp.test", 0).seal(t).must(t, k); r.key.IsZero() {
		t.Error("CIFS does not stand for HOST")
	}
}

// With a subkey the reply is sealed with it.
func TestSubkey(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	c := tgsCall(k, login(t, k, "alice", "pw"), "HTTP/front.corp.test", 0)
	var err error
	if c.auth.SubKey, err = krb5.RandomKey(krb5.AES128SHA1); err != nil {
		t.Fatal(err)
	}
	c.seal(t).must(t, k)
}

// Tickets are sealed with the strongest key of the service, session keys are of
// a type that both sides know.
func TestEncryptionTypes(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tests := []struct {
		name    string
		service []krb5.EType
		asked   []krb5.EType
		ticket  krb5.EType
		session krb5.EType // 0: refused
	}{
		{"RC4 account", []krb5.EType{krb5.RC4HMAC}, allETypes, krb5.RC4HMAC, krb5.RC4HMAC},
		{"RC4 account, AES client", []krb5.EType{krb5.RC4HMAC}, []krb5.EType{krb5.AES256SHA1}, 0, 0},
		{"SHA-2", []krb5.EType{krb5.AES256SHA2, krb5.AES128SHA2}, allETypes, krb5.AES256SHA2, krb5.AES256SHA2},
		{"client prefers 128", []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1}, []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1}, krb5.AES256SHA1, krb5.AES128SHA1},
	}
	tgt := login(t, k, "alice", "pw")
	for i, tt := range tests {
		name := "svc" + string(rune('a'+i))
		mustAdd(t, k, Account{Name: name, Password: "pw", ETypes: tt.service, SPNs: []string{"X/" + name}})
		c := tgsCall(k, tgt, "X/"+name, 0)
		c.req.Body.ETypes = tt.asked
		c.seal(t)
		if tt.session == 0 {
			c.wantCode(t, k, krb5.CodeETypeNoSupport)
			continue
		}
		r := c.must(t, k)
		if r.ticket.EncPart.EType != tt.ticket || r.key.EType() != tt.session {
			t.Errorf("%s: ticket %v, session %v", tt.name, r.ticket.EncPart.EType, r.key.EType())
		}
		open(t, k, r, name)
	}
}

func TestTGSRefusals(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	k := newKDC(t, Config{Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	svc := tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t).must(t, k)
	plain := asCall(t, k, "alice", "pw", krb5.AES256SHA1, 0).must(t, k)
	other, err := krb5.RandomKey(krb5.AES256SHA1)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		service string
		opts    krb5.Flags
		bend    func(c *call)
		want    krb5.ErrorCode
	}{
		{"unknown service", "HTTP/nowhere.corp.test", 0, nil, krb5.CodeServerUnknown},
		{"unknown realm", "krbtgt/NOWHERE.TEST", 0, nil, krb5.CodeServerUnknown},
		{"account without service", "sam", 0, nil, krb5.CodeMustUseUser2User},
		{"user to user", "HTTP/front.corp.test", krb5.OptionSessionKey, nil, krb5.CodeBadOption},
		{"proxy", "HTTP/front.corp.test", krb5.FlagProxy, nil, krb5.CodeBadOption},
		{"forwarded from a ticket that is not forwardable", "krbtgt/CORP.TEST", krb5.FlagForwarded, func(c *call) { c.tgt = plain }, krb5.CodeBadOption},
		{"renew what is not renewable", "krbtgt/CORP.TEST", krb5.OptionRenew, func(c *call) { c.tgt = plain }, krb5.CodeBadOption},
		{"renew for another service", "HTTP/front.corp.test", krb5.OptionRenew, nil, krb5.CodeBadOption},
		{"service ticket instead of a TGT", "HTTP/front.corp.test", 0, func(c *call) { c.tgt = svc }, krb5.CodeNotUs},
		{"wrong session key", "HTTP/front.corp.test", 0, func(c *call) { w := *tgt; w.key = other; c.tgt = &w }, krb5.CodeBadIntegrity},
		{"client's clock behind", "HTTP/front.corp.test", 0, func(c *call) { c.auth.CTime = c.auth.CTime.Add(-6 * time.Minute) }, krb5.CodeSkew},
		{"client's clock ahead", "HTTP/front.corp.test", 0, func(c *call) { c.auth.CTime = c.auth.CTime.Add(6 * time.Minute) }, krb5.CodeSkew},
		{"authorization data", "HTTP/front.corp.test", 0, func(c *call) { c.req.Body.EncAuthData = &krb5.EncryptedData{EType: 18, Cipher: []byte("x")} }, krb5.CodePolicy},
	}
	for _, tt := range tests {
		c := tgsCall(k, tgt, tt.service, tt.opts)
		if tt.bend != nil {
			tt.bend(c)
		}
		t.Run(tt.name, func(t *testing.T) { c.seal(t).wantCode(t, k, tt.want) })
	}
	c := tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t)
	c.req.PAData = nil
	c.wantCode(t, k, krb5.CodePATypeNoSupport)

	if err := k.Update("alice", func(a *Account) { a.Disabled = true }); err != nil {
		t.Fatal(err)
	}
	tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t).wantCode(t, k, krb5.CodeClientRevoked)
	offset.Store(int64(11 * time.Hour))
	tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t).wantCode(t, k, krb5.CodeTicketExpired)
}

// The authenticator is for this ticket's client alone.
func TestAttackOtherNameInAuthenticator(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	c := tgsCall(k, tgt, "HTTP/front.corp.test", 0)
	c.auth.CName = krb5.NewPrincipalName(krb5.NamePrincipal, "sam")
	c.seal(t).wantCode(t, k, krb5.CodeBadMatch)
	c = tgsCall(k, tgt, "HTTP/front.corp.test", 0)
	c.auth.CRealm = "EVIL.TEST"
	c.seal(t).wantCode(t, k, krb5.CodeBadMatch)
}

// A body other than the one the authenticator covers is refused, and so is an
// authenticator that covers nothing.
func TestAttackBodyReplaced(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	c := tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t)
	c.req.Body.SName = krb5.NewPrincipalName(krb5.NameService, "HTTP/back.corp.test")
	c.wantCode(t, k, krb5.CodeModified)
	c = tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t)
	c.req.Body.Options |= krb5.FlagForwardable
	c.wantCode(t, k, krb5.CodeModified)
	c = tgsCall(k, tgt, "HTTP/front.corp.test", 0)
	c.noSum = true
	c.seal(t).wantCode(t, k, krb5.CodeBadChecksum)
	c = tgsCall(k, tgt, "HTTP/front.corp.test", 0)
	c.auth.Checksum = &krb5.Checksum{Type: krb5.HMACMD5, Sum: make([]byte, 16)}
	c.seal(t).wantCode(t, k, krb5.CodeModified)
}

// One flipped bit of the ticket is noticed.
func TestAttackTicketAltered(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	w := *tgt
	w.ticket.Raw = nil
	w.ticket.EncPart.Cipher = append([]byte(nil), w.ticket.EncPart.Cipher...)
	w.ticket.EncPart.Cipher[40] ^= 1
	tgsCall(k, &w, "HTTP/front.corp.test", 0).seal(t).wantCode(t, k, krb5.CodeBadIntegrity)
	w = *tgt
	w.ticket.Raw, w.ticket.EncPart.KVNO = nil, 77
	tgsCall(k, &w, "HTTP/front.corp.test", 0).seal(t).wantCode(t, k, krb5.CodeBadKeyVersion)
}

func TestRenewalEndsInTime(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := newKDC(t, Config{Now: func() time.Time { return start.Add(time.Duration(offset.Load())) }, TicketLife: time.Hour, RenewLife: 150 * time.Minute})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	for i := 1; i <= 2; i++ {
		offset.Add(int64(50 * time.Minute))
		tgt = tgsCall(k, tgt, "krbtgt/CORP.TEST", krb5.OptionRenew).seal(t).must(t, k)
		end := start.Add(time.Duration(offset.Load()) + time.Hour)
		if limit := start.Add(150 * time.Minute); end.After(limit) {
			end = limit
		}
		if !tgt.enc.EndTime.Equal(end) {
			t.Errorf("renewal %d: ends %v, want %v", i, tgt.enc.EndTime, end)
		}
	}
	if o := open(t, k, tgt, "krbtgt"); o.logon.Account != "alice" || o.part.Flags.Has(krb5.FlagInitial) {
		t.Errorf("renewed ticket: %+v", o.part)
	}
	if k.Stats().Renew != 2 {
		t.Errorf("got %+v", k.Stats())
	}
	offset.Store(int64(151 * time.Minute))
	tgsCall(k, tgt, "krbtgt/CORP.TEST", krb5.OptionRenew).seal(t).wantCode(t, k, krb5.CodeTicketExpired)
}

func TestForwardedTicket(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	mustAdd(t, k, Account{Name: "deleg", Password: "pw", SPNs: []string{"HTTP/deleg"}, TrustedForDelegation: true})
	tgt := login(t, k, "alice", "pw")
	if r := tgsCall(k, tgt, "HTTP/deleg", 0).seal(t).must(t, k); !r.enc.Flags.Has(krb5.FlagOKAsDelegate) {
		t.Error("ok-as-delegate is not set")
	}
	fwd := tgsCall(k, tgt, "krbtgt/CORP.TEST", krb5.FlagForwarded|krb5.FlagForwardable).seal(t).must(t, k)
	if !fwd.enc.Flags.Has(krb5.FlagForwarded | krb5.FlagForwardable) {
		t.Errorf("flags: %032b", fwd.enc.Flags)
	}
	r := tgsCall(k, fwd, "HTTP/back.corp.test", 0).seal(t).must(t, k)
	if o := open(t, k, r, "back"); o.logon.Account != "alice" || !o.part.Flags.Has(krb5.FlagForwarded) {
		t.Errorf("ticket from the forwarded one: %+v", o.part)
	}
	if k.Stats().Forward != 1 {
		t.Errorf("got %+v", k.Stats())
	}
}

func TestKeyVersions(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	old := tgsCall(k, tgt, "HTTP/front.corp.test", krb5.FlagForwardable).seal(t).must(t, k)
	if err := k.SetPassword("front", "new"); err != nil {
		t.Fatal(err)
	}
	cur := tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t).must(t, k)
	if old.ticket.EncPart.KVNO != 1 || cur.ticket.EncPart.KVNO != 2 {
		t.Errorf("kvno: got %d, then %d", old.ticket.EncPart.KVNO, cur.ticket.EncPart.KVNO)
	}
	// Evidence made with the older key still counts.
	s4uProxy(t, k, login(t, k, "front", "new"), "HTTP/back.corp.test", old.ticket).must(t, k)
}

func TestReferralCarriesPAC(t *testing.T) {
	t.Parallel()
	a, b, c := newKDC(t, Config{}), newKDC(t, Config{Realm: "SUB.CORP.TEST"}), newKDC(t, Config{Realm: "FAR.TEST"})
	addPeople(t, a)
	mustAdd(t, c, Account{Name: "web", Password: "pw", SPNs: []string{"HTTP/web.far.test"}})
	for _, err := range []error{Trust(a, b), Trust(b, c), a.Route("SUB.CORP.TEST", "far.test")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tgt := login(t, a, "alice", "pw")
	tgsCall(a, tgt, "HTTP/web.far.test", 0).seal(t).wantCode(t, a, krb5.CodeServerUnknown) // not asked for
	for _, k := range []*KDC{a, b} {
		tgt = tgsCall(k, tgt, "HTTP/web.far.test", krb5.OptionCanonical).seal(t).must(t, k)
		if _, ok := tgt.rep.Ticket.SName.IsTGS(); !ok {
			t.Fatalf("%s answers with a ticket for %s", k.Realm(), tgt.rep.Ticket.SName)
		}
	}
	r := tgsCall(c, tgt, "HTTP/web.far.test", krb5.OptionCanonical).seal(t).must(t, c)
	o := open(t, c, r, "web")
	if o.part.CRealm != "CORP.TEST" || o.logon.DomainSID != a.DomainSID() || string(o.part.Transited.Contents) != "SUB.CORP.TEST" {
		t.Errorf("client %s@%s of %s, transited %q", o.part.CName, o.part.CRealm, o.logon.DomainSID, o.part.Transited.Contents)
	}
	// Nobody but the trusted realm can make such tickets.
	w := *tgt
	w.ticket.Raw, w.ticket.Realm = nil, "EVIL.TEST"
	tgsCall(c, &w, "HTTP/web.far.test", 0).seal(t).wantCode(t, c, krb5.CodeNotUs)
	if err := Trust(a, a); err == nil {
		t.Error("a realm trusts itself")
	}
	if err := a.Route("NOWHERE.TEST", "x.test"); err == nil {
		t.Error("route over an unknown realm")
	}
}
