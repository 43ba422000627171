package tokentext

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// evil clears the screen, writes from right to left, goes back over what stands
// there, and begins a line that looks like one of ours.
const evil = "a\x1b[2J\u202eb\rc\n  verified: yes\u0085\u2028\ufeff"

// TestAttackTokenSteersTerminal: names in a token are printed so that they are
// text and nothing else.
func TestAttackTokenSteersTerminal(t *testing.T) {
	t.Parallel()
	o := order{etype: krb5.AES256SHA1}
	keys := testKeytab(t, "HTTP/app.corp.test", "CORP.TEST", 3, o.serviceKey(t))
	inLogon := order{etype: krb5.AES256SHA1, logon: func(l *pac.LogonInfo) { l.FullName, l.LogonScript = evil, evil }}
	inTicket := order{etype: krb5.AES256SHA1, ticket: func(p *krb5.EncTicketPart) {
		p.CRealm, p.Transited = evil, krb5.TransitedEncoding{Type: 1, Contents: []byte(evil + "\xff\xfe")}
		p.Addresses = []krb5.HostAddress{{Type: 20, Addr: []byte(evil)}}
	}}
	inName := order{etype: krb5.AES256SHA1, req: func(r *krb5.APReq) { r.Ticket.Realm = evil }}
	target := order{etype: krb5.AES256SHA1, auth: func(a *krb5.Authenticator) {
		var b []byte
		for _, u := range utf16.Encode([]rune(evil)) {
			b = append(b, byte(u), byte(u>>8))
		}
		a.AuthorizationData = []krb5.AuthorizationData{{Type: krb5.ADTargetPrincipal, Data: b}}
	}}
	bidi := (&ntlm.Authenticate{Flags: ntlm.FlagUnicode, User: "a\u202eb", Domain: "\u2066CORP", NTResponse: make([]byte, 24)}).Append(nil)
	for name, input := range map[string][]byte{
		"NTLM names":  bidi,
		"NTLM OEM":    (&ntlm.Negotiate{Flags: ntlm.FlagDomainSupplied | ntlm.FlagOEM, Domain: evil}).Append(nil),
		"KRB-ERROR":   must((&krb5.ErrorMessage{STime: testTime, Realm: evil, SName: krb5.NewPrincipalName(1, evil), Text: evil, Code: 4711}).Marshal())(t),
		"realm":       gss(t, krb5.TokenAPReq, inName.apReq(t)),
		"logon":       gss(t, krb5.TokenAPReq, inLogon.apReq(t)),
		"ticket":      gss(t, krb5.TokenAPReq, inTicket.apReq(t)),
		"target name": gss(t, krb5.TokenAPReq, target.apReq(t)),
		"Basic":       []byte("Authorization: Basic " + b64([]byte(evil+":x"))),
		"no base64":   []byte("Authorization: Negotiate YII\u202e\u009b2J"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Inspect(input, Options{Keytab: keys})
			if err != nil {
				t.Fatal(err)
			}
			text := printable(t, r, len(input))
			if !strings.Contains(text, `\u202e`) {
				t.Errorf("the name is not shown escaped:\n%s", text)
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "  verified: yes") {
					t.Errorf("a name begins a line:\n%s", text)
				}
			}
		})
	}
}

// TestAttackTokenExhaustsMemory: neither depth nor number of what is in a token
// costs more than a multiple of its length, and what is too long is refused.
func TestAttackTokenExhaustsMemory(t *testing.T) {
	o := order{etype: krb5.AES256SHA1}
	keys := testKeytab(t, "HTTP/app.corp.test", "CORP.TEST", 3, o.serviceKey(t))
	many := bytes.Repeat([]byte{0x30, 0x80}, MaxInput/2)
	inner := gss(t, krb5.TokenAPReq, o.apReq(t))
	for range 60 {
		inner = windowsInit(t, inner)
	}
	nest := func(l []krb5.AuthorizationData, n int) []krb5.AuthorizationData {
		for range n {
			l = []krb5.AuthorizationData{must(krb5.IfRelevant(l...))(t)}
		}
		return l
	}
	deep := order{etype: krb5.AES256SHA1, ticket: func(p *krb5.EncTicketPart) {
		p.AuthorizationData = nest(p.AuthorizationData, 2000)
	}}
	wide := order{etype: krb5.AES256SHA1, ticket: func(p *krb5.EncTicketPart) {
		p.AuthorizationData = nest(make([]krb5.AuthorizationData, 20_000), 1)
	}}
	lots := must((&krb5.ErrorMessage{STime: testTime, Realm: strings.Repeat("\u202e", 300_000), SName: krb5.TGSName("X")}).Marshal())(t)
	for name, input := range map[string][]byte{
		"DER in DER":          append([]byte{0x60, 0x84, 0, 0x0f, 0xff, 0xfa}, many[:MaxInput-6]...),
		"SPNEGO in SPNEGO":    inner,
		"AD-IF-RELEVANT deep": gss(t, krb5.TokenAPReq, deep.apReq(t)),
		"AD-IF-RELEVANT wide": gss(t, krb5.TokenAPReq, wide.apReq(t)),
		"long name":           lots,
		"length of 4 GiB":     {0x60, 0x84, 0xff, 0xff, 0xff, 0xff, 6},
		"cut short by 1 MiB":  {0x60, 0x83, 0x0f, 0xff, 0xfb, 6},
		"NTLM of 64 KiB":      append([]byte("NTLMSSP\x00\x03\x00\x00\x00"), bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0}, 13)...),
		"many headers":        bytes.Repeat([]byte("Authorization: NTLM TlRMTVNTUAABAAAABoIIAAAAAAAAAAAAAAAAAAAAAAA=\n"), 15_000),
		"a token in a million lines": append([]byte("Authorization: Negotiate YIMP//oG\n"),
			bytes.Repeat([]byte("A\n"), MaxInput/2-100)...),
		"one long line": bytes.Repeat([]byte("ntlm "), MaxInput/5),
		"commas":        append([]byte("WWW-Authenticate: "), bytes.Repeat([]byte("NTLM,"), MaxInput/5-10)...),
		"PAC of groups": gss(t, krb5.TokenAPReq, order{etype: krb5.AES256SHA1, logon: func(l *pac.LogonInfo) {
			l.Groups = make([]pac.GroupMembership, 7000)
		}}.apReq(t)),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := Inspect(input, Options{Keytab: keys})
			if err != nil {
				t.Fatal(err)
			}
			text := printable(t, r, len(input))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
				t.Errorf("%d MiB for %d bytes", used>>20, len(input))
			}
			if len(text) > 1<<20 {
				t.Errorf("%d bytes of text", len(text))
			}
		})
	}
	if _, err := Inspect(make([]byte, MaxInput+1), Options{}); err == nil || errors.Is(err, ErrNoToken) {
		t.Errorf("input that is too long: %v", err)
	}
}

// TestAttackTokenTextGivesSecrets: the text that somebody pastes into a ticket
// does not have what passwords could be tried on, nor a key, nor a password.
func TestAttackTokenTextGivesSecrets(t *testing.T) {
	t.Parallel()
	o := order{etype: krb5.AES256SHA1}
	keys := testKeytab(t, "HTTP/app.corp.test", "CORP.TEST", 3, o.serviceKey(t))
	secrets := map[string][]byte{
		"service key": o.serviceKey(t).Bytes(), "session key": testKey(t, o.etype, "session").Bytes(),
		"subkey": testKey(t, o.etype, "subkey").Bytes(), "password": []byte("Secret-Passw0rd"), "signature of a JWT": []byte("c2lnbmF0dXJl"),
	}
	var inputs [][]byte
	for _, g := range append(append(append(ntlmGoldens(t), keytabGoldens(t)...), kerberosGoldens(t)...), inputGoldens(t)...) {
		inputs = append(inputs, g.input)
		for i, f := range find(g.input) {
			messages := [][]byte{f.raw}
			if init, _, _ := spnego.InspectInit(f.raw); init != nil && len(init.MechToken) > 0 {
				messages = append(messages, init.MechToken)
			}
			if resp, _, _ := spnego.InspectResp(f.raw); resp != nil && len(resp.ResponseToken) > 0 {
				messages = append(messages, resp.ResponseToken)
			}
			for j, m := range messages {
				name := fmt.Sprintf("%s %d %d", g.name, i, j)
				if c, err := ntlm.ParseChallenge(m); err == nil {
					secrets[name+" challenge"] = c.ServerChallenge[:]
				}
				a, err := ntlm.ParseAuthenticate(m)
				if err != nil {
					continue
				}
				secrets[name+" MIC"], secrets[name+" session key"] = a.MIC, a.SessionKey
				if len(a.NTResponse) >= 16 {
					secrets[name+" response"] = a.NTResponse[:16]
				}
				if r, err := ntlm.ParseResponse(a.NTResponse); err == nil {
					secrets[name+" client challenge"] = r.ClientChallenge[:]
				}
				if len(a.LMResponse) == 24 && !bytes.Equal(a.LMResponse, make([]byte, 24)) {
					secrets[name+" LM"] = a.LMResponse[:8]
				}
			}
		}
	}
	var all strings.Builder
	for _, in := range inputs {
		r, err := Inspect(in, Options{Keytab: keys})
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(printable(t, r, len(in)))
		js, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(js)
	}
	if len(secrets) < 20 {
		t.Errorf("only %d secrets to look for", len(secrets))
	}
	text := strings.ToLower(all.String())
	for name, s := range secrets {
		if len(s) == 0 {
			continue
		}
		for _, form := range []string{string(s), hex.EncodeToString(s), base64.RawStdEncoding.EncodeToString(s)} {
			if strings.Contains(text, strings.ToLower(form)) {
				t.Errorf("the text has the %s: %q", name, form)
			}
		}
	}
}
