package kerberos

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// fixedNow is the clock of tests that build tokens themselves.
var fixedNow = time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)

// testEntry is one key of a keytab to be made.
type testEntry struct {
	principal string
	kvno      uint32
	key       krb5.Key
}

// keytabBytes writes a keytab file as MIT does.
func keytabBytes(t testing.TB, entries ...testEntry) []byte {
	t.Helper()
	b := []byte{5, 2}
	str := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	for _, e := range entries {
		name, realm, ok := strings.Cut(e.principal, "@")
		if !ok {
			realm = "CORP.TEST"
		}
		parts := strings.Split(name, "/")
		r := binary.BigEndian.AppendUint16(nil, uint16(len(parts)))
		r = str(r, realm)
		for _, p := range parts {
			r = str(r, p)
		}
		r = binary.BigEndian.AppendUint32(r, 1)
		r = binary.BigEndian.AppendUint32(r, 0)
		r = append(r, byte(e.kvno))
		r = binary.BigEndian.AppendUint16(r, uint16(e.key.EType()))
		r = str(r, string(e.key.Bytes()))
		r = binary.BigEndian.AppendUint32(r, e.kvno)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(r))), r...)
	}
	if err := keytab.New().Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func testKeytab(t testing.TB, entries ...testEntry) *Keytab {
	t.Helper()
	k, err := ParseKeytab(keytabBytes(t, entries...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func randomKey(t testing.TB, e krb5.EType) krb5.Key {
	t.Helper()
	k, err := krb5.RandomKey(e)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// order is a login to be made: KDC and client in one. The functions change
// what they are given before it is encrypted or signed.
type order struct {
	key     krb5.Key // of the service
	session krb5.Key
	kdc     krb5.Key
	kvno    uint32
	spn     string
	oid     asn1.ObjectIdentifier
	noPAC   bool

	ticket func(*krb5.EncTicketPart)
	pac    func(*pac.Contents)
	rawPAC func([]byte) []byte
	auth   func(*krb5.Authenticator)
	gss    func(*gssChecksum)
	req    func(*krb5.APReq)
}

func newOrder(t testing.TB, e krb5.EType) *order {
	t.Helper()
	return &order{
		key: randomKey(t, e), session: randomKey(t, e), kdc: randomKey(t, krb5.AES256SHA1),
		kvno: 3, spn: "HTTP/app.corp.test", oid: OID(),
	}
}

// mechanism returns an acceptor's side that knows the order's service.
func (o *order) mechanism(t testing.TB) *Mechanism {
	t.Helper()
	return &Mechanism{
		Keytab: testKeytab(t, testEntry{"svc-app", 3, o.key}, testEntry{"HTTP/app.corp.test", 3, o.key}),
		Now:    func() time.Time { return fixedNow },
	}
}

const testDomain = pac.SID("S-1-5-21-1-2-3")

func (o *order) pacContents() pac.Contents {
	return pac.Contents{
		Logon: &pac.LogonInfo{
			Account: "alice", FullName: "Alice Liddell", Domain: "CORP", DomainSID: testDomain,
			UserID: 1104, PrimaryGroupID: 513,
			Groups: []pac.GroupMembership{{RID: 513, Attributes: pac.GroupDefault}, {RID: 1105, Attributes: pac.GroupDefault},
				{RID: 1106, Attributes: pac.GroupMandatory | pac.GroupDenyOnly}},
			ExtraSIDs: []pac.SIDAttributes{{SID: "S-1-18-1", Attributes: pac.GroupDefault}},
		},
		Client: pac.ClientInfo{Name: "alice", AuthTime: fixedNow.Add(-time.Hour).Truncate(time.Second)},
		UPN:    &pac.UPNInfo{UPN: "alice@corp.test", DNSDomain: "CORP.TEST"},
	}
}

// token returns the AP-REQ in GSS framing.
func (o *order) token(t testing.TB) []byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	part := &krb5.EncTicketPart{
		Flags: krb5.FlagForwardable | krb5.FlagPreAuthent, Key: o.session,
		CRealm: "CORP.TEST", CName: krb5.NewPrincipalName(krb5.NamePrincipal, "alice"),
		AuthTime: fixedNow.Add(-time.Hour).Truncate(time.Second), EndTime: fixedNow.Add(9 * time.Hour),
	}
	if !o.noPAC {
		c := o.pacContents()
		if o.pac != nil {
			o.pac(&c)
		}
		raw := must(pac.Build(c, o.key, o.kdc))
		if o.rawPAC != nil {
			raw = o.rawPAC(raw)
		}
		ad, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: raw})
		if err != nil {
			t.Fatal(err)
		}
		part.AuthorizationData = []krb5.AuthorizationData{ad}
	}
	if o.ticket != nil {
		o.ticket(part)
	}
	sub := randomKey(t, krb5.AES256SHA1)
	auth := &krb5.Authenticator{CRealm: part.CRealm, CName: part.CName, CTime: fixedNow.Truncate(time.Second), CUSec: 535_000,
		SubKey: sub, SeqNumber: 4711}
	gss := &gssChecksum{flags: ContextMutual | ContextIntegrity | ContextSequence}
	if o.gss != nil {
		o.gss(gss)
	}
	auth.Checksum = &krb5.Checksum{Type: krb5.GSSChecksum, Sum: must(gss.marshal())}
	if o.auth != nil {
		o.auth(auth)
	}
	req := &krb5.APReq{
		Options: krb5.APMutualRequired,
		Ticket: krb5.Ticket{Realm: "CORP.TEST", SName: krb5.NewPrincipalName(krb5.NameService, o.spn),
			EncPart: krb5.EncryptedData{EType: o.key.EType(), KVNO: o.kvno, Cipher: must(o.key.Encrypt(krb5.UsageTicket, must(part.Marshal())))}},
		Authenticator: krb5.EncryptedData{EType: part.Key.EType(),
			Cipher: must(part.Key.Encrypt(krb5.UsageAPReqAuthenticator, must(auth.Marshal())))},
	}
	if o.req != nil {
		o.req(req)
	}
	return must(krb5.FrameToken(o.oid, krb5.TokenAPReq, must(req.Marshal())))
}

// login1 runs one exchange.
func login1(m *Mechanism, x authn.Exchange, token []byte) ([]byte, *authn.Identity, error) {
	return m.NewAcceptor(x).Step(context.Background(), token)
}

// wantRefused checks that a login was refused for the reason, and that the
// refusal says what to do where a hint is expected.
func wantRefused(t testing.TB, id *authn.Identity, err error, reason authn.Reason, hint string) {
	t.Helper()
	var re *authn.RefusedError
	if id != nil || !errors.As(err, &re) {
		t.Fatalf("identity %v, error %v, want a refusal", id, err)
	}
	if re.Reason != reason || re.Mechanism != authn.MechanismKerberos {
		t.Errorf("reason %q (%v), want %q", re.Reason, err, reason)
	}
	if !strings.Contains(re.Hint, hint) {
		t.Errorf("hint %q does not tell %q", re.Hint, hint)
	}
	if !strings.HasPrefix(re.Err.Error(), "kerberos: ") && !strings.HasPrefix(re.Err.Error(), "krb5: ") && !strings.HasPrefix(re.Err.Error(), "pac: ") {
		t.Errorf("detail %q does not name its package", re.Err)
	}
}

func bindingFor(name string) authn.ChannelBinding {
	return authn.EndpointBinding(&x509.Certificate{Raw: []byte(name)})
}
