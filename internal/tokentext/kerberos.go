package tokentext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// messageNames are the messages a token may consist of (RFC 4120 5.10).
var messageNames = map[krb5.MsgType]string{
	krb5.MsgASReq: "AS-REQ", krb5.MsgASRep: "AS-REP", krb5.MsgTGSReq: "TGS-REQ", krb5.MsgTGSRep: "TGS-REP",
	krb5.MsgAPReq: "AP-REQ", krb5.MsgAPRep: "AP-REP", krb5.MsgCred: "KRB-CRED", krb5.MsgError: "KRB-ERROR",
}

// tokenNames are the first two bytes of a framed token (RFC 4121 4.1,
// draft-swift-win2k-krb-user2user 3).
var tokenNames = map[krb5.TokenID]string{
	krb5.TokenAPReq: "KRB_AP_REQ", krb5.TokenAPRep: "KRB_AP_REP", krb5.TokenError: "KRB_ERROR",
	0x0400: "KERB_TGT_REQUEST, user to user", 0x0401: "KERB_TGT_REPLY, user to user",
}

// gssKerberos shows a Kerberos token in its framing.
func (in *inspector) gssKerberos(n *Node, s span) {
	n = n.group("Kerberos token", "RFC 4121 4.1")
	oid, id, body, err := krb5.UnframeToken(s.b)
	if err != nil {
		s.stopped(n, 0, err)
		return
	}
	mechanism(n, "thisMech", oid)
	name, known := tokenNames[id]
	if !known {
		name = "not known"
	}
	n.add("TOK_ID", fmt.Sprintf("%#04x", uint16(id)), name)
	part := s.in(body)
	switch id {
	case krb5.TokenAPReq, krb5.TokenAPRep, krb5.TokenError:
		in.kerberosMessage(n, part)
	default:
		n.bytes("innerToken", body, "not decoded")
		if !known {
			n.problem("offset %d: no such token", part.off-2)
		}
	}
}

// kerberosMessage shows a message by its tag.
func (in *inspector) kerberosMessage(n *Node, s span) {
	t, _ := krb5.TypeOf(s.b)
	switch t {
	case krb5.MsgAPReq:
		in.apReq(n.group("AP-REQ", "RFC 4120 5.5.1"), s)
	case krb5.MsgAPRep:
		m, err := partial(krb5.ParseAPRep(s.b))
		n = n.group("AP-REP", "RFC 4120 5.5.2; the server proves that it could read the ticket")
		encrypted(n, "enc-part", m.EncPart)
		s.parsed(n, err)
	case krb5.MsgError:
		krbError(n.group("KRB-ERROR", "RFC 4120 5.9.1"), s)
	default:
		if name := messageNames[t]; name != "" {
			n.bytes(name, s.b, "no part of a login at a service: not decoded")
			return
		}
		n.problem("offset %d: no Kerberos message", s.off)
	}
}

// partial returns what was read of a message, whether or not there was an error.
func partial[T any](m *T, err error) (*T, error) {
	var d *krb5.DamageError
	if errors.As(err, &d) {
		if p, ok := d.Partial.(*T); ok {
			return p, err
		}
	}
	if m == nil {
		m = new(T)
	}
	return m, err
}

// parsed says where a parser stopped.
func (s span) parsed(n *Node, err error) {
	var d *krb5.DamageError
	if errors.As(err, &d) {
		s.stopped(n, d.Offset, err)
		return
	}
	s.stopped(n, 0, err)
}

func (in *inspector) apReq(n *Node, s span) {
	m, err := partial(krb5.ParseAPReq(s.b))
	n.add("ap-options", bits(uint32(m.Options), apOptions))
	if m.Ticket.Raw != nil {
		t := n.group("ticket", "RFC 4120 5.3")
		t.text("realm", m.Ticket.Realm)
		principal(t, "sname", m.Ticket.SName)
		encrypted(t, "enc-part", m.Ticket.EncPart)
	}
	if m.Authenticator.EType != 0 {
		encrypted(n, "authenticator", m.Authenticator)
	}
	s.parsed(n, err)
	switch {
	case in.Keytab == nil || m.Ticket.EncPart.Cipher == nil:
	case !s.in(m.Ticket.EncPart.Cipher).complete():
		n.add("keytab", "not tried", "the ticket is cut short")
	case m.Options.Has(krb5.APUseSessionKey):
		n.add("keytab", "not tried", "a user-to-user ticket is sealed with a session key")
	default:
		in.open(n, s, m)
	}
}

func principal(n *Node, name string, p krb5.PrincipalName) {
	if !p.IsZero() {
		n.add(name, p.String(), numbered(nameTypes, p.Type))
	}
}

// encrypted shows what can be seen of a sealed part.
func encrypted(n *Node, name string, d krb5.EncryptedData) {
	if d.EType == 0 {
		return
	}
	n = n.group(name, "encrypted")
	n.add("etype", etype(d.EType))
	if d.KVNO != 0 {
		n.addf("kvno", "%d", d.KVNO)
	}
	n.bytes("cipher", d.Cipher)
}

func krbError(n *Node, s span) {
	m, err := partial(krb5.ParseErrorMessage(s.b))
	times := func(name string, t time.Time, usec int) {
		if !t.IsZero() {
			n.add(name, clock(t.Add(time.Duration(usec)*time.Microsecond)))
		}
	}
	times("ctime", m.CTime, m.CUSec)
	times("stime", m.STime, m.SUSec)
	if name := m.Code.Name(); name != "" {
		n.add("error-code", fmt.Sprintf("%d %s", m.Code, name), strings.TrimSuffix(m.Code.String(), " ("+name+")"))
	} else if m.Code != 0 {
		n.addf("error-code", "%d", m.Code)
	}
	if !m.CTime.IsZero() && m.Code == krb5.CodeSkew {
		n.add("skew", m.STime.Sub(m.CTime).String(), "the server's clock less the client's")
	}
	n.text("crealm", m.CRealm)
	principal(n, "cname", m.CName)
	n.text("realm", m.Realm)
	principal(n, "sname", m.SName)
	n.text("e-text", m.Text)
	if len(m.Data) > 0 {
		errorData(n, m.Data)
	}
	s.parsed(n, err)
}

// errorData shows the e-data of a KRB-ERROR, whose type nothing but its content
// tells.
func errorData(n *Node, b []byte) {
	if d, err := krb5.ParseKerbErrorData(b); err == nil {
		n = n.bytes("e-data", b, "KERB-ERROR-DATA, MS-KILE 2.2.1")
		n.addf("data-type", "%d", d.Type)
		if status, ok := d.Status(); ok {
			n.addf("status", "%#08x", status).Note = "NTSTATUS, MS-ERREF 2.3.1"
		} else if len(d.Value) > 0 {
			n.bytes("data-value", d.Value)
		}
		return
	}
	if l, err := krb5.ParseMethodData(b); err == nil {
		n = n.bytes("e-data", b, "METHOD-DATA, RFC 4120 5.9.1")
		list(n, l, paData)
		return
	}
	n.bytes("e-data", b, "of no known type")
}

func paData(n *Node, p krb5.PAData) {
	c := n.bytes(numbered(paNames, p.Type), p.Value)
	if p.Type != krb5.PAETypeInfo2 {
		return
	}
	if l, err := krb5.ParseETypeInfo2(p.Value); err == nil {
		list(c, l, func(n *Node, e krb5.ETypeInfo2Entry) {
			c := n.add("etype", etype(e.EType))
			c.text("salt", e.Salt)
		})
	}
}

// address shows where a ticket may be used from (RFC 4120 7.5.3).
func address(n *Node, a krb5.HostAddress) {
	switch ip, ok := netip.AddrFromSlice(a.Addr); {
	case ok && (a.Type == 2 || a.Type == 24):
		n.add("caddr", ip.String())
	case a.Type == 20:
		n.add("caddr", strings.TrimRight(string(a.Addr), " "), "NetBIOS")
	default:
		n.bytes("caddr", a.Addr, fmt.Sprintf("type %d", a.Type))
	}
}

// bindingAware reports whether an AD-AUTH-DATA-AP-OPTIONS says that the client
// knows channel bindings.
func bindingAware(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b)&krb5.APOptionsCBT != 0
}
