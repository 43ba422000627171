package tokentext

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// testTime is the clock of tokens made here, so that their text is always the
// same. What is random in them is shown by its length.
var testTime = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func testKey(t testing.TB, e krb5.EType, name string) krb5.Key {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	k, err := krb5.NewKey(e, sum[:e.KeySize()])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// testKeytab is a keytab with one key: of kvno, of the principal in the realm.
func testKeytab(t testing.TB, principal, realm string, kvno uint32, key krb5.Key) *kerberos.Keytab {
	t.Helper()
	return must(kerberos.ParseKeytab(keytabFile(principal, realm, kvno, key)))(t)
}

func keytabFile(principal, realm string, kvno uint32, key krb5.Key) []byte {
	str := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	parts := strings.Split(principal, "/")
	e := str(binary.BigEndian.AppendUint16(nil, uint16(len(parts))), realm)
	for _, p := range parts {
		e = str(e, p)
	}
	e = binary.BigEndian.AppendUint64(e, 1<<32) // name type 1, no time
	e = append(e, byte(kvno))
	e = str(binary.BigEndian.AppendUint16(e, uint16(key.EType())), string(key.Bytes()))
	e = binary.BigEndian.AppendUint32(e, kvno)
	return append(binary.BigEndian.AppendUint32([]byte{5, 2}, uint32(len(e))), e...)
}

// An order is a login to be made. The functions change what is in it before it
// is sealed.
type order struct {
	etype  krb5.EType
	ticket func(*krb5.EncTicketPart)
	pac    func([]byte) []byte
	logon  func(*pac.LogonInfo)
	auth   func(*krb5.Authenticator)
	req    func(*krb5.APReq)
}

func (o order) serviceKey(t testing.TB) krb5.Key { return testKey(t, o.etype, "service") }

// apReq returns the AP-REQ of alice at HTTP/app.corp.test.
func (o order) apReq(t testing.TB) []byte {
	t.Helper()
	session, kdc := testKey(t, o.etype, "session"), testKey(t, krb5.AES256SHA1, "krbtgt")
	alice := krb5.NewPrincipalName(krb5.NamePrincipal, "alice")
	part := &krb5.EncTicketPart{
		Flags: krb5.FlagForwardable | krb5.FlagRenewable | krb5.FlagPreAuthent | krb5.FlagOKAsDelegate,
		Key:   session, CRealm: "CORP.TEST", CName: alice,
		AuthTime: testTime.Add(-time.Hour), StartTime: testTime.Add(-time.Minute),
		EndTime: testTime.Add(9 * time.Hour), RenewTill: testTime.Add(7 * 24 * time.Hour),
	}
	logon := &pac.LogonInfo{
		Account: "alice", FullName: "Alice Liddell", Domain: "CORP", LogonServer: "DC1", DomainSID: "S-1-5-21-1-2-3",
		LogonTime: testTime.Add(-time.Hour), PasswordLastSet: testTime.Add(-30 * 24 * time.Hour),
		LogonCount: 42, UserID: 1104, PrimaryGroupID: 513, AccountControl: 0x210,
		Groups:            []pac.GroupMembership{{RID: 513, Attributes: pac.GroupDefault}, {RID: 1105, Attributes: pac.GroupMandatory | pac.GroupDenyOnly}},
		ExtraSIDs:         []pac.SIDAttributes{{SID: "S-1-18-1", Attributes: pac.GroupDefault}},
		ResourceDomainSID: "S-1-5-21-1-2-3", ResourceGroups: []pac.GroupMembership{{RID: 1200, Attributes: pac.GroupDefault | pac.GroupResource}},
	}
	if o.logon != nil {
		o.logon(logon)
	}
	plain := must(part.Marshal())(t)
	b := must(pac.Build(pac.Contents{
		Logon: logon, Client: pac.ClientInfo{Name: "alice", AuthTime: part.AuthTime},
		UPN:        &pac.UPNInfo{UPN: "alice@corp.test", DNSDomain: "CORP.TEST", Account: "alice", SID: "S-1-5-21-1-2-3-1104"},
		TicketPart: plain,
	}, o.serviceKey(t), kdc))(t)
	if o.pac != nil {
		b = o.pac(b)
	}
	part.AuthorizationData = []krb5.AuthorizationData{must(krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADPAC, Data: b}))(t)}
	if o.ticket != nil {
		o.ticket(part)
	}
	sum := binary.LittleEndian.AppendUint32(nil, 16)
	sum = append(sum, make([]byte, 16)...)
	sum = binary.LittleEndian.AppendUint32(sum, uint32(kerberos.ContextMutual|kerberos.ContextReplay|kerberos.ContextSequence|kerberos.ContextIntegrity))
	auth := &krb5.Authenticator{
		CRealm: "CORP.TEST", CName: alice, CTime: testTime, CUSec: 535_000,
		SubKey: testKey(t, krb5.AES256SHA1, "subkey"), SeqNumber: 4711,
		Checksum: &krb5.Checksum{Type: krb5.GSSChecksum, Sum: sum},
	}
	if o.auth != nil {
		o.auth(auth)
	}
	req := &krb5.APReq{
		Options: krb5.APMutualRequired,
		Ticket: krb5.Ticket{
			Realm: "CORP.TEST", SName: krb5.NewPrincipalName(krb5.NameService, "HTTP/app.corp.test"),
			EncPart: must(krb5.Seal(o.serviceKey(t), krb5.UsageTicket, 3, must(part.Marshal())(t)))(t),
		},
		Authenticator: must(krb5.Seal(part.Key, krb5.UsageAPReqAuthenticator, 0, must(auth.Marshal())(t)))(t),
	}
	if o.req != nil {
		o.req(req)
	}
	return must(req.Marshal())(t)
}

// gss frames a Kerberos message.
func gss(t testing.TB, id krb5.TokenID, body []byte) []byte {
	t.Helper()
	return must(krb5.FrameToken(krb5.OIDKerberos(), id, body))(t)
}

// windowsInit is the first token of a Windows client.
func windowsInit(t testing.TB, mechToken []byte) []byte {
	t.Helper()
	return must((&spnego.NegTokenInit{
		MechTypes: oids(spnego.OIDMSKerberos, spnego.OIDKerberos, []int{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}, spnego.OIDNTLM),
		MechToken: mechToken,
	}).Marshal())(t)
}
