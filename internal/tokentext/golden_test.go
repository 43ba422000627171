package tokentext

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
)

var update = flag.Bool("update", false, "write the golden files in testdata/golden anew")

func oids(l ...asn1.ObjectIdentifier) []asn1.ObjectIdentifier { return l }

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// recorded returns a message that a real client or server sent: Steps[i].In or
// .Out of a transcript of authn/ntlm.
func recorded(t testing.TB, transcript string, step int, out bool) []byte {
	t.Helper()
	b := must(os.ReadFile(filepath.Join("..", "..", "authn", "ntlm", "testdata", "transcripts", transcript+".json")))(t)
	var tr struct{ Steps []struct{ In, Out string } }
	if err := json.Unmarshal(b, &tr); err != nil {
		t.Fatal(err)
	}
	s := tr.Steps[step].In
	if out {
		s = tr.Steps[step].Out
	}
	return must(hex.DecodeString(s))(t)
}

func mitError(t testing.TB) []byte {
	t.Helper()
	return must(os.ReadFile(filepath.Join("..", "krb5", "testdata", "mit", "02-error.der")))(t)
}

// A golden is an input whose text is in testdata/golden.
type golden struct {
	name    string
	input   []byte
	keytab  *kerberos.Keytab
	damaged bool
}

func TestGolden(t *testing.T) {
	t.Parallel()
	var all []golden
	for _, f := range []func(testing.TB) []golden{ntlmGoldens, kerberosGoldens, keytabGoldens, sambaGoldens, inputGoldens} {
		all = append(all, f(t)...)
	}
	seen := map[string]bool{}
	for _, g := range all {
		if seen[g.name] {
			t.Fatalf("two cases are called %s", g.name)
		}
		seen[g.name] = true
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r, err := Inspect(g.input, Options{Keytab: g.keytab})
			if err != nil {
				t.Fatal(err)
			}
			if r.Damaged != g.damaged {
				t.Errorf("damaged is %v, want %v", r.Damaged, g.damaged)
			}
			var got bytes.Buffer
			if err := r.WriteText(&got); err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join("testdata", "golden", g.name+".txt"), got.Bytes())
			sameInJSON(t, r, got.String())
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// sameInJSON checks that JSON has what the text has: each name, value, note and
// problem, in the same order.
func sameInJSON(t *testing.T, r *Report, text string) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	rest := strings.Join(strings.Fields(text), " ")
	find := func(s string) {
		t.Helper()
		s = strings.Join(strings.Fields(s), " ")
		i := strings.Index(rest, s)
		if i < 0 {
			t.Fatalf("%q of the JSON is not in the text, or not in its place", s)
		}
		rest = rest[i+len(s):]
	}
	var walk func(n *Node)
	walk = func(n *Node) {
		switch {
		case n.Problem != "":
			find("!! " + n.Problem)
		case n.Name == "more":
			find("… and " + n.Value + " more")
		default:
			find(n.Name)
			find(n.Value)
			find(n.Note)
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	for _, tok := range back.Tokens {
		find(tok.Scheme)
		for _, n := range tok.Parts {
			walk(n)
		}
	}
}

func ntlmGoldens(t testing.TB) []golden {
	t.Helper()
	authenticate := recorded(t, "requests-ntlm-tls", 1, false)
	cut := authenticate[:len(authenticate)-40]
	return []golden{
		{name: "ntlm-negotiate-curl", input: []byte("NTLM " + b64(recorded(t, "curl-ntlm", 0, false)))},
		{name: "ntlm-negotiate-requests", input: []byte(hex.EncodeToString(recorded(t, "requests-ntlm-tls", 0, false)))},
		{name: "ntlm-challenge", input: []byte("WWW-Authenticate: NTLM " + b64(recorded(t, "curl-ntlm", 0, true)))},
		{name: "ntlm-authenticate-curl", input: []byte("Authorization: NTLM " + b64(recorded(t, "curl-ntlm", 1, false)))},
		{name: "ntlm-authenticate-mic-binding", input: authenticate},
		{name: "ntlm-authenticate-v1", input: []byte(b64(recorded(t, "mono-ntlmv1", 1, false)))},
		{name: "ntlm-authenticate-cut", input: cut, damaged: true},
		{name: "ntlm-authenticate-cut-in-header", input: authenticate[:70], damaged: true},
		{name: "ntlm-challenge-cut-in-target-info", input: recorded(t, "curl-ntlm", 0, true)[:100], damaged: true},
		{name: "ntlm-spec-challenge", input: []byte(specChallenge)},
		{name: "ntlm-spec-authenticate-v2", input: []byte(specAuthenticate)},
		{name: "ntlm-spec-authenticate-v1", input: []byte(specAuthenticateV1)},
		{name: "ntlm-in-spnego", input: []byte("Negotiate " + b64(windowsInit(t, recorded(t, "curl-negotiate-gss-ntlmssp", 0, false))))},
		{name: "ntlm-unknown-type", input: []byte("NTLMSSP\x00\x09\x00\x00\x00"), damaged: true},
	}
}

func kerberosGoldens(t testing.TB) []golden {
	t.Helper()
	o := order{etype: krb5.AES256SHA1}
	req := o.apReq(t)
	rep := must((&krb5.APRep{EncPart: krb5.EncryptedData{EType: krb5.AES256SHA1, Cipher: make([]byte, 90)}}).Marshal())(t)
	token := windowsInit(t, gss(t, krb5.TokenAPReq, req))
	skew := must((&krb5.ErrorMessage{
		CTime: testTime.Add(-10 * 60e9), STime: testTime, SUSec: 7, Code: krb5.CodeSkew, Realm: "CORP.TEST",
		SName: krb5.NewPrincipalName(krb5.NameService, "HTTP/app.corp.test"), Text: "Clock skew too great",
	}).Marshal())(t)
	// KERB-ERROR-DATA with STATUS_ACCOUNT_LOCKED_OUT.
	locked := must((&krb5.ErrorMessage{
		STime: testTime, Code: krb5.CodeClientRevoked, Realm: "CORP.TEST", SName: krb5.TGSName("CORP.TEST"),
		Data: append([]byte{0x30, 0x15, 0xa1, 0x03, 0x02, 0x01, 0x03, 0xa2, 0x0e, 0x04, 0x0c}, 0x34, 0x02, 0, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0),
	}).Marshal())(t)
	resp := must((&spnego.NegTokenResp{
		State: spnego.AcceptCompleted, SupportedMech: spnego.OIDMSKerberos,
		ResponseToken: gss(t, krb5.TokenAPRep, rep), MechListMIC: append([]byte{4, 4, 1, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 20)...),
	}).Marshal())(t)
	oneMore := append(bytes.Clone(token), 0)
	badTag := bytes.Clone(token)
	badTag[bytes.Index(badTag, []byte("CORP.TEST"))-2] ^= 0x0c // GeneralString
	return []golden{
		{name: "kerberos-windows", input: []byte("Authorization: Negotiate " + b64(token))},
		{name: "kerberos-raw", input: gss(t, krb5.TokenAPReq, req)},
		{name: "kerberos-without-gss", input: req},
		{name: "kerberos-reply", input: []byte("WWW-Authenticate: Negotiate " + b64(resp))},
		{name: "kerberos-reply-request-mic", input: must((&spnego.NegTokenResp{
			State: spnego.RequestMIC, SupportedMech: spnego.OIDNTLM, ResponseToken: recorded(t, "curl-ntlm", 0, true)}).Marshal())(t)},
		{name: "kerberos-error-skew", input: gss(t, krb5.TokenError, skew)},
		{name: "kerberos-error-locked", input: locked},
		{name: "kerberos-error-mit-preauth", input: mitError(t)},
		{name: "kerberos-user-to-user", input: must(krb5.FrameToken(append(krb5.OIDKerberos(), 3), 0x0400, []byte{0x30, 0}))(t)},
		{name: "gss-unknown-mechanism", input: must(krb5.FrameToken([]int{1, 3, 6, 1, 4, 1, 99999}, 1, []byte("x")))(t)},
		{name: "kerberos-cut-in-authenticator", input: []byte(b64(token[:len(token)-100])), damaged: true},
		{name: "kerberos-cut-in-ticket", input: []byte(b64(token[:400])), damaged: true},
		{name: "kerberos-cut-in-mech-types", input: []byte(b64(token[:40])), damaged: true},
		{name: "kerberos-trailing", input: oneMore, damaged: true},
		{name: "kerberos-bad-tag", input: badTag, damaged: true},
		{name: "spnego-empty", input: windowsInit(t, nil)},
		{name: "spnego-init2", input: init2()},
	}
}

// init2 is what a Windows server sends to who asks it for nothing (MS-SPNG
// 2.2.1).
func init2() []byte {
	tlv := func(tag byte, parts ...[]byte) []byte {
		v := bytes.Join(parts, nil)
		return append([]byte{tag, byte(len(v))}, v...)
	}
	ntlmOID := []byte{6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10}
	return tlv(0x60, []byte{6, 6, 0x2b, 6, 1, 5, 5, 2}, tlv(0xa0, tlv(0x30,
		tlv(0xa0, tlv(0x30, ntlmOID)),
		tlv(0xa3, tlv(0x30, tlv(0xa0, tlv(0x1b, []byte("not_defined_in_RFC4178@please_ignore"))))))))
}

func keytabGoldens(t testing.TB) []golden {
	t.Helper()
	o := order{etype: krb5.AES256SHA1}
	const app, realm = "HTTP/app.corp.test", "CORP.TEST"
	right := testKeytab(t, app, realm, 3, o.serviceKey(t))
	input := func(o order) []byte { return []byte("Negotiate " + b64(gss(t, krb5.TokenAPReq, o.apReq(t)))) }
	cred := must((&krb5.Cred{
		Tickets: []krb5.Ticket{{Realm: realm, SName: krb5.TGSName(realm), EncPart: krb5.EncryptedData{EType: krb5.AES256SHA1, Cipher: []byte("x")}}},
		EncPart: krb5.EncryptedData{EType: krb5.AES256SHA1, Cipher: []byte("x")},
	}).Marshal())(t)
	bound := order{etype: krb5.AES256SHA1, auth: func(a *krb5.Authenticator) {
		for i := range 16 {
			a.Checksum.Sum[4+i] = byte(i + 0x21)
		}
		a.Checksum.Sum[20] |= byte(kerberos.ContextDelegate)
		a.Checksum.Sum = append(a.Checksum.Sum, 1, 0, byte(len(cred)), byte(len(cred)>>8))
		a.Checksum.Sum = append(a.Checksum.Sum, cred...)
		options := krb5.AuthorizationData{Type: krb5.ADAPOptions, Data: []byte{0, 0x40, 0, 0}}
		target := krb5.AuthorizationData{Type: krb5.ADTargetPrincipal, Data: []byte("H\x00T\x00T\x00P\x00/\x00a\x00")}
		a.AuthorizationData = []krb5.AuthorizationData{must(krb5.IfRelevant(options, target))(t), {Type: 4711, Data: []byte("abc")}}
	}}
	crossed := order{etype: krb5.AES128SHA2, ticket: func(p *krb5.EncTicketPart) {
		p.CRealm, p.Transited = "OTHER.TEST", krb5.TransitedEncoding{Type: 1, Contents: []byte("MID.TEST")}
		p.Addresses = []krb5.HostAddress{{Type: 2, Addr: []byte{192, 0, 2, 7}}}
	}}
	return []golden{
		{name: "keytab-opened", input: input(o), keytab: right},
		{name: "keytab-opened-binding-delegation", input: input(bound), keytab: right},
		{name: "keytab-opened-crossed-realms", input: input(crossed), damaged: true, // the authenticator is of CORP.TEST
			keytab: testKeytab(t, "svc-app", realm, 5, crossed.serviceKey(t))},
		{name: "keytab-other-version", input: input(o), keytab: testKeytab(t, app, realm, 2, testKey(t, krb5.AES256SHA1, "old"))},
		{name: "keytab-other-key", input: input(o), keytab: testKeytab(t, app, realm, 3, testKey(t, krb5.AES256SHA1, "other"))},
		{name: "keytab-other-etype", input: input(o), keytab: testKeytab(t, app, realm, 3, testKey(t, krb5.AES128SHA1, "service"))},
		{name: "keytab-other-realm", input: input(o), keytab: testKeytab(t, app, "ELSEWHERE.TEST", 3, testKey(t, krb5.AES256SHA1, "other"))},
		{name: "keytab-pac-altered", input: input(order{etype: krb5.AES256SHA1, pac: func(b []byte) []byte {
			b[bytes.Index(b, []byte("A\x00l\x00i\x00c\x00e"))] = 'M'
			return b
		}}), keytab: right, damaged: true},
		{name: "keytab-pac-cut", input: input(order{etype: krb5.AES256SHA1, pac: func(b []byte) []byte { return b[:200] }}), keytab: right, damaged: true},
		{name: "keytab-other-session-key", input: input(order{etype: krb5.AES256SHA1, req: func(r *krb5.APReq) {
			r.Authenticator.Cipher[20] ^= 1
		}}), keytab: right, damaged: true},
		{name: "keytab-authenticator-cut", input: gss(t, krb5.TokenAPReq, o.apReq(t))[:1400], keytab: right, damaged: true},
		{name: "keytab-ticket-cut", input: gss(t, krb5.TokenAPReq, o.apReq(t))[:600], keytab: right, damaged: true},
	}
}

// sambaGoldens were recorded from Samba's KDC (internal/e2e has the test that
// does it): a service that acts for alice by S4U2Proxy, and alice herself.
func sambaGoldens(t testing.TB) []golden {
	t.Helper()
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join("testdata", "samba", name)))(t) }
	keys := must(kerberos.ParseKeytab(read("backend.keytab")))(t)
	return []golden{
		{name: "samba-delegated", input: read("delegated.txt"), keytab: keys},
		{name: "samba-direct", input: read("direct.txt"), keytab: keys},
	}
}

func inputGoldens(t testing.TB) []golden {
	t.Helper()
	one, two, three := recorded(t, "curl-ntlm", 0, false), recorded(t, "curl-ntlm", 0, true), recorded(t, "curl-ntlm", 1, false)
	verbose := "* Server auth using NTLM with user 'CORP\\alice'\n> GET / HTTP/1.1\r\n> Host: app.corp.test\r\n" +
		"> Authorization: NTLM " + b64(one) + "\r\n> User-Agent: curl/8.0\r\n>\n< HTTP/1.1 401 Unauthorized\r\n" +
		"< WWW-Authenticate: NTLM " + b64(two) + "\r\n< Content-Length: 0\r\n<\n> Authorization: NTLM " + b64(three) + "\r\n"
	return []golden{
		{name: "input-curl-verbose", input: []byte(verbose)},
		{name: "input-offers", input: []byte("WWW-Authenticate: Negotiate\nWWW-Authenticate: NTLM, Basic realm=\"a, b\", charset=\"UTF-8\"\n")},
		{name: "input-basic", input: []byte("Authorization: Basic " + b64([]byte("CORP\\alice:Secret-Passw0rd")))},
		{name: "input-basic-curl", input: []byte("curl -H 'Authorization: Basic " + b64([]byte("alice:Secret-Passw0rd")) + "' \\\n  http://h/")},
		{name: "input-bearer", input: []byte("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl")},
		{name: "input-bad-base64", input: []byte("Negotiate " + b64(three)[:60] + "%2B" + b64(three)[63:]), damaged: true},
		{name: "input-no-token", input: []byte("Zm9v IGJh cg=="), damaged: true},
		{name: "input-authorization-empty", input: []byte("Authorization: Negotiate"), damaged: true},
	}
}

// TestHowto: what docs/howto-read-a-token.md shows is what is printed.
func TestHowto(t *testing.T) {
	t.Parallel()
	unindent := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.Join(lines, "\n")
	}
	files := must(filepath.Glob(filepath.Join("testdata", "golden", "*.txt")))(t)
	var printed strings.Builder
	for _, f := range files {
		printed.WriteString(unindent(string(must(os.ReadFile(f))(t))) + "\n")
	}
	doc := string(must(os.ReadFile(filepath.Join("..", "..", "docs", "howto-read-a-token.md")))(t))
	blocks := strings.Split(doc, "```")
	if len(blocks) < 20 {
		t.Fatalf("only %d parts", len(blocks))
	}
	for i := 3; i < len(blocks); i += 2 { // the first block has commands
		if block := unindent(strings.TrimSpace(blocks[i])); !strings.Contains(printed.String(), block) {
			t.Errorf("no golden file has\n%s", block)
		}
	}
}
