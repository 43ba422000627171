package krb5

import (
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ADType is the type of an authorization data element (RFC 4120 7.5.4).
type ADType int32

// Authorization data types.
const (
	ADIfRelevant        ADType = 1
	ADKDCIssued         ADType = 4
	ADAndOr             ADType = 5
	ADMandatoryForKDC   ADType = 8
	ADPAC               ADType = 128 // AD-WIN2K-PAC (MS-PAC 2.1)
	ADETypeNegotiation  ADType = 129 // RFC 4537
	ADTokenRestrictions ADType = 141 // KERB_AUTH_DATA_TOKEN_RESTRICTIONS (MS-KILE 2.2.6)
	ADAPOptions         ADType = 143 // KERB_AP_OPTIONS (MS-KILE 3.2.5.8)
	ADTargetPrincipal   ADType = 144 // MS-KILE 3.2.5.8
)

// APOptionsCBT in an ADAPOptions element says that the client knows channel
// bindings, so that their absence means something (MS-KILE 3.2.5.8).
const APOptionsCBT = 0x4000

// AuthorizationData is one element of authorization data (RFC 4120 5.2.6).
type AuthorizationData struct {
	Type ADType
	Data []byte
}

// maxADDepth bounds how deep AD-IF-RELEVANT may nest. What is in use is one.
const maxADDepth = 4

// ParseAuthorizationData parses a list that stands alone, such as the content
// of AD-IF-RELEVANT.
func ParseAuthorizationData(b []byte) ([]AuthorizationData, error) {
	r := newReader(b)
	l := r.authData()
	_, err := finish(r, "AuthorizationData", &l)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// MarshalAuthorizationData returns the DER form of a list.
func MarshalAuthorizationData(l []AuthorizationData) ([]byte, error) {
	return marshalSeq("AuthorizationData", func(w *writer) { writeAuthData(w, l) })
}

// IfRelevant wraps a list in one AD-IF-RELEVANT element (RFC 4120 5.2.6.1).
func IfRelevant(l ...AuthorizationData) (AuthorizationData, error) {
	b, err := MarshalAuthorizationData(l)
	return AuthorizationData{ADIfRelevant, b}, err
}

// FindAuthorizationData returns the elements of type t, those inside
// AD-IF-RELEVANT included. It fails if such a container is malformed or nests
// too deep.
func FindAuthorizationData(l []AuthorizationData, t ADType) ([][]byte, error) {
	return findAuthData(nil, l, t, maxADDepth)
}

func findAuthData(found [][]byte, l []AuthorizationData, t ADType, depth int) ([][]byte, error) {
	for _, e := range l {
		switch {
		case e.Type == t:
			found = append(found, e.Data)
		case e.Type == ADIfRelevant:
			if depth == 0 {
				return nil, ErrMalformed
			}
			in, err := ParseAuthorizationData(e.Data)
			if err != nil {
				return nil, err
			}
			if found, err = findAuthData(found, in, t, depth-1); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (r reader) authData() []AuthorizationData {
	var l []AuthorizationData
	for s := r.seq(); s.more(); {
		e := s.next(asn1.SEQUENCE)
		d := AuthorizationData{Type: ADType(e.field(0).int32())}
		d.Data = e.field(1).octets()
		e.end()
		l = append(l, d)
	}
	return l
}

func writeAuthData(w *writer, l []AuthorizationData) {
	for _, d := range l {
		w.AddASN1(asn1.SEQUENCE, func(w *writer) {
			addInt(w, 0, int64(d.Type))
			addOctets(w, 1, d.Data)
		})
	}
}

func addAuthData(w *writer, n uint8, l []AuthorizationData) {
	if len(l) > 0 {
		addSeq(w, n, func(w *writer) { writeAuthData(w, l) })
	}
}
