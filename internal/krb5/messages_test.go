package krb5

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
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

func TestMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range testMessages() {
		for i, v := range m.values {
			t.Run(fmt.Sprint(m.name, i), func(t *testing.T) {
				t.Parallel()
				b, err := m.marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				got, err := m.parse(b)
				if err != nil {
					t.Fatal(err)
				}
				cut := truncateTimes(reflect.ValueOf(v)).Interface()
				if !sameMessage(got, cut) {
					t.Errorf("got %+v, want %+v", got, cut)
				}
				again, err := m.marshal(got)
				if err != nil || !bytes.Equal(again, b) {
					t.Errorf("encoded again: %x, %v, want %x", again, err, b)
				}
				for n := range b { // security.md 20
					if _, err := m.parse(b[:n]); err == nil {
						t.Fatalf("%d of %d bytes were taken", n, len(b))
					}
				}
				if _, err := m.parse(append(bytes.Clone(b), 1)); err == nil {
					t.Error("a byte too many was taken")
				}
			})
		}
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

func TestTicketIsPassedOnUnchanged(t *testing.T) {
	t.Parallel()
	// A kvno of five bytes, as some KDCs write it, is not what Marshal makes.
	odd := testTicket()
	odd.EncPart.KVNO, odd.Raw = 0xfffe0001, nil
	b, err := odd.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	negative := bytes.Replace(b, []byte{0xa1, 7, 2, 5, 0, 0xff, 0xfe, 0, 1}, []byte{0xa1, 5, 2, 3, 0xfe, 0, 1}, 1)
	if bytes.Equal(negative, b) {
		t.Fatal("the kvno is not where it was thought to be")
	}
	for _, i := range []int{1, 3} { // lengths of the two outer elements
		negative[i] -= 2
	}
	i := bytes.Index(negative, []byte{0xa3})
	negative[i+1] -= 2
	negative[i+3] -= 2
	got, err := ParseTicket(negative)
	if err != nil {
		t.Fatal(err)
	}
	if got.EncPart.KVNO != 0xfffe0001 {
		t.Errorf("kvno %#x", got.EncPart.KVNO)
	}
	req := APReq{Ticket: *got, Authenticator: EncryptedData{AES256SHA1, 0, []byte("x")}}
	out, err := req.Marshal()
	if err != nil || !bytes.Contains(out, negative) {
		t.Errorf("the ticket was written anew: %v", err)
	}
}

func TestKDCReqBodyBytesAreKept(t *testing.T) {
	t.Parallel()
	req := KDCReq{Type: MsgTGSReq, Body: KDCReqBody{Realm: "CORP.TEST", SName: testName, Nonce: 5, ETypes: []EType{AES256SHA1}}}
	want, err := req.Body.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseKDCReq(b)
	if err != nil || !bytes.Equal(got.RawBody, want) {
		t.Errorf("%x, %v, want %x", got.RawBody, err, want)
	}
}

func TestMessagesRefuse(t *testing.T) {
	t.Parallel()
	name := func(parts ...string) []byte {
		b, err := (&Ticket{Realm: "R", SName: PrincipalName{1, parts}, EncPart: EncryptedData{}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	replace := func(b []byte, old, new string) []byte {
		out := bytes.Replace(b, []byte(old), []byte(new), 1)
		if bytes.Equal(out, b) {
			t.Fatalf("%q is not in the message", old)
		}
		return out
	}
	ts, err := (&EncTimestamp{testTime, 123}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	ticket := func(b []byte) error { _, err := ParseTicket(b); return err }
	stamp := func(b []byte) error { _, err := ParseEncTimestamp(b); return err }
	for what, tc := range map[string]struct {
		parse func([]byte) error
		bytes []byte
	}{
		"zero byte in a name":       {ticket, replace(name("alice"), "alice", "al\x00ce")},
		"name without components":   {ticket, name()},
		"name of many components":   {ticket, name(strings.Split(strings.Repeat("a/", maxNameComponents), "/")...)},
		"time with letters":         {stamp, replace(ts, "20261122150405Z", "2026112215040xZ")},
		"time of another zone":      {stamp, replace(ts, "20261122150405Z", "202611221504+01")},
		"month 13":                  {stamp, replace(ts, "20261122150405Z", "20261322150405Z")},
		"31st of November":          {stamp, replace(ts, "20261122150405Z", "20261131150405Z")},
		"hour 24":                   {stamp, replace(ts, "20261122150405Z", "20261122240405Z")},
		"year before 1970":          {stamp, replace(ts, "20261122150405Z", "19691231235959Z")},
		"a million microseconds":    {stamp, mustHex("301aa011180f32303236313132323135303430355aa10502030f4240")},
		"length not the shortest":   {stamp, mustHex("30811aa011180f32303236313132323135303430355aa10402020fff")},
		"length indefinite":         {stamp, mustHex("3080a011180f32303236313132323135303430355a0000")},
		"integer not the shortest":  {stamp, mustHex("301aa011180f32303236313132323135303430355aa105020300007b")},
		"fields in the wrong order": {stamp, mustHex("3018a10302017ba011180f32303236313132323135303430355a")},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if err := tc.parse(tc.bytes); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want %v", err, ErrMalformed)
			}
		})
	}
	if err := stamp(mustHex("3019a011180f32303236313132323135303430355aa10402020fff")); err != nil {
		t.Errorf("the well-formed neighbour of these: %v", err)
	}
}

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	name := PrincipalName{1, []string{"a"}}
	for what, err := range map[string]error{
		"zero byte in a name":     second((&Ticket{Realm: "R\x00", SName: name}).Marshal()),
		"no key":                  second((&EncTicketPart{CName: name, AuthTime: testTime, EndTime: testTime}).Marshal()),
		"no time":                 second((&EncTimestamp{}).Marshal()),
		"time past the year 9999": second((&EncTimestamp{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}).Marshal()),
	} {
		if err == nil {
			t.Errorf("%s: written", what)
		}
	}
}

func second(_ []byte, err error) error { return err }

func TestUnsupportedSessionKeyIsNamed(t *testing.T) {
	t.Parallel()
	b, err := (&EncAPRepPart{CTime: testTime, SubKey: testKey(AES128SHA1, 1)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte{0xa0, 3, 2, 1, 17}, []byte{0xa0, 3, 2, 1, 3}, 1) // DES
	if _, err := ParseEncAPRepPart(b); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "des-cbc-md5") {
		t.Errorf("got %v", err)
	}
}

// Encryption types with blocks leave zeros after a decrypted message.
func TestSealedPartsMayHavePadding(t *testing.T) {
	t.Parallel()
	b, err := (&EncAPRepPart{CTime: testTime}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseEncAPRepPart(append(bytes.Clone(b), 0, 0, 0)); err != nil {
		t.Errorf("zeros: %v", err)
	}
	if _, err := ParseEncAPRepPart(append(bytes.Clone(b), 0, 1)); err == nil {
		t.Error("something else than zeros was taken")
	}
}

func TestMITNegativeSequenceNumber(t *testing.T) {
	t.Parallel()
	b, err := (&EncAPRepPart{CTime: testTime, SeqNumber: 0x7f}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] = 0x80 // -128 as one byte
	p, err := ParseEncAPRepPart(b)
	if err != nil || p.SeqNumber != 0xffffff80 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	parse := func(bits string) (Flags, error) {
		b := mustHex(bits)
		b = append([]byte{3, byte(len(b))}, b...)                        // BIT STRING
		b = append([]byte{0xa0, byte(len(b))}, b...)                     // [0]
		return ParsePACOptions(append([]byte{0x30, byte(len(b))}, b...)) // SEQUENCE
	}
	for bits, want := range map[string]Flags{
		"0040000000":     FlagForwardable,
		"00ff":           0xff000000, // shorter than 32 bits
		"00":             0,
		"004080000140aa": FlagForwardable | FlagRenewable | OptionValidate, // longer
	} {
		if got, err := parse(bits); err != nil || got != want {
			t.Errorf("%s: %#x, %v, want %#x", bits, got, err, want)
		}
	}
	for _, bits := range []string{"", "08", "01"} {
		if got, err := parse(bits); err == nil {
			t.Errorf("%q was taken as %#x", bits, got)
		}
	}
}

func TestPAData(t *testing.T) {
	t.Parallel()
	infos := []ETypeInfo2Entry{
		{EType: AES256SHA1, Salt: "CORP.TESTalice", HasSalt: true, Params: []byte{0, 0, 16, 0}},
		{EType: AES128SHA1, HasSalt: true}, {EType: RC4HMAC},
	}
	b, err := MarshalETypeInfo2(infos)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseETypeInfo2(b)
	if err != nil || !reflect.DeepEqual(got, infos) {
		t.Errorf("%+v, %v", got, err)
	}
	b, err = MarshalMethodData([]PAData{{PAETypeInfo2, b}, {PAEncTimestamp, nil}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseMethodData(b)
	if err != nil || len(l) != 2 {
		t.Fatalf("%v, %v", l, err)
	}
	if _, ok := FindPAData(l, PAEncTimestamp); !ok {
		t.Error("element of length zero not found")
	}
	if _, ok := FindPAData(l, PATGSReq); ok {
		t.Error("found what is not there")
	}
	for _, include := range []bool{true, false} {
		b, err := MarshalPACRequest(include)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParsePACRequest(b); err != nil || got != include {
			t.Errorf("%v, %v, want %v", got, err, include)
		}
	}
	f := ForUser{Name: PrincipalName{1, []string{"a", "b"}}, Realm: "R", AuthPackage: "Kerberos"}
	if got, want := f.SignedBytes(), "\x01\x00\x00\x00abRKerberos"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAuthorizationDataNesting(t *testing.T) {
	t.Parallel()
	inner := AuthorizationData{ADPAC, []byte("PAC")}
	wrapped := inner
	for depth := range maxADDepth + 2 {
		found, err := FindAuthorizationData([]AuthorizationData{{ADETypeNegotiation, nil}, wrapped}, ADPAC)
		if deep := depth > maxADDepth; deep != (err != nil) {
			t.Errorf("depth %d: %v", depth, err)
		} else if !deep && (len(found) != 1 || string(found[0]) != "PAC") {
			t.Errorf("depth %d: %q", depth, found)
		}
		if wrapped, err = IfRelevant(wrapped); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := FindAuthorizationData([]AuthorizationData{{ADIfRelevant, []byte("junk")}}, ADPAC); err == nil {
		t.Error("a malformed container was passed over")
	}
}

func TestPrincipalNames(t *testing.T) {
	t.Parallel()
	a := NewPrincipalName(NameService, "HTTP/App.corp.test")
	if !a.EqualFold(testName) || a.Equal(testName) || !a.Equal(PrincipalName{NameUnknown, a.Components}) {
		t.Error("comparison of names")
	}
	if a.EqualFold(NewPrincipalName(NameService, "HTTP")) {
		t.Error("a prefix is no match")
	}
	if e := NewPrincipalName(NameEnterprise, "a/b@c"); len(e.Components) != 1 {
		t.Errorf("%v", e)
	}
	if r, ok := TGSName("A").IsTGS(); !ok || r != "A" {
		t.Errorf("%q %v", r, ok)
	}
	if _, ok := a.IsTGS(); ok {
		t.Error("a service is no TGS")
	}
}

func TestErrorCodesInWords(t *testing.T) {
	t.Parallel()
	if got, want := CodeSkew.String(), "clocks differ too much (KRB_AP_ERR_SKEW)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := ErrorCode(4711).String(), "error code 4711"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for c, e := range errorNames {
		if e.name == "" || e.words == "" || c.Name() != e.name {
			t.Errorf("code %d: %+v", c, e)
		}
	}
}

func TestKRBErrorText(t *testing.T) {
	t.Parallel()
	m := ErrorMessage{STime: testTime, Realm: "R", Text: "text."}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("text."), []byte("text\x00"), 1) // as some KDCs end it
	got, err := ParseErrorMessage(b)
	if err != nil || got.Text != "text" {
		t.Errorf("%q, %v", got.Text, err)
	}
}

func TestGSSFraming(t *testing.T) {
	t.Parallel()
	token, err := FrameToken(OIDKerberos(), TokenAPReq, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	want := mustHex("601106092a864886f71201020201") // up to the first byte of the token ID
	if !bytes.HasPrefix(token, want) {
		t.Errorf("%x", token)
	}
	oid, id, body, err := UnframeToken(token)
	if err != nil || !oid.Equal(OIDKerberos()) || id != TokenAPReq || string(body) != "body" {
		t.Errorf("%v %#x %q %v", oid, id, body, err)
	}
	for n := range token {
		if _, _, _, err := UnframeToken(token[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if oid := OIDMicrosoftKerberos(); oid.Equal(OIDKerberos()) {
		t.Errorf("%v", oid)
	}
}

func TestMessagesDoNotPrintKeys(t *testing.T) {
	t.Parallel()
	secret := "S3cretS3cretS3cr"
	key, err := NewKey(AES128SHA1, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{
		&EncTicketPart{Key: key}, EncTicketPart{Key: key}, &Authenticator{SubKey: key}, &EncAPRepPart{SubKey: key},
		&EncKDCRepPart{Key: key}, CredInfo{Key: key}, &EncCredPart{Info: []CredInfo{{Key: key}}},
	} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		out := fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v) + log.String()
		for _, leak := range []string{secret, hex.EncodeToString([]byte(secret)), "83 51 99", "0x53, 0x33"} {
			if strings.Contains(out, leak) {
				t.Errorf("%T prints its key as %q", v, leak)
			}
		}
	}
}
