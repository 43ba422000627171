package ntlm

import (
	"strconv"
	"strings"
)

// Flags are the NegotiateFlags of a message (MS-NLMP 2.2.2.5).
type Flags uint32

// The flags that mean something here.
const (
	FlagUnicode             Flags = 1 << 0  // names are UTF-16
	FlagOEM                 Flags = 1 << 1  // names are in the client's code page
	FlagRequestTarget       Flags = 1 << 2  // a target name is wanted or present
	FlagSign                Flags = 1 << 4  // messages can be signed
	FlagSeal                Flags = 1 << 5  // messages can be encrypted
	FlagDatagram            Flags = 1 << 6  // connectionless
	FlagLMKey               Flags = 1 << 7  // NTLMv1 session keys from the LM hash
	FlagNTLM                Flags = 1 << 9  // NTLM
	FlagAnonymous           Flags = 1 << 11 // no user
	FlagDomainSupplied      Flags = 1 << 12 // NEGOTIATE carries a domain
	FlagWorkstationSupplied Flags = 1 << 13 // NEGOTIATE carries a workstation
	FlagAlwaysSign          Flags = 1 << 15 // a signature is sent even if it is a dummy
	FlagTargetTypeDomain    Flags = 1 << 16 // the target name is a domain
	FlagTargetTypeServer    Flags = 1 << 17 // the target name is a server
	FlagExtendedSecurity    Flags = 1 << 19 // extended session security
	FlagIdentify            Flags = 1 << 20 // an identify-level token is wanted
	FlagNonNTSessionKey     Flags = 1 << 22 // session key from the LM hash
	FlagTargetInfo          Flags = 1 << 23 // CHALLENGE carries AV pairs
	FlagVersion             Flags = 1 << 25 // the Version field is filled
	Flag128                 Flags = 1 << 29 // 128-bit session keys
	FlagKeyExchange         Flags = 1 << 30 // the client chooses the session key
	Flag56                  Flags = 1 << 31 // 56-bit session keys
)

// Has reports whether all flags in g are set in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

var flagNames = [32]string{
	0: "unicode", 1: "oem", 2: "request-target", 4: "sign", 5: "seal",
	6: "datagram", 7: "lm-key", 9: "ntlm", 11: "anonymous",
	12: "domain-supplied", 13: "workstation-supplied", 15: "always-sign",
	16: "target-type-domain", 17: "target-type-server",
	19: "extended-security", 20: "identify", 22: "non-nt-session-key",
	23: "target-info", 25: "version", 29: "128", 30: "key-exchange", 31: "56",
}

// String returns the names of the flags joined by "|"; one without a name is
// shown as its bit number.
func (f Flags) String() string {
	var s []string
	for i, name := range flagNames {
		switch {
		case f&(1<<i) == 0:
		case name == "":
			s = append(s, "bit"+strconv.Itoa(i))
		default:
			s = append(s, name)
		}
	}
	return strings.Join(s, "|")
}
