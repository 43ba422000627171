package tokentext

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/krb5"
)

// FuzzInspect puts its input in the place of the whole input, or of something
// that a keytab decrypts. Whatever it is, there is text that can be printed,
// not out of proportion to it.
func FuzzInspect(f *testing.F) {
	for _, g := range append(append(ntlmGoldens(f), kerberosGoldens(f)...), inputGoldens(f)...) {
		f.Add(byte(0), g.input)
	}
	o := order{etype: krb5.AES256SHA1}
	req := must(krb5.ParseAPReq(o.apReq(f)))(f)
	part := must(req.Ticket.EncPart.Open(o.serviceKey(f), krb5.UsageTicket))(f)
	auth := must(req.Authenticator.Open(testKey(f, o.etype, "session"), krb5.UsageAPReqAuthenticator))(f)
	f.Add(byte(1), part)
	f.Add(byte(2), auth)
	o.pac = func(b []byte) []byte { f.Add(byte(3), bytes.Clone(b)); return b }
	o.apReq(f)
	o.pac, o.auth = nil, func(a *krb5.Authenticator) { f.Add(byte(4), a.Checksum.Sum) }
	o.apReq(f)
	const kinds = 5

	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		o, in := order{etype: krb5.AES256SHA1}, data
		key := o.serviceKey(t)
		switch kind % kinds {
		case 1:
			o.req = func(r *krb5.APReq) { r.Ticket.EncPart = must(krb5.Seal(key, krb5.UsageTicket, 3, data))(t) }
		case 2:
			o.req = func(r *krb5.APReq) {
				r.Authenticator = must(krb5.Seal(testKey(t, o.etype, "session"), krb5.UsageAPReqAuthenticator, 0, data))(t)
			}
		case 3:
			o.pac = func([]byte) []byte { return data }
		case 4:
			o.auth = func(a *krb5.Authenticator) { a.Checksum.Sum = data }
		}
		if kind%kinds != 0 {
			in = gss(t, krb5.TokenAPReq, o.apReq(t))
		}
		r, err := Inspect(in, Options{Keytab: testKeytab(t, "HTTP/app.corp.test", "CORP.TEST", 3, key)})
		if err != nil {
			return
		}
		printable(t, r, len(in))
	})
}

// printable checks what holds for every report: its text has nothing that could
// steer a terminal, and neither it nor its JSON is out of proportion to n bytes
// of input.
func printable(t testing.TB, r *Report, n int) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(text) {
		t.Errorf("not fit for a terminal at %d: %q", i, text[max(0, i-40):])
	}
	js, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if limit := 64<<10 + 64*n; len(text) > limit || len(js) > 4*limit {
		t.Errorf("%d bytes of text, %d of JSON from %d", len(text), len(js), n)
	}
	return text
}
