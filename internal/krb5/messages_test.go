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
				for n := range b { // docs/threat-model.md 20
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
