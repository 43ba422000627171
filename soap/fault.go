package soap

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Code is a fault code that both SOAP versions have.
type Code int

// The codes. The zero value blames ourselves.
const (
	CodeServer              Code = iota // 1.2: Receiver
	CodeClient                          // 1.2: Sender
	CodeMustUnderstand                  // a header block was not understood
	CodeVersionMismatch                 // not an envelope we know
	CodeDataEncodingUnknown             // SOAP 1.2 only; 1.1: Client
)

var codeNames = [...][2]string{ // 1.1, 1.2
	CodeServer:              {"Server", "Receiver"},
	CodeClient:              {"Client", "Sender"},
	CodeMustUnderstand:      {"MustUnderstand", "MustUnderstand"},
	CodeVersionMismatch:     {"VersionMismatch", "VersionMismatch"},
	CodeDataEncodingUnknown: {"Client", "DataEncodingUnknown"},
}

// String returns the SOAP 1.1 name of the code.
func (c Code) String() string { return c.name(V11) }

func (c Code) name(v Version) string {
	if c < 0 || int(c) >= len(codeNames) {
		c = CodeServer
	}
	if v == V12 {
		return codeNames[c][1]
	}
	return codeNames[c][0]
}

// Fault is a SOAP fault. A handler returns one to choose what the caller sees;
// a client gets one as its error.
//
// Everything but Err, Ref and Status travels.
type Fault struct {
	Code Code

	// Subcodes says more, outermost first. SOAP 1.1 has no place for them: the
	// innermost takes the place of the code there, as WCF does it.
	Subcodes []xml.Name

	Reason string // for people
	Lang   string // of Reason; empty means en
	Role   string // SOAP 1.1 faultactor: who raised it
	Node   string // SOAP 1.2 only

	// Detail is the content of the detail element. DetailOf makes one of a
	// typed detail.
	Detail wire.Raw

	// NotUnderstood names the header blocks that a CodeMustUnderstand fault is
	// about. Only SOAP 1.2 tells them to the peer, in the header.
	NotUnderstood []xml.Name

	// Err is, in a fault to send, the cause, for the log only; in a received
	// fault the typed Detail, if the operation declares it.
	Err error

	// Ref is a reference number that the log line of the fault carries too.
	Ref string

	// Status is the HTTP status to send the fault with. Zero means what the
	// SOAP version prescribes.
	Status int

	fromPeer bool
	internal bool
}

// Faultf makes a fault with a reason meant for the peer.
func Faultf(c Code, format string, args ...any) *Fault {
	err := fmt.Errorf(format, args...)
	return &Fault{Code: c, Reason: err.Error(), Err: errors.Unwrap(err)}
}

// DetailOf returns d as the detail of a fault.
func DetailOf(d Detail) (wire.Raw, error) {
	if _, ok := d.(EncodedDetail); ok {
		return wire.EncodedRawOf(d, d.DetailName())
	}
	return wire.RawOf(d, d.DetailName())
}

func (f *Fault) Error() string {
	s := "soap: fault " + f.Code.String()
	for _, q := range f.Subcodes {
		s += "/" + q.Local
	}
	s += ": " + f.Reason
	if f.Err != nil && !f.fromPeer {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// FromPeer reports whether the fault was received.
func (f *Fault) FromPeer() bool { return f.fromPeer }

// Internal reports whether AsFault made the fault of an error that has no text
// for the peer: something that a human should look at.
func (f *Fault) Internal() bool { return f.internal }

// Is reports whether target is a fault with the same innermost subcode, or
// without one, the same code. It makes a Fault usable as a sentinel.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	if !ok || t == nil {
		return false
	}
	if len(t.Subcodes) > 0 {
		return len(f.Subcodes) > 0 && f.Subcodes[len(f.Subcodes)-1] == t.Subcodes[len(t.Subcodes)-1]
	}
	return f.Code == t.Code && t.Reason == ""
}

// LogValue implements slog.LogValuer.
func (f *Fault) LogValue() slog.Value {
	as := []slog.Attr{slog.String("code", f.Code.String()), slog.String("reason", f.Reason)}
	if n := len(f.Subcodes); n > 0 {
		as = append(as, slog.String("subcode", clark(f.Subcodes[n-1])))
	}
	if f.Err != nil {
		as = append(as, slog.String("cause", f.Err.Error()))
		var detail slog.LogValuer // an error that tells more in parts, such as a remedy
		if errors.As(f.Err, &detail) {
			as = append(as, slog.Any("detail", detail))
		}
	}
	return slog.GroupValue(as...)
}

// HTTPStatus returns the status to send the fault with.
func (f *Fault) HTTPStatus(v Version) int {
	switch {
	case f.Status != 0:
		return f.Status
	case v == V12 && f.Code == CodeClient: // SOAP 1.2 Part 2 table 20
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError // SOAP 1.1 6.2
}

// A FaultChooser is an error that says itself what a peer may learn of it. It
// mentions no type of this package, so that packages which know nothing of
// SOAP can implement it.
type FaultChooser interface {
	error

	// SOAPFault returns the subcode and the text of the fault. The reference
	// number is added to the text.
	SOAPFault() (subcode xml.Name, reason string)
}

// AsFault decides what a peer learns of an error:
//
//   - a *Fault made here is sent as it is;
//   - a Detail becomes a fault with that detail and its text as reason;
//   - a FaultChooser chooses subcode and reason;
//   - anything else, a fault received from another service included, is
//     "internal error" with a reference number. The error itself is for the
//     log.
//
// The result always has a Ref. It is never nil, not even for a nil error.
func AsFault(err error) *Fault {
	if nilFault, ok := err.(*Fault); ok && nilFault == nil {
		err = errors.New("soap: nil *Fault returned as error")
	}
	f := chosen(err)
	if f == nil {
		f = &Fault{Ref: newRef(), internal: true}
		f.Reason = "internal error" + f.refText()
	}
	if _, itself := err.(*Fault); !itself || f.internal {
		f.Err = err // the log gets the whole chain
	}
	if f.Ref == "" {
		f.Ref = newRef()
	}
	return f
}

func (f *Fault) refText() string { return " (reference " + f.Ref + ")" }

// chosen returns a copy of the fault that err asks for, or nil. It does not
// look into received faults, whose detail is a matter between that peer and us.
func chosen(err error) *Fault {
	switch e := err.(type) {
	case nil:
		return nil
	case *Fault:
		if e.fromPeer {
			return nil
		}
		f := *e
		return &f
	case Detail:
		raw, merr := DetailOf(e)
		if merr != nil { // cannot be written: internal
			return nil
		}
		return &Fault{Reason: strings.TrimSpace(e.Error()), Detail: raw}
	case FaultChooser:
		q, reason := e.SOAPFault()
		f := &Fault{Ref: newRef()}
		f.Reason = reason + f.refText()
		if q.Local != "" {
			f.Subcodes = []xml.Name{q}
		}
		return f
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return chosen(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range e.Unwrap() {
			if f := chosen(e); f != nil {
				return f
			}
		}
	}
	return nil
}

// RequestFault returns the answer to a request that could not be read. It
// tells what is wrong with the request and where: only for errors of Content.Open,
// Read, Message.Decode and their Reader.
func RequestFault(err error) *Fault {
	f := &Fault{Code: CodeClient, Status: http.StatusBadRequest, Err: err, Ref: newRef()}
	var (
		syntax *wire.SyntaxError
		limit  *wire.LimitError
		value  *wire.ValueError
		mixed  *ContentError
		ours   *spoolError
	)
	switch {
	case errors.As(err, &ours):
		return AsFault(err)
	case errors.Is(err, ErrVersion):
		f.Code, f.Status = CodeVersionMismatch, 0
		f.Reason = "the message is not a SOAP 1.1 or 1.2 envelope"
	case errors.As(err, &limit):
		f.Reason = strings.TrimPrefix(limit.Error(), "wire: ")
		switch limit.Limit {
		case "bytes", limitAttachments, limitPart, limitSpool, limitRepeated:
			f.Status = http.StatusRequestEntityTooLarge
		}
	case errors.As(err, &syntax):
		f.Reason = "malformed XML: " + strings.TrimPrefix(syntax.Error(), "wire: ")
	case errors.As(err, &value):
		f.Reason = "malformed message: " + strings.TrimPrefix(value.Error(), "wire: ")
	case errors.As(err, &mixed):
		f.Reason = "malformed multipart message: " + mixed.Msg
	default:
		f.Reason = "the message could not be read"
	}
	return f
}

func newRef() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
