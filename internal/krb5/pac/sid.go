package pac

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// SID is a security identifier in its text form, such as S-1-5-21-1-2-3-500
// (MS-DTYP 2.4.2.1).
type SID string

const maxSubAuthorities = 15 // MS-DTYP 2.4.2.2

var errSID = errors.New("malformed SID")

// RID returns the SID of the account or group rid in the domain s.
func (s SID) RID(rid uint32) SID {
	return SID(strconv.AppendUint(append([]byte(s), '-'), uint64(rid), 10))
}

// decodeSID reads the binary form (MS-DTYP 2.4.2.2) at the start of b and
// returns its length.
func decodeSID(b []byte) (SID, int, error) {
	t, n, err := appendSID(make([]byte, 0, 64), b)
	return SID(t), n, err
}

// appendSID appends the text of the binary SID at the start of b to t and
// returns the length of the binary form.
func appendSID(t, b []byte) ([]byte, int, error) {
	if len(b) < 8 || b[0] != 1 || b[1] > maxSubAuthorities {
		return t, 0, errSID
	}
	n := 8 + 4*int(b[1])
	if len(b) < n {
		return t, 0, errSID
	}
	t = append(t, "S-1-"...)
	if auth := binary.BigEndian.Uint64(b) & (1<<48 - 1); auth < 1<<32 {
		t = strconv.AppendUint(t, auth, 10)
	} else {
		// MS-DTYP 2.4.2.1: twelve hexadecimal digits
		t = append(t, "0x"...)
		for shift := 44; shift >= 0; shift -= 4 {
			t = append(t, "0123456789ABCDEF"[auth>>shift&0xf])
		}
	}
	for i := 8; i < n; i += 4 {
		t = strconv.AppendUint(append(t, '-'), uint64(binary.LittleEndian.Uint32(b[i:])), 10)
	}
	return t, n, nil
}

// encode returns the binary form.
func (s SID) encode() ([]byte, error) {
	parts := strings.Split(string(s), "-")
	if len(parts) < 3 || len(parts) > 3+maxSubAuthorities || parts[0] != "S" || parts[1] != "1" {
		return nil, errSID
	}
	auth, err := parseAuthority(parts[2])
	if err != nil {
		return nil, errSID
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+4*maxSubAuthorities), auth)
	b[0], b[1] = 1, byte(len(parts)-3)
	for _, p := range parts[3:] {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, errSID
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b, nil
}

func parseAuthority(s string) (uint64, error) {
	if h, ok := strings.CutPrefix(s, "0x"); ok {
		return strconv.ParseUint(h, 16, 48)
	}
	return strconv.ParseUint(s, 10, 32)
}
