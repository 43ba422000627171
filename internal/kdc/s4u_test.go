package kdc

import (
	"bytes"
	"slices"
	"testing"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

func TestS4U2Self(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, service, password, spn, user string
		forwardable                        bool
	}{
		{"trusted service", "front", "f", "HTTP/front.corp.test", "alice", true},
		{"by account name", "front", "f", "front", "alice", true},
		{"UPN", "front", "f", "front", "alice@corp.test", true},
		{"other case", "front", "f", "front", "ALICE", true},
		{"sensitive user", "front", "f", "front", "sam", false},
		{"protected user", "front", "f", "front", "pru", false},
		{"service that is not trusted", "plain", "f", "plain", "alice", false},
	}
	k := newKDC(t, Config{})
	addPeople(t, k)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := s4uSelf(t, k, login(t, k, tt.service, tt.password), tt.spn, tt.user).must(t, k)
			o := open(t, k, r, tt.service)
			if r.rep.CName.String() != tt.user || !o.part.CName.Equal(r.rep.CName) {
				t.Errorf("client: got %s", r.rep.CName)
			}
			if got := o.part.Flags.Has(krb5.FlagForwardable); got != tt.forwardable {
				t.Errorf("forwardable: got %v", got)
			}
			if !slices.Contains(o.logon.GroupSIDs(), sidServiceAsserted) || slices.Contains(o.logon.GroupSIDs(), sidAuthenticationAuthority) {
				t.Errorf("asserted identity: got %v", o.logon.GroupSIDs())
			}
		})
	}
}

func TestS4U2SelfRefusals(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	front := login(t, k, "front", "f")
	s4uSelf(t, k, front, "front", "nobody").wantCode(t, k, krb5.CodeClientUnknown)
	s4uSelf(t, k, front, "front", "dora").wantCode(t, k, krb5.CodePolicy)
	s4uSelf(t, k, front, "HTTP/back.corp.test", "alice").wantCode(t, k, krb5.CodeBadOption)

	c := tgsCall(k, front, "front", 0)
	c.seal(t, c.forUser(t, front.key, "alice", "OTHER.TEST")).wantCode(t, k, krb5.CodeWrongRealm)
	c.seal(t, krb5.PAData{Type: krb5.PAForUser, Value: []byte("x")}).wantCode(t, k, krb5.CodeModified)
}

// Whoever does not know the session key cannot choose the user.
func TestAttackForUserChecksum(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	front := login(t, k, "front", "f")
	other, err := krb5.RandomKey(krb5.AES256SHA1)
	if err != nil {
		t.Fatal(err)
	}
	c := tgsCall(k, front, "front", 0)
	c.seal(t, c.forUser(t, other, "alice", k.Realm())).wantCode(t, k, krb5.CodeModified)

	p := c.forUser(t, front.key, "alice", k.Realm())
	p.Value = bytes.Replace(p.Value, []byte("alice"), []byte("admin"), 1)
	c.seal(t, p).wantCode(t, k, krb5.CodeModified)
}

func x509User(t testing.TB, key krb5.Key, user string, nonce uint32) krb5.PAData {
	t.Helper()
	id := krb5.S4UUserID{Nonce: nonce, CName: krb5.NewPrincipalName(krb5.NamePrincipal, user), CRealm: "CORP.TEST",
		Options: krb5.S4UOptionUseReplyKey, HasOptions: true}
	raw, err := id.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := krb5.Sign(key, krb5.UsageS4UX509UserRequest, raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&krb5.S4UX509User{RawUser: raw, Checksum: sum}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return krb5.PAData{Type: krb5.PAS4UX509User, Value: b}
}

func TestS4UX509User(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	front := login(t, k, "front", "f")
	c := tgsCall(k, front, "front", 0)
	pa := x509User(t, front.key, "alice", 54321)
	r := c.seal(t, pa).must(t, k)
	b, ok := krb5.FindPAData(r.rep.PAData, krb5.PAS4UX509User)
	if !ok {
		t.Fatal("the reply does not confirm the user")
	}
	m, err := krb5.ParseS4UX509User(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := front.key.VerifyChecksum(m.Checksum.Type, krb5.UsageS4UX509UserReply, m.RawUser, m.Checksum.Sum); err != nil || m.User.CName.String() != "alice" {
		t.Errorf("confirmation: %v, %v", m.User.CName, err)
	}
	if e, ok := krb5.FindPAData(r.enc.EncPAData, krb5.PAS4UX509User); !ok || !bytes.HasSuffix(e, m.Checksum.Sum) {
		t.Error("the sealed part does not repeat the checksum")
	}
	// A request of another nonce, another user beside it, another key.
	other, err := krb5.RandomKey(krb5.AES256SHA1)
	if err != nil {
		t.Fatal(err)
	}
	c.seal(t, x509User(t, front.key, "alice", 1)).wantCode(t, k, krb5.CodeModified)
	c.seal(t, x509User(t, other, "alice", 54321)).wantCode(t, k, krb5.CodeModified)
	c.seal(t, pa, c.forUser(t, front.key, "sam", k.Realm())).wantCode(t, k, krb5.CodeModified)
	c.seal(t, pa, c.forUser(t, front.key, "alice", k.Realm())).must(t, k)
}

func TestS4U2Proxy(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	login1 := func(user string) *cred { return login(t, k, user, "pw") }
	presentTo := func(spn, user string) krb5.Ticket {
		return tgsCall(k, login1(user), spn, krb5.FlagForwardable).seal(t).must(t, k).ticket
	}
	selfTicket := func(svc, user string) krb5.Ticket {
		return s4uSelf(t, k, login(t, k, svc, "f"), svc, user).must(t, k).ticket
	}
	tests := []struct {
		name, service, target string
		evidence              krb5.Ticket
		asserted              pac.SID
		refused               krb5.ErrorCode
	}{
		{"transition", "front", "HTTP/back.corp.test", selfTicket("front", "alice"), sidServiceAsserted, 0},
		{"caller's ticket", "front", "HTTP/back.corp.test", presentTo("HTTP/front.corp.test", "alice"), sidAuthenticationAuthority, 0},
		{"caller's ticket, service without transition", "plain", "HTTP/back.corp.test", presentTo("HTTP/plain.corp.test", "alice"), sidAuthenticationAuthority, 0},
		{"resource-based", "guest", "HTTP/back.corp.test", presentTo("HTTP/guest.corp.test", "alice"), sidAuthenticationAuthority, 0},
		{"resource-based, transition", "guest", "HTTP/back.corp.test", selfTicket("guest", "alice"), sidServiceAsserted, 0},
		{"transition that is not trusted", "plain", "HTTP/back.corp.test", selfTicket("plain", "alice"), "", krb5.CodeBadOption},
		{"target not listed", "front", "HTTP/other.corp.test", selfTicket("front", "alice"), "", krb5.CodeBadOption},
		{"sensitive user", "front", "HTTP/back.corp.test", selfTicket("front", "sam"), "", krb5.CodeBadOption},
		{"sensitive user, resource-based", "guest", "HTTP/back.corp.test", selfTicket("guest", "sam"), "", krb5.CodeBadOption},
		{"protected user", "front", "HTTP/back.corp.test", selfTicket("front", "pru"), "", krb5.CodeBadOption},
		{"ticket for another service", "front", "HTTP/back.corp.test", presentTo("HTTP/plain.corp.test", "alice"), "", krb5.CodeBadOption},
		{"target is the TGS", "front", "krbtgt/CORP.TEST", selfTicket("front", "alice"), "", krb5.CodeBadOption},
		{"unknown target", "front", "HTTP/nowhere", selfTicket("front", "alice"), "", krb5.CodeServerUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := s4uProxy(t, k, login(t, k, tt.service, "f"), tt.target, tt.evidence)
			if tt.refused != 0 {
				c.wantCode(t, k, tt.refused)
				return
			}
			r := c.must(t, k)
			o := open(t, k, r, "back")
			if r.rep.CName.String() != "alice" || o.logon.Account != "alice" || !o.part.Flags.Has(krb5.FlagForwardable) {
				t.Errorf("got a ticket for %s, %s, flags %032b", r.rep.CName, o.logon.Account, o.part.Flags)
			}
			if !slices.Contains(o.logon.GroupSIDs(), tt.asserted) || !slices.Contains(o.logon.GroupSIDs(), k.DomainSID().RID(1200)) {
				t.Errorf("groups: %v", o.logon.GroupSIDs())
			}
		})
	}
}

// Resource-based delegation is used only where the client asks for it.
func TestS4U2ProxyNeedsOption(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	guest := login(t, k, "guest", "f")
	ev := s4uSelf(t, k, guest, "guest", "alice").must(t, k).ticket
	c := tgsCall(k, guest, "HTTP/back.corp.test", krb5.OptionCNameInAddl)
	c.req.Body.AdditionalTickets = []krb5.Ticket{ev}
	c.seal(t).wantCode(t, k, krb5.CodeBadOption)
	c = tgsCall(k, guest, "HTTP/back.corp.test", krb5.OptionCNameInAddl)
	c.seal(t).wantCode(t, k, krb5.CodeBadOption) // no evidence at all
}

// A service alters the ticket it got for itself, with its own key: it sets the
// forwardable flag, or another user's name (CVE-2020-17049).
func TestAttackEvidenceForgedByService(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	mustAdd(t, k, Account{Name: "admin", Password: "pw"})
	plain := login(t, k, "plain", "f")
	good := s4uSelf(t, k, plain, "plain", "alice").must(t, k)
	key, kvno := k.account("plain").ticketKey()
	forge := func(change func(p *krb5.EncTicketPart)) krb5.Ticket {
		t.Helper()
		p := open(t, k, good, "plain").part
		change(p)
		b, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		ed, err := krb5.Seal(key, krb5.UsageTicket, kvno, b)
		if err != nil {
			t.Fatal(err)
		}
		return krb5.Ticket{Realm: k.Realm(), SName: good.ticket.SName, EncPart: ed}
	}
	// newPAC is signed with the service's key in the KDC's place too.
	newPAC := func(p *krb5.EncTicketPart, user string) {
		a := k.account(user)
		part, err := withPAC(p, []byte{0})
		if err != nil {
			t.Fatal(err)
		}
		b, err := pac.Build(pac.Contents{
			Logon: k.logonInfo(a, p.AuthTime, sidAuthenticationAuthority), TicketPart: part,
			Client: pac.ClientInfo{Name: p.CName.String(), AuthTime: p.AuthTime}}, key, key)
		if err != nil {
			t.Fatal(err)
		}
		e, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: b})
		if err != nil {
			t.Fatal(err)
		}
		p.AuthorizationData = []krb5.AuthorizationData{e}
	}
	tests := []struct {
		name   string
		change func(p *krb5.EncTicketPart)
		want   krb5.ErrorCode
	}{
		{"forwardable flag", func(p *krb5.EncTicketPart) { p.Flags |= krb5.FlagForwardable }, krb5.CodeModified},
		{"other name", func(p *krb5.EncTicketPart) { p.CName = krb5.NewPrincipalName(krb5.NamePrincipal, "admin") }, krb5.CodeModified},
		{"other PAC", func(p *krb5.EncTicketPart) { p.Flags |= krb5.FlagForwardable; newPAC(p, "admin") }, krb5.CodeModified},
		{"no PAC", func(p *krb5.EncTicketPart) { p.Flags |= krb5.FlagForwardable; p.AuthorizationData = nil }, krb5.CodeBadOption},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s4uProxy(t, k, plain, "HTTP/back.corp.test", forge(tt.change)).wantCode(t, k, tt.want)
		})
	}
}

// An account of a trusted realm that has the name of one of ours has none of
// its rights, even with a ticket-granting ticket that we issued.
func TestAttackForeignNamesake(t *testing.T) {
	t.Parallel()
	a, b := newKDC(t, Config{}), newKDC(t, Config{Realm: "FAR.TEST"})
	addPeople(t, a)
	mustAdd(t, b, Account{Name: "front", Password: "f"}, Account{Name: "alice", Password: "pw"})
	if err := Trust(a, b); err != nil {
		t.Fatal(err)
	}
	tgt := login(t, b, "front", "f")
	cross := tgsCall(b, tgt, "krbtgt/CORP.TEST", krb5.FlagForwardable).seal(t).must(t, b)
	ours := tgsCall(a, cross, "krbtgt/CORP.TEST", krb5.FlagForwardable).seal(t).must(t, a)
	if ours.rep.CRealm != "FAR.TEST" {
		t.Fatalf("ticket for %s@%s", ours.rep.CName, ours.rep.CRealm)
	}
	s4uSelf(t, a, ours, "front", "alice").wantCode(t, a, krb5.CodeBadOption)
	ev := s4uSelf(t, a, login(t, a, "front", "f"), "front", "alice").must(t, a).ticket
	s4uProxy(t, a, ours, "HTTP/back.corp.test", ev).wantCode(t, a, krb5.CodeBadOption)
	s4uProxy(t, a, login(t, a, "front", "f"), "HTTP/back.corp.test", ev).must(t, a)
}
