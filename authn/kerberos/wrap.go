package kerberos

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/soapward/soapward/internal/krb5"
)

// MessageProtection says what an initiator asks for the messages that follow
// the login. Most protocols, such as HTTP, have none.
type MessageProtection int

const (
	MessagesSigned MessageProtection = iota // GetMIC and VerifyMIC are enough

	// MessagesSealed asks that Wrap may encrypt.
	MessagesSealed

	// MessagesBare asks for nothing. It is for TLS below, with a Binding: Active
	// Directory refuses LDAP logins inside TLS that ask for more.
	MessagesBare
)

func (p MessageProtection) flags() ContextFlags {
	switch p {
	case MessagesSealed:
		return ContextReplay | ContextSequence | ContextIntegrity | ContextConfidential
	case MessagesBare:
		return 0
	}
	return ContextReplay | ContextSequence | ContextIntegrity
}

// WrapOverhead is more than Wrap makes a message longer by.
const WrapOverhead = 128

// Flags of a wrap token (RFC 4121 4.2.2), besides those of a MIC token.
const wrapSealed = 0x2

const wrapHeader = 16

var (
	errNoWrap        = errors.New("kerberos: no wrap tokens with an RC4 key") // would be RFC 4757 7.3
	errWrapMalformed = errors.New("kerberos: malformed wrap token")
)

// Wrap puts a message for the service into a token, encrypted if seal is set
// and signed in any case (RFC 4121 4.2.6.2). The exchange must be complete.
func (i *Initiator) Wrap(msg []byte, seal bool) ([]byte, error) {
	if i.mic == nil {
		return nil, errNoContext
	}
	return i.mic.wrap(msg, seal)
}

// Unwrap takes the service's next message out of its token, and tells whether
// it was encrypted. Tokens must come in the order in which they were made, each
// of them once. The exchange must be complete, and the service have proved
// itself.
func (i *Initiator) Unwrap(token []byte) (msg []byte, sealed bool, err error) {
	if i.mic == nil || i.cfg.InsecureNoMutual {
		return nil, false, errNoContext
	}
	return i.mic.unwrap(token)
}

func (s *signer) sealUsage(acceptor bool) krb5.Usage {
	if acceptor {
		return krb5.UsageAcceptorSeal
	}
	return krb5.UsageInitiatorSeal
}

// wrapFlags are those that a token of a side has.
func (s *signer) wrapFlags(acceptor, seal bool) byte {
	var flags byte
	if acceptor {
		flags |= micByAcceptor
	}
	if seal {
		flags |= wrapSealed
	}
	if s.acceptorSubkey {
		flags |= micAcceptorSubkey
	}
	return flags
}

func (s *signer) wrap(msg []byte, seal bool) ([]byte, error) {
	if s.key.EType() == krb5.RC4HMAC {
		return nil, errNoWrap
	}
	h := [wrapHeader]byte{byte(krb5.TokenWrap >> 8), byte(krb5.TokenWrap & 0xff), s.wrapFlags(s.acceptor, seal), 0xff}
	binary.BigEndian.PutUint64(h[8:], s.seq)
	covered := append(append(make([]byte, 0, len(msg)+wrapHeader), msg...), h[:]...) // with EC and RRC zero, RFC 4121 4.2.4
	var body []byte
	if seal {
		sealed, err := s.key.Encrypt(s.sealUsage(s.acceptor), covered)
		if err != nil {
			return nil, err
		}
		body = sealed
	} else {
		sum, err := s.key.Checksum(s.sealUsage(s.acceptor), covered)
		if err != nil {
			return nil, err
		}
		body = append(bytes.Clone(msg), sum...)
		binary.BigEndian.PutUint16(h[4:], uint16(len(sum)))
	}
	s.seq++
	return append(h[:], body...), nil
}

// unwrap is the inverse of the other side's wrap.
func (s *signer) unwrap(token []byte) (msg []byte, sealed bool, err error) {
	if s.key.EType() == krb5.RC4HMAC {
		return nil, false, errNoWrap
	}
	if len(token) < wrapHeader || krb5.TokenID(binary.BigEndian.Uint16(token)) != krb5.TokenWrap || token[3] != 0xff {
		return nil, false, errWrapMalformed
	}
	sealed = token[2]&wrapSealed != 0
	if token[2] != s.wrapFlags(!s.acceptor, sealed) {
		return nil, false, fmt.Errorf("%w: flags %#x", errWrapMalformed, token[2])
	}
	extra, rotation := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	body := unrotate(token[wrapHeader:], rotation)
	if sealed {
		msg, err = s.unseal(token, body, extra)
	} else {
		msg, err = s.verify(token, body, extra)
	}
	if err != nil {
		return nil, false, err
	}
	if seq := binary.BigEndian.Uint64(token[8:]); seq != s.next {
		return nil, false, fmt.Errorf("kerberos: wrap token %d where %d is the next: it was repeated, or others were left out", seq, s.next)
	}
	s.next++
	return msg, sealed, nil
}

// unrotate undoes the rotation to the right of RFC 4121 4.2.5.
func unrotate(b []byte, n int) []byte {
	if len(b) == 0 || n%len(b) == 0 {
		return b
	}
	n %= len(b)
	return append(bytes.Clone(b[n:]), b[:n]...)
}

func (s *signer) unseal(token, body []byte, extra int) ([]byte, error) {
	plain, err := s.key.Decrypt(s.sealUsage(!s.acceptor), body)
	if err != nil {
		return nil, err
	}
	n := len(plain) - wrapHeader - extra
	if n < 0 {
		return nil, errWrapMalformed
	}
	want := bytes.Clone(token[:wrapHeader])
	want[6], want[7] = 0, 0 // the header as it was encrypted has no rotation
	if subtle.ConstantTimeCompare(want, plain[len(plain)-wrapHeader:]) != 1 {
		return nil, fmt.Errorf("kerberos: header of wrap token was changed: %w", krb5.ErrIntegrity)
	}
	return plain[:n], nil
}

func (s *signer) verify(token, body []byte, extra int) ([]byte, error) {
	n := len(body) - extra
	if n < 0 {
		return nil, errWrapMalformed
	}
	header := bytes.Clone(token[:wrapHeader])
	clear(header[4:8]) // RFC 4121 4.2.4
	msg := body[:n]
	if err := s.key.VerifyChecksum(s.key.ChecksumType(), s.sealUsage(!s.acceptor), append(bytes.Clone(msg), header...), body[n:]); err != nil {
		return nil, err
	}
	return bytes.Clone(msg), nil
}
