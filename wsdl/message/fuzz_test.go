package message

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// FuzzAnswer reads anything as an answer: it must be JSON then, and readable.
func FuzzAnswer(f *testing.F) {
	d, err := (&wsdl.Resolver{}).Open(f.Context(), filepath.Join("testdata", "shop.wsdl"))
	if err != nil {
		f.Fatal(err)
	}
	c := New(d)
	f.Add(`<Order xmlns="urn:shop" id="1"><customer xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="Company"><name>x</name></customer><line type="a"/>text<any/></Order>`)
	f.Add(`<OrderResponse xmlns="urn:shop"><done>1</done><total>1e5</total><done>maybe</done></OrderResponse>`)
	f.Add(`<a><return href="#x"/></a><b id="x"><c href="#x"/></b>`)
	f.Fuzz(func(t *testing.T, doc string) {
		raw, err := wire.ParseRaw(doc)
		if err != nil {
			return
		}
		_, _ = Indent(raw)
		for _, o := range c.Operations {
			for _, b := range []*Body{o.Input, o.Output} {
				if b == nil {
					continue
				}
				if j, err := b.JSON(raw); err == nil && !json.Valid(j) {
					t.Errorf("no JSON: %q", j)
				}
			}
		}
	})
}

// FuzzRequest makes requests of any JSON: what is accepted is XML that comes
// back as the same JSON once it went through XML.
func FuzzRequest(f *testing.F) {
	d, err := (&wsdl.Resolver{}).Open(f.Context(), filepath.Join("testdata", "shop.wsdl"))
	if err != nil {
		f.Fatal(err)
	}
	c := New(d)
	f.Add(wholeOrder)
	f.Add(`{"#content": [{"done": true}, {"total": 1.50}]}`)
	f.Add(`{"pair": {"a": 1, "b": "2"}, "times": 3}`)
	f.Fuzz(func(t *testing.T, doc string) {
		for _, o := range c.Operations {
			req, err := o.Input.FromJSON([]byte(doc))
			if err != nil {
				continue
			}
			first, err := o.Input.JSON(req.Body)
			if err != nil {
				t.Fatalf("%v: %s", err, req.Body)
			}
			again, err := o.Input.FromJSON(first)
			if err != nil {
				t.Fatalf("%v: %s of %s", err, first, req.Body)
			}
			second, err := o.Input.JSON(again.Body)
			if err != nil || string(first) != string(second) {
				t.Fatalf("%v: %s became %s", err, first, second)
			}
		}
	})
}

// FuzzArgs parses any argument.
func FuzzArgs(f *testing.F) {
	for _, s := range []string{"a=b", "a[0].b=@c", `a\.b:={"c":1}`, "{urn:x}a=", "@a=@@b", "a.@b=c"} {
		f.Add(s, s)
	}
	read := func(string) ([]byte, error) { return nil, os.ErrNotExist }
	f.Fuzz(func(t *testing.T, a, b string) {
		root := &value{kind: object}
		for _, s := range []string{a, b} {
			if v, path, err := parseArg(s, read); err == nil {
				_ = assign(root, path, v)
			}
		}
		if j := root.json(); !json.Valid(j) {
			t.Errorf("no JSON: %q", j)
		}
	})
}
