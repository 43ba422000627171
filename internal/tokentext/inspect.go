package tokentext

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
)

// MaxInput is how long what is given to Inspect may be, in bytes.
const MaxInput = 1 << 20

// maxTokens is how many tokens of one input are shown.
const maxTokens = 32

// maxDepth is how deep SPNEGO tokens may lie in each other. In use is one.
const maxDepth = 4

// ErrNoToken means that the input is empty, or text without anything that could
// be a token.
var ErrNoToken = errors.New("tokentext: no token in the input")

// Options are for Inspect. The zero value shows what can be seen without keys.
type Options struct {
	Keytab *kerberos.Keytab // opens tickets; may be nil
}

// A Report is what Inspect found. It is not changed after Inspect returned it.
type Report struct {
	Tokens  []*Token `json:"tokens"`
	Omitted int      `json:"omitted,omitempty"` // tokens that are not shown
	Damaged bool     `json:"damaged"`           // something is malformed or cut short
}

// A Token is one header, or one token that stood alone.
type Token struct {
	Line     int     `json:"line,omitempty"`     // where it was found, if there are several lines
	Header   string  `json:"header,omitempty"`   // such as WWW-Authenticate
	Scheme   string  `json:"scheme,omitempty"`   // such as Negotiate
	Encoding string  `json:"encoding,omitempty"` // base64, hex or binary
	Bytes    int     `json:"bytes,omitempty"`    // length when decoded
	Parts    []*Node `json:"parts,omitempty"`
}

// Inspect finds the tokens in what somebody pasted, which may be a token in
// base64, hexadecimal or binary, a header, or text with several headers.
func Inspect(input []byte, o Options) (*Report, error) {
	if len(input) > MaxInput {
		return nil, fmt.Errorf("tokentext: input is longer than %d bytes", MaxInput)
	}
	all := find(input)
	if len(all) == 0 {
		return nil, ErrNoToken
	}
	r := &Report{}
	for i, f := range all {
		if i == maxTokens {
			r.Omitted = len(all) - i
			break
		}
		root := new(Node)
		in := &inspector{Options: o}
		in.found(root, f)
		if in.cut {
			other := new(Node)
			(&inspector{Options: o, fill: 0xff}).found(other, f)
			root.intersect(other)
		}
		r.Tokens = append(r.Tokens, &Token{
			Line: f.line, Header: f.header, Scheme: f.scheme, Encoding: f.encoding, Bytes: len(f.raw), Parts: root.Children,
		})
		r.Damaged = r.Damaged || root.damaged()
	}
	return r, nil
}

// An inspector shows one token. What is missing at the end of a token that is
// cut short is filled up, so that decoders get as far as they can. Doing so
// twice, with different fills, tells what was in the token from what was not:
// only what comes out the same is shown.
type inspector struct {
	Options
	fill byte
	cut  bool // something was filled up
}

// found shows one thing that was found.
func (in *inspector) found(n *Node, f *found) {
	switch {
	case f.scheme == "Basic" || f.scheme == "Bearer" || f.scheme == "Digest":
		f.other(n)
	case len(f.raw) > 0:
		in.token(n, span{b: f.raw, have: len(f.raw)}, 0)
	case f.problem != "":
	case f.fromServer() || f.header == "":
		n.add("no token", "", "the server offers this scheme, or begins anew")
	default:
		n.problem("scheme without a token")
	}
	if f.problem != "" {
		n.problem("%s", f.problem)
	}
}

// A span is a part of a token, filled up if that is cut short.
type span struct {
	b    []byte
	have int // how many bytes of b are there
	off  int // of b[0] in the token
}

// in returns the span of part, a slice of s.b.
func (s span) in(part []byte) span {
	if cap(part) == 0 || cap(part) > cap(s.b) {
		return span{b: part, have: len(part), off: s.off} // nothing, or a copy
	}
	at := cap(s.b) - cap(part) // slices reach to the end of their array
	return span{b: part, have: max(0, min(len(part), s.have-at)), off: s.off + at}
}

func (s span) complete() bool { return s.have >= len(s.b) }

// der returns the element that s begins with, filled up if it is cut short, and
// says so if it is, or if something follows it.
func (in *inspector) der(n *Node, s span) span {
	total, ok := derLength(s.b[:s.have])
	switch {
	case !ok:
		n.problem("offset %d: no length of a DER element", s.off)
	case total > MaxInput:
		n.problem("offset %d: the token says it is %d bytes long, which none is", s.off, total)
	case total > len(s.b):
		n.problem("offset %d: the token ends here, %d of its %d bytes are missing", s.off+s.have, total-s.have, total)
		in.cut = true
		b := bytes.Repeat([]byte{in.fill}, total)
		copy(b, s.b[:s.have])
		return span{b: b, have: s.have, off: s.off}
	case total < len(s.b):
		n.problem("offset %d: %s after the end of the token", s.off+total, byteCount(len(s.b)-total))
		return span{b: s.b[:total], have: min(s.have, total), off: s.off}
	}
	return s
}

// derLength returns the length that the element at the start of b has with its
// tag and length (X.690 8.1.3).
func derLength(b []byte) (int, bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, false
	}
	n := int(b[1])
	if n < 0x80 {
		return 2 + n, true
	}
	size := n & 0x7f
	if size == 0 || size > 4 || len(b) < 2+size {
		return 0, false
	}
	n = 0
	for _, c := range b[2 : 2+size] {
		n = n<<8 | int(c)
	}
	return 2 + size + n, true
}

// token shows a token by what it looks like.
func (in *inspector) token(n *Node, s span, depth int) {
	switch {
	case depth == maxDepth:
		n.problem("offset %d: tokens in tokens, deeper than %d", s.off, maxDepth)
	case len(s.b) == 0 || s.have == 0:
		n.problem("offset %d: the token is not there", s.off)
	case spnego.KindOf(s.b) == spnego.KindNTLM || ntlm.TypeOf(s.b) != 0:
		ntlmMessage(n, s)
	case s.b[0] == 0x60: // [APPLICATION 0]
		in.framed(n, in.der(n, s), depth)
	case s.b[0] == 0xa1:
		in.resp(n, in.der(n, s), depth)
	case isKerberos(s.b):
		in.kerberosMessage(n.group("Kerberos message", "without GSS framing"), in.der(n, s))
	default:
		n.add("unknown", byteCount(len(s.b)), "neither SPNEGO, Kerberos nor NTLM")
		n.problem("offset %d: no token known here begins like this", s.off)
	}
}

// looksLikeToken reports whether b begins as a token does.
func looksLikeToken(b []byte) bool {
	return bytes.HasPrefix(b, []byte("NTLMSSP\x00")) || len(b) > 1 && (b[0] == 0x60 || b[0] == 0xa1) || isKerberos(b)
}

// isKerberos reports whether b begins as a Kerberos message without framing.
func isKerberos(b []byte) bool {
	t, ok := krb5.TypeOf(b)
	return ok && messageNames[t] != ""
}
