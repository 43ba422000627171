package soapserver_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/stdxml"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// Types and an interface such as gowsdl generates them.
type (
	getPrice struct {
		XMLName xml.Name `xml:"urn:stock GetPrice"`
		Symbol  string   `xml:"symbol,omitempty"`
	}
	getPriceResponse struct {
		XMLName xml.Name `xml:"urn:stock GetPriceResponse"`
		Price   float64  `xml:"price"`
	}
	unknownSymbol struct {
		XMLName xml.Name `xml:"urn:stock UnknownSymbol"`
		Symbol  string   `xml:"symbol"`
	}
	tick struct { // no XMLName
		Symbol string `xml:"symbol"`
	}
	stock interface {
		GetPrice(*getPrice) (*getPriceResponse, error)
		GetPriceContext(context.Context, *getPrice) (*getPriceResponse, error)
		Tick(*tick) error
	}
	exchange struct{ ticks []string }
)

func (*exchange) GetPrice(*getPrice) (*getPriceResponse, error) {
	return nil, errors.New("the method without context is not to be called")
}

func (*exchange) GetPriceContext(ctx context.Context, req *getPrice) (*getPriceResponse, error) {
	switch {
	case soapserver.FromContext(ctx) == nil:
		return nil, errors.New("no call in the context")
	case req.Symbol == "nil":
		return nil, nil
	case req.Symbol != "ABC":
		return nil, &stdxml.Detail{V: unknownSymbol{Symbol: req.Symbol}, Reason: "no such symbol"}
	}
	return &getPriceResponse{Price: 12.5}, nil
}

func (e *exchange) Tick(req *tick) error {
	e.ticks = append(e.ticks, req.Symbol)
	return nil
}

func TestRegisterXML(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	var e exchange
	if err := soapserver.RegisterXML[stock](s, soapserver.XMLService{Namespace: "urn:stock"}, &e); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		body, action string
		status       int
		want         string
	}{
		{`<GetPrice xmlns="urn:stock"><symbol>ABC</symbol></GetPrice>`, `"urn:any"`, 200, "GetPriceResponse"},
		{`<GetPrice xmlns="urn:stock"><symbol>ABC</symbol></GetPrice>`, `"urn:x/echo"`, 500, "does not belong"},
		{`<GetPrice xmlns="urn:stock"><symbol>XYZ</symbol></GetPrice>`, "", 500, ">XYZ<"},
		{`<GetPrice xmlns="urn:stock"><symbol>nil</symbol></GetPrice>`, "", 500, "internal error"},
		{`<GetPrice xmlns="urn:stock"><symbol>` + strings.Repeat("<a>", 300), "", 400, "depth limit"},
		{`<Tick xmlns="urn:stock"><symbol>T</symbol></Tick>`, "", 202, ""},
	} {
		w := post(t, s, envelope(ns11, "", tt.body), ct11, tt.action)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.body, w.Code, w.Body)
		}
	}
	if len(e.ticks) != 1 || e.ticks[0] != "T" {
		t.Errorf("ticks %q", e.ticks)
	}
	// Our client, with the same types.
	srv := httptest.NewServer(s)
	defer srv.Close()
	var op *soap.Operation
	for _, o := range s.Operations() {
		if o.Name == "GetPrice" {
			op = o
		}
	}
	res, err := soapclient.CallXML[getPrice, getPriceResponse](t.Context(), &soapclient.Client{URL: srv.URL}, op, &getPrice{Symbol: "ABC"})
	if err != nil || res.Price != 12.5 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestHandleXML(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	op := &soap.Operation{Service: "{urn:stock}Stock", Name: "GetPrice", Input: xml.Name{Space: "urn:stock", Local: "GetPrice"}, Output: xml.Name{Space: "urn:stock", Local: "GetPriceResponse"}}
	soapserver.HandleXML(s, op, (&exchange{}).GetPriceContext)
	s.Interceptors = []soapserver.Interceptor{soapserver.Validate}
	if w := post(t, s, envelope(ns12, "", `<GetPrice xmlns="urn:stock"><symbol>ABC</symbol></GetPrice>`), ct12, ""); w.Code != 200 || !strings.Contains(w.Body.String(), ">12.5<") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.Interceptors = []soapserver.Interceptor{func(next soapserver.Func) soapserver.Func {
		return func(ctx context.Context, op *soap.Operation, _ any) (any, error) { return next(ctx, op, "x") }
	}}
	if w := post(t, s, envelope(ns11, "", `<GetPrice xmlns="urn:stock"/>`), ct11, ""); w.Code != 500 || !strings.Contains(w.Body.String(), "internal error") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRegisterXMLRefuses(t *testing.T) {
	t.Parallel()
	d := soapserver.XMLService{Namespace: "urn:stock"}
	s := &soapserver.Service{}
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if n := len(s.Operations()); n != 0 {
			t.Errorf("%d operations were added", n)
		}
	}
	check(soapserver.RegisterXML(s, d, &exchange{}), "is not an interface")
	check(soapserver.RegisterXML[stock](s, d, nil), "no implementation")
	check(soapserver.RegisterXML[io.Reader](s, d, strings.NewReader("")), "Read cannot serve an operation: it does not take one pointer")
	check(soapserver.RegisterXML[interface {
		A(*tick) error
		B(*getPrice) getPriceResponse
	}](s, d, nil), "no implementation")
	check(soapserver.RegisterXML[twins](s, d, pair{}), "A and B take the same element")
	check(soapserver.RegisterXML[noError](s, d, pair{}), "does not return an answer and an error")
}

type (
	twins interface {
		A(*getPrice) error
		B(*getPrice) error
	}
	noError interface {
		C(*getPrice) *getPriceResponse
	}
	pair struct{}
)

func (pair) A(*getPrice) error             { return nil }
func (pair) B(*getPrice) error             { return nil }
func (pair) C(*getPrice) *getPriceResponse { return nil }
