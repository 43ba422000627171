package soapserver

import (
	"context"
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/stdxml"
	"github.com/soapward/soapward/soap/wire"
)

// HandleXML is Handle for types with encoding/xml tags. Interceptors see the
// messages as *stdxml.Message. New code uses generated types instead.
func HandleXML[Req, Res any](s *Service, op *soap.Operation, fn func(context.Context, *Req) (*Res, error)) {
	s.add(op, func() wire.Unmarshaler { return &stdxml.Message{V: new(Req)} },
		func(ctx context.Context, _ *soap.Operation, req any) (any, error) {
			in, err := unwrap[*Req](req, op)
			if err != nil {
				return nil, err
			}
			res, err := fn(ctx, in)
			if err != nil {
				return nil, err
			}
			if res == nil {
				return nil, errNoAnswer(op)
			}
			return &stdxml.Message{V: res}, nil
		})
}

// unwrap returns the value that an interceptor passed on.
func unwrap[T any](req any, op *soap.Operation) (v T, err error) {
	if m, ok := req.(*stdxml.Message); ok {
		if v, ok := m.V.(T); ok {
			return v, nil
		}
	}
	return v, fmt.Errorf("soapserver: an interceptor passed %T to %s", req, op.Name)
}

func errNoAnswer(op *soap.Operation) error {
	return fmt.Errorf("soapserver: the handler of %s returned neither answer nor error", op.Name)
}

// XMLService describes a service for RegisterXML.
type XMLService struct {
	// Namespace is the target namespace of the description. Messages whose types
	// have no XMLName are in it.
	Namespace string

	// Action returns the SOAPAction of an operation. Nil means that requests may
	// have any.
	Action func(operation string) string
}

// RegisterXML adds an operation for each method of the interface I, whose types
// have encoding/xml tags, such as gowsdl generates it:
//
//	Post(*Post) (*PostResponse, error)
//	PostContext(context.Context, *Post) (*PostResponse, error)
//
// Of two methods like these the latter is called, for the operation Post. A
// method that returns only an error is a one-way operation. The elements are
// those in the tags of the fields XMLName, or else Post and PostResponse in the
// namespace of d. A handler returns a *stdxml.Detail for a fault with a detail.
//
// An interface with any other method is an error, and nothing is added. Methods
// are called by reflection; encoding/xml costs far more.
func RegisterXML[I any](s *Service, d XMLService, service I) error {
	t := reflect.TypeFor[I]()
	if t.Kind() != reflect.Interface {
		return fmt.Errorf("soapserver: %s is not an interface", t)
	}
	v := reflect.ValueOf(service)
	if !v.IsValid() {
		return fmt.Errorf("soapserver: no implementation of %s", t)
	}
	var all []*xmlMethod
	taken := map[xml.Name]string{}
	for i := range t.NumMethod() {
		m := t.Method(i)
		if _, both := t.MethodByName(m.Name + "Context"); both {
			continue
		}
		x, err := d.method(t, m)
		if err != nil {
			return err
		}
		if old := taken[x.op.Input]; old != "" {
			return fmt.Errorf("soapserver: %s.%s and %s take the same element %s", t, old, m.Name, clark(x.op.Input))
		}
		taken[x.op.Input] = m.Name
		x.fn = v.MethodByName(m.Name)
		all = append(all, x)
	}
	for _, x := range all {
		s.add(x.op, func() wire.Unmarshaler { return &stdxml.Message{V: reflect.New(x.req).Interface()} }, x.call)
	}
	return nil
}

// xmlMethod is a method that serves an operation.
type xmlMethod struct {
	op      *soap.Operation
	fn      reflect.Value
	req     reflect.Type // what its argument points to
	context bool
}

// method checks a method's signature.
func (d *XMLService) method(t reflect.Type, m reflect.Method) (*xmlMethod, error) {
	bad := func(why string) error {
		return fmt.Errorf("soapserver: %s.%s cannot serve an operation: %s", t, m.Name, why)
	}
	ft := m.Type
	in := ft.NumIn()
	x := &xmlMethod{context: in > 0 && ft.In(0) == reflect.TypeFor[context.Context]()}
	if x.context {
		in--
	}
	isMessage := func(t reflect.Type) bool { return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct }
	switch {
	case in != 1 || ft.IsVariadic() || !isMessage(ft.In(ft.NumIn()-1)):
		return nil, bad("it does not take one pointer to a struct")
	case ft.NumOut() == 0 || ft.NumOut() > 2 || ft.Out(ft.NumOut()-1) != reflect.TypeFor[error]():
		return nil, bad("it does not return an answer and an error")
	case ft.NumOut() == 2 && !isMessage(ft.Out(0)):
		return nil, bad("its answer is not a pointer to a struct")
	}
	x.req = ft.In(ft.NumIn() - 1).Elem()
	name := m.Name
	if x.context {
		name = strings.TrimSuffix(name, "Context")
	}
	x.op = &soap.Operation{Service: "{" + d.Namespace + "}" + t.Name(), Name: name, OneWay: ft.NumOut() == 1}
	if d.Action != nil {
		x.op.Action = d.Action(name)
	}
	x.op.Input = d.element(x.req, name)
	if !x.op.OneWay {
		x.op.Output = d.element(ft.Out(0), name+"Response")
	}
	return x, nil
}

// element returns the name of a message.
func (d *XMLService) element(t reflect.Type, local string) xml.Name {
	if n, ok := stdxml.NameOf(t); ok {
		return n
	}
	return xml.Name{Space: d.Namespace, Local: local}
}

// call is the Func of the method.
func (x *xmlMethod) call(ctx context.Context, op *soap.Operation, req any) (any, error) {
	in, err := unwrap[any](req, op)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(in)
	if !v.IsValid() || v.Type() != reflect.PointerTo(x.req) {
		return nil, fmt.Errorf("soapserver: an interceptor passed %T to %s", in, op.Name)
	}
	args := []reflect.Value{v}
	if x.context {
		args = []reflect.Value{reflect.ValueOf(ctx), v}
	}
	out := x.fn.Call(args)
	if err, _ := out[len(out)-1].Interface().(error); err != nil {
		return nil, err
	}
	if x.op.OneWay {
		return nil, nil
	}
	if out[0].IsNil() {
		return nil, errNoAnswer(op)
	}
	return &stdxml.Message{V: out[0].Interface()}, nil
}
