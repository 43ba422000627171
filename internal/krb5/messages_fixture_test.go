package krb5

import (
	"bytes"
	"reflect"
	"time"
)

var (
	testTime = time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)
	testName = PrincipalName{NameService, []string{"HTTP", "app.corp.test"}}
)

func testKey(e EType, fill byte) Key {
	k, err := NewKey(e, bytes.Repeat([]byte{fill}, e.KeySize()))
	if err != nil {
		panic(err)
	}
	return k
}

func testTicket() Ticket {
	t := Ticket{Realm: "CORP.TEST", SName: testName, EncPart: EncryptedData{AES256SHA1, 3, []byte("sealed ticket")}}
	b, err := t.Marshal()
	if err != nil {
		panic(err)
	}
	t.Raw = b
	return t
}

// message is a kind of message with a full and a minimal example.
type message struct {
	name    string
	parse   func([]byte) (any, error)
	marshal func(any) ([]byte, error)
	values  []any // pointers
}

func kind[T any](name string, parse func([]byte) (*T, error), marshal func(*T) ([]byte, error), values ...*T) message {
	m := message{name: name}
	m.parse = func(b []byte) (any, error) {
		v, err := parse(b)
		if err != nil {
			return nil, err
		}
		return v, nil
	}
	m.marshal = func(v any) ([]byte, error) { return marshal(v.(*T)) }
	for _, v := range values {
		m.values = append(m.values, v)
	}
	return m
}

func testMessages() []message {
	key, sub := testKey(AES256SHA1, 1), testKey(AES128SHA2, 2)
	alice := PrincipalName{NamePrincipal, []string{"alice"}}
	tkt := testTicket()
	addrs := []HostAddress{{2, []byte{127, 0, 0, 1}}, {24, make([]byte, 16)}}
	ad := []AuthorizationData{{ADIfRelevant, []byte{0x30, 0}}, {-5, []byte("x")}}
	pa := []PAData{{PATGSReq, []byte("AP-REQ")}, {PAForUser, []byte("user")}}
	body := KDCReqBody{
		Options: FlagForwardable | OptionCanonical, CName: alice, Realm: "CORP.TEST", SName: testName,
		From: testTime, Till: testTime.Add(time.Hour), RTime: testTime.Add(2 * time.Hour), Nonce: 1<<31 + 5,
		ETypes: []EType{AES256SHA1, -133}, Addresses: addrs, EncAuthData: &EncryptedData{AES256SHA1, 0, []byte("ad")},
		AdditionalTickets: []Ticket{tkt, tkt},
	}
	least := KDCReqBody{Realm: "R"}
	raw := func(b KDCReqBody) []byte {
		out, err := b.Marshal()
		if err != nil {
			panic(err)
		}
		return out
	}
	user := S4UUserID{Nonce: 7, CName: alice, CRealm: "CORP.TEST", Certificate: []byte("cert"), Options: S4UOptionUseReplyKey, HasOptions: true}
	rawUser, err := user.Marshal()
	if err != nil {
		panic(err)
	}
	return []message{
		kind("Ticket", ParseTicket, (*Ticket).Marshal, &tkt),
		kind("EncTicketPart", ParseEncTicketPart, (*EncTicketPart).Marshal,
			&EncTicketPart{
				Flags: FlagForwardable | FlagPreAuthent, Key: key, CRealm: "CORP.TEST", CName: alice,
				Transited: TransitedEncoding{1, []byte("A,B")}, AuthTime: testTime, StartTime: testTime.Add(1),
				EndTime: testTime.Add(time.Hour), RenewTill: testTime.Add(2 * time.Hour), Addresses: addrs, AuthorizationData: ad,
			},
			&EncTicketPart{Key: key, CRealm: "R", CName: alice, AuthTime: testTime, EndTime: testTime}),
		kind("AP-REQ", ParseAPReq, (*APReq).Marshal, &APReq{APMutualRequired, tkt, EncryptedData{RC4HMAC, 0, []byte("auth")}}),
		kind("Authenticator", ParseAuthenticator, (*Authenticator).Marshal,
			&Authenticator{
				CRealm: "CORP.TEST", CName: alice, Checksum: &Checksum{GSSChecksum, make([]byte, 24)}, CUSec: 999_999,
				CTime: testTime, SubKey: sub, SeqNumber: 1<<32 - 1, AuthorizationData: ad,
			},
			&Authenticator{CRealm: "R", CName: alice, CTime: testTime}),
		kind("AP-REP", ParseAPRep, (*APRep).Marshal, &APRep{EncryptedData{AES128SHA1, 0, []byte("rep")}}),
		kind("EncAPRepPart", ParseEncAPRepPart, (*EncAPRepPart).Marshal,
			&EncAPRepPart{testTime, 5, sub, 77}, &EncAPRepPart{CTime: testTime}),
		kind("KDC-REQ", ParseKDCReq, (*KDCReq).Marshal,
			&KDCReq{MsgTGSReq, pa, body, raw(body)}, &KDCReq{MsgASReq, nil, least, raw(least)}),
		kind("KDC-REP", ParseKDCRep, (*KDCRep).Marshal,
			&KDCRep{MsgTGSRep, pa, "CORP.TEST", alice, tkt, EncryptedData{AES256SHA1, 0, []byte("rep")}},
			&KDCRep{MsgASRep, nil, "R", alice, tkt, EncryptedData{AES256SHA1, 2, []byte("rep")}}),
		kind("EncASRepPart", ParseEncKDCRepPart, func(m *EncKDCRepPart) ([]byte, error) { return m.Marshal(MsgASRep) },
			&EncKDCRepPart{
				Key: key, LastReq: []LastReq{{6, testTime}, {-1, testTime}}, Nonce: 9, KeyExpiration: testTime,
				Flags: FlagInitial, AuthTime: testTime, StartTime: testTime, EndTime: testTime, RenewTill: testTime,
				SRealm: "CORP.TEST", SName: TGSName("CORP.TEST"), Addresses: addrs, EncPAData: pa,
			}),
		kind("EncTGSRepPart", ParseEncKDCRepPart, func(m *EncKDCRepPart) ([]byte, error) { return m.Marshal(MsgTGSRep) },
			&EncKDCRepPart{Key: key, AuthTime: testTime, EndTime: testTime, SRealm: "R", SName: testName}),
		kind("KRB-CRED", ParseCred, (*Cred).Marshal, &Cred{[]Ticket{tkt}, EncryptedData{AES256SHA1, 0, []byte("cred")}}),
		kind("EncKrbCredPart", ParseEncCredPart, (*EncCredPart).Marshal,
			&EncCredPart{
				Info: []CredInfo{{
					Key: key, PRealm: "CORP.TEST", PName: alice, Flags: FlagForwarded, AuthTime: testTime, StartTime: testTime,
					EndTime: testTime, RenewTill: testTime, SRealm: "CORP.TEST", SName: TGSName("CORP.TEST"), Addresses: addrs,
				}, {Key: sub}},
				Nonce: 3, Timestamp: testTime, USec: 4, SAddress: &addrs[0], RAddress: &addrs[1],
			},
			&EncCredPart{Info: []CredInfo{{Key: key}}}),
		kind("KRB-ERROR", ParseErrorMessage, (*ErrorMessage).Marshal,
			&ErrorMessage{
				CTime: testTime, CUSec: 1, STime: testTime, SUSec: 2, Code: CodePreauthRequired, CRealm: "CORP.TEST",
				CName: alice, Realm: "CORP.TEST", SName: TGSName("CORP.TEST"), Text: "NEEDED_PREAUTH", Data: []byte("data"),
			},
			&ErrorMessage{STime: testTime, Code: -1, Realm: "R"}),
		kind("PA-ENC-TS-ENC", ParseEncTimestamp, (*EncTimestamp).Marshal, &EncTimestamp{testTime, 123}),
		kind("PA-FOR-USER", ParseForUser, (*ForUser).Marshal, &ForUser{alice, "CORP.TEST", Checksum{HMACMD5, make([]byte, 16)}, "Kerberos"}),
		kind("PA-S4U-X509-USER", ParseS4UX509User, (*S4UX509User).Marshal,
			&S4UX509User{user, Checksum{HMACSHA1AES256, make([]byte, 12)}, rawUser}),
	}
}

// truncateTimes returns a copy of *v without fractions of seconds in StartTime,
// which the format does not have.
func truncateTimes(v reflect.Value) reflect.Value {
	c := reflect.New(v.Elem().Type())
	c.Elem().Set(v.Elem())
	if f := c.Elem().FieldByName("StartTime"); f.IsValid() {
		f.Set(reflect.ValueOf(f.Interface().(time.Time).Truncate(time.Second)))
	}
	return c
}

// sameMessage compares by value; keys hold pointers and are compared by Equal.
func sameMessage(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	switch x := a.Interface().(type) {
	case Key:
		return x.Equal(b.Interface().(Key))
	case time.Time:
		return x.Equal(b.Interface().(time.Time))
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return sameValue(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Interface() == b.Interface()
}
