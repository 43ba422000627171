package pac

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/soapward/soapward/internal/krb5"
)

// sambaDelegation is the delegation information of a ticket that Samba 4.17's
// KDC gave svc-web for alice at HTTP/backend.corp.test (S4U2Proxy).
const sambaDelegation = "01100800cccccccc8800000000000000000002002c002c0004000200010000000800020016000000000000001600000048005400540050002f006200610063006b0065006e0064002e0063006f00720070002e00740065007300740001000000220022000c0002001100000000000000110000007300760063002d00770065006200400043004f00520050002e0054004500530054000000"

func TestDelegationInfo(t *testing.T) {
	t.Parallel()
	b, err := hex.DecodeString(sambaDelegation)
	if err != nil {
		t.Fatal(err)
	}
	raw := assemble([]encoded{{typeDelegationInfo, b}})
	p, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &DelegationInfo{Target: "HTTP/backend.corp.test", Transited: []string{"svc-web@CORP.TEST"}}
	if d, err := p.DelegationInfo(); err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v, %v, want %+v", d, err, want)
	}
	if got := p.Buffers(); !reflect.DeepEqual(got, []Buffer{{KindDelegationInfo, len(b)}}) {
		t.Errorf("buffers %+v", got)
	}
	for n := range b[:len(b)-4] { // its last bytes are padding
		if d, err := parseDelegationInfo(b[:n]); err == nil {
			t.Errorf("the first %d bytes are %+v", n, d)
		}
	}
	b = bytes.Clone(b)
	b[28], b[29] = 0xff, 0xff // 65535 services
	if d, err := parseDelegationInfo(b); err == nil {
		t.Errorf("more services than bytes: %+v", d)
	}
	key := testKey(t, krb5.AES256SHA1, 1)
	c := testContents()
	if p, err = Parse(mustBuild(t, c, key, key)); err != nil {
		t.Fatal(err)
	}
	if d, err := p.DelegationInfo(); d != nil || err != nil {
		t.Errorf("without one: %+v, %v", d, err)
	}
	if k, err := p.SignatureType(KindServerSum); err != nil || k != krb5.HMACSHA1AES256 {
		t.Errorf("signature of type %v, %v", k, err)
	}
}
