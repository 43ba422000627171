package tokentext

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/soapward/soapward/authn/ntlm"
)

// ntlmMessage shows an NTLM message (MS-NLMP 2.2.1).
func ntlmMessage(n *Node, s span) {
	b := s.b[:s.have]
	end := ntlm.Extent(b)
	if end > s.have {
		n.problem("offset %d: the message ends here, %d of its %d bytes are missing", s.off+s.have, end-s.have, end)
	}
	var err error
	switch t := ntlm.TypeOf(b); t {
	case 1:
		err = negotiate(n.group("NEGOTIATE_MESSAGE", "NTLM, MS-NLMP 2.2.1.1"), b)
	case 2:
		err = challenge(n.group("CHALLENGE_MESSAGE", "NTLM, MS-NLMP 2.2.1.2"), b)
	case 3:
		err = authenticate(n.group("AUTHENTICATE_MESSAGE", "NTLM, MS-NLMP 2.2.1.3"), b)
	case 0:
		n.group("NTLM message", "MS-NLMP 2.2.1")
		return // without a type: it is cut short
	default:
		n.addf("NTLM message", "type %d", t)
		n.problem("offset %d: no such type of message", s.off+8)
	}
	if err == nil || end > s.have {
		return
	}
	at := ""
	if s.off > 0 {
		at = fmt.Sprintf(" (offsets in the message, which is at %d)", s.off)
	}
	n.problem("%v%s", err, at)
}

// cutFields adds the parts of a message that are not there, or not whole, if
// nothing of them has been shown.
func cutFields(n *Node, err error) {
	var cut *ntlm.CutError
	if !errors.As(err, &cut) {
		return
	}
	for _, f := range cut.Fields {
		if !slices.ContainsFunc(n.Children, func(c *Node) bool { return c.Name == f.Name }) {
			n.add(f.Name, byteCount(f.Size), "cut short")
		}
	}
}

// cutField returns how long a part should be that is not whole.
func cutField(err error, name string) (size int, ok bool) {
	var cut *ntlm.CutError
	if errors.As(err, &cut) {
		for _, f := range cut.Fields {
			if f.Name == name {
				return f.Size, true
			}
		}
	}
	return 0, false
}

func negotiate(n *Node, b []byte) error {
	m, err := ntlm.InspectNegotiate(b)
	if m == nil {
		return err
	}
	ntlmHead(n, m.Flags, m.Version)
	n.text("DomainName", m.Domain)
	n.text("Workstation", m.Workstation)
	cutFields(n, err)
	return err
}

func challenge(n *Node, b []byte) error {
	m, err := ntlm.InspectChallenge(b)
	if m == nil {
		return err
	}
	ntlmHead(n, m.Flags, m.Version)
	n.text("TargetName", m.TargetName)
	n.bytes("ServerChallenge", m.ServerChallenge[:])
	if len(m.TargetInfo) > 0 {
		c := n.group("TargetInfo")
		if size, ok := cutField(err, "TargetInfo"); ok {
			c.Value, c.Note = byteCount(size), "cut short"
		}
		avPairs(c, m.TargetInfo)
	}
	cutFields(n, err)
	return err
}

func authenticate(n *Node, b []byte) error {
	m, err := ntlm.InspectAuthenticate(b)
	if m == nil {
		return err
	}
	ntlmHead(n, m.Flags, m.Version)
	n.text("DomainName", m.Domain)
	n.text("UserName", m.User)
	n.text("Workstation", m.Workstation)
	announced, known := false, false
	var ntErr error
	if size, ok := cutField(err, "NtChallengeResponse"); ok {
		if r, _ := ntlm.InspectResponse(m.NTResponse); r != nil {
			response(n.add("NtChallengeResponse", byteCount(size), "NTLMv2, MS-NLMP 2.2.2.8, cut short"), r)
		}
	} else {
		if _, ok := cutField(err, "LmChallengeResponse"); !ok {
			lmResponse(n, m)
		}
		announced, ntErr = ntResponse(n, m)
		known = true
	}
	if _, ok := cutField(err, "EncryptedRandomSessionKey"); !ok && len(m.SessionKey) > 0 {
		n.bytes("EncryptedRandomSessionKey", m.SessionKey)
	}
	switch {
	case m.MIC == nil && announced:
		n.add("MIC", "none", "although MsvAvFlags announces one")
	case m.MIC == nil && ntlm.Extent(b) > len(b):
		// It may be what is missing.
	case m.MIC == nil:
		n.add("MIC", "none")
	case known && !announced:
		n.bytes("MIC", m.MIC, "MsvAvFlags announces none: of no effect, or the room is used otherwise")
	default:
		n.bytes("MIC", m.MIC)
	}
	cutFields(n, err)
	return errors.Join(err, ntErr)
}

func ntlmHead(n *Node, f ntlm.Flags, v ntlm.Version) {
	n.add("NegotiateFlags", fmt.Sprintf("%#08x", uint32(f)), bits(uint32(f), ntlmFlags))
	if v != (ntlm.Version{}) {
		n.add("Version", v.String(), fmt.Sprintf("NTLM revision %d", v.Revision))
	}
}

func lmResponse(n *Node, m *ntlm.Authenticate) {
	b, zero := m.LMResponse, true
	for _, c := range b {
		zero = zero && c == 0
	}
	switch {
	case len(b) == 0:
		n.add("LmChallengeResponse", "none")
	case len(b) == 1 && len(m.NTResponse) == 0:
		n.bytes("LmChallengeResponse", b, "anonymous, MS-NLMP 3.2.5.1.2")
	case zero:
		n.bytes("LmChallengeResponse", b, "all zero: not used")
	case len(m.NTResponse) > 24:
		n.bytes("LmChallengeResponse", b, "LMv2")
	case m.Flags.Has(ntlm.FlagExtendedSecurity):
		n.bytes("LmChallengeResponse", b, "client challenge of NTLMv1 with extended session security")
	default:
		n.bytes("LmChallengeResponse", b, "LM or a copy of the NTLMv1 response")
	}
}

// ntResponse shows the response that counts, and reports whether it announces a
// MIC.
func ntResponse(n *Node, m *ntlm.Authenticate) (mic bool, err error) {
	const name = "NtChallengeResponse"
	b := m.NTResponse
	switch {
	case len(b) == 0 && m.User == "":
		n.add(name, "none", "anonymous")
		return false, nil
	case len(b) == 0:
		n.add(name, "none", "LM only")
		return false, nil
	case len(b) == 24 && m.Flags.Has(ntlm.FlagExtendedSecurity):
		n.bytes(name, b, "NTLMv1 with extended session security")
		return false, nil
	case len(b) == 24:
		n.bytes(name, b, "NTLMv1")
		return false, nil
	}
	r, err := ntlm.ParseResponse(b)
	if err != nil {
		n.bytes(name, b, "neither NTLMv1 nor well-formed NTLMv2")
		return false, err
	}
	n = n.bytes(name, b, "NTLMv2, MS-NLMP 2.2.2.8, well formed")
	response(n, r)
	if _, ok := r.Pairs.Get(ntlm.AVChannelBindings); !ok {
		n.add("channel bindings", "none", "there is no MsvAvChannelBindings")
	}
	flags, _ := r.Pairs.Get(ntlm.AVFlags)
	return len(flags) == 4 && flags[0]&ntlm.AVFlagMIC != 0, nil
}

// response shows what an NTLMv2 response consists of.
func response(n *Node, r *ntlm.Response) {
	n.bytes("NTProofStr", r.Proof[:])
	n.add("TimeStamp", clock(r.Time))
	n.bytes("ChallengeFromClient", r.ClientChallenge[:])
	if len(r.Pairs) > 0 {
		avPairs(n.group("AvPairs"), r.Pairs)
	}
}

// avPairs shows a list of attributes (MS-NLMP 2.2.2.1).
func avPairs(n *Node, ps ntlm.AVPairs) {
	list(n, ps, func(n *Node, p ntlm.AVPair) {
		name, ok := avNames[p.ID]
		switch {
		case !ok:
			n.bytes(fmt.Sprintf("AvId %d", p.ID), p.Value)
		case p.ID == ntlm.AVFlags && len(p.Value) == 4:
			v := binary.LittleEndian.Uint32(p.Value)
			n.add(name, fmt.Sprintf("%#x", v), bits(v, avFlags))
		case p.ID == ntlm.AVTimestamp && len(p.Value) == 8:
			n.add(name, clock(p.Timestamp()))
		case p.ID == ntlm.AVChannelBindings && len(p.Value) == 16:
			channelBindings(n, name, [16]byte(p.Value))
		case p.ID == ntlm.AVFlags, p.ID == ntlm.AVTimestamp, p.ID == ntlm.AVChannelBindings:
			n.bytes(name, p.Value, "wrong length")
		case p.ID == ntlm.AVSingleHost:
			n.bytes(name, p.Value)
		case len(p.Value) == 0:
			n.add(name, "empty")
		default:
			s := ntlm.AVPairs{p}.Text(p.ID)
			if s == "" {
				n.bytes(name, p.Value, "not a name")
				return
			}
			n.add(name, s)
		}
	})
}

// channelBindings shows the MD5 of the bindings of a TLS connection.
func channelBindings(n *Node, name string, sum [16]byte) {
	if sum == [16]byte{} {
		n.add(name, "all zero", "the client sends no channel bindings")
		return
	}
	n.add(name, hex.EncodeToString(sum[:]), "MD5 of the channel bindings, RFC 4121 4.1.1.2")
}

// clock shows a time.
func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05.999999999 UTC")
}
