package soapserver_test

import (
	"context"
	"encoding/xml"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// TestAction12 adds operations whose SOAP versions have actions of their own.
func TestAction12(t *testing.T) {
	t.Parallel()
	name := xml.Name{Local: "a"}
	add := func(s *soapserver.Service, op *soap.Operation) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		soapserver.HandleOneWay(s, op, func(context.Context, *wire.Empty) error { return nil })
		return false
	}
	s := &soapserver.Service{}
	for _, tt := range []struct {
		name   string
		op     *soap.Operation
		panics bool
	}{
		{"first", &soap.Operation{Input: name, Action: "1", Action12: new("2")}, false},
		{"others", &soap.Operation{Input: name, Action: "3", Action12: new("4")}, false},
		{"the other's of 1.1", &soap.Operation{Input: name, Action: "1"}, true},
		{"the other's of 1.2", &soap.Operation{Input: name, Action: "2"}, true},
		{"crossed over", &soap.Operation{Input: name, Action: "5", Action12: new("1")}, true},
		{"another body", &soap.Operation{Input: xml.Name{Local: "b"}, Action: "1"}, false},
	} {
		if got := add(s, tt.op); got != tt.panics {
			t.Errorf("%s: panicked %v, want %v", tt.name, got, tt.panics)
		}
	}
}
