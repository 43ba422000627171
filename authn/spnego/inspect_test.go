package spnego

import (
	"bytes"
	"testing"
)

// What is before the damage is there for people to look at, and the offset is
// that of the element that cannot be read.
func TestInspectDamaged(t *testing.T) {
	t.Parallel()
	in := initToken(t, "token", OIDKerberos, OIDNTLM)
	at := bytes.Index(in, []byte("token")) - 2
	in[at] ^= 0x40 // no OCTET STRING
	p, offset, err := InspectInit(in)
	if err == nil || offset != at-2 || len(p.MechTypes) != 2 || p.MechToken != nil {
		t.Errorf("stopped at %d, want %d, %v: %+v", offset, at-2, err, p)
	}
	resp := respToken(t, NegTokenResp{State: RequestMIC, SupportedMech: OIDKerberos, ResponseToken: []byte("x"), MechListMIC: []byte("mic")})
	at = bytes.Index(resp, []byte("mic")) - 2
	resp[at] ^= 0x40
	r, offset, err := InspectResp(resp)
	if err == nil || offset != at-2 || r.State != RequestMIC || !r.SupportedMech.Equal(OIDKerberos) || string(r.ResponseToken) != "x" {
		t.Errorf("stopped at %d, want %d, %v: %+v", offset, at-2, err, r)
	}
}

// A server's NegTokenInit2 can be looked at, and is no token of a client.
func TestInspectInit2(t *testing.T) {
	t.Parallel()
	in := initToken(t, "", OIDNTLM)
	hints := []byte{0xa3, 4, 0x30, 2, 0xa0, 0} // negHints, as good as empty
	in = append(in, hints...)
	n := byte(len(hints))
	for _, at := range []int{1, 11, 13} { // the lengths around it
		in[at] += n
	}
	p, _, err := InspectInit(in)
	if err != nil || p.NegHints == nil || len(p.MechTypes) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err := ParseInit(in); err == nil {
		t.Errorf("ParseInit accepts %+v", p)
	}
}
