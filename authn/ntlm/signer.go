package ntlm

import (
	"crypto/md5"
	"crypto/rc4"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// The strings that make four keys out of one (MS-NLMP 3.4.5.2, 3.4.5.3).
const (
	magicClientSign = "session key to client-to-server signing key magic constant\x00"
	magicClientSeal = "session key to client-to-server sealing key magic constant\x00"
	magicServerSign = "session key to server-to-client signing key magic constant\x00"
	magicServerSeal = "session key to server-to-client sealing key magic constant\x00"
)

// signatureSize is the length of a message signature (MS-NLMP 2.2.2.9.2).
const signatureSize = 16

var errNotSigned = errors.New("ntlm: signing was not negotiated")

// signer is both directions of a completed exchange. The nil signer is an
// exchange that is not complete.
type signer struct {
	flags    Flags
	exported [16]byte
	server   bool
	derived  bool
	out, in  direction // once derived; HTTP without SPNEGO never signs
}

var _ authn.MessageSigner = (*signer)(nil)

// direction signs what goes one way.
type direction struct {
	signKey [16]byte
	sealKey [16]byte
	handle  *rc4.Cipher // nil without key exchange
	seq     uint32
}

// newSigner signs with an exchange's key. flags is what both sides agreed on.
func newSigner(flags Flags, exported [16]byte, server bool) *signer {
	return &signer{flags: flags, exported: exported, server: server}
}

// derive makes the keys of extended session security unless it did (MS-NLMP
// 3.4.5.2, 3.4.5.3).
func (s *signer) derive() *signer {
	if s.derived {
		return s
	}
	s.derived = true
	strong := s.exported[:5]
	switch {
	case s.flags.Has(Flag128):
		strong = s.exported[:]
	case s.flags.Has(Flag56):
		strong = s.exported[:7]
	}
	client, srv := &s.out, &s.in
	if s.server {
		client, srv = srv, client
	}
	client.signKey = deriveKey(s.exported[:], magicClientSign)
	client.sealKey = deriveKey(strong, magicClientSeal)
	srv.signKey = deriveKey(s.exported[:], magicServerSign)
	srv.sealKey = deriveKey(strong, magicServerSeal)
	return s
}

func deriveKey(key []byte, magic string) [16]byte {
	var buf [16 + len(magicClientSign)]byte
	return md5.Sum(append(append(buf[:0], key...), magic...))
}

// usable reports why the signer cannot sign. Without extended session security
// a signature is a CRC that anybody can adjust, so there is none here.
func (s *signer) usable() error {
	switch {
	case s == nil:
		return errors.New("ntlm: exchange is not complete")
	case s.flags&(FlagSign|FlagSeal) == 0, !s.flags.Has(FlagExtendedSecurity):
		return errNotSigned
	}
	return nil
}

// GetMIC implements authn.MessageSigner.
func (s *signer) GetMIC(msg []byte) ([]byte, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	mac := s.derive().out.mac(s.flags, msg)
	return mac[:], nil
}

// VerifyMIC implements authn.MessageSigner.
func (s *signer) VerifyMIC(msg, mic []byte) error {
	if err := s.usable(); err != nil {
		return err
	}
	if len(mic) != signatureSize {
		return fmt.Errorf("ntlm: signature of %d bytes, want %d", len(mic), signatureSize)
	}
	want := s.derive().in.mac(s.flags, msg)
	if subtle.ConstantTimeCompare(want[:], mic) != 1 {
		return errors.New("ntlm: signature does not fit the message")
	}
	return nil
}

// RewindSigner sets the encryption of signatures back to its beginning in both
// directions. SPNEGO calls it after the exchange of mechListMIC, so that the
// first message of the application sees the state that mechListMIC saw
// (MS-SPNG 3.3.5.1). Sequence numbers are not set back.
func (s *signer) RewindSigner() {
	if s != nil {
		s.out.handle, s.in.handle = nil, nil
	}
}

// mac makes the signature of the next message (MS-NLMP 3.4.4.2).
func (d *direction) mac(flags Flags, msg []byte) (sig [signatureSize]byte) {
	var seq [4]byte
	le.PutUint32(seq[:], d.seq)
	sum := hmacMD5(d.signKey[:], seq[:], msg)
	le.PutUint32(sig[:], 1) // version
	copy(sig[4:12], sum[:8])
	if flags.Has(FlagKeyExchange) {
		d.open()
		d.handle.XORKeyStream(sig[4:12], sig[4:12])
	}
	le.PutUint32(sig[12:], d.seq)
	d.seq++
	return sig
}

// open makes the handle unless there is one.
func (d *direction) open() {
	if d.handle == nil {
		d.handle, _ = rc4.NewCipher(d.sealKey[:]) // fails for other lengths only
	}
}
