package pac

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/soapward/soapward/internal/krb5"
)

// Contents is what Build puts into a PAC.
type Contents struct {
	Logon  *LogonInfo // nil: the PAC names no user, as of MIT KDCs
	Client ClientInfo
	UPN    *UPNInfo

	// Requestor is the SID of the user, for a ticket-granting ticket. With it
	// goes the note that the PAC was given without being asked for.
	Requestor SID

	// TicketPart is the encoded EncTicketPart whose PAC is one zero byte. With
	// it the KDC signs the ticket and the whole PAC too, as it does in tickets
	// for services.
	TicketPart []byte
}

// attributeGivenImplicitly is PAC_WAS_GIVEN_IMPLICITLY (MS-PAC 2.14).
const attributeGivenImplicitly = 2

type encoded struct {
	kind uint32
	b    []byte
}

// Build encodes and signs a PAC for a ticket to a service that has the server
// key. kdc is the key of the ticket-granting service.
func Build(c Contents, server, kdc krb5.Key) ([]byte, error) {
	bufs, err := c.encode()
	if err != nil {
		return nil, err
	}
	signed := []struct {
		kind uint32
		key  krb5.Key
	}{{typeServerSum, server}, {typeKDCSum, kdc}, {typeTicketSum, kdc}, {typeFullSum, kdc}}
	if c.TicketPart == nil {
		signed = signed[:2]
	}
	for _, s := range signed {
		n := s.key.ChecksumType().Size()
		if n == 0 {
			return nil, fmt.Errorf("pac: build: %w", krb5.ErrNoKey)
		}
		b := binary.LittleEndian.AppendUint32(nil, uint32(s.key.ChecksumType()))
		bufs = append(bufs, encoded{s.kind, append(b, make([]byte, n)...)})
	}
	p, err := Parse(assemble(bufs))
	if err != nil {
		return nil, err
	}
	if err := p.sign(c.TicketPart, server, kdc); err != nil {
		return nil, fmt.Errorf("pac: build: %w", err)
	}
	return p.raw, nil
}

// encode returns the buffers in the order in which Windows sends them.
func (c *Contents) encode() ([]encoded, error) {
	var bufs []encoded
	var errs []error
	add := func(kind uint32, b []byte, err error) {
		bufs = append(bufs, encoded{kind, b})
		if err != nil {
			errs = append(errs, fmt.Errorf("pac: build: kind %d: %w", kind, err))
		}
	}
	if c.Logon != nil {
		b, err := c.Logon.encode()
		add(typeLogonInfo, b, err)
	}
	b, err := c.Client.encode()
	add(typeClientInfo, b, err)
	if c.UPN != nil {
		b, err := c.UPN.encode()
		add(typeUPNInfo, b, err)
	}
	if c.Requestor != "" {
		b, err := c.Requestor.encode()
		attrs := binary.LittleEndian.AppendUint32([]byte{2, 0, 0, 0}, attributeGivenImplicitly)
		add(typeAttributes, attrs, nil)
		add(typeRequestor, b, err)
	}
	return bufs, errors.Join(errs...)
}

// assemble puts the directory in front of the buffers.
func assemble(bufs []encoded) []byte {
	off := headerSize + entrySize*len(bufs)
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(bufs))) // and version 0
	for _, e := range bufs {
		b = binary.LittleEndian.AppendUint32(b, e.kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(e.b)))
		b = binary.LittleEndian.AppendUint64(b, uint64(off))
		off += (len(e.b) + alignment - 1) &^ (alignment - 1)
	}
	for _, e := range bufs {
		b = pad(append(b, e.b...))
	}
	return b
}

// sign fills in the signatures, which are all zero. The order matters: each
// covers the ones before it (MS-PAC 2.8).
func (p *PAC) sign(ticketPart []byte, server, kdc krb5.Key) error {
	put := func(kind uint32, key krb5.Key, data []byte) error {
		s, err := p.signature(kind)
		if err != nil {
			return err
		}
		sum, err := key.Checksum(krb5.UsagePACSignature, data)
		if err != nil {
			return err
		}
		if len(sum) != len(s.value) {
			return errors.New("checksum of unexpected size")
		}
		copy(s.value, sum)
		return nil
	}
	if ticketPart != nil {
		if err := put(typeTicketSum, kdc, ticketPart); err != nil {
			return err
		}
		if err := put(typeFullSum, kdc, p.raw); err != nil {
			return err
		}
	}
	if err := put(typeServerSum, server, p.raw); err != nil {
		return err
	}
	s, err := p.signature(typeServerSum)
	if err != nil {
		return err
	}
	return put(typeKDCSum, kdc, s.value)
}
