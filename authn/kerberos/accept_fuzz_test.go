package kerberos

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// fixedOrder is an order whose keys never change, so that the corpus keeps its
// meaning.
func fixedOrder(t testing.TB) *order {
	t.Helper()
	key := func(name string) krb5.Key {
		sum := sha256.Sum256([]byte(name))
		k, err := krb5.NewKey(krb5.AES256SHA1, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return &order{key: key("service"), session: key("session"), kdc: key("kdc"), kvno: 3, spn: "HTTP/app.corp.test", oid: OID()}
}

// FuzzAccept puts its input in the place of one part of a login: the whole
// token, or something that is decrypted on the way. Subkeys are random, so the
// code covered varies a little from run to run; -fuzzminimizetime 20x keeps the
// fuzzer from spending its time on that.
func FuzzAccept(f *testing.F) {
	o := fixedOrder(f)
	token := o.token(f)
	_, _, body, err := krb5.UnframeToken(token)
	if err != nil {
		f.Fatal(err)
	}
	req, err := krb5.ParseAPReq(body)
	if err != nil {
		f.Fatal(err)
	}
	ticket, err := o.key.Decrypt(krb5.UsageTicket, req.Ticket.EncPart.Cipher)
	if err != nil {
		f.Fatal(err)
	}
	auth, err := o.session.Decrypt(krb5.UsageAPReqAuthenticator, req.Authenticator.Cipher)
	if err != nil {
		f.Fatal(err)
	}
	sum, err := (&gssChecksum{flags: ContextMutual | ContextDelegate, delegated: []byte("x")}).marshal()
	if err != nil {
		f.Fatal(err)
	}
	logon, err := pac.Build(o.pacContents(), o.key, o.kdc)
	if err != nil {
		f.Fatal(err)
	}
	for kind, seed := range [][]byte{token, body, ticket, auth, sum, logon, []byte("KRB-CRED")} {
		f.Add(byte(kind), seed)
	}
	const kinds = 7

	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		o := fixedOrder(t)
		seal := func(k krb5.Key, u krb5.Usage) []byte {
			b, err := k.Encrypt(u, data)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		var in []byte
		switch kind % kinds {
		case 0:
			in = data
		case 1:
			b, err := krb5.FrameToken(OID(), krb5.TokenAPReq, data)
			if err != nil {
				t.Skip(err)
			}
			in = b
		case 2:
			o.req = func(r *krb5.APReq) { r.Ticket.EncPart.Cipher = seal(o.key, krb5.UsageTicket) }
		case 3:
			o.req = func(r *krb5.APReq) { r.Authenticator.Cipher = seal(o.session, krb5.UsageAPReqAuthenticator) }
		case 4:
			o.auth = func(a *krb5.Authenticator) { a.Checksum.Sum = data }
		case 5:
			o.rawPAC = func([]byte) []byte { return data }
		case 6:
			o.gss = func(c *gssChecksum) {
				sealed := seal(o.session, krb5.UsageCredPart)
				b, err := (&krb5.Cred{Tickets: []krb5.Ticket{{Realm: "CORP.TEST", SName: krb5.TGSName("CORP.TEST")}},
					EncPart: krb5.EncryptedData{EType: o.session.EType(), Cipher: sealed}}).Marshal()
				if err != nil || len(b) > 0xffff {
					t.Skip(err)
				}
				c.flags, c.delegated = c.flags|ContextDelegate, b
			}
		}
		if in == nil && kind%kinds > 1 {
			if len(data) > 1<<15 {
				t.Skip("no room in a token")
			}
			in = o.token(t)
		}
		m := o.mechanism(t)
		m.AllowForwardedTGT, m.AllowNoPAC = true, []string{"CORP.TEST"}
		m.Now = func() time.Time { return fixedNow }
		reply, id, err := login1(m, authn.Exchange{Bindings: authn.Bindings{bindingFor("ours")}}, in)
		var re *authn.RefusedError
		switch {
		case (id == nil) == (err == nil):
			t.Fatalf("identity %v and error %v", id, err)
		case err != nil && (!errors.As(err, &re) || re.Reason == "" || reply != nil):
			t.Fatalf("error %v is no refusal, reply %x", err, reply)
		}
	})
}
