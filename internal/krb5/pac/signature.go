package pac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/soapward/soapward/internal/krb5"
)

// signature is PAC_SIGNATURE_DATA (MS-PAC 2.8).
type signature struct {
	kind  krb5.ChecksumType
	value []byte // part of PAC.raw
	off   int    // of value in PAC.raw
}

func (p *PAC) signature(kind uint32) (signature, error) {
	b, ok := p.find(kind)
	if !ok {
		return signature{}, errAbsent
	}
	c := p.raw[b.off:b.end]
	if len(c) < 4 {
		return signature{}, errShort
	}
	s := signature{kind: krb5.ChecksumType(int32(binary.LittleEndian.Uint32(c))), off: b.off + 4}
	n := s.kind.Size()
	if n == 0 {
		return s, fmt.Errorf("unknown checksum type %d", s.kind)
	}
	// A read-only domain controller adds two bytes that identify it.
	if len(c) < 4+n || len(c) > 4+n+4 {
		return s, errors.New("wrong size")
	}
	s.value = c[4 : 4+n]
	return s, nil
}

// zeroed returns a copy of the PAC in which the given signatures are zero.
func (p *PAC) zeroed(sigs ...signature) []byte {
	b := bytes.Clone(p.raw)
	for _, s := range sigs {
		clear(b[s.off : s.off+len(s.value)])
	}
	return b
}

// verify checks that s is the checksum that key makes of data.
func (s signature) verify(key krb5.Key, data []byte) error {
	if err := key.VerifyChecksum(s.kind, krb5.UsagePACSignature, data, s.value); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// signatures returns the two that every PAC has.
func (p *PAC) signatures() (server, kdc signature, err error) {
	if server, err = p.signature(typeServerSum); err != nil {
		return server, kdc, fmt.Errorf("pac: server signature: %w", err)
	}
	if kdc, err = p.signature(typeKDCSum); err != nil {
		return server, kdc, fmt.Errorf("pac: KDC signature: %w", err)
	}
	return server, kdc, nil
}

// VerifyServer checks the server signature with the key that decrypted the
// ticket. It returns an error that is ErrSignature if the PAC was altered or
// signed by somebody who has another key.
func (p *PAC) VerifyServer(key krb5.Key) error {
	server, kdc, err := p.signatures()
	if err != nil {
		return err
	}
	if err := server.verify(key, p.zeroed(server, kdc)); err != nil { // MS-PAC 2.8.1
		return fmt.Errorf("pac: server signature: %w", err)
	}
	return nil
}

// VerifyKDC checks the KDC's signature of the server signature with the key of
// the ticket-granting service, which only KDCs have. It proves that the PAC
// was not made by the service itself.
func (p *PAC) VerifyKDC(key krb5.Key) error {
	server, kdc, err := p.signatures()
	if err != nil {
		return err
	}
	if err := kdc.verify(key, server.value); err != nil { // MS-PAC 2.8.2
		return fmt.Errorf("pac: KDC signature: %w", err)
	}
	return nil
}

// VerifyTicket checks the KDC's signature of the whole ticket. ticketPart is
// the encoded EncTicketPart in which the PAC is replaced by one zero byte.
func (p *PAC) VerifyTicket(key krb5.Key, ticketPart []byte) error {
	s, err := p.signature(typeTicketSum)
	if err == nil {
		err = s.verify(key, ticketPart) // MS-PAC 2.8.3
	}
	if err != nil {
		return fmt.Errorf("pac: ticket signature: %w", err)
	}
	return nil
}

// VerifyFull checks the KDC's signature of the whole PAC.
func (p *PAC) VerifyFull(key krb5.Key) error {
	var sigs [3]signature
	for i, kind := range []uint32{typeFullSum, typeServerSum, typeKDCSum} {
		var err error
		if sigs[i], err = p.signature(kind); err != nil {
			return fmt.Errorf("pac: extended KDC signature: %w", err)
		}
	}
	if err := sigs[0].verify(key, p.zeroed(sigs[:]...)); err != nil { // MS-PAC 2.8.4
		return fmt.Errorf("pac: extended KDC signature: %w", err)
	}
	return nil
}

// HasTicketSignature reports whether the KDC signed the whole ticket.
func (p *PAC) HasTicketSignature() bool {
	_, ok := p.find(typeTicketSum)
	return ok
}

// HasFullSignature reports whether the KDC signed the whole PAC.
func (p *PAC) HasFullSignature() bool {
	_, ok := p.find(typeFullSum)
	return ok
}
