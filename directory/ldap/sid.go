package ldap

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
)

const maxSubAuthorities = 15 // MS-DTYP 2.4.2.2

// decodeSID returns the text of a SID in its binary form (MS-DTYP 2.4.2.2),
// which is that of the attributes objectSid and tokenGroups, and "" for what is
// none.
func decodeSID(b string) authn.SID {
	if len(b) < 8 || b[0] != 1 || b[1] > maxSubAuthorities || len(b) != 8+4*int(b[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64([]byte("\x00\x00" + b[2:8]))
	out := make([]byte, 0, 48)
	out = append(out, "S-1-"...)
	if authority < 1<<32 {
		out = strconv.AppendUint(out, authority, 10)
	} else {
		out = append(out, "0x"...)
		out = strconv.AppendUint(out, authority, 16)
	}
	for sub := b[8:]; sub != ""; sub = sub[4:] {
		out = append(out, '-')
		out = strconv.AppendUint(out, uint64(binary.LittleEndian.Uint32([]byte(sub[:4]))), 10)
	}
	return authn.SID(out)
}

// encodeSID returns the binary form of a SID, and "" for what is none.
func encodeSID(sid authn.SID) string {
	parts := strings.Split(string(sid), "-")
	if len(parts) < 3 || len(parts) > 3+maxSubAuthorities || !strings.EqualFold(parts[0], "S") || parts[1] != "1" {
		return ""
	}
	base, text := 10, parts[2]
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		base, text = 16, hex
	}
	authority, err := strconv.ParseUint(text, base, 48)
	if err != nil {
		return ""
	}
	out := binary.BigEndian.AppendUint64(nil, authority)
	out[0], out[1] = 1, byte(len(parts)-3)
	for _, p := range parts[3:] {
		sub, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return ""
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(sub))
	}
	return string(out)
}

// relative returns the SID of an account of a domain by the domain's SID and
// the relative identifier.
func relative(domain authn.SID, rid uint32) authn.SID {
	return domain + "-" + authn.SID(strconv.FormatUint(uint64(rid), 10))
}

// bySID returns the filter for the entry with a SID, and "" for what is none.
func bySID(sid authn.SID) string {
	b := encodeSID(sid)
	if b == "" {
		return ""
	}
	const digits = "0123456789abcdef"
	out := make([]byte, 0, len("(objectSid=)")+3*len(b))
	out = append(out, "(objectSid="...)
	for i := range len(b) { // RFC 4515 3
		out = append(out, '\\', digits[b[i]>>4], digits[b[i]&0xf])
	}
	return string(append(out, ')'))
}
