package kerberos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES128SHA2, krb5.AES256SHA2} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, e)
			_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			if err != nil {
				t.Fatal(err)
			}
			got := *id
			got.Evidence = nil
			want := authn.Identity{
				Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Liddell",
				SID: "S-1-5-21-1-2-3-1104", Mechanism: authn.MechanismKerberos,
				Groups:   []authn.Group{{SID: "S-1-5-21-1-2-3-513"}, {SID: "S-1-5-21-1-2-3-1105"}, {SID: "S-1-18-1"}},
				AuthTime: fixedNow.Add(-time.Hour).Truncate(time.Second),
				Expires:  fixedNow.Add(9 * time.Hour).Truncate(time.Second),
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

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

func TestAcceptMutual(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		option krb5.Flags
		gss    uint32
		want   bool
	}{
		{"both", krb5.APMutualRequired, gssMutual, true},
		{"AP option only", krb5.APMutualRequired, gssIntegrity, true},
		{"GSS flag only", 0, gssMutual, true},
		{"not asked", 0, gssIntegrity, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.gss = func(c *gssChecksum) { c.flags = tc.gss }
			o.req = func(r *krb5.APReq) { r.Options = tc.option }
			reply, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			if err != nil || id == nil {
				t.Fatal(id, err)
			}
			if !tc.want {
				if reply != nil {
					t.Errorf("reply %x, want none", reply)
				}
				return
			}
			part := readReply(t, reply, o.session)
			if !part.CTime.Equal(fixedNow.Truncate(time.Second)) || part.CUSec != 535_000 {
				t.Errorf("AP-REP echoes %v %d", part.CTime, part.CUSec)
			}
			if part.SeqNumber == 0 || !part.SubKey.IsZero() {
				t.Errorf("AP-REP has sequence number %d, subkey %v", part.SeqNumber, part.SubKey)
			}
		})
	}
}

func readReply(t *testing.T, reply []byte, session krb5.Key) *krb5.EncAPRepPart {
	t.Helper()
	oid, kind, body, err := krb5.UnframeToken(reply)
	if err != nil || kind != krb5.TokenAPRep || !oid.Equal(OID()) {
		t.Fatalf("reply of %v, kind %#x, %v", oid, uint16(kind), err)
	}
	rep, err := krb5.ParseAPRep(body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := session.Decrypt(krb5.UsageAPRepPart, rep.EncPart.Cipher)
	if err != nil {
		t.Fatal(err)
	}
	part, err := krb5.ParseEncAPRepPart(b)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// A client that frames its token with Microsoft's object identifier is
// answered in kind.
func TestAcceptMicrosoftFraming(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.oid = krb5.OIDMicrosoftKerberos()
	reply, _, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	if err != nil {
		t.Fatal(err)
	}
	oid, kind, _, err := krb5.UnframeToken(reply)
	if err != nil || !oid.Equal(o.oid) || kind != krb5.TokenAPRep {
		t.Errorf("answer in %v, kind %#x, %v", oid, uint16(kind), err)
	}
}

func TestAcceptSigns(t *testing.T) {
	t.Parallel()
	list := []byte("mechTypes")
	for _, mutual := range []bool{true, false} {
		for _, subkey := range []bool{true, false} {
			o := newOrder(t, krb5.AES256SHA1)
			context := o.session
			o.auth = func(a *krb5.Authenticator) {
				if context = a.SubKey; !subkey {
					a.SubKey, context = krb5.Key{}, o.session
				}
			}
			if !mutual {
				o.gss = func(c *gssChecksum) { c.flags = gssIntegrity }
				o.req = func(r *krb5.APReq) { r.Options = 0 }
			}
			a := o.mechanism(t).NewAcceptor(authn.Exchange{})
			s := a.(authn.MessageSigner)
			if _, err := s.GetMIC(list); !errors.Is(err, errNoContext) {
				t.Errorf("MIC before the exchange: %v", err)
			}
			if err := s.VerifyMIC(list, nil); !errors.Is(err, errNoContext) {
				t.Errorf("MIC verified before the exchange: %v", err)
			}
			reply, _, err := a.Step(t.Context(), o.token(t))
			if err != nil {
				t.Fatal(err)
			}
			seq := uint64(4711)
			if mutual {
				seq = uint64(readReply(t, reply, o.session).SeqNumber)
			}
			client := &signer{key: context, seq: 4711}
			mic, err := s.GetMIC(list)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.VerifyMIC(list, mic); err != nil {
				t.Errorf("mutual %v, subkey %v: client refuses the MIC: %v", mutual, subkey, err)
			}
			if got := bytesToSeq(mic); got != seq {
				t.Errorf("mutual %v: MIC has sequence number %d, want %d", mutual, got, seq)
			}
			if mic, err = client.GetMIC(list); err != nil {
				t.Fatal(err)
			}
			if err := s.VerifyMIC(list, mic); err != nil {
				t.Errorf("mutual %v, subkey %v: MIC of the client: %v", mutual, subkey, err)
			}
		}
	}
}

func bytesToSeq(mic []byte) (n uint64) {
	for _, b := range mic[8:16] {
		n = n<<8 | uint64(b)
	}
	return n
}

func TestAcceptNames(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	other := randomKey(t, krb5.AES256SHA1)
	app := []testEntry{{"svc-app", 3, o.key}, {"HTTP/app.corp.test", 3, o.key}}
	for _, tc := range []struct {
		name   string
		keytab []testEntry
		spns   []string
		asked  string
		reason authn.Reason // "" means accepted
		hint   string
	}{
		{"keytab's own", app, nil, "HTTP/app.corp.test", "", ""},
		{"case", app, nil, "http/APP.Corp.Test", "", ""},
		{"configured case", app, []string{"http/APP.corp.TEST"}, "HTTP/app.corp.test", "", ""},
		{"alias not in the keytab", app, []string{"HTTP/alias.corp.test"}, "HTTP/alias.corp.test", "", ""},
		{"alias beside the name", app, []string{"HTTP/app.corp.test", "HTTP/app"}, "HTTP/app", "", ""},
		{"account only", app[:1], []string{"HTTP/app.corp.test"}, "HTTP/app.corp.test", "", ""},
		{"realm named", app, []string{"HTTP/app.corp.test@CORP.TEST"}, "HTTP/app.corp.test", "", ""},
		{"another realm named", app, []string{"HTTP/app.corp.test@EVIL.TEST"}, "HTTP/app.corp.test", authn.ReasonWrongTarget, "http/app.corp.test@EVIL.TEST"},
		{"unknown", app, nil, "HTTP/other.corp.test", authn.ReasonWrongTarget, "asked for HTTP/other.corp.test@CORP.TEST and we answer to http/app.corp.test"},
		{"not listed", app, []string{"HTTP/alias.corp.test"}, "HTTP/app.corp.test", authn.ReasonWrongTarget, "setspn -S"},
		{"account name", app, nil, "svc-app", authn.ReasonWrongTarget, ""},
		{"two accounts, ours asked", append(app, testEntry{"HTTP/other.corp.test", 1, other}), []string{"HTTP/app.corp.test"}, "HTTP/app.corp.test", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := *o
			o.spn = tc.asked
			m := o.mechanism(t)
			m.Keytab, m.SPNs = testKeytab(t, tc.keytab...), tc.spns
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.reason != "" {
				wantRefused(t, id, err, tc.reason, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	a, b := randomKey(t, krb5.AES256SHA1), randomKey(t, krb5.AES256SHA1)
	for _, tc := range []struct {
		name string
		m    *Mechanism
		want string
	}{
		{"no keytab", &Mechanism{}, "no Keytab"},
		{"no service", &Mechanism{Keytab: testKeytab(t, testEntry{"svc-app", 1, a})}, "set the SPNs"},
		{"empty SPN", &Mechanism{Keytab: testKeytab(t, testEntry{"svc-app", 1, a}), SPNs: []string{"@CORP.TEST"}}, "empty SPN"},
		{"whose keys", &Mechanism{Keytab: testKeytab(t, testEntry{"svc-a", 1, a}, testEntry{"svc-b", 1, b}), SPNs: []string{"HTTP/app"}}, "several accounts"},
		{"good", &Mechanism{Keytab: testKeytab(t, testEntry{"HTTP/app", 1, a})}, ""},
	} {
		err := tc.m.Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if tc.want != "" && tc.m.Keytab != nil {
			o := newOrder(t, krb5.AES256SHA1)
			if _, _, err := login1(tc.m, authn.Exchange{}, o.token(t)); !errors.Is(err, authn.ErrUnavailable) {
				t.Errorf("%s: login under it: %v, want ErrUnavailable", tc.name, err)
			}
		}
	}
}

func TestAcceptKeys(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	wrong := func() krb5.Key { return randomKey(t, krb5.AES256SHA1) }
	const spn = "HTTP/app.corp.test"
	for _, tc := range []struct {
		name   string
		keytab []testEntry
		hint   string // "" means accepted
	}{
		{"current", []testEntry{{spn, 3, o.key}}, ""},
		{"previous version kept", []testEntry{{spn, 4, wrong()}, {spn, 3, o.key}}, ""},
		{"versions counted otherwise", []testEntry{{spn, 1, o.key}}, ""},
		{"version 3 of another, ours as 1", []testEntry{{spn, 3, wrong()}, {spn, 1, o.key}}, ""},
		{"key under the account's name", []testEntry{{"svc-app", 3, o.key}, {"svc-app", 2, o.session}, {spn, 2, o.session}}, ""},
		{"old", []testEntry{{spn, 1, wrong()}, {spn, 2, wrong()}}, "ticket has key version 3, the keytab 2 and 1"},
		{"same version", []testEntry{{spn, 3, wrong()}}, "setspn -Q HTTP/app.corp.test"},
		{"other types only", []testEntry{{spn, 3, randomKey(t, krb5.RC4HMAC)}, {spn, 3, randomKey(t, krb5.AES128SHA1)}},
			"encrypted with aes256-cts-hmac-sha1-96, the keytab has rc4-hmac, aes128-cts-hmac-sha1-96 only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := o.mechanism(t)
			m.Keytab = testKeytab(t, tc.keytab...)
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.hint != "" {
				wantRefused(t, id, err, authn.ReasonWrongKey, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcceptTimes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		ticket func(*krb5.EncTicketPart)
		clock  time.Duration // of the client, relative to ours
		skew   time.Duration
		reason authn.Reason
		hint   string
	}{
		{name: "within skew behind", clock: -4*time.Minute - 59*time.Second},
		{name: "within skew ahead", clock: 4*time.Minute + 59*time.Second},
		{name: "behind", clock: -6 * time.Minute, reason: authn.ReasonClockSkew, hint: "6m0s behind ours, 5m0s is allowed"},
		{name: "ahead", clock: 20 * time.Minute, reason: authn.ReasonClockSkew, hint: "20m0s ahead of ours"},
		{name: "configured skew", clock: -90 * time.Second, skew: time.Minute, reason: authn.ReasonClockSkew, hint: "1m0s is allowed"},
		{name: "ended within skew", ticket: func(p *krb5.EncTicketPart) { p.EndTime = fixedNow.Add(-4 * time.Minute) }},
		{name: "ended", ticket: func(p *krb5.EncTicketPart) { p.EndTime = fixedNow.Add(-time.Hour) }, reason: authn.ReasonExpired, hint: "ended 1h0m1s ago"},
		{name: "not started", ticket: func(p *krb5.EncTicketPart) { p.StartTime = fixedNow.Add(time.Hour) }, reason: authn.ReasonClockSkew, hint: "59m59s ahead of our clock"},
		{name: "authtime in the future", ticket: func(p *krb5.EncTicketPart) { p.AuthTime = fixedNow.Add(time.Hour) }, reason: authn.ReasonClockSkew},
		{name: "invalid", ticket: func(p *krb5.EncTicketPart) { p.Flags |= krb5.FlagInvalid }, reason: authn.ReasonExpired, hint: "postdated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.ticket = tc.ticket
			o.auth = func(a *krb5.Authenticator) { a.CTime = a.CTime.Add(tc.clock) }
			m := o.mechanism(t)
			m.Skew = tc.skew
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.reason != "" {
				wantRefused(t, id, err, tc.reason, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcceptEncryptionTypes(t *testing.T) {
	t.Parallel()
	rc4, aes := randomKey(t, krb5.RC4HMAC), randomKey(t, krb5.AES256SHA1)
	for _, tc := range []struct {
		name         string
		key, session krb5.Key
		allow        bool
		req          func(*krb5.APReq)
		hint         string // "" means accepted
	}{
		{name: "AES", key: aes, session: aes},
		{name: "RC4 ticket", key: rc4, session: aes, hint: "Set-ADUser svc-app -KerberosEncryptionType AES128,AES256"},
		{name: "RC4 session key", key: aes, session: rc4, hint: "RC4 session key"},
		{name: "RC4 allowed", key: rc4, session: rc4, allow: true},
		{name: "DES", key: aes, session: aes, allow: true, req: func(r *krb5.APReq) { r.Ticket.EncPart.EType = krb5.DESCBCMD5 }, hint: "svc-app"},
		{name: "unknown", key: aes, session: aes, allow: true, req: func(r *krb5.APReq) { r.Ticket.EncPart.EType = 4711 }, hint: "svc-app"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.key, o.session, o.req = tc.key, tc.session, tc.req
			var log bytes.Buffer
			m := o.mechanism(t)
			m.AllowRC4, m.Logger = tc.allow, slog.New(slog.NewTextHandler(&log, nil))
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.hint != "" {
				wantRefused(t, id, err, authn.ReasonWeak, tc.hint)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = login1(m, authn.Exchange{}, o.token(t)); err != nil {
				t.Fatal(err)
			}
			warned := strings.Count(log.String(), "svc-app -KerberosEncryptionType AES128,AES256")
			if want := map[bool]int{true: 1}[tc.key.Equal(rc4)]; warned != want {
				t.Errorf("%d warnings in two logins, want %d: %s", warned, want, log.String())
			}
		})
	}
}

func TestAcceptBinding(t *testing.T) {
	t.Parallel()
	ours, others := bindingFor("ours"), bindingFor("others")
	empty := authn.ChannelBinding{} // the hash of no binding, which is not zero
	bind := func(b authn.ChannelBinding) func(*gssChecksum) {
		return func(c *gssChecksum) {
			if b != nil {
				c.binding = b.GSSHash()
			}
		}
	}
	aware := func(a *krb5.Authenticator) {
		ad, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADAPOptions, Data: []byte{0, 0x40, 0, 0}})
		if err != nil {
			t.Error(err)
		}
		a.AuthorizationData = append(a.AuthorizationData, ad)
	}
	for _, tc := range []struct {
		name   string
		policy authn.BindingPolicy
		conn   authn.ChannelBinding
		client authn.ChannelBinding
		aware  bool
		hint   string // "" means accepted
	}{
		{"supported, fits", authn.BindingSupported, ours, ours, true, ""},
		{"supported, none, old client", authn.BindingSupported, ours, nil, false, ""},
		{"supported, none, client that knows them", authn.BindingSupported, ours, nil, true, "relays"},
		{"supported, others", authn.BindingSupported, ours, others, false, "another certificate"},
		{"supported, TLS ends before us", authn.BindingSupported, nil, ours, false, "ends TLS in front of us"},
		{"supported, hash of no binding", authn.BindingSupported, nil, empty, false, "ends TLS in front of us"},
		{"supported, plain", authn.BindingSupported, nil, nil, true, ""},
		{"required, fits", authn.BindingRequired, ours, ours, false, ""},
		{"required, none", authn.BindingRequired, ours, nil, false, "sends no channel bindings"},
		{"required, others", authn.BindingRequired, ours, others, false, "another certificate"},
		{"required, plain", authn.BindingRequired, nil, nil, false, ""},
		{"off, others", authn.BindingOff, ours, others, true, ""},
		{"off, none", authn.BindingOff, ours, nil, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.gss = bind(tc.client)
			if tc.aware {
				o.auth = aware
			}
			m := o.mechanism(t)
			m.Binding = tc.policy
			_, id, err := login1(m, authn.Exchange{Binding: tc.conn}, o.token(t))
			if tc.hint != "" {
				wantRefused(t, id, err, authn.ReasonChannelBinding, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
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

func TestAcceptPolicy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*order, *Mechanism)
		reason authn.Reason // "" means accepted
		hint   string
	}{
		{"realm allowed", func(_ *order, m *Mechanism) { m.Realms = []string{"OTHER.TEST", "corp.test"} }, "", ""},
		{"realm not allowed", func(_ *order, m *Mechanism) { m.Realms = []string{"OTHER.TEST"} }, authn.ReasonPolicy, "OTHER.TEST"},
		{"user to user", func(o *order, _ *Mechanism) { o.req = func(r *krb5.APReq) { r.Options |= krb5.APUseSessionKey } }, authn.ReasonPolicy, "SPN"},
		{"DCE style", func(o *order, _ *Mechanism) { o.gss = func(c *gssChecksum) { c.flags |= gssDCEStyle } }, authn.ReasonPolicy, ""},
		{"anonymous flag", func(o *order, _ *Mechanism) {
			o.ticket = func(p *krb5.EncTicketPart) { p.Flags |= krb5.FlagAnonymous }
		}, authn.ReasonAnonymous, ""},
		{"anonymous name", func(o *order, _ *Mechanism) {
			o.ticket = func(p *krb5.EncTicketPart) {
				p.CName = krb5.NewPrincipalName(krb5.NameWellKnown, "WELLKNOWN/ANONYMOUS")
			}
		}, authn.ReasonAnonymous, ""},
		{"anonymous SID", func(o *order, _ *Mechanism) {
			o.pac = func(c *pac.Contents) { c.Logon.DomainSID, c.Logon.UserID = "S-1-5", 7 }
		}, authn.ReasonAnonymous, ""},
		{"restriction not known", func(o *order, _ *Mechanism) {
			o.ticket = func(p *krb5.EncTicketPart) {
				p.AuthorizationData = append(p.AuthorizationData, krb5.AuthorizationData{Type: 4711, Data: []byte{1}})
			}
		}, authn.ReasonRestricted, "restriction"},
		{"note not known", func(o *order, _ *Mechanism) {
			o.ticket = func(p *krb5.EncTicketPart) {
				ad, _ := krb5.IfRelevant(krb5.AuthorizationData{Type: 4711, Data: []byte{1}})
				p.AuthorizationData = append(p.AuthorizationData, ad)
			}
		}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			m := o.mechanism(t)
			tc.change(o, m)
			_, id, err := login1(m, authn.Exchange{}, o.token(t))
			if tc.reason != "" {
				wantRefused(t, id, err, tc.reason, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcceptTokens(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	good := o.token(t)
	_, _, apReq, err := krb5.UnframeToken(good)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(kind krb5.TokenID, body []byte) []byte {
		b, err := krb5.FrameToken(OID(), kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	spnego, err := krb5.FrameToken([]int{1, 3, 6, 1, 5, 5, 2}, krb5.TokenAPReq, apReq)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		token  []byte
		reason authn.Reason
	}{
		{"empty", nil, authn.ReasonMalformed},
		{"NTLM", []byte("NTLMSSP\x00\x01\x00\x00\x00"), authn.ReasonMalformed},
		{"no framing", apReq, authn.ReasonMalformed},
		{"another mechanism", spnego, authn.ReasonMechanism},
		{"AP-REP", frame(krb5.TokenAPRep, apReq), authn.ReasonOutOfOrder},
		{"KRB-ERROR", frame(krb5.TokenError, apReq), authn.ReasonOutOfOrder},
		{"nothing inside", frame(krb5.TokenAPReq, nil), authn.ReasonMalformed},
		{"something behind", append(bytes.Clone(good), 0), authn.ReasonMalformed},
		{"something behind inside", frame(krb5.TokenAPReq, append(bytes.Clone(apReq), 0)), authn.ReasonMalformed},
	} {
		_, id, err := login1(o.mechanism(t), authn.Exchange{}, tc.token)
		t.Run(tc.name, func(t *testing.T) { wantRefused(t, id, err, tc.reason, "") })
	}
	t.Run("too long", func(t *testing.T) {
		_, id, err := login1(o.mechanism(t), authn.Exchange{}, make([]byte, maxToken+1))
		wantRefused(t, id, err, authn.ReasonMalformed, "")
		if !strings.Contains(err.Error(), "131073 bytes") {
			t.Errorf("%v: it was read", err)
		}
	})
	t.Run("second token", func(t *testing.T) {
		a := o.mechanism(t).NewAcceptor(authn.Exchange{})
		if _, _, err := a.Step(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		_, id, err := a.Step(t.Context(), o.token(t))
		wantRefused(t, id, err, authn.ReasonOutOfOrder, "")
	})
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
				c.flags |= gssDelegate
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

// countingReplay is a shared store.
type countingReplay struct {
	seen  map[[32]byte]time.Time
	until []time.Time
	err   error
}

func (c *countingReplay) Add(_ context.Context, d [32]byte, until time.Time) (bool, error) {
	if c.err != nil {
		return false, c.err
	}
	_, old := c.seen[d]
	c.seen[d] = until
	c.until = append(c.until, until)
	return !old, nil
}

func TestAcceptSharedReplayCache(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	shared := &countingReplay{seen: map[[32]byte]time.Time{}}
	node1, node2 := o.mechanism(t), o.mechanism(t)
	node1.Replay, node2.Replay = shared, shared
	token := o.token(t)
	if _, _, err := login1(node1, authn.Exchange{}, token); err != nil {
		t.Fatal(err)
	}
	_, id, err := login1(node2, authn.Exchange{}, token)
	wantRefused(t, id, err, authn.ReasonReplay, "twice")
	if got := shared.until[0].Sub(fixedNow); got < 10*time.Minute || got > 11*time.Minute {
		t.Errorf("remembered for %v, want twice the skew", got)
	}
	shared.err = errors.New("store is down")
	if _, id, err := login1(node1, authn.Exchange{}, o.token(t)); id != nil || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("store down: %v, %v, want ErrUnavailable", id, err)
	}
}

func TestAcceptHintsAreWords(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.kvno = 9
	m := o.mechanism(t)
	m.Keytab = testKeytab(t, testEntry{"HTTP/app.corp.test", 7, randomKey(t, krb5.AES256SHA1)})
	_, _, err := login1(m, authn.Exchange{}, o.token(t))
	var re *authn.RefusedError
	if !errors.As(err, &re) {
		t.Fatal(err)
	}
	words := strings.Fields(re.Hint)
	if !slices.Contains(words, "9,") || !slices.Contains(words, "7:") || !strings.Contains(re.Hint, "klist purge") {
		t.Errorf("hint %q", re.Hint)
	}
}
