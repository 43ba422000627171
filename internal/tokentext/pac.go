package tokentext

import (
	"errors"
	"fmt"
	"time"

	"github.com/soapward/soapward/internal/krb5/pac"
)

// showPAC shows who a Windows domain says the client is (MS-PAC).
func showPAC(n *Node, b []byte, t *ticketContext) {
	p, err := pac.Parse(b)
	if err != nil {
		n.problem("%v", err)
		return
	}
	list(n, p.Buffers(), func(n *Node, buf pac.Buffer) {
		name, ok := pacNames[buf.Kind]
		if !ok {
			name = fmt.Sprintf("buffer of type %d", buf.Kind)
		}
		n = n.add(name, byteCount(buf.Size), fmt.Sprintf("type %d", buf.Kind))
		if err := pacBuffer(n, p, buf.Kind, t); err != nil {
			n.problem("%v", err)
		}
	})
}

func pacBuffer(n *Node, p *pac.PAC, k pac.Kind, t *ticketContext) error {
	switch k {
	case pac.KindLogonInfo:
		l, err := p.LogonInfo()
		if err != nil {
			return err
		}
		logonInfo(n, l)
	case pac.KindClientInfo:
		c, err := p.ClientInfo()
		if err != nil {
			return err
		}
		n.add("Name", c.Name)
		n.add("ClientId", clock(c.AuthTime))
		if p.CheckClient(t.part.CName.String(), t.part.AuthTime) != nil {
			n.problem("name or time are not the ticket's: the PAC was made for another one")
		} else {
			n.add("ticket", "the same name and authtime")
		}
	case pac.KindUPNInfo:
		u, err := p.UPNInfo()
		if err != nil {
			return err
		}
		upnInfo(n, u)
	case pac.KindDelegationInfo:
		d, err := p.DelegationInfo()
		if err != nil {
			return err
		}
		n.add("S4U2proxyTarget", d.Target)
		list(n, d.Transited, func(n *Node, s string) { n.add("S4UTransitedService", s, "acted as the client") })
	case pac.KindAttributes:
		if v, ok := p.Attributes(); ok {
			n.add("Flags", bits(v, pacAttributes))
		}
	case pac.KindRequestor:
		sid, err := p.Requestor()
		if err != nil {
			return err
		}
		n.add("UserSid", string(sid))
	case pac.KindServerSum, pac.KindKDCSum, pac.KindTicketSum, pac.KindFullSum:
		return signature(n, p, k, t)
	}
	return nil
}

func signature(n *Node, p *pac.PAC, k pac.Kind, t *ticketContext) error {
	kind, err := p.SignatureType(k)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	n.add("SignatureType", numbered(checksumNames, kind))
	if k != pac.KindServerSum {
		n.add("verified", "no", "only a KDC has the key")
		return nil
	}
	switch err := p.VerifyServer(t.key); {
	case err == nil:
		n.add("verified", "yes", "with the key that opened the ticket")
	case errors.Is(err, pac.ErrSignature):
		n.problem("the signature does not verify: the PAC was altered, or signed with another key")
	default:
		return err
	}
	return nil
}

func logonInfo(n *Node, l *pac.LogonInfo) {
	n.text("EffectiveName", l.Account)
	n.text("FullName", l.FullName)
	n.text("LogonDomainName", l.Domain)
	n.text("LogonServer", l.LogonServer)
	n.text("LogonDomainId", string(l.DomainSID))
	n.add("UserId", fmt.Sprint(l.UserID), string(l.SID()))
	n.add("UserAccountControl", fmt.Sprintf("%#x", l.AccountControl), bits(l.AccountControl, accountControl))
	n.add("UserFlags", fmt.Sprintf("%#x", l.UserFlags), bits(l.UserFlags, userFlags))
	for _, t := range []struct {
		name string
		time time.Time
	}{
		{"LogonTime", l.LogonTime}, {"LogoffTime", l.LogoffTime}, {"KickOffTime", l.KickOffTime},
		{"PasswordLastSet", l.PasswordLastSet}, {"PasswordCanChange", l.PasswordCanChange},
		{"PasswordMustChange", l.PasswordMustChange},
	} {
		if t.time.IsZero() {
			n.add(t.name, "not set")
			continue
		}
		n.add(t.name, clock(t.time))
	}
	n.addf("LogonCount", "%d", l.LogonCount)
	n.addf("BadPasswordCount", "%d", l.BadPasswords)
	n.text("LogonScript", l.LogonScript)
	n.text("ProfilePath", l.ProfilePath)
	n.text("HomeDirectory", l.HomeDirectory)
	n.text("HomeDirectoryDrive", l.HomeDrive)
	n.add("PrimaryGroupId", fmt.Sprint(l.PrimaryGroupID), string(l.DomainSID.RID(l.PrimaryGroupID)))
	groups(n, "GroupIds", l.DomainSID, l.Groups)
	if len(l.ExtraSIDs) > 0 {
		list(n.group("ExtraSids"), l.ExtraSIDs, func(n *Node, s pac.SIDAttributes) {
			n.add("Sid", string(s.SID), bits(s.Attributes, groupAttributes))
		})
	}
	groups(n, "ResourceGroupIds", l.ResourceDomainSID, l.ResourceGroups)
}

func groups(n *Node, name string, domain pac.SID, l []pac.GroupMembership) {
	if len(l) == 0 {
		return
	}
	list(n.group(name), l, func(n *Node, g pac.GroupMembership) {
		n.add("Sid", string(domain.RID(g.RID)), bits(g.Attributes, groupAttributes))
	})
}

func upnInfo(n *Node, u *pac.UPNInfo) {
	note := []string{}
	if u.Constructed {
		note = append(note, "made of account name and domain")
	}
	n.add("Upn", u.UPN, note...)
	n.text("DnsDomainName", u.DNSDomain)
	n.text("SamName", u.Account)
	n.text("Sid", string(u.SID))
}
