package spnego

import (
	"bytes"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of SPNEGO and of the mechanisms it negotiates.
var (
	OID           = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}             // RFC 4178 appendix A
	OIDKerberos   = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}      // RFC 4121 4.1
	OIDMSKerberos = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}       // MS-SPNG 3.1.5.2: Windows 2000's spelling
	OIDNTLM       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10} // MS-NLMP 1.9
)

// State is the negState of a NegTokenResp (RFC 4178 4.2.2).
type State int

// The states, and noState for a reply that carries none.
const (
	AcceptCompleted State = iota
	AcceptIncomplete
	Reject
	RequestMIC

	noState State = -1
)

// maxMechTypes bounds the list a client may send. Windows sends four.
const maxMechTypes = 32

// maxMechTypeList bounds the same list in bytes, as an acceptor keeps it for
// the mechListMIC. That of Windows has 48.
const maxMechTypeList = 256

var errSyntax = errors.New("spnego: malformed token")

// NegTokenInit is the first token of an initiator (RFC 4178 4.2.1).
type NegTokenInit struct {
	MechTypes   []asn1.ObjectIdentifier
	MechToken   []byte // optimistic token of the first mechanism; may be empty
	MechListMIC []byte

	// NegHints is the DER of what only a NegTokenInit2 has, which servers send
	// outside of HTTP (MS-SPNG 2.2.1). InspectInit sets it; Marshal does not
	// write it.
	NegHints []byte

	// MechTypeList is the DER of MechTypes as it was sent, which the
	// mechListMIC covers (RFC 4178 5).
	MechTypeList []byte
}

// NegTokenResp is every later token of both sides (RFC 4178 4.2.2).
type NegTokenResp struct {
	State         State
	SupportedMech asn1.ObjectIdentifier // only in the acceptor's first reply
	ResponseToken []byte
	MechListMIC   []byte
}

func contextTag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

const applicationTag0 = cbasn1.Tag(0x60) // RFC 2743 3.1

// ParseInit parses a NegTokenInit in its GSS framing. The result refers to b.
func ParseInit(b []byte) (*NegTokenInit, error) {
	t, _, err := InspectInit(b)
	switch {
	case err != nil:
		return nil, err
	case t.NegHints != nil:
		return nil, errSyntax // only acceptors send them
	}
	return t, nil
}

// InspectInit is ParseInit for those who show tokens to people: with an error
// come the fields that were read before it, and the offset in b where reading
// stopped. It takes a NegTokenInit2 as well. Nothing may be decided by the
// result.
func InspectInit(b []byte) (t *NegTokenInit, offset int, err error) {
	t = new(NegTokenInit)
	in := cryptobyte.String(b)
	var app, choice, seq, list cryptobyte.String
	var oid asn1.ObjectIdentifier
	// Slices of b reach to the end of its array: their capacity tells where
	// they begin.
	stop := func(at cryptobyte.String, err error) (*NegTokenInit, int, error) { return t, cap(b) - cap(at), err }
	switch {
	case !read(&in, &app, applicationTag0), !in.Empty():
		return stop(in, errSyntax)
	case !app.ReadASN1ObjectIdentifier(&oid), !oid.Equal(OID), !read(&app, &choice, contextTag(0)), !app.Empty():
		return stop(app, errSyntax)
	case !read(&choice, &seq, cbasn1.SEQUENCE), !choice.Empty():
		return stop(choice, errSyntax)
	case !read(&seq, &list, contextTag(0)):
		return stop(seq, errSyntax)
	case len(list) > maxMechTypeList:
		return stop(list, errSyntax)
	}
	t.MechTypeList = list
	var mechs cryptobyte.String
	if !read(&list, &mechs, cbasn1.SEQUENCE) || !list.Empty() {
		return stop(list, errSyntax)
	}
	for !mechs.Empty() {
		at := mechs
		var m asn1.ObjectIdentifier
		if len(t.MechTypes) == maxMechTypes || !mechs.ReadASN1ObjectIdentifier(&m) {
			return stop(at, errSyntax)
		}
		t.MechTypes = append(t.MechTypes, m)
	}
	if len(t.MechTypes) == 0 {
		return stop(mechs, errors.New("spnego: token offers no mechanism"))
	}
	// reqFlags are not protected and are ignored (RFC 4178 4.2.1).
	if !seq.SkipOptionalASN1(contextTag(1)) || !optionalOctets(&seq, &t.MechToken, 2) {
		return stop(seq, errSyntax)
	}
	mic := uint8(3)
	if !optionalOctets(&seq, &t.MechListMIC, 3) {
		// MS-SPNG 2.2.1: negHints in its place, and the MIC behind.
		at := seq
		var hints cryptobyte.String
		if !read(&seq, &hints, contextTag(3)) || !hints.PeekASN1Tag(cbasn1.SEQUENCE) {
			return stop(at, errSyntax)
		}
		t.NegHints, mic = hints, 4
	}
	if mic == 4 && !optionalOctets(&seq, &t.MechListMIC, mic) || !seq.Empty() {
		return stop(seq, errSyntax)
	}
	return t, 0, nil
}

// read is s.ReadASN1, but passes over nothing that has another tag.
func read(s, out *cryptobyte.String, tag cbasn1.Tag) bool {
	return s.PeekASN1Tag(tag) && s.ReadASN1(out, tag)
}

// ParseResp parses a NegTokenResp. The result refers to b.
func ParseResp(b []byte) (*NegTokenResp, error) {
	t, _, err := InspectResp(b)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// InspectResp is to ParseResp what InspectInit is to ParseInit. A State that is
// absent is negative.
func InspectResp(b []byte) (t *NegTokenResp, offset int, err error) {
	t = &NegTokenResp{State: noState}
	in := cryptobyte.String(b)
	var choice, seq, field cryptobyte.String
	stop := func(at cryptobyte.String) (*NegTokenResp, int, error) { return t, cap(b) - cap(at), errSyntax }
	switch {
	case !read(&in, &choice, contextTag(1)), !in.Empty():
		return stop(in)
	case !read(&choice, &seq, cbasn1.SEQUENCE), !choice.Empty():
		return stop(choice)
	}
	var has bool
	if !seq.ReadOptionalASN1(&field, &has, contextTag(0)) {
		return stop(seq)
	}
	if has {
		var state int
		if at := field; !field.ReadASN1Enum(&state) || !field.Empty() || state < 0 || state > int(RequestMIC) {
			return stop(at)
		}
		t.State = State(state)
	}
	if !seq.ReadOptionalASN1(&field, &has, contextTag(1)) {
		return stop(seq)
	}
	if at := field; has && (!field.ReadASN1ObjectIdentifier(&t.SupportedMech) || !field.Empty()) {
		return stop(at)
	}
	if !optionalOctets(&seq, &t.ResponseToken, 2) ||
		!optionalOctets(&seq, &t.MechListMIC, 3) ||
		!seq.Empty() {
		return stop(seq)
	}
	return t, 0, nil
}

// optionalOctets reads the element [tag] if it is the next one. When it fails it
// passes over nothing.
func optionalOctets(s *cryptobyte.String, out *[]byte, tag uint8) bool {
	at := *s
	var field, octets cryptobyte.String
	var has bool
	if !s.ReadOptionalASN1(&field, &has, contextTag(tag)) {
		return false
	}
	if !has {
		return true
	}
	if !field.ReadASN1(&octets, cbasn1.OCTET_STRING) || !field.Empty() {
		*s = at
		return false
	}
	*out = octets
	return true
}

// Marshal returns the token in its GSS framing. MechTypeList is written as it
// is when set, else it is made from MechTypes.
func (t *NegTokenInit) Marshal() ([]byte, error) {
	list := t.MechTypeList
	if list == nil {
		var err error
		if list, err = marshalMechTypes(t.MechTypes); err != nil {
			return nil, err
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(applicationTag0, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(OID)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddBytes(list) })
				addOctets(b, 2, t.MechToken)
				addOctets(b, 3, t.MechListMIC)
			})
		})
	})
	return b.Bytes()
}

// Marshal returns the token.
func (t *NegTokenResp) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if t.State != noState {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(t.State)) })
			}
			if t.SupportedMech != nil {
				b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(t.SupportedMech) })
			}
			addOctets(b, 2, t.ResponseToken)
			addOctets(b, 3, t.MechListMIC)
		})
	})
	return b.Bytes()
}

func addOctets(b *cryptobyte.Builder, tag uint8, v []byte) {
	if len(v) > 0 {
		b.AddASN1(contextTag(tag), func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) })
	}
}

func marshalMechTypes(oids []asn1.ObjectIdentifier) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, o := range oids {
			b.AddASN1ObjectIdentifier(o)
		}
	})
	return b.Bytes()
}

// Kind says what sort of token a Negotiate header carries.
type Kind int

// The kinds. Windows peers send NTLM and Kerberos tokens under Negotiate with
// and without SPNEGO around them (RFC 4559 4, MS-N2HT 3.1.5.1).
const (
	KindUnknown  Kind = iota
	KindInit          // SPNEGO NegTokenInit
	KindResp          // SPNEGO NegTokenResp
	KindNTLM          // raw NTLM message
	KindKerberos      // raw Kerberos token in GSS framing
)

var ntlmSignature = []byte("NTLMSSP\x00")

// KindOf tells the kind of a token by its first bytes. It does not validate.
func KindOf(token []byte) Kind {
	if bytes.HasPrefix(token, ntlmSignature) {
		return KindNTLM
	}
	if len(token) > 0 && token[0] == byte(contextTag(1)) {
		return KindResp
	}
	in := cryptobyte.String(token)
	var app cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&app, applicationTag0) || !app.ReadASN1ObjectIdentifier(&oid) {
		return KindUnknown
	}
	switch {
	case oid.Equal(OID):
		return KindInit
	case isKerberos(oid):
		return KindKerberos
	}
	return KindUnknown
}

func isKerberos(oid asn1.ObjectIdentifier) bool {
	return oid.Equal(OIDKerberos) || oid.Equal(OIDMSKerberos)
}
