package spnego

import (
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// The log says in names what the client offers, and what is missing where.
func TestNoCommonMechanism(t *testing.T) {
	t.Parallel()
	krb, ntlm, other := fake{OIDKerberos, 1}, fake{OIDNTLM, 1}, asn1.ObjectIdentifier{1, 2, 3}
	for _, tt := range []struct {
		name    string
		offered []asn1.ObjectIdentifier
		token   string
		ours    []authn.Mechanism
		err     string // in the error
		hint    string
	}{
		{"Kerberos client at NTLM", []asn1.ObjectIdentifier{OIDKerberos}, "x", []authn.Mechanism{ntlm}, "client offers Kerberos", hintNoKerberos},
		{"Windows client without NTLM at NTLM", []asn1.ObjectIdentifier{OIDMSKerberos, OIDKerberos, oidNegoEx}, "x", []authn.Mechanism{ntlm},
			"client offers Kerberos (Microsoft), Kerberos, NegoEx", hintNoKerberos},
		{"NTLM client at Kerberos", []asn1.ObjectIdentifier{OIDNTLM}, "", []authn.Mechanism{krb}, "client offers NTLM", hintFellBack},
		{"NTLM token at Kerberos", []asn1.ObjectIdentifier{OIDKerberos, OIDNTLM}, "NTLMSSP\x00\x01\x00\x00\x00", []authn.Mechanism{krb}, "NTLM token inside Negotiate", hintFellBack},
		{"unknown", []asn1.ObjectIdentifier{other}, "x", []authn.Mechanism{krb, ntlm}, "client offers 1.2.3", hintOther},
		{"nothing configured", []asn1.ObjectIdentifier{OIDKerberos}, "x", nil, "client offers Kerberos", hintNoMechanism},
		{"nothing configured, NTLM token", []asn1.ObjectIdentifier{OIDNTLM}, "NTLMSSP\x00\x01\x00\x00\x00", nil, "NTLM token inside Negotiate", hintNoMechanism},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := (&NegTokenInit{MechTypes: tt.offered, MechToken: []byte(tt.token)}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			_, id, err := NewAcceptor(tt.ours, authn.Exchange{}).Step(t.Context(), b)
			var re *authn.RefusedError
			if id != nil || !errors.As(err, &re) || re.Reason != authn.ReasonMechanism {
				t.Fatalf("identity %v, %v", id, err)
			}
			if !strings.HasSuffix(err.Error(), tt.err) || re.Hint != tt.hint {
				t.Errorf("got  %v, %s\nwant %s, %s", err, re.Hint, tt.err, tt.hint)
			}
		})
	}
}
