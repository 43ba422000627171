package wsdl

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestGroupProblems(t *testing.T) {
	t.Parallel()
	var list []Problem
	add := func(text string, err error) {
		list = append(list, Problem{Pos: Position{"a.wsdl", len(list) + 1, 2}, Text: text, Err: err})
	}
	for i := range 5 {
		add(fmt.Sprintf("there is no type {urn:x}T%d; no schema of that namespace was imported; any XML is taken in its place", i), nil)
		add(fmt.Sprintf("operation Op%d is left out: it has no input", i/3), nil)
	}
	add("xs:list without item type", nil)
	add("cannot read b.xsd", errors.New("not there"))
	add(`minOccurs="a \" b" is not a number; 1 is taken`, nil)
	add(`minOccurs="c" is not a number; 1 is taken`, nil)
	want := []Group{
		{"there is no type {urn:x}T0, T1, T2, ...; no schema of that namespace was imported; any XML is taken in its place", 5, Position{"a.wsdl", 1, 2}},
		{"operation Op0, Op1 is left out: it has no input", 5, Position{"a.wsdl", 2, 2}},
		{"xs:list without item type", 1, Position{"a.wsdl", 11, 2}},
		{"cannot read b.xsd: not there", 1, Position{"a.wsdl", 12, 2}},
		{`minOccurs="a \" b", "c" is not a number; 1 is taken`, 2, Position{"a.wsdl", 13, 2}},
	}
	if got := GroupProblems(list, 3); !slices.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	if got := GroupProblems(list, 0)[0].Text; got != "there is no type {urn:x}T0, ...; no schema of that namespace was imported; any XML is taken in its place" {
		t.Error(got)
	}
}
