package spnego

import (
	"encoding/asn1"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
)

// oidNegoEx is the negotiation that Windows offers for mechanisms SPNEGO has
// no identifiers for (MS-NEGOEX 1.9).
var oidNegoEx = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}

// Ways to use Kerberos that Windows and MIT clients know and we do not.
var (
	oidUserToUser = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2, 3} // MS-SPNG 1.9
	oidIAKERB     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 2, 5}           // draft-ietf-kitten-iakerb
)

// mechanismNames lists mechanisms for people. Those without a name keep their
// identifier.
func mechanismNames(oids []asn1.ObjectIdentifier) string {
	if len(oids) == 0 {
		return "none"
	}
	names := make([]string, 0, len(oids))
	for _, oid := range oids {
		names = append(names, MechanismName(oid))
	}
	return strings.Join(names, ", ")
}

// MechanismName returns the name of a mechanism for people, or its identifier
// in digits if it has none.
func MechanismName(oid asn1.ObjectIdentifier) string {
	switch {
	case oid.Equal(OIDKerberos):
		return "Kerberos"
	case oid.Equal(OIDMSKerberos):
		return "Kerberos (Microsoft)"
	case oid.Equal(OIDNTLM):
		return "NTLM"
	case oid.Equal(oidUserToUser):
		return "Kerberos user to user"
	case oid.Equal(oidIAKERB):
		return "IAKERB"
	case oid.Equal(oidNegoEx):
		return "NegoEx"
	case oid.Equal(OID):
		return "SPNEGO"
	}
	return oid.String()
}

// What an operator can do about a client whose mechanisms we do not have.
const (
	hintNoMechanism = "no mechanism is configured for Negotiate: configure a keytab to accept Kerberos, or NTLM"
	hintNoKerberos  = "Kerberos is not enabled here: configure a keytab to accept Kerberos, or have the client use NTLM"
	hintFellBack    = "the client got no Kerberos ticket for this service and fell back to NTLM, which is not enabled here: check the SPN, DNS name and clock"
	hintOther       = "the client offers neither Kerberos nor NTLM: have it use one that is enabled here"
)

// noCommonHint says what is missing on which side.
func noCommonHint(offered []asn1.ObjectIdentifier, ours []authn.Mechanism) string {
	switch {
	case len(ours) == 0:
		return hintNoMechanism
	case slices.ContainsFunc(offered, isKerberos):
		return hintNoKerberos
	case slices.ContainsFunc(offered, OIDNTLM.Equal):
		return hintFellBack
	}
	return hintOther
}
