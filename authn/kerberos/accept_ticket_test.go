package kerberos

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

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
		{"another realm named", app, []string{"HTTP/app.corp.test@EVIL.TEST"}, "HTTP/app.corp.test", authn.ReasonWrongTarget, "we answer to HTTP/app.corp.test@EVIL.TEST:"},
		{"unknown", app, nil, "HTTP/other.corp.test", authn.ReasonWrongTarget, "asked for HTTP/other.corp.test@CORP.TEST and we answer to HTTP/app.corp.test:"},
		{"not listed", app, []string{"HTTP/alias.corp.test"}, "HTTP/app.corp.test", authn.ReasonWrongTarget, "setspn -S"},
		{"names as configured", app, []string{"HTTP/App2.Corp.test", "http/APP1"}, "HTTP/app.corp.test", authn.ReasonWrongTarget, "we answer to HTTP/App2.Corp.test, http/APP1:"},
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
		{"another realm", []testEntry{{spn + "@OTHER.TEST", 3, wrong()}}, "the ticket is of realm CORP.TEST, the keytab has keys of OTHER.TEST only"},
		{"another realm too", []testEntry{{spn + "@OTHER.TEST", 3, wrong()}, {spn, 3, wrong()}}, "setspn -Q"},
		{"right key under another realm", []testEntry{{spn + "@OTHER.TEST", 3, o.key}}, ""},
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
		{name: "RC4 session key allowed", key: aes, session: rc4, allow: true},
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
			if got := id.Evidence.(*Evidence).RC4(); got != (tc.key.Equal(rc4) || tc.session.Equal(rc4)) {
				t.Errorf("RC4 is %v", got)
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
		{"DCE style", func(o *order, _ *Mechanism) { o.gss = func(c *gssChecksum) { c.flags |= contextDCEStyle } }, authn.ReasonPolicy, ""},
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
