package tokentext

import (
	"encoding/asn1"
	"encoding/binary"
	"strings"

	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
)

// mechanism is an object identifier, with its name if it has one.
func mechanism(n *Node, name string, oid asn1.ObjectIdentifier) {
	if s := spnego.MechanismName(oid); s != oid.String() {
		n.add(name, oid.String(), s)
		return
	}
	n.add(name, oid.String())
}

// framed shows a token in the framing of RFC 2743 3.1.
func (in *inspector) framed(n *Node, s span, depth int) {
	switch spnego.KindOf(s.b) {
	case spnego.KindInit:
		in.init(n, s, depth)
		return
	case spnego.KindKerberos:
		in.gssKerberos(n, s)
		return
	}
	oid, id, body, err := krb5.UnframeToken(s.b)
	if err != nil {
		n.group("GSS token", "RFC 2743 3.1")
		n.problem("offset %d: no mechanism in the GSS framing", s.off)
		return
	}
	if strings.HasPrefix(spnego.MechanismName(oid), "Kerberos") { // user to user
		in.gssKerberos(n, s)
		return
	}
	n = n.group("GSS token", "RFC 2743 3.1")
	mechanism(n, "thisMech", oid)
	n.addf("innerToken", "%s, not decoded", byteCount(len(body)+2))
	_ = id // the first bytes of the inner token mean something in Kerberos only
}

// init shows a NegTokenInit.
func (in *inspector) init(n *Node, s span, depth int) {
	t, offset, err := spnego.InspectInit(s.b)
	name, section := "NegTokenInit", "SPNEGO, RFC 4178 4.2.1"
	if t.NegHints != nil {
		name, section = "NegTokenInit2", "SPNEGO of a server, MS-SPNG 2.2.1"
	}
	n = n.group(name, section)
	if len(t.MechTypes) > 0 {
		list(n.group("mechTypes"), t.MechTypes, func(n *Node, oid asn1.ObjectIdentifier) { mechanism(n, "mechType", oid) })
	}
	if t.NegHints != nil {
		n.bytes("negHints", t.NegHints)
	}
	if len(t.MechToken) > 0 {
		in.token(n.group("mechToken", "optimistic, of the first mechType unless it says otherwise"), s.in(t.MechToken), depth+1)
	} else if err == nil {
		n.add("mechToken", "none", "the server is to choose a mechanism first")
	}
	mechListMIC(n, t.MechListMIC)
	s.stopped(n, offset, err)
}

// negStates are the words of RFC 4178 4.2.2.
var negStates = [...]string{
	spnego.AcceptCompleted: "accept-completed", spnego.AcceptIncomplete: "accept-incomplete",
	spnego.Reject: "reject", spnego.RequestMIC: "request-mic",
}

// resp shows a NegTokenResp.
func (in *inspector) resp(n *Node, s span, depth int) {
	t, offset, err := spnego.InspectResp(s.b)
	n = n.group("NegTokenResp", "SPNEGO, RFC 4178 4.2.2")
	if t.State >= 0 && int(t.State) < len(negStates) {
		n.add("negState", negStates[t.State])
	}
	if t.SupportedMech != nil {
		mechanism(n, "supportedMech", t.SupportedMech)
	}
	if len(t.ResponseToken) > 0 {
		in.token(n.group("responseToken"), s.in(t.ResponseToken), depth+1)
	}
	mechListMIC(n, t.MechListMIC)
	s.stopped(n, offset, err)
}

// stopped says where a decoder stopped, unless that is where the token ends,
// which has been said.
func (s span) stopped(n *Node, offset int, err error) {
	if err != nil && (s.complete() || offset < s.have) {
		n.problem("offset %d: %v", s.off+offset, err)
	}
}

func mechListMIC(n *Node, mic []byte) {
	switch {
	case len(mic) == 0:
	case len(mic) == 16 && binary.LittleEndian.Uint32(mic) == 1:
		n.bytes("mechListMIC", mic, "NTLM signature, MS-NLMP 2.2.2.9")
	case len(mic) >= 16 && binary.BigEndian.Uint16(mic) == uint16(krb5.TokenMIC):
		n.bytes("mechListMIC", mic, "Kerberos MIC token, RFC 4121 4.2.6.1")
	default:
		n.bytes("mechListMIC", mic)
	}
}
