package kdc

import (
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// cred is a ticket in a client's hands.
type cred struct {
	ticket krb5.Ticket
	key    krb5.Key
	rep    *krb5.KDCRep
	enc    *krb5.EncKDCRepPart
}

// call is a request that tests bend before it is sent.
type call struct {
	req  krb5.KDCReq
	auth krb5.Authenticator

	tgt     *cred
	noSum   bool
	tamper  func(req []byte) []byte
	replyOf krb5.Key // of an AS request
}

// ask sends a request and returns the reply, or the KRB-ERROR.
func (c *call) ask(t testing.TB, k *KDC) (*cred, *krb5.ErrorMessage) {
	t.Helper()
	b, err := c.req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if c.tamper != nil {
		b = c.tamper(b)
	}
	rb := k.Handle(b)
	if typ, _ := krb5.TypeOf(rb); typ == krb5.MsgError {
		m, err := krb5.ParseErrorMessage(rb)
		if err != nil {
			t.Fatal(err)
		}
		return nil, m
	}
	rep, err := krb5.ParseKDCRep(rb)
	if err != nil {
		t.Fatal(err)
	}
	key, usage := c.replyOf, krb5.UsageASRepPart
	if c.tgt != nil {
		key, usage = c.tgt.key, krb5.UsageTGSRepPartKey
		if !c.auth.SubKey.IsZero() {
			key, usage = c.auth.SubKey, krb5.UsageTGSRepPartSub
		}
	}
	plain, err := rep.EncPart.Open(key, usage)
	if err != nil {
		t.Fatalf("open reply: %v", err)
	}
	enc, err := krb5.ParseEncKDCRepPart(plain)
	if err != nil {
		t.Fatal(err)
	}
	return &cred{ticket: rep.Ticket, key: enc.Key, rep: rep, enc: enc}, nil
}

func (c *call) must(t testing.TB, k *KDC) *cred {
	t.Helper()
	r, e := c.ask(t, k)
	if e != nil {
		t.Fatalf("refused: %v %s", e.Code, e.Text)
	}
	return r
}

func (c *call) wantCode(t testing.TB, k *KDC, want krb5.ErrorCode) {
	t.Helper()
	_, e := c.ask(t, k)
	switch {
	case e == nil:
		t.Errorf("granted, want %v", want)
	case e.Code != want:
		t.Errorf("got %v (%s), want %v", e.Code, e.Text, want)
	}
}

var allETypes = []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2, krb5.RC4HMAC}

// asCall is an AS request of a user with a password.
func asCall(t testing.TB, k *KDC, user, password string, e krb5.EType, opts krb5.Flags) *call {
	t.Helper()
	key, err := krb5.StringToKey(e, password, k.salt(user), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{replyOf: key, req: krb5.KDCReq{Type: krb5.MsgASReq, Body: krb5.KDCReqBody{
		Options: opts, CName: krb5.NewPrincipalName(krb5.NamePrincipal, user), Realm: k.Realm(),
		SName: krb5.TGSName(k.Realm()), Nonce: 12345, ETypes: []krb5.EType{e},
	}}}
	c.timestamp(t, key, k.cfg.Now())
	return c
}

func (c *call) timestamp(t testing.TB, key krb5.Key, at time.Time) {
	t.Helper()
	ts, err := (&krb5.EncTimestamp{Time: at.UTC()}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d, err := krb5.Seal(key, krb5.UsageASReqTimestamp, 0, ts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.req.PAData = []krb5.PAData{{Type: krb5.PAEncTimestamp, Value: b}}
}

// login returns a forwardable, renewable ticket-granting ticket.
func login(t testing.TB, k *KDC, user, password string) *cred {
	t.Helper()
	return asCall(t, k, user, password, krb5.AES256SHA1, krb5.FlagForwardable|krb5.FlagRenewable).must(t, k)
}

// tgsCall is a TGS request for a service. Seal it after bending it.
func tgsCall(k *KDC, tgt *cred, service string, opts krb5.Flags) *call {
	return &call{tgt: tgt,
		auth: krb5.Authenticator{CRealm: tgt.rep.CRealm, CName: tgt.rep.CName, CTime: k.cfg.Now().UTC()},
		req: krb5.KDCReq{Type: krb5.MsgTGSReq, Body: krb5.KDCReqBody{
			Options: opts, Realm: k.Realm(),
			SName: krb5.NewPrincipalName(krb5.NameService, service),
			Nonce: 54321, ETypes: allETypes,
		}}}
}

// seal makes the authenticator.
func (c *call) seal(t testing.TB, extra ...krb5.PAData) *call {
	t.Helper()
	body, err := c.req.Body.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !c.noSum && c.auth.Checksum == nil {
		sum, err := krb5.Sign(c.tgt.key, krb5.UsageTGSReqChecksum, body)
		if err != nil {
			t.Fatal(err)
		}
		c.auth.Checksum = &sum
	}
	plain, err := c.auth.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	ed, err := krb5.Seal(c.tgt.key, krb5.UsageTGSReqAuthenticator, 0, plain)
	if err != nil {
		t.Fatal(err)
	}
	ap, err := (&krb5.APReq{Ticket: c.tgt.ticket, Authenticator: ed}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.req.PAData = append([]krb5.PAData{{Type: krb5.PATGSReq, Value: ap}}, extra...)
	return c
}

// forUser is PA-FOR-USER of a request.
func (c *call) forUser(t testing.TB, key krb5.Key, user, realm string) krb5.PAData {
	t.Helper()
	f := krb5.ForUser{Name: krb5.NewPrincipalName(krb5.NamePrincipal, user), Realm: realm, AuthPackage: "Kerberos"}
	sum, err := key.HMACMD5(krb5.UsageForUserChecksum, f.SignedBytes())
	if err != nil {
		t.Fatal(err)
	}
	f.Checksum = krb5.Checksum{Type: krb5.HMACMD5, Sum: sum}
	b, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return krb5.PAData{Type: krb5.PAForUser, Value: b}
}

// s4uSelf gets a ticket to service itself in a user's name.
func s4uSelf(t testing.TB, k *KDC, tgt *cred, service, user string) *call {
	t.Helper()
	c := tgsCall(k, tgt, service, krb5.FlagForwardable)
	return c.seal(t, c.forUser(t, tgt.key, user, k.Realm()))
}

// s4uProxy asks for a ticket to service on the ground of evidence.
func s4uProxy(t testing.TB, k *KDC, tgt *cred, service string, evidence krb5.Ticket) *call {
	t.Helper()
	c := tgsCall(k, tgt, service, krb5.FlagForwardable|krb5.OptionCNameInAddl)
	c.req.Body.AdditionalTickets = []krb5.Ticket{evidence}
	opts, err := krb5.MarshalPACOptions(krb5.PACOptionRBCD)
	if err != nil {
		t.Fatal(err)
	}
	return c.seal(t, krb5.PAData{Type: krb5.PAPACOptionsType, Value: opts})
}

// opened is a ticket as its service sees it.
type opened struct {
	part  *krb5.EncTicketPart
	pac   *pac.PAC
	logon *pac.LogonInfo
}

// open decrypts a ticket with the account of its service and verifies its PAC.
func open(t testing.TB, k *KDC, c *cred, account string) opened {
	t.Helper()
	a := k.krbtgt
	if account != "krbtgt" {
		a = k.account(account)
	}
	part, key, err := a.open(&c.ticket)
	if err != nil {
		t.Fatal(err)
	}
	o := opened{part: part}
	if o.pac, err = readPAC(part, key); err != nil {
		t.Fatal(err)
	}
	if o.pac != nil {
		if o.logon, err = o.pac.LogonInfo(); err != nil {
			t.Fatal(err)
		}
	}
	return o
}
