package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/soapward/soapward/internal/krb5"
)

// ContextFlags are what a client asks of the GSS context (RFC 4121 4.1.1.1).
// Other bits than those below may be set.
type ContextFlags uint32

// The flags are asked for, which is not to say that they were granted.
const (
	ContextDelegate     ContextFlags = 0x1 // a ticket-granting ticket is forwarded
	ContextMutual       ContextFlags = 0x2 // the service is to prove itself
	ContextReplay       ContextFlags = 0x4
	ContextSequence     ContextFlags = 0x8
	ContextConfidential ContextFlags = 0x10
	ContextIntegrity    ContextFlags = 0x20
)

// Has reports whether all of flags are set.
func (f ContextFlags) Has(flags ContextFlags) bool { return f&flags == flags }

const contextDCEStyle ContextFlags = 0x1000 // RFC 4757 7.1

// gssChecksum is what the authenticator carries in the place of a checksum
// (RFC 4121 4.1.1).
type gssChecksum struct {
	binding   [16]byte // zero: the client sends none
	flags     ContextFlags
	delegated []byte // KRB-CRED, if ContextDelegate is set
}

const gssChecksumSize = 24 // without delegation

func (c *gssChecksum) hasBinding() bool { return c.binding != [16]byte{} }

func parseGSSChecksum(b []byte) (*gssChecksum, error) {
	if len(b) < gssChecksumSize || binary.LittleEndian.Uint32(b) != 16 {
		return nil, errors.New("kerberos: malformed GSS checksum")
	}
	c := &gssChecksum{binding: [16]byte(b[4:20]), flags: ContextFlags(binary.LittleEndian.Uint32(b[20:]))}
	if c.flags&ContextDelegate == 0 {
		return c, nil
	}
	rest := b[gssChecksumSize:]
	if len(rest) < 4 || binary.LittleEndian.Uint16(rest) != 1 {
		return nil, errors.New("kerberos: malformed delegation field in GSS checksum")
	}
	n := int(binary.LittleEndian.Uint16(rest[2:]))
	if rest = rest[4:]; len(rest) < n {
		return nil, errors.New("kerberos: delegation field in GSS checksum is cut short")
	}
	c.delegated = rest[:n]
	return c, nil
}

// marshal is the inverse of parseGSSChecksum. It fails if the KRB-CRED is too
// long for its 16-bit length.
func (c *gssChecksum) marshal() ([]byte, error) {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, gssChecksumSize), 16)
	b = append(b, c.binding[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(c.flags))
	if c.flags&ContextDelegate == 0 {
		return b, nil
	}
	if len(c.delegated) > 0xffff {
		return nil, errors.New("kerberos: forwarded ticket is too long for a GSS checksum")
	}
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(c.delegated)))
	return append(b, c.delegated...), nil
}

// Flags of a MIC token (RFC 4121 4.2.2).
const (
	micByAcceptor     = 0x1
	micAcceptorSubkey = 0x4
)

const micHeader = 16

// signer makes and verifies MIC tokens (RFC 4121 4.2.6.1), and wrap tokens, for
// one side of a context. It is used by one goroutine at a time.
type signer struct {
	key            krb5.Key // the context's: acceptor subkey, else initiator subkey, else session key
	acceptorSubkey bool     // key is the acceptor's subkey
	acceptor       bool     // we are the acceptor
	seq            uint64   // of the next token we send
	next           uint64   // of the next wrap token that the other side sends
}

func (s *signer) header(acceptor bool) [micHeader]byte {
	h := [micHeader]byte{byte(krb5.TokenMIC >> 8), byte(krb5.TokenMIC & 0xff), 0, 0xff, 0xff, 0xff, 0xff, 0xff}
	if acceptor {
		h[2] |= micByAcceptor
	}
	if s.acceptorSubkey {
		h[2] |= micAcceptorSubkey
	}
	return h
}

func (s *signer) usage(acceptor bool) krb5.Usage {
	if acceptor {
		return krb5.UsageAcceptorSign
	}
	return krb5.UsageInitiatorSign
}

var errNoMIC = errors.New("kerberos: no MIC tokens with an RC4 key")

// GetMIC implements authn.MessageSigner.
func (s *signer) GetMIC(msg []byte) ([]byte, error) {
	if s.key.EType() == krb5.RC4HMAC {
		return nil, errNoMIC // would be RFC 4757 7.2
	}
	h := s.header(s.acceptor)
	binary.BigEndian.PutUint64(h[8:], s.seq)
	sum, err := s.key.Checksum(s.usage(s.acceptor), append(bytes.Clone(msg), h[:]...)) // RFC 4121 4.2.4
	if err != nil {
		return nil, err
	}
	s.seq++
	return append(h[:], sum...), nil
}

// VerifyMIC implements authn.MessageSigner. It does not look at the sequence
// number: the two messages it is used for, one from each side, cannot be
// replayed under the key of another context.
func (s *signer) VerifyMIC(msg, mic []byte) error {
	if s.key.EType() == krb5.RC4HMAC {
		return errNoMIC
	}
	want := s.header(!s.acceptor)
	if len(mic) < micHeader || !bytes.Equal(mic[:8], want[:8]) {
		return errors.New("kerberos: malformed MIC token")
	}
	return s.key.VerifyChecksum(s.key.ChecksumType(), s.usage(!s.acceptor),
		append(bytes.Clone(msg), mic[:micHeader]...), mic[micHeader:])
}
