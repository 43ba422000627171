package tokentext

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/krb5"
)

// open shows what only the service can read of an AP-REQ.
func (in *inspector) open(n *Node, s span, m *krb5.APReq) {
	opened, hint, err := in.Keytab.InspectTicket(&m.Ticket)
	if err != nil {
		c := n.add("keytab", "no key opens the ticket", hint)
		list(c, in.Keytab.Principals(), func(n *Node, name string) { n.add("has keys of", name) })
		return
	}
	c := n.add("keytab", fmt.Sprintf("opened with the key of %s, version %d, %v", opened.Principal, opened.KVNO, opened.Key.EType()))
	if opened.KVNO != m.Ticket.EncPart.KVNO && m.Ticket.EncPart.KVNO != 0 {
		c.add("kvno", "differs", "KDCs and exported keytabs may count differently; the key is the same")
	}
	if !strings.EqualFold(opened.Principal, m.Ticket.SName.String()+"@"+m.Ticket.Realm) {
		c.add("name", "differs", "another name of the same account, or the name on the ticket was altered, which nothing protects")
	}
	plain := span{b: opened.Plain, have: len(opened.Plain)}
	part, err := partial(krb5.ParseEncTicketPart(opened.Plain))
	t := n.group("EncTicketPart", "RFC 4120 5.3; decrypted, offsets count from its start")
	ticketPart(t, part)
	authorizationData(t, part.AuthorizationData, &ticketContext{part, opened.Key}, 0)
	plain.parsed(t, err)
	if err != nil {
		return
	}
	if !s.in(m.Authenticator.Cipher).complete() {
		n.add("Authenticator", "not opened", "it is cut short")
		return
	}
	b, err := m.Authenticator.Open(part.Key, krb5.UsageAPReqAuthenticator)
	if err != nil {
		n.problem("authenticator: the session key in the ticket does not open it: %v", err)
		return
	}
	auth, err := partial(krb5.ParseAuthenticator(b))
	a := n.group("Authenticator", "RFC 4120 5.5.1; decrypted, offsets count from its start")
	authenticator(a, auth, part)
	span{b: b, have: len(b)}.parsed(a, err)
}

// ticketContext is the ticket that authorization data stands in.
type ticketContext struct {
	part *krb5.EncTicketPart
	key  krb5.Key // of the service
}

func ticketPart(n *Node, p *krb5.EncTicketPart) {
	n.add("flags", bits(uint32(p.Flags), ticketFlags))
	if !p.Key.IsZero() {
		n.add("key", etype(p.Key.EType()), "the session key, not shown")
	}
	n.text("crealm", p.CRealm)
	principal(n, "cname", p.CName)
	switch c := p.Transited.Contents; {
	case len(c) == 0:
		n.add("transited", "no other realm")
	case p.Transited.Type == 1: // DOMAIN-X500-COMPRESS (RFC 4120 3.3.3.2)
		n.add("transited", string(c))
	default:
		n.bytes("transited", c, fmt.Sprintf("type %d", p.Transited.Type))
	}
	n.add("authtime", clock(p.AuthTime))
	if !p.StartTime.IsZero() {
		n.add("starttime", clock(p.StartTime))
	}
	n.add("endtime", clock(p.EndTime))
	if !p.RenewTill.IsZero() {
		n.add("renew-till", clock(p.RenewTill))
	}
	list(n, p.Addresses, address)
}

// maxNesting is how deep AD-IF-RELEVANT is followed. In use is one.
const maxNesting = 4

// authorizationData shows a list. t is nil if it does not stand in a ticket.
func authorizationData(n *Node, l []krb5.AuthorizationData, t *ticketContext, depth int) {
	if len(l) == 0 {
		return
	}
	if depth == 0 {
		n = n.group("authorization-data", "RFC 4120 5.2.6")
	}
	list(n, l, func(n *Node, d krb5.AuthorizationData) {
		name := fmt.Sprintf("ad-type %d", int32(d.Type))
		if s, ok := adNames[d.Type]; ok {
			name = s
		}
		switch {
		case d.Type == krb5.ADIfRelevant && depth == maxNesting:
			n.bytes(name, d.Data).problem("nested deeper than %d", maxNesting)
		case d.Type == krb5.ADIfRelevant:
			inner, err := krb5.ParseAuthorizationData(d.Data)
			c := n.group(name)
			authorizationData(c, inner, t, depth+1)
			span{b: d.Data, have: len(d.Data)}.parsed(c, err)
		case d.Type == krb5.ADPAC && t != nil:
			showPAC(n.bytes(name, d.Data, "PAC, MS-PAC 2.3"), d.Data, t)
		case d.Type == krb5.ADAPOptions && bindingAware(d.Data):
			n.add(name, "KERB_AP_OPTIONS_CBT", "the client knows channel bindings, MS-KILE 3.2.5.8")
		case d.Type == krb5.ADTargetPrincipal:
			n.add(name, utf16Text(d.Data), "MS-KILE 3.2.5.8")
		default:
			n.bytes(name, d.Data)
		}
	})
}

func utf16Text(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}

func authenticator(n *Node, a *krb5.Authenticator, t *krb5.EncTicketPart) {
	n.text("crealm", a.CRealm)
	principal(n, "cname", a.CName)
	if !a.CName.Equal(t.CName) || a.CRealm != t.CRealm {
		n.problem("the authenticator names another client than the ticket")
	}
	if !a.CTime.IsZero() {
		n.add("ctime", clock(a.Time()))
	}
	if !a.SubKey.IsZero() {
		n.add("subkey", etype(a.SubKey.EType()), "not shown")
	}
	if a.SeqNumber != 0 {
		n.addf("seq-number", "%d", a.SeqNumber)
	}
	switch c := a.Checksum; {
	case c == nil:
		n.add("cksum", "none")
	case c.Type != krb5.GSSChecksum:
		n.add("cksum", numbered(checksumNames, c.Type), "not by GSS-API")
	default:
		gssChecksum(n, c.Sum)
	}
	authorizationData(n, a.AuthorizationData, nil, 0)
}

func gssChecksum(n *Node, b []byte) {
	n = n.add("cksum", "GSS checksum", "RFC 4121 4.1.1")
	binding, flags, cred, err := kerberos.InspectGSSChecksum(b)
	if err != nil {
		n.problem("%v", err)
		return
	}
	channelBindings(n, "Bnd", binding)
	n.add("Flags", bits(uint32(flags), gssFlags))
	if flags&kerberos.ContextDelegate != 0 {
		c := n.bytes("Deleg", cred, "KRB-CRED: the client forwards a ticket, which the service can act with")
		if m, err := krb5.ParseCred(cred); err == nil {
			list(c, m.Tickets, func(n *Node, t krb5.Ticket) { principal(n, "ticket for", t.SName) })
		} else {
			c.problem("%v", err)
		}
	}
}
