package kerberos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// The identity is the account, however the client spelled it.
func TestAcceptNameFromPAC(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.ticket = func(p *krb5.EncTicketPart) {
		p.CName = krb5.NewPrincipalName(krb5.NameEnterprise, "Alice.L@new.test")
	}
	o.pac = func(c *pac.Contents) { c.Client.Name = "Alice.L@new.test" }
	_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	if err != nil {
		t.Fatal(err)
	}
	if id.String() != `CORP\alice` {
		t.Errorf("identity %v", id)
	}
	if got := id.Evidence.(*Evidence).Client(); got != "Alice.L@new.test@CORP.TEST" {
		t.Errorf("evidence is of %s", got)
	}
}

func TestAcceptWithoutPAC(t *testing.T) {
	t.Parallel()
	none := func(o *order) { o.noPAC = true }
	empty := func(o *order) { o.pac = func(c *pac.Contents) { c.Logon = nil } } // MIT 1.20
	for _, tc := range []struct {
		name   string
		change func(*order)
		allow  []string
		hint   string // "" means accepted
	}{
		{"none", none, nil, "NA_AUTH_DATA_REQUIRED"},
		{"none, allowed for another realm", none, []string{"MIT.TEST"}, "KDC of CORP.TEST"},
		{"none, allowed", none, []string{"corp.test"}, ""},
		{"without logon information", empty, nil, "NA_AUTH_DATA_REQUIRED"},
		{"without logon information, allowed", empty, []string{"CORP.TEST"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			tc.change(o)
			m := o.mechanism(t)
			m.AllowNoPAC = tc.allow
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.hint != "" {
				wantRefused(t, id, err, authn.ReasonPolicy, tc.hint)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if id.String() != `CORP.TEST\alice` || id.SID != "" || len(id.Groups) != 0 {
				t.Errorf("identity %v, SID %q, groups %v", id, id.SID, id.Groups)
			}
		})
	}
}

// A realm on the way to one without PACs could make up clients of it, although
// no KDC had checked the path.
func TestAttackUncheckedTransit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		noPAC   bool
		through string
		checked bool
		refused bool
	}{
		{"direct trust", true, "", false, false},
		{"not checked", true, "EVIL.TEST", false, true},
		{"checked", true, "EVIL.TEST", true, false},
		{"not checked, with PAC", false, "EVIL.TEST", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.noPAC = tc.noPAC
			o.ticket = func(p *krb5.EncTicketPart) {
				p.CRealm = "PARTNER.TEST"
				p.Transited = krb5.TransitedEncoding{Type: 1, Contents: []byte(tc.through)}
				if tc.checked {
					p.Flags |= krb5.FlagTransited
				}
			}
			m := o.mechanism(t)
			m.AllowNoPAC = []string{"PARTNER.TEST"}
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.refused {
				wantRefused(t, id, err, authn.ReasonPolicy, "capaths")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcceptForwardedTGT(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		allow  bool
		info   func(*krb5.CredInfo)
		tgt    func(*krb5.Ticket)
		subkey bool // encrypt with the subkey
		key    krb5.Key
		want   bool
		reason authn.Reason
	}{
		{name: "not taken by default"},
		{name: "taken", allow: true, want: true},
		{name: "taken, in the subkey", allow: true, subkey: true, want: true},
		{name: "of another client", allow: true, info: func(i *krb5.CredInfo) { i.PName.Components = []string{"bob"} }, reason: authn.ReasonMalformed},
		{name: "of another realm", allow: true, info: func(i *krb5.CredInfo) { i.PRealm = "EVIL.TEST" }, reason: authn.ReasonMalformed},
		{name: "no TGT", allow: true, tgt: func(k *krb5.Ticket) { k.SName = krb5.NewPrincipalName(2, "HTTP/x") }, reason: authn.ReasonMalformed},
		{name: "wrong key", allow: true, key: randomKey(t, krb5.AES256SHA1), reason: authn.ReasonMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			tgtKey, sub := randomKey(t, krb5.AES256SHA1), randomKey(t, krb5.AES256SHA1)
			o.auth = func(a *krb5.Authenticator) { a.SubKey = sub }
			o.gss = func(c *gssChecksum) {
				info := krb5.CredInfo{Key: tgtKey, PRealm: "CORP.TEST", PName: krb5.NewPrincipalName(1, "alice"),
					Flags: krb5.FlagForwarded, EndTime: fixedNow.Add(time.Hour)}
				tgt := krb5.Ticket{Realm: "CORP.TEST", SName: krb5.TGSName("CORP.TEST"), EncPart: krb5.EncryptedData{EType: krb5.AES256SHA1, Cipher: []byte("sealed")}}
				if tc.info != nil {
					tc.info(&info)
				}
				if tc.tgt != nil {
					tc.tgt(&tgt)
				}
				part, err := (&krb5.EncCredPart{Info: []krb5.CredInfo{info}}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				key := o.session
				if tc.subkey {
					key = sub
				}
				if !tc.key.IsZero() {
					key = tc.key
				}
				sealed, err := key.Encrypt(krb5.UsageCredPart, part)
				if err != nil {
					t.Fatal(err)
				}
				if c.delegated, err = (&krb5.Cred{Tickets: []krb5.Ticket{tgt}, EncPart: krb5.EncryptedData{EType: key.EType(), Cipher: sealed}}).Marshal(); err != nil {
					t.Fatal(err)
				}
				c.flags |= ContextDelegate
			}
			m := o.mechanism(t)
			m.AllowForwardedTGT = tc.allow
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.reason != "" {
				wantRefused(t, id, err, tc.reason, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ev := id.Evidence.(*Evidence)
			if ev.HasForwardedTGT() != tc.want {
				t.Fatalf("forwarded TGT %v, want %v", ev.HasForwardedTGT(), tc.want)
			}
			if f := ev.open().forwarded; tc.want && (!f.key.Equal(tgtKey) || f.client.String() != "alice" || !f.end.Equal(fixedNow.Add(time.Hour).Truncate(time.Second))) {
				t.Errorf("forwarded %+v", f)
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	token := o.token(t)
	_, id, err := login1(o.mechanism(t), authn.Exchange{}, token)
	if err != nil {
		t.Fatal(err)
	}
	_, _, body, _ := krb5.UnframeToken(token)
	req, err := krb5.ParseAPReq(body)
	if err != nil {
		t.Fatal(err)
	}
	raw := bytes.Clone(req.Ticket.Raw)
	clear(token) // the token's memory belongs to the caller
	ev := id.Evidence.(*Evidence)
	if b, err := ev.open().ticket.Marshal(); err != nil || !bytes.Equal(b, raw) {
		t.Errorf("the ticket in the evidence is not the one presented (%v)", err)
	}
	if ev.Client() != "alice@CORP.TEST" || ev.SID() != id.SID || id.SID == "" || !ev.Forwardable() || ev.Asserted() || !ev.Expires().Equal(id.Expires) {
		t.Errorf("evidence of %s, forwardable %v, asserted %v, until %v", ev.Client(), ev.Forwardable(), ev.Asserted(), ev.Expires())
	}

	o.ticket = func(p *krb5.EncTicketPart) { p.Flags = 0 }
	o.pac = func(c *pac.Contents) { c.Logon.ExtraSIDs[0].SID = pac.SID(sidServiceAsserted) }
	if _, id, err = login1(o.mechanism(t), authn.Exchange{}, o.token(t)); err != nil {
		t.Fatal(err)
	}
	if ev := id.Evidence.(*Evidence); ev.Forwardable() || !ev.Asserted() {
		t.Errorf("forwardable %v, asserted %v", ev.Forwardable(), ev.Asserted())
	}
	var none *Evidence
	if none.Forwardable() || none.HasForwardedTGT() || none.EvidenceKind() == "" {
		t.Error("nil evidence is good for something")
	}
}

func TestEvidenceIsRedacted(t *testing.T) {
	t.Parallel()
	key := randomKey(t, krb5.AES256SHA1)
	mark := []byte("MARKEDticket")
	ev := newEvidence(&evidence{
		ticket:    krb5.Ticket{Raw: mark, EncPart: krb5.EncryptedData{Cipher: mark}},
		forwarded: &ticket{Ticket: krb5.Ticket{Raw: mark}, key: key},
	})
	id := &authn.Identity{Account: "alice", Evidence: ev}
	type holder struct {
		Evidence *Evidence
		hidden   *Evidence
		value    Evidence
		identity *authn.Identity
	}
	h := holder{ev, ev, *ev, id}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "evidence", ev, "id", id, "holder", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "evidence", ev, "id", id, "holder", h)
	js, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(js)
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, v := range []any{ev, *ev, h, &h, id, *id} {
			out += fmt.Sprintf(f, v)
		}
	}
	for _, secret := range []string{"MARKED", fmt.Sprintf("%x", mark[:6]), strings.Trim(fmt.Sprint(mark[:4]), "[]"), fmt.Sprintf("%x", key.Bytes()[:6])} {
		if strings.Contains(out, secret) {
			t.Errorf("evidence shows as %q in %s", secret, out)
		}
	}
}
