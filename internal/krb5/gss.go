package krb5

import (
	stdasn1 "encoding/asn1"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// TokenID is the first two bytes of a Kerberos GSS token (RFC 4121 4.1).
type TokenID uint16

// Token IDs.
const (
	TokenAPReq TokenID = 0x0100
	TokenAPRep TokenID = 0x0200
	TokenError TokenID = 0x0300
	TokenMIC   TokenID = 0x0404 // not framed (RFC 4121 4.2.6.1)
	TokenWrap  TokenID = 0x0504 // not framed (RFC 4121 4.2.6.2)
)

// OIDKerberos returns the OID of the Kerberos mechanism (RFC 4121 1.1).
func OIDKerberos() stdasn1.ObjectIdentifier {
	return stdasn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
}

// OIDMicrosoftKerberos returns the OID that Windows 2000 gave the same
// mechanism by a slip, and which its successors still offer (MS-SPNG 1.9,
// RFC 4178 C).
func OIDMicrosoftKerberos() stdasn1.ObjectIdentifier {
	return stdasn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
}

// frameSize is what the framing of a token adds to it, or a little more.
const frameSize = 24

// FrameToken puts a message into the framing of RFC 2743 3.1.
func FrameToken(oid stdasn1.ObjectIdentifier, id TokenID, body []byte) ([]byte, error) {
	w := cryptobyte.NewBuilder(make([]byte, 0, len(body)+frameSize))
	w.AddASN1(appTag(0), func(w *cryptobyte.Builder) {
		w.AddASN1ObjectIdentifier(oid)
		w.AddUint16(uint16(id))
		w.AddBytes(body)
	})
	b, err := w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("krb5: marshal GSS token: %w", err)
	}
	return b, nil
}

// UnframeToken undoes FrameToken. The body aliases b.
func UnframeToken(b []byte) (oid stdasn1.ObjectIdentifier, id TokenID, body []byte, err error) {
	s := cryptobyte.String(b)
	var in cryptobyte.String
	if !s.ReadASN1(&in, asn1.Tag(0x60)) || !s.Empty() || !in.ReadASN1ObjectIdentifier(&oid) || len(in) < 2 {
		return nil, 0, nil, fmt.Errorf("krb5: parse GSS token: %w", ErrMalformed)
	}
	return oid, TokenID(binary.BigEndian.Uint16(in)), in[2:], nil
}
