package krb5

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestMITTranscript replays what kinit, our client and kvno said to a krb5kdc of
// MIT Kerberos 1.20 and what that answered (testdata/mit, recorded by the test
// of the same name in authn/kerberos): everything can be opened, checked and
// written again to the byte.
func TestMITTranscript(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("testdata", "mit", name+".der"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	long, err := StringToKey(AES256SHA1, "pw-of-Alice 42", "A.TESTalice", nil)
	if err != nil {
		t.Fatal(err)
	}

	// kinit asks and is told how the key is made.
	if req := replayReq(t, read("01-as-req")); req.Type != MsgASReq || req.Body.CName.String() != "alice" ||
		!req.Body.SName.Equal(TGSName("A.TEST")) || !req.Body.Options.Has(FlagForwardable) || len(req.Body.ETypes) < 4 {
		t.Errorf("AS-REQ %+v", req.Body)
	}
	m, err := ParseErrorMessage(read("02-error"))
	if err != nil || m.Code != CodePreauthRequired || m.Realm != "A.TEST" || m.Text != "NEEDED_PREAUTH" {
		t.Fatalf("%+v, %v", m, err)
	}
	replay(t, read("02-error"), m.Marshal)
	methods, err := ParseMethodData(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := FindPAData(methods, PAETypeInfo2)
	infos, err := ParseETypeInfo2(v)
	if err != nil || len(infos) == 0 || infos[0].EType != AES256SHA1 || infos[0].Salt != "A.TESTalice" || !infos[0].HasSalt {
		t.Errorf("%+v, %v", infos, err)
	}

	// It proves that it has the key and gets a ticket-granting ticket.
	v, _ = FindPAData(replayReq(t, read("03-as-req")).PAData, PAEncTimestamp)
	sealed, err := ParseEncryptedData(v)
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := ParseEncTimestamp(open(t, sealed, long, UsageASReqTimestamp)); err != nil || ts.Time.IsZero() {
		t.Errorf("%+v, %v", ts, err)
	}
	session := replayRep(t, read("04-as-rep"), MsgASRep, long, UsageASRepPart, TGSName("A.TEST")).Key

	// Our client gets a ticket for a service.
	replayTGSReq(t, read("05-tgs-req"), session)
	replayRep(t, read("06-tgs-rep"), MsgTGSRep, session, UsageTGSRepPartKey, NewPrincipalName(NameService, "HTTP/app.a.test"))

	// And one for alice herself in another's name.
	req, _ := replayTGSReq(t, read("07-tgs-req"), session)
	v, _ = FindPAData(req.PAData, PAForUser)
	u, err := ParseForUser(v)
	if err != nil || u.Name.String() != "nopreauth" || u.Realm != "A.TEST" || u.AuthPackage != "Kerberos" {
		t.Fatalf("%+v, %v", u, err)
	}
	replay(t, v, u.Marshal)
	if err := session.VerifyHMACMD5(UsageForUserChecksum, u.SignedBytes(), u.Checksum.Sum); err != nil || u.Checksum.Type != HMACMD5 {
		t.Errorf("PA-FOR-USER: %v", err)
	}
	replayRep(t, read("08-tgs-rep"), MsgTGSRep, session, UsageTGSRepPartKey, NewPrincipalName(NamePrincipal, "alice"))
	rep, err := ParseKDCRep(read("08-tgs-rep"))
	if err != nil {
		t.Fatal(err)
	}
	v, _ = FindPAData(rep.PAData, PAS4UX509User)
	x, err := ParseS4UX509User(v)
	if err != nil || x.User.CName.String() != "nopreauth" || x.User.Nonce != req.Body.Nonce {
		t.Fatalf("%+v, %v", x, err)
	}
	replay(t, v, x.Marshal)
	if err := session.VerifyChecksum(x.Checksum.Type, UsageS4UX509UserReply, x.RawUser, x.Checksum.Sum); err != nil {
		t.Errorf("PA-S4U-X509-USER of the reply: %v", err)
	}
	plain := open(t, rep.Ticket.EncPart, long, UsageTicket)
	part, err := ParseEncTicketPart(plain)
	if err != nil || part.CName.String() != "nopreauth" || rep.CName.String() != "nopreauth" || rep.Ticket.EncPart.KVNO != 1 {
		t.Fatalf("%+v, %v", part, err)
	}
	replay(t, plain, part.Marshal)
	if pacs, err := FindAuthorizationData(part.AuthorizationData, ADPAC); err != nil || len(pacs) != 1 {
		t.Errorf("%d PACs, %v", len(pacs), err)
	}

	// kvno wraps its request (FAST, RFC 6113), which we do not open.
	if _, sub := replayTGSReq(t, read("09-tgs-req"), session); sub.IsZero() {
		t.Error("kvno sent no subkey")
	}
	if rep, err = ParseKDCRep(read("10-tgs-rep")); err != nil || rep.Ticket.SName.String() != "HTTP/app.a.test" {
		t.Fatalf("%+v, %v", rep, err)
	}
	replay(t, read("10-tgs-rep"), rep.Marshal)
}

func open(t *testing.T, d EncryptedData, k Key, u Usage) []byte {
	t.Helper()
	b, err := d.Open(k, u)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replay checks that a message is written again as it was received.
func replay(t *testing.T, want []byte, marshal func() ([]byte, error)) {
	t.Helper()
	if got, err := marshal(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("written as %x, %v, received as %x", got, err, want)
	}
}

func replayReq(t *testing.T, b []byte) *KDCReq {
	t.Helper()
	req, err := ParseKDCReq(b)
	if err != nil {
		t.Fatal(err)
	}
	replay(t, req.RawBody, req.Body.Marshal)
	replay(t, b, req.Marshal)
	return req
}

// replayTGSReq opens a TGS-REQ, checks its signature, and returns it with the
// subkey, which is zero if there is none.
func replayTGSReq(t *testing.T, b []byte, session Key) (*KDCReq, Key) {
	t.Helper()
	req := replayReq(t, b)
	v, _ := FindPAData(req.PAData, PATGSReq)
	ap, err := ParseAPReq(v)
	if err != nil {
		t.Fatal(err)
	}
	replay(t, v, ap.Marshal)
	plain := open(t, ap.Authenticator, session, UsageTGSReqAuthenticator)
	auth, err := ParseAuthenticator(plain)
	if err != nil {
		t.Fatal(err)
	}
	replay(t, plain, auth.Marshal)
	if auth.Checksum == nil || session.VerifyChecksum(auth.Checksum.Type, UsageTGSReqChecksum, req.RawBody, auth.Checksum.Sum) != nil {
		t.Errorf("checksum of the body: %+v", auth.Checksum)
	}
	return req, auth.SubKey
}

// replayRep opens a reply and checks what it is for.
func replayRep(t *testing.T, b []byte, typ MsgType, k Key, u Usage, service PrincipalName) *EncKDCRepPart {
	t.Helper()
	rep, err := ParseKDCRep(b)
	if err != nil || rep.Type != typ {
		t.Fatalf("%+v, %v", rep, err)
	}
	replay(t, b, rep.Marshal)
	plain := open(t, rep.EncPart, k, u)
	part, err := ParseEncKDCRepPart(plain)
	if err != nil || !part.SName.Equal(service) || part.SRealm != "A.TEST" || part.EndTime.IsZero() {
		t.Fatalf("%+v, %v", part, err)
	}
	replay(t, plain, func() ([]byte, error) {
		out, err := part.Marshal(MsgTGSRep)
		out[0] = plain[0] // MIT uses one tag for both
		return out, err
	})
	return part
}
