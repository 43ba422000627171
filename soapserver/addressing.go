package soapserver

import (
	"errors"
	"net/http"
	"slices"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soap/wire"
)

// addresses reports whether the header blocks of WS-Addressing count for op.
func (s *Service) addresses(op *soap.Operation) bool {
	return op.Addressing.Namespace() != "" || s.Addressing && op.Addressing != soap.AddressingOff
}

// address reads the blocks of WS-Addressing, if they count for op, and refuses
// what they must not say.
func (x *exchange) address(op *soap.Operation, headers []soap.Header) *soap.Fault {
	if len(headers) == 0 && !op.AddressingRequired || !x.s.addresses(op) {
		return nil
	}
	a, err := addressing.Read(headers)
	x.addressed = a
	var bad *addressing.Error
	switch {
	case a == nil && op.AddressingRequired:
		bad = &addressing.Error{Version: op.Addressing, Kind: addressing.MessageAddressingHeaderRequired, Header: "Action"}
	case a == nil:
		return nil
	case errors.As(err, &bad):
	case a.Action == "":
		bad = &addressing.Error{Version: a.Version, Kind: addressing.MessageAddressingHeaderRequired, Header: "Action"}
	case a.MessageID == "" && !op.OneWay: // nothing to relate the answer to: 3.4
		bad = &addressing.Error{Version: a.Version, Kind: addressing.MessageAddressingHeaderRequired, Header: "MessageID"}
	case !onConnection(a.ReplyTo):
		bad = &addressing.Error{Version: a.Version, Kind: addressing.OnlyAnonymousAddressSupported, Header: "ReplyTo"}
	case !onConnection(a.FaultTo):
		bad = &addressing.Error{Version: a.Version, Kind: addressing.OnlyAnonymousAddressSupported, Header: "FaultTo"}
	default:
		return nil
	}
	return bad.Fault()
}

// onConnection reports whether an answer for e needs no connection of its own.
// We open none to where a message wants it.
func onConnection(e *addressing.Endpoint) bool { return e.IsAnonymous() || e.IsNone() }

// disagreement is the fault for a wsa:Action that is not that of the operation.
// f tells the same to peers without WS-Addressing.
func (x *exchange) disagreement(f *soap.Fault, headers []soap.Header, soapAction bool) *soap.Fault {
	a, _ := addressing.Read(headers) // it is refused anyway
	if a == nil || a.Action == "" {
		return f
	}
	x.addressed = a
	e := &addressing.Error{Version: a.Version, Kind: addressing.ActionNotSupported, Text: f.Reason}
	if soapAction {
		e.Kind = addressing.ActionMismatch
	}
	return e.Fault()
}

// understoodAddressing reports whether a block is one of WS-Addressing that
// counts for op.
func (s *Service) understoodAddressing(op *soap.Operation, h *soap.Header) bool {
	v := addressing.VersionOf(h.Name.Space)
	return v != soap.AddressingUnset && s.addresses(op) && slices.Contains(addressing.Names(v), h.Name)
}

// replyHeaders returns the blocks of the answer, and reports whether there is
// to be one.
func (x *exchange) replyHeaders(call *Call) (hs []soap.Header, wanted bool) {
	if x.addressed == nil {
		return call.reply, true
	}
	to := x.addressed.ReplyTo
	return merge(x.addressed.Answer(x.op.ReplyAction(), to).Headers(false), call.reply), !to.IsNone()
}

// faultHeaders is replyHeaders for a fault. In SOAP 1.1 the detail of a fault
// about a header block becomes a block.
func (x *exchange) faultHeaders(f *soap.Fault) (hs []soap.Header, wanted bool) {
	a := x.addressed
	if a == nil {
		return nil, true
	}
	var about *addressing.Error
	isAbout := errors.As(f.Err, &about)
	action := ""
	if x.op != nil {
		action = x.op.FaultActions[f.Detail.Name()]
	}
	if action == "" {
		action = addressing.FaultAction(a.Version, isAbout)
	}
	to := a.FaultEndpoint()
	if isAbout {
		to = nil // what the blocks say is not to be trusted
	}
	hs = a.Answer(action, to).Headers(false)
	if isAbout && x.version == soap.V11 && !f.Detail.IsZero() {
		hs = append(hs, addressing.FaultDetail(a.Version, f.Detail))
		f.Detail = wire.Raw{}
	}
	return hs, !to.IsNone()
}

// merge returns blocks followed by more, without those of blocks that more has
// as well.
func merge(blocks, more []soap.Header) []soap.Header {
	blocks = slices.DeleteFunc(blocks, func(h soap.Header) bool {
		return slices.ContainsFunc(more, func(m soap.Header) bool { return m.Name == h.Name })
	})
	return append(blocks, more...)
}

// accepted answers with an empty 202: one-way operations, and answers that
// nobody wants.
func (x *exchange) accepted() {
	x.written = true
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusAccepted)
}
