package krb5

import (
	"bytes"
	"slices"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// These tests compare with gokrb5, an implementation nobody here wrote: it
// reads what we write and we read what it writes.

func peerName(p PrincipalName) types.PrincipalName {
	return types.PrincipalName{NameType: int32(p.Type), NameString: p.Components}
}

func peerSame(t *testing.T, what string, got types.PrincipalName, want PrincipalName) {
	t.Helper()
	if got.NameType != int32(want.Type) || !slices.Equal(got.NameString, want.Components) {
		t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func peerTicket() messages.Ticket {
	t := testTicket()
	return messages.Ticket{
		TktVNO: 5, Realm: t.Realm, SName: peerName(t.SName),
		EncPart: types.EncryptedData{EType: int32(t.EncPart.EType), KVNO: int(t.EncPart.KVNO), Cipher: t.EncPart.Cipher},
	}
}

func TestPeerTicket(t *testing.T) {
	t.Parallel()
	theirs := peerTicket()
	b, err := theirs.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if want := testTicket().Raw; !bytes.Equal(b, want) {
		t.Errorf("they write %x, we %x", b, want)
	}
	if _, err := ParseTicket(b); err != nil {
		t.Error(err)
	}
}

func TestPeerAPReq(t *testing.T) {
	t.Parallel()
	ours := APReq{APMutualRequired, testTicket(), EncryptedData{AES256SHA1, 0, []byte("authenticator")}}
	b, err := ours.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var a messages.APReq
	if err := a.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if !types.IsFlagSet(&a.APOptions, 2) || a.Ticket.Realm != "CORP.TEST" || string(a.EncryptedAuthenticator.Cipher) != "authenticator" {
		t.Errorf("%+v", a)
	}
	back, err := a.Marshal()
	if err != nil || !bytes.Equal(back, b) {
		t.Errorf("they write %x, %v, we %x", back, err, b)
	}
}

func TestPeerAuthenticator(t *testing.T) {
	t.Parallel()
	ours := Authenticator{
		CRealm: "CORP.TEST", CName: PrincipalName{NamePrincipal, []string{"alice"}}, Checksum: &Checksum{GSSChecksum, make([]byte, 24)},
		CUSec: 17, CTime: testTime, SubKey: testKey(AES256SHA1, 9), SeqNumber: 1 << 30,
		AuthorizationData: []AuthorizationData{{ADIfRelevant, []byte{0x30, 0}}},
	}
	b, err := ours.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var a types.Authenticator
	if err := a.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	peerSame(t, "cname", a.CName, ours.CName)
	if a.CRealm != ours.CRealm || a.Cusec != 17 || !a.CTime.Equal(testTime) || a.SeqNumber != 1<<30 ||
		a.Cksum.CksumType != 0x8003 || !bytes.Equal(a.SubKey.KeyValue, ours.SubKey.Bytes()) || len(a.AuthorizationData) != 1 {
		t.Errorf("%+v", a)
	}
	back, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseAuthenticator(back)
	if err != nil || !sameMessage(got, &ours) {
		t.Errorf("%+v, %v, want %+v", got, err, ours)
	}
}

func TestPeerAPRep(t *testing.T) {
	t.Parallel()
	b, err := (&APRep{EncryptedData{AES128SHA1, 0, []byte("rep")}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var a messages.APRep
	if err := a.Unmarshal(b); err != nil || string(a.EncPart.Cipher) != "rep" {
		t.Errorf("%+v, %v", a, err)
	}
	b, err = (&EncAPRepPart{testTime, 5, testKey(AES128SHA1, 1), 77}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var e messages.EncAPRepPart
	if err := e.Unmarshal(b); err != nil || e.Cusec != 5 || !e.CTime.Equal(testTime) || e.SequenceNumber != 77 || len(e.Subkey.KeyValue) != 16 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestPeerKDCReq(t *testing.T) {
	t.Parallel()
	body := KDCReqBody{
		Options: FlagForwardable | OptionCanonical, CName: PrincipalName{NamePrincipal, []string{"alice"}}, Realm: "CORP.TEST",
		SName: TGSName("CORP.TEST"), Till: testTime, Nonce: 12345, ETypes: []EType{AES256SHA1, RC4HMAC},
	}
	b, err := (&KDCReq{Type: MsgASReq, PAData: []PAData{{PAEncTimestamp, []byte("ts")}}, Body: body}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var as messages.ASReq
	if err := as.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	peerSame(t, "cname", as.ReqBody.CName, body.CName)
	peerSame(t, "sname", as.ReqBody.SName, body.SName)
	if as.ReqBody.Realm != "CORP.TEST" || as.ReqBody.Nonce != 12345 || !slices.Equal(as.ReqBody.EType, []int32{18, 23}) ||
		!as.ReqBody.Till.Equal(testTime) || !types.IsFlagSet(&as.ReqBody.KDCOptions, 15) || len(as.PAData) != 1 {
		t.Errorf("%+v", as)
	}
	tgs := body
	tgs.CName, tgs.AdditionalTickets = PrincipalName{}, []Ticket{testTicket()}
	if b, err = (&KDCReq{Type: MsgTGSReq, PAData: []PAData{{PATGSReq, []byte("ap")}}, Body: tgs}).Marshal(); err != nil {
		t.Fatal(err)
	}
	var r messages.TGSReq
	if err := r.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if len(r.ReqBody.AdditionalTickets) != 1 || r.ReqBody.AdditionalTickets[0].Realm != "CORP.TEST" {
		t.Errorf("%+v", r)
	}
	back, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseKDCReq(back)
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != MsgTGSReq || !got.Body.SName.Equal(tgs.SName) || got.Body.Options != tgs.Options || got.Body.Nonce != 12345 ||
		!slices.Equal(got.Body.ETypes, tgs.ETypes) || len(got.Body.AdditionalTickets) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestPeerKDCRep(t *testing.T) {
	t.Parallel()
	ours := KDCRep{
		Type: MsgASRep, PAData: []PAData{{PAETypeInfo2, []byte{0x30, 0}}}, CRealm: "CORP.TEST",
		CName: PrincipalName{NamePrincipal, []string{"alice"}}, Ticket: testTicket(), EncPart: EncryptedData{AES256SHA1, 2, []byte("part")},
	}
	b, err := ours.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var as messages.ASRep
	if err := as.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	peerSame(t, "cname", as.CName, ours.CName)
	if as.CRealm != ours.CRealm || as.Ticket.Realm != "CORP.TEST" || as.EncPart.KVNO != 2 || len(as.PAData) != 1 {
		t.Errorf("%+v", as)
	}
	if back, err := as.Marshal(); err != nil || !bytes.Equal(back, b) {
		t.Errorf("they write %x, %v, we %x", back, err, b)
	}
}

func TestPeerEncKDCRepPart(t *testing.T) {
	t.Parallel()
	ours := EncKDCRepPart{
		Key: testKey(AES256SHA1, 3), LastReq: []LastReq{{0, testTime}}, Nonce: 9, Flags: FlagInitial | FlagForwardable,
		AuthTime: testTime, StartTime: testTime, EndTime: testTime, RenewTill: testTime, SRealm: "CORP.TEST", SName: testName,
	}
	for _, typ := range []MsgType{MsgASRep, MsgTGSRep} {
		b, err := ours.Marshal(typ)
		if err != nil {
			t.Fatal(err)
		}
		var e messages.EncKDCRepPart
		if err := e.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		peerSame(t, "sname", e.SName, testName)
		if e.Nonce != 9 || !e.EndTime.Equal(testTime) || !bytes.Equal(e.Key.KeyValue, ours.Key.Bytes()) || !types.IsFlagSet(&e.Flags, 9) || len(e.LastReqs) != 1 {
			t.Errorf("%+v", e)
		}
		back, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseEncKDCRepPart(back); err != nil || !sameMessage(got, &ours) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestPeerEncTicketPart(t *testing.T) {
	t.Parallel()
	ours := EncTicketPart{
		Flags: FlagForwardable, Key: testKey(AES256SHA1, 3), CRealm: "CORP.TEST", CName: PrincipalName{NamePrincipal, []string{"alice"}},
		AuthTime: testTime, StartTime: testTime, EndTime: testTime, RenewTill: testTime,
		AuthorizationData: []AuthorizationData{{ADIfRelevant, []byte{0x30, 0}}},
	}
	b, err := ours.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var e messages.EncTicketPart
	if err := e.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	peerSame(t, "cname", e.CName, ours.CName)
	if e.CRealm != "CORP.TEST" || !e.EndTime.Equal(testTime) || len(e.AuthorizationData) != 1 || !types.IsFlagSet(&e.Flags, 1) {
		t.Errorf("%+v", e)
	}
	inner, err := asn1.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	back := asn1tools.AddASNAppTag(inner, asnAppTag.EncTicketPart)
	if got, err := ParseEncTicketPart(back); err != nil || got.CRealm != "CORP.TEST" || !got.Key.Equal(ours.Key) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPeerKRBError(t *testing.T) {
	t.Parallel()
	theirs := messages.NewKRBError(peerName(testName), "CORP.TEST", 25, "text")
	theirs.EData = []byte("data")
	b, err := theirs.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseErrorMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != CodePreauthRequired || got.Text != "text" || string(got.Data) != "data" || !got.SName.Equal(testName) || !got.STime.Equal(theirs.STime.Truncate(1e9)) {
		t.Errorf("%+v", got)
	}
	back, err := got.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var again messages.KRBError
	if err := again.Unmarshal(back); err != nil || again.ErrorCode != 25 || again.EText != "text" {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestPeerKRBCred(t *testing.T) {
	t.Parallel()
	key := testKey(AES256SHA1, 4)
	part := EncCredPart{
		Info: []CredInfo{{
			Key: testKey(AES128SHA1, 5), PRealm: "CORP.TEST", PName: PrincipalName{NamePrincipal, []string{"alice"}},
			Flags: FlagForwarded, EndTime: testTime, SRealm: "CORP.TEST", SName: TGSName("CORP.TEST"),
		}}, Nonce: 3, Timestamp: testTime, USec: 4,
	}
	plain, err := part.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := Seal(key, UsageCredPart, 0, plain)
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&Cred{[]Ticket{testTicket()}, sealed}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var c messages.KRBCred
	if err := c.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if err := c.DecryptEncPart(types.EncryptionKey{KeyType: int32(key.EType()), KeyValue: key.Bytes()}); err != nil {
		t.Fatal(err)
	}
	if len(c.Tickets) != 1 || len(c.DecryptedEncPart.TicketInfo) != 1 {
		t.Fatalf("%+v", c)
	}
	info := c.DecryptedEncPart.TicketInfo[0]
	peerSame(t, "pname", info.PName, part.Info[0].PName)
	if info.PRealm != "CORP.TEST" || !info.EndTime.Equal(testTime) || len(info.Key.KeyValue) != 16 {
		t.Errorf("%+v", info)
	}
}
