package pac

import (
	"fmt"

	"github.com/soapward/soapward/internal/krb5"
)

// Kind says what a buffer of a PAC holds (MS-PAC 2.4).
type Kind uint32

// The kinds that can be decoded, and the signatures.
const (
	KindLogonInfo      Kind = typeLogonInfo
	KindServerSum      Kind = typeServerSum
	KindKDCSum         Kind = typeKDCSum
	KindClientInfo     Kind = typeClientInfo
	KindDelegationInfo Kind = typeDelegationInfo
	KindUPNInfo        Kind = typeUPNInfo
	KindTicketSum      Kind = typeTicketSum
	KindAttributes     Kind = typeAttributes
	KindRequestor      Kind = typeRequestor
	KindFullSum        Kind = typeFullSum
)

// A Buffer is one part of a PAC.
type Buffer struct {
	Kind Kind
	Size int
}

// Buffers returns what is in the PAC, in the order of its directory.
func (p *PAC) Buffers() []Buffer {
	out := make([]Buffer, len(p.bufs))
	for i, b := range p.bufs {
		out[i] = Buffer{Kind(b.kind), b.end - b.off}
	}
	return out
}

// SignatureType returns the checksum type of one of the signatures. Its error
// says why the signature cannot be one.
func (p *PAC) SignatureType(k Kind) (krb5.ChecksumType, error) {
	s, err := p.signature(uint32(k))
	return s.kind, err
}

// DelegationInfo says through whom a ticket came by constrained delegation:
// S4U_DELEGATION_INFO (MS-PAC 2.9).
type DelegationInfo struct {
	Target    string   // service the ticket was got for
	Transited []string // services that acted as the user, the first one first
}

// maxTransited bounds DelegationInfo.Transited.
const maxTransited = 256

// DelegationInfo decodes the way of a ticket got by constrained delegation, or
// returns nil if the PAC has none.
func (p *PAC) DelegationInfo() (*DelegationInfo, error) {
	b := p.contents(typeDelegationInfo)
	if b == nil {
		return nil, nil
	}
	d, err := parseDelegationInfo(b)
	if err != nil {
		return nil, fmt.Errorf("pac: delegation information: %w", err)
	}
	return d, nil
}

func parseDelegationInfo(b []byte) (*DelegationInfo, error) {
	r, err := newNDRReader(b)
	if err != nil {
		return nil, err
	}
	target := r.strRef()
	count, ptr := r.u32(), r.u32()
	d := &DelegationInfo{Target: r.str(target)}
	n := r.array(count, ptr, 8)
	if n > maxTransited {
		return nil, errNDR
	}
	refs := make([]strRef, n)
	for i := range refs {
		refs[i] = r.strRef()
	}
	for _, ref := range refs {
		d.Transited = append(d.Transited, r.str(ref))
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, nil
}
