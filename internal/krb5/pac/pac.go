package pac

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Buffer types (MS-PAC 2.4).
const (
	typeLogonInfo      = 1
	typeServerSum      = 6
	typeKDCSum         = 7
	typeClientInfo     = 10
	typeDelegationInfo = 11
	typeUPNInfo        = 12
	typeTicketSum      = 16
	typeAttributes     = 17
	typeRequestor      = 18
	typeFullSum        = 19
)

const (
	maxSize    = 1 << 20 // a PAC travels inside a ticket; 1015 groups take 9 KiB
	maxBuffers = 32      // MS-PAC defines 13 kinds, each at most once

	headerSize = 8  // PACTYPE, MS-PAC 2.3
	entrySize  = 16 // PAC_INFO_BUFFER, MS-PAC 2.4
	alignment  = 8
)

// Errors that callers branch on.
var (
	// ErrNoLogonInfo means the PAC does not say who the user is in Windows
	// terms. KDCs of MIT Kerberos 1.20 and later add such a PAC to each ticket
	// for the sake of its signatures.
	ErrNoLogonInfo = errors.New("pac: no logon information")

	// ErrSignature means that a signature is not the one our key makes, so
	// nothing in the PAC may be believed.
	ErrSignature = errors.New("pac: signature does not verify")

	// ErrWrongClient means that the PAC was made for another ticket.
	ErrWrongClient = errors.New("pac: made for another ticket")

	// errAbsent marks a buffer that is not in the PAC.
	errAbsent = errors.New("not present")
)

// A PAC is a parsed certificate. It is not changed after Parse and may be read
// by several goroutines.
type PAC struct {
	raw  []byte
	bufs []buffer
}

type buffer struct {
	kind     uint32
	off, end int
}

// Parse reads the directory of the PAC in b, which the PAC keeps and the
// caller must not change. Buffers of unknown kinds are tolerated, as MS-PAC
// 2.4 demands; kinds that occur twice, lie outside b or overlap are not.
func Parse(b []byte) (*PAC, error) {
	if len(b) < headerSize || len(b) > maxSize {
		return nil, fmt.Errorf("pac: %d bytes is no possible size", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxBuffers {
		return nil, fmt.Errorf("pac: %d buffers is no possible number", n)
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v != 0 {
		return nil, fmt.Errorf("pac: unknown version %d", v)
	}
	first := headerSize + int(n)*entrySize
	if len(b) < first {
		return nil, errors.New("pac: directory is cut short")
	}
	p := &PAC{raw: b, bufs: make([]buffer, 0, n)}
	for e := b[headerSize:first]; len(e) > 0; e = e[entrySize:] {
		kind := binary.LittleEndian.Uint32(e)
		size := uint64(binary.LittleEndian.Uint32(e[4:]))
		off := binary.LittleEndian.Uint64(e[8:])
		if off%alignment != 0 || off < uint64(first) || off > uint64(len(b)) || size > uint64(len(b))-off {
			return nil, fmt.Errorf("pac: buffer of kind %d is out of place", kind)
		}
		nb := buffer{kind: kind, off: int(off), end: int(off + size)}
		for _, o := range p.bufs {
			switch {
			case o.kind == kind:
				return nil, fmt.Errorf("pac: two buffers of kind %d", kind)
			case nb.off < o.end && o.off < nb.end:
				return nil, fmt.Errorf("pac: buffers of kinds %d and %d overlap", o.kind, kind)
			}
		}
		p.bufs = append(p.bufs, nb)
	}
	return p, nil
}

// find returns the place of the buffer of the given kind.
func (p *PAC) find(kind uint32) (buffer, bool) {
	for _, b := range p.bufs {
		if b.kind == kind {
			return b, true
		}
	}
	return buffer{}, false
}

// contents returns the bytes of the buffer of the given kind, or nil.
func (p *PAC) contents(kind uint32) []byte {
	b, ok := p.find(kind)
	if !ok {
		return nil
	}
	return p.raw[b.off:b.end:b.end]
}

// LogonInfo decodes what the domain says about the user. It returns
// ErrNoLogonInfo if that is nothing.
func (p *PAC) LogonInfo() (*LogonInfo, error) {
	b := p.contents(typeLogonInfo)
	if b == nil {
		return nil, ErrNoLogonInfo
	}
	l, err := parseLogonInfo(b)
	if err != nil {
		return nil, fmt.Errorf("pac: logon information: %w", err)
	}
	return l, nil
}

// UPNInfo decodes the user principal name and DNS domain, or returns nil if
// the PAC has none.
func (p *PAC) UPNInfo() (*UPNInfo, error) {
	b := p.contents(typeUPNInfo)
	if b == nil {
		return nil, nil
	}
	u, err := parseUPNInfo(b)
	if err != nil {
		return nil, fmt.Errorf("pac: UPN information: %w", err)
	}
	return u, nil
}

// ClientInfo decodes which ticket the PAC was made for.
func (p *PAC) ClientInfo() (*ClientInfo, error) {
	b := p.contents(typeClientInfo)
	c, err := parseClientInfo(b)
	if err != nil {
		return nil, fmt.Errorf("pac: client information: %w", err)
	}
	return c, nil
}

// CheckClient returns ErrWrongClient unless the PAC was made for a ticket with
// this client name (its parts joined by "/", without realm) and authtime.
func (p *PAC) CheckClient(name string, authTime time.Time) error {
	c, err := p.ClientInfo()
	if err != nil {
		return err
	}
	if c.Name != name || !c.AuthTime.Equal(authTime.Truncate(time.Second)) {
		return ErrWrongClient
	}
	return nil
}

// Attributes returns the flags that say whether the client asked for a PAC
// (MS-PAC 2.14). It reports false if a ticket-granting ticket's PAC, the only
// one to have it, does not.
func (p *PAC) Attributes() (flags uint32, ok bool) {
	b := p.contents(typeAttributes)
	if len(b) < 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[4:]), true
}

// Requestor returns the SID of the user that a ticket-granting ticket was made
// for (MS-PAC 2.15), or "" if the PAC does not have it.
func (p *PAC) Requestor() (SID, error) {
	b := p.contents(typeRequestor)
	if b == nil {
		return "", nil
	}
	s, n, err := decodeSID(b)
	if err != nil || n != len(b) {
		return "", errors.New("pac: requestor: malformed SID")
	}
	return s, nil
}
