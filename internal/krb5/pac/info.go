package pac

import (
	"encoding/binary"
	"time"
)

// ClientInfo says which ticket a PAC was made for (MS-PAC 2.7).
type ClientInfo struct {
	Name     string    // client name of the ticket, without realm
	AuthTime time.Time // authtime of the ticket
}

func parseClientInfo(b []byte) (*ClientInfo, error) {
	if b == nil {
		return nil, errAbsent
	}
	if len(b) < 10 {
		return nil, errShort
	}
	n := int(binary.LittleEndian.Uint16(b[8:]))
	if n%2 != 0 {
		return nil, errString
	}
	if n > len(b)-10 {
		return nil, errShort
	}
	return &ClientInfo{
		AuthTime: fromFileTime(binary.LittleEndian.Uint64(b)).Truncate(time.Second),
		Name:     fromUTF16(b[10 : 10+n]),
	}, nil
}

func (c *ClientInfo) encode() ([]byte, error) {
	name := toUTF16(c.Name)
	if len(name) > 0xfffe {
		return nil, errTooLong
	}
	b := binary.LittleEndian.AppendUint64(nil, toFileTime(c.AuthTime.Truncate(time.Second)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	return append(b, name...), nil
}

// Flags of UPN_DNS_INFO (MS-PAC 2.10).
const (
	upnConstructed = 0x1 // the account has no userPrincipalName attribute
	upnExtended    = 0x2 // account name and SID follow
)

// UPNInfo names the user in DNS terms (MS-PAC 2.10).
type UPNInfo struct {
	UPN string
	// Constructed reports that the account has no UPN of its own and this one
	// was made of account name and domain.
	Constructed bool
	DNSDomain   string
	Account     string // sAMAccountName, if the KDC sends it
	SID         SID    // of the user, if the KDC sends it
}

func parseUPNInfo(b []byte) (*UPNInfo, error) {
	if len(b) < 12 {
		return nil, errShort
	}
	flags := binary.LittleEndian.Uint32(b[8:])
	u := &UPNInfo{Constructed: flags&upnConstructed != 0}
	header := 12
	if flags&upnExtended != 0 {
		header = 20
		if len(b) < header {
			return nil, errShort
		}
	}
	var err error
	str := func(at int) string {
		p, e := lengthOffset(b, at, header)
		if e == nil && len(p)%2 != 0 {
			e = errString
		}
		if e != nil && err == nil {
			err = e
		}
		return fromUTF16(p)
	}
	u.UPN, u.DNSDomain = str(0), str(4)
	if flags&upnExtended != 0 {
		u.Account = str(12)
		p, e := lengthOffset(b, 16, header)
		if e == nil && len(p) > 0 {
			var n int
			if u.SID, n, e = decodeSID(p); e == nil && n != len(p) {
				e = errSID
			}
		}
		if e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// lengthOffset returns the part of b that the pair of 16-bit numbers at the
// given place describes. It must lie behind the header.
func lengthOffset(b []byte, at, header int) ([]byte, error) {
	n, off := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint16(b[at+2:]))
	switch {
	case n == 0:
		return nil, nil
	case off < header || n > len(b)-off:
		return nil, errShort
	}
	return b[off : off+n], nil
}

func (u *UPNInfo) encode() ([]byte, error) {
	var flags uint32
	parts := [][]byte{toUTF16(u.UPN), toUTF16(u.DNSDomain)}
	if u.Constructed {
		flags |= upnConstructed
	}
	if u.SID != "" {
		sid, err := u.SID.encode()
		if err != nil {
			return nil, err
		}
		flags |= upnExtended
		parts = append(parts, toUTF16(u.Account), sid)
	}
	b := make([]byte, 4+4*len(parts))
	binary.LittleEndian.PutUint32(b[8:], flags)
	at := 0
	for _, p := range parts {
		b = pad(b)
		if len(b) > 0xffff || len(p) > 0xfffe {
			return nil, errTooLong
		}
		binary.LittleEndian.PutUint16(b[at:], uint16(len(p)))
		binary.LittleEndian.PutUint16(b[at+2:], uint16(len(b)))
		b = append(b, p...)
		if at += 4; at == 8 {
			at = 12 // the flags are in between
		}
	}
	return b, nil
}

// pad appends zeros up to the next multiple of 8.
func pad(b []byte) []byte {
	for len(b)%alignment != 0 {
		b = append(b, 0)
	}
	return b
}
