package soapserver

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soap/wire"
)

// Func is one operation with its types erased. Interceptors wrap it. req is a
// pointer to the request's type; res is one to the answer's, nil for a one-way
// operation.
type Func func(ctx context.Context, op *soap.Operation, req any) (res any, err error)

// An Interceptor wraps every operation of a Service. It must be safe for
// concurrent use.
type Interceptor func(next Func) Func

// Service is an http.Handler for the operations of one endpoint. The zero value
// serves no operation. Set the fields and call Handle first; once it serves,
// it must not change and is safe for concurrent use.
type Service struct {
	// Interceptors wrap each operation, the first outermost.
	Interceptors []Interceptor

	// MaxBody bounds a request in bytes, after decompression. Zero means
	// 10 MiB. Of a multipart request it bounds the envelope.
	MaxBody int64

	// Attachments bound what travels beside the envelope of a request. A zero
	// Total means MaxBody.
	Attachments soap.AttachmentLimits

	// Limits bound the XML of a request. Bytes is ignored: MaxBody counts.
	Limits wire.Limits

	// Strict refuses elements and text that the schema does not allow. Without
	// it they are skipped, and the namespace of a child may be wrong where no
	// doubt is left.
	Strict bool

	// Understands names header blocks that somebody in front of the operations
	// reads, so that they may be marked mustUnderstand. Naming one that nobody
	// obeys breaks a promise to the client.
	Understands []xml.Name

	// Addressing reads the header blocks of WS-Addressing for operations whose
	// description does not mention them, too. Without it they count only where
	// the description says so. An action in them that is not that of the
	// operation is refused in any case.
	Addressing bool

	// WSDL holds the service's description, published at ?wsdl, with what it
	// imports beside it. Nil publishes nothing.
	WSDL fs.FS

	// WSDLFile is the name of the description in WSDL. Empty means the only
	// *.wsdl at the top of WSDL.
	WSDLFile string

	// URL is the address that the published description gives. Empty means the
	// address that the client used.
	URL string

	// AllowForwarded takes that address from X-Forwarded-Host and
	// X-Forwarded-Proto. Set it only behind a proxy that overwrites both: else
	// anybody chooses where the description sends clients, and a cache on the
	// way may give it to others.
	AllowForwarded bool

	// Logger gets one line per fault. Nil means slog.Default().
	Logger *slog.Logger

	byInput  map[xml.Name][]*operation
	byAction map[string][]*operation
}

type operation struct {
	op  *soap.Operation
	new func() wire.Unmarshaler
	fn  Func
}

// takes reports whether a request with that action means the operation. Clients
// that mix up the actions of the SOAP versions still mean it.
func (o *operation) takes(action string) bool {
	return action == o.op.Action || action == o.op.ActionFor(soap.V12)
}

// Handle adds an operation. It panics if the Service could not tell the
// operation from one that it has already.
func Handle[Req, Res any, In interface {
	*Req
	wire.Unmarshaler
}, Out interface {
	*Res
	wire.Marshaler
}](s *Service, op *soap.Operation, fn func(context.Context, *Req) (*Res, error)) {
	s.add(op, func() wire.Unmarshaler { return In(new(Req)) },
		func(ctx context.Context, _ *soap.Operation, req any) (any, error) {
			in, ok := req.(*Req)
			if !ok {
				return nil, fmt.Errorf("soapserver: an interceptor passed %T to %s", req, op.Name)
			}
			res, err := fn(ctx, in)
			if err != nil {
				return nil, err
			}
			if res == nil {
				return nil, errNoAnswer(op)
			}
			return Out(res), nil
		})
}

// HandleOneWay adds an operation that has no answer. The caller gets an empty
// 202 once fn has returned, or a fault.
func HandleOneWay[Req any, In interface {
	*Req
	wire.Unmarshaler
}](s *Service, op *soap.Operation, fn func(context.Context, *Req) error) {
	s.add(op, func() wire.Unmarshaler { return In(new(Req)) },
		func(ctx context.Context, _ *soap.Operation, req any) (any, error) {
			in, ok := req.(*Req)
			if !ok {
				return nil, fmt.Errorf("soapserver: an interceptor passed %T to %s", req, op.Name)
			}
			return nil, fn(ctx, in)
		})
}

func (s *Service) add(op *soap.Operation, newReq func() wire.Unmarshaler, fn Func) {
	if s.byInput == nil {
		s.byInput = map[xml.Name][]*operation{}
		s.byAction = map[string][]*operation{}
	}
	o := &operation{op, newReq, fn}
	for _, old := range s.byInput[op.Input] {
		if old.takes(op.Action) || old.takes(op.ActionFor(soap.V12)) {
			panic("soapserver: " + old.op.String() + " and " + op.String() + " take the same body and action")
		}
	}
	s.byInput[op.Input] = append(s.byInput[op.Input], o)
	for _, a := range distinct(nil, op.Action, op.ActionFor(soap.V12), op.WantAction()) {
		s.byAction[a] = append(s.byAction[a], o)
	}
}

// Operations returns the operations served, by name.
func (s *Service) Operations() []*soap.Operation {
	var ops []*soap.Operation
	for _, os := range s.byInput {
		for _, o := range os {
			ops = append(ops, o.op)
		}
	}
	slices.SortFunc(ops, func(a, b *soap.Operation) int { return cmp.Compare(a.String(), b.String()) })
	return ops
}

// choose returns the operation for a message, or the fault to answer with, then
// beside the only operation that takes the body if there is one. headers and
// params are the actions that HTTP names, in SOAPAction headers (SOAP 1.1 6.1.1)
// and as parameters of content types (RFC 3902 2).
func (x *exchange) choose(m *soap.Message, headers, params []string) (*operation, *soap.Fault) {
	var room [2]string
	named := distinct(room[:0], params...)
	for _, a := range headers {
		a = strings.TrimSpace(a)
		if n := len(a); n >= 2 && a[0] == '"' && a[n-1] == '"' {
			a = a[1 : n-1]
		}
		named = distinct(named, a)
	}
	inHTTP := len(named) > 0
	if len(m.Headers) > 0 {
		named = distinct(named, addressing.Actions(m.Headers)...)
	}
	o, f, disagree := x.s.choose(m.Body, named)
	if disagree && len(m.Headers) > 0 {
		f = x.disagreement(f, m.Headers, inHTTP)
	}
	return o, f
}

// maxActions is how many different actions are looked at: one more than an
// operation can have (soap.Operation.HasAction), so that none takes them all.
const maxActions = 4

// distinct appends the actions that are not empty and not there yet, up to
// maxActions.
func distinct(to []string, actions ...string) []string {
	for _, a := range actions {
		if len(to) >= maxActions {
			break
		}
		if a != "" && !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	return to
}

// choose returns the operation for a body and the actions that the request
// names, and for a fault whether they do not agree.
func (s *Service) choose(body xml.Name, named []string) (o *operation, f *soap.Fault, disagree bool) {
	list := s.byInput[body]
	if len(list) == 0 { // those that read the body themselves are known by their action
		if o := pick(s.byInput[xml.Name{}], named); o != nil {
			return o, nil, false
		}
		if body.Local == "" {
			return nil, soap.Faultf(soap.CodeClient, "no operation takes an empty body"), false
		}
		return nil, soap.Faultf(soap.CodeClient, "no operation takes %s", clark(body)), false
	}
	if o := pick(list, named); o != nil {
		return o, nil, false
	}
	if len(named) > 1 {
		return nil, soap.Faultf(soap.CodeClient, "the request names two different actions, %q and %q", shorten(named[0]), shorten(named[1])), true
	}
	action := ""
	if len(named) == 1 {
		action = named[0]
	}
	// Peers make up actions where the description has none. One that no
	// operation has cannot have deceived a policy.
	made := list[0].op.Action == "" && len(s.byAction[action]) == 0
	if len(list) == 1 && (action == "" || made) {
		return list[0], nil, false
	}
	var want []string
	for _, o := range list {
		want = append(want, strconv.Quote(o.op.Action))
	}
	f = soap.Faultf(soap.CodeClient, "SOAPAction %q does not belong to the operation in the body, whose action is %s",
		shorten(action), strings.Join(want, " or "))
	if len(list) > 1 {
		return nil, f, true
	}
	return list[0], f, true
}

// pick returns the operation that all actions belong to: without any, the one
// that has none.
func pick(list []*operation, named []string) *operation {
	for _, exact := range []bool{true, false} {
		for _, o := range list {
			fits := len(named) > 0 || o.takes("")
			for _, a := range named {
				fits = fits && (o.takes(a) || !exact && o.op.HasAction(a))
			}
			if fits {
				return o
			}
		}
	}
	return nil
}

func (s *Service) logger() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}

func clark(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}
