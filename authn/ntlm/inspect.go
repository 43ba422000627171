package ntlm

import (
	"slices"
	"strings"
	"time"
)

// What follows is for those who show messages to people. Programs that log in,
// or have others log in, use the parsers.

// TypeOf returns the type of message b claims to be: 1 for a Negotiate, 2 for a
// Challenge, 3 for an Authenticate. It is 0 if b is no NTLM message.
func TypeOf(b []byte) uint32 { return messageType(b) }

// Extent returns the length of the message that begins with b as its header
// tells it: where the last of its variable parts ends. It is at least len(b) if
// the header itself is cut short.
func Extent(b []byte) int {
	var fields []int
	end := len(signature) + 4
	switch messageType(b) {
	case typeNegotiate:
		end, fields = negotiateShort, []int{16, 24}
	case typeChallenge:
		end, fields = challengeShort, []int{12, 40}
	case typeAuthenticate:
		end, fields = authenticateShort, []int{12, 20, 28, 36, 44, 52}
	}
	for i, at := range fields {
		if len(b) < at+8 {
			break
		}
		if messageType(b) == typeNegotiate && !Flags(le.Uint32(b[12:])).Has([]Flags{FlagDomainSupplied, FlagWorkstationSupplied}[i]) ||
			messageType(b) == typeChallenge && at == 40 && !Flags(le.Uint32(b[20:])).Has(FlagTargetInfo) {
			continue // to be ignored
		}
		if n := int(le.Uint16(b[at:])); n > 0 {
			end = max(end, int(min(le.Uint32(b[at+4:]), maxMessage))+n)
		}
	}
	return end
}

// A CutError names the parts of a message that end behind it.
type CutError struct{ Fields []CutField }

// A CutField is a part of a message that is not there, or not whole.
type CutField struct {
	Name string // as in MS-NLMP 2.2.1, such as "NtChallengeResponse"
	Size int    // that it should have
}

func (e *CutError) Error() string {
	var names []string
	for _, f := range e.Fields {
		names = append(names, f.Name)
	}
	return "ntlm: message is cut short in " + strings.Join(names, ", ")
}

// has reports whether the field called name is cut short.
func (e *CutError) has(name string) bool {
	return e != nil && slices.ContainsFunc(e.Fields, func(f CutField) bool { return f.Name == name })
}

// The parts of messages by their names in MS-NLMP 2.2.1.
const (
	fieldDomain      = "DomainName"
	fieldUser        = "UserName"
	fieldWorkstation = "Workstation"
	fieldTargetName  = "TargetName"
	fieldTargetInfo  = "TargetInfo"
	fieldLM          = "LmChallengeResponse"
	fieldNT          = "NtChallengeResponse"
	fieldSessionKey  = "EncryptedRandomSessionKey"
)

// InspectNegotiate is ParseNegotiate for messages that may be damaged. It
// returns nil if not even the header can be read, and with any other error what
// was read before, by which nothing may be decided. The error is a *CutError if
// nothing is wrong but that the message is cut short: then names that are not
// whole are empty, and of bytes there is the beginning.
func InspectNegotiate(b []byte) (*Negotiate, error) {
	if err := checkHeader(b, typeNegotiate, "NEGOTIATE", negotiateShort); err != nil {
		return nil, err
	}
	m, cut := new(Negotiate), new(CutError)
	return m, cut.or(m.parse(b, cut))
}

// InspectChallenge is to ParseChallenge what InspectNegotiate is to
// ParseNegotiate.
func InspectChallenge(b []byte) (*Challenge, error) {
	if err := checkHeader(b, typeChallenge, "CHALLENGE", challengeShort); err != nil {
		return nil, err
	}
	m, cut := new(Challenge), new(CutError)
	return m, cut.or(m.parse(b, cut))
}

// InspectAuthenticate is to ParseAuthenticate what InspectNegotiate is to
// ParseNegotiate.
func InspectAuthenticate(b []byte) (*Authenticate, error) {
	if err := checkHeader(b, typeAuthenticate, "AUTHENTICATE", authenticateShort); err != nil {
		return nil, err
	}
	m, cut := new(Authenticate), new(CutError)
	return m, cut.or(m.parse(b, cut))
}

// or returns err, or e if there is none and e names a part.
func (e *CutError) or(err error) error {
	if err == nil && len(e.Fields) > 0 {
		return e
	}
	return err
}

// InspectResponse is ParseResponse, but with an error come the AV pairs that
// were read before, and nil if not even the header can be read.
func InspectResponse(b []byte) (*Response, error) {
	r := new(Response)
	err := r.parse(b)
	if err != nil && r.Time.IsZero() {
		return nil, err
	}
	return r, err
}

// Timestamp returns the time that an AVTimestamp holds, or the zero time if p
// is none.
func (p AVPair) Timestamp() time.Time {
	if p.ID != AVTimestamp || len(p.Value) != 8 {
		return time.Time{}
	}
	return fromFiletime(le.Uint64(p.Value))
}
