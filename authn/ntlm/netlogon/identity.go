package netlogon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/oiweiwei/go-msrpc/msrpc/dtyp"
	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

const (
	// userFlagGuest is LOGON_GUEST: somebody whose password was not checked
	// (MS-NRPC 2.2.1.4.11).
	userFlagGuest = 0x1

	// Of a membership (MS-PAC 2.2.1): SE_GROUP_ENABLED, and
	// SE_GROUP_USE_FOR_DENY_ONLY for one that takes rights away and gives none.
	groupEnabled  = 0x4
	groupDenyOnly = 0x10

	// ridGuest is the domain's guest account. It has no password by default,
	// so that everybody can log on as it where it is enabled.
	ridGuest = 501
)

// validation is what a controller says of a user who logged in (MS-NRPC
// 2.2.1.4.13).
type validation struct {
	info *logon.ValidationSAMInfo4
}

// identity is the user as the controller knows him. Nothing of it comes from
// the client.
func (v *validation) identity(a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	var key ntlm.SessionBaseKey
	info := v.info
	if info.UserFlags&userFlagGuest != 0 {
		return nil, key, refuse(authn.ReasonRestricted, a, "disable the guest account of the domain", errors.New("the domain controller lets the user in as a guest, without looking at the password"))
	}
	id := &authn.Identity{
		Account: text(info.EffectiveName), Domain: text(info.LogonDomainName),
		UPN: text(info.UPN), DisplayName: text(info.FullName),
	}
	domain := sidString(info.LogonDomainID)
	if id.Account == "" || id.Domain == "" || domain == "" {
		return nil, key, fmt.Errorf("%w: netlogon: the domain controller does not say who logged in", authn.ErrUnavailable)
	}
	if info.UserID == ridGuest {
		return nil, key, refuse(authn.ReasonRestricted, a, "disable the guest account of the domain", errors.New("the guest account"))
	}
	id.SID = rid(domain, info.UserID)
	extra := info.ExtraSIDs
	if info.UserID == 0 { // without a RID: the first of the others is the user (MS-PAC 2.5)
		if len(extra) == 0 || extra[0] == nil || sidString(extra[0].SID) == "" {
			return nil, key, fmt.Errorf("%w: netlogon: the domain controller does not say who logged in", authn.ErrUnavailable)
		}
		id.SID, extra = authn.SID(sidString(extra[0].SID)), extra[1:]
	}
	seen := make(map[authn.SID]bool, len(info.GroupIDs)+len(info.ExtraSIDs)+1)
	add := func(sid authn.SID, attributes uint32) {
		if sid != "" && attributes&(groupEnabled|groupDenyOnly) == groupEnabled && !seen[sid] {
			seen[sid] = true
			id.Groups = append(id.Groups, authn.Group{SID: sid})
		}
	}
	for _, g := range info.GroupIDs {
		if g != nil {
			add(rid(domain, g.RelativeID), g.Attributes)
		}
	}
	for _, x := range extra {
		if x != nil {
			add(authn.SID(sidString(x.SID)), x.Attributes)
		}
	}
	if err := sessionKey16(info.UserSessionKey, &key); err != nil {
		return nil, key, fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
	}
	return id, key, nil
}

func text(s *dtyp.UnicodeString) string {
	if s == nil {
		return ""
	}
	return s.Buffer
}

func rid(domain string, r uint32) authn.SID {
	return authn.SID(domain + "-" + strconv.FormatUint(uint64(r), 10))
}

// sidString is the text form of a SID (MS-DTYP 2.4.2.1), or empty.
func sidString(s *dtyp.SID) string {
	if s == nil || s.IDAuthority == nil || len(s.IDAuthority.Value) != 6 {
		return ""
	}
	authority := append(make([]byte, 2, 8), s.IDAuthority.Value...)
	var b strings.Builder
	b.WriteString("S-" + strconv.Itoa(int(s.Revision)))
	if n := binary.BigEndian.Uint64(authority); n < 1<<32 {
		b.WriteString("-" + strconv.FormatUint(n, 10))
	} else {
		fmt.Fprintf(&b, "-0x%012X", n)
	}
	for _, sub := range s.SubAuthority {
		b.WriteString("-" + strconv.FormatUint(uint64(sub), 10))
	}
	return b.String()
}

// parseSID is the reverse of sidString.
func parseSID(text authn.SID) (*dtyp.SID, error) {
	parts := strings.Split(string(text), "-")
	bad := fmt.Errorf("netlogon: not a SID: %q", string(text))
	if len(parts) < 3 || len(parts) > 3+15 || parts[0] != "S" || parts[1] != "1" {
		return nil, bad
	}
	n, err := strconv.ParseUint(parts[2], 0, 48)
	if err != nil {
		return nil, bad
	}
	var authority [8]byte
	binary.BigEndian.PutUint64(authority[:], n)
	sid := &dtyp.SID{Revision: 1, IDAuthority: &dtyp.SIDIDAuthority{Value: authority[2:]}}
	for _, p := range parts[3:] {
		sub, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, bad
		}
		sid.SubAuthority = append(sid.SubAuthority, uint32(sub))
	}
	sid.SubAuthorityCount = uint8(len(sid.SubAuthority))
	return sid, nil
}

// sessionKey16 is the user's session key. It comes as it is, since the channel
// is sealed (MS-NRPC 2.2.1.4.13).
func sessionKey16(k *logon.UserSessionKey, out *ntlm.SessionBaseKey) error {
	n := 0
	if k != nil {
		for _, block := range k.Data {
			if block != nil {
				n += copy(out[n:], block.Data)
			}
		}
	}
	if n != len(out) {
		return errors.New("netlogon: the domain controller sent no session key")
	}
	return nil
}
