package gentest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/facets"
)

func validOrder() *facets.Order {
	return &facets.Order{
		Line:   []facets.Line{{Sku: "ABC-1", Count: 1, Colour: facets.ColourRed, Price: &facets.Price{Value: xsd.DecimalOf(5), Unit: ptr("EUR-1")}}},
		Codes:  []string{"ABC-1", "none"},
		Limit:  ptr("99.5"),
		Shape:  &facets.Circle{Radius: xsd.DecimalOf(1)},
		Choice: facets.OrderChoice{Card: ptr("DEF-2")},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := validOrder().Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*facets.Order)
		want   []string
	}{
		{"pattern", func(o *facets.Order) { o.Line[0].Sku = "abc-1" }, []string{`Order.Line[0].Sku: does not match the pattern [A-Z]{3}-\d+|none`}},
		{"longer than the restriction", func(o *facets.Order) { o.Line[0].Sku = "ABC-123" }, []string{"Order.Line[0].Sku: longer than 6"}},
		{"pattern of the base", func(o *facets.Order) { o.Line[0].Sku = "x9" }, []string{`Order.Line[0].Sku: does not match the pattern [A-Z]{3}-\d+|none`}},
		{"bound", func(o *facets.Order) { o.Line[0].Count = 0 }, []string{"Order.Line[0].Count: not more than 0"}},
		{"optional", func(o *facets.Order) { o.Line[0].Note = ptr("abcdef") }, []string{"Order.Line[0].Note: longer than 5"}},
		{"enumeration", func(o *facets.Order) { o.Line[0].Colour = "blue" }, []string{"Order.Line[0].Colour: not one of the values allowed"}},
		{"simple content", func(o *facets.Order) { o.Line[0].Price.Value = must(xsd.ParseDecimal("1.234")) }, []string{"Order.Line[0].Price.Value: more than 2 digits behind the point"}},
		{"attribute", func(o *facets.Order) { o.Line[0].Price.Unit = ptr("e") }, []string{`Order.Line[0].Price.Unit: does not match the pattern [A-Z]{3}-\d+|none`}},
		{"nil", func(o *facets.Order) { o.Line[0].Price = nil }, nil},
		{"nillable", func(o *facets.Order) { o.Line[0].Share = wire.Some(xsd.DecimalOf(101)) }, []string{"Order.Line[0].Share: more than 100"}},
		{"too many", func(o *facets.Order) { o.Line = slices.Repeat(o.Line, 4) }, []string{"Order.Line: more than 3 elements"}},
		{"none", func(o *facets.Order) { o.Line = nil }, []string{"Order.Line: fewer than 1 elements"}},
		{"list", func(o *facets.Order) { o.Codes = []string{"none", "none", "none"} }, []string{"Order.Codes: longer than 2"}},
		{"item", func(o *facets.Order) { o.Codes = []string{"x"} }, []string{`Order.Codes: does not match the pattern [A-Z]{3}-\d+|none`}},
		{"repeated", func(o *facets.Order) { o.Tag = []string{"none", "x"} }, []string{`Order.Tag[1]: does not match the pattern [A-Z]{3}-\d+|none`}},
		{"union", func(o *facets.Order) { o.Limit = ptr("101") }, []string{"Order.Limit: not a value of any of the types allowed"}},
		{"a pattern that is none", func(o *facets.Order) { o.Odd = ptr("abcd") }, []string{"Order.Odd: longer than 3"}},
		{"derived type", func(o *facets.Order) { o.Shape = &facets.Circle{Radius: xsd.DecimalOf(-1)} }, []string{"Order.Shape.Radius: less than 0"}},
		{"not set", func(o *facets.Order) { o.Shape = nil }, []string{"Order.Shape: not set"}},
		{"no alternative", func(o *facets.Order) { o.Choice.Card = nil }, []string{"Order.Choice: not exactly one field is set"}},
		{"two alternatives", func(o *facets.Order) { o.Choice.Cash = ptr(true) }, []string{"Order.Choice: not exactly one field is set"}},
		{"several", func(o *facets.Order) { o.Shape, o.Line[0].Count = nil, -1 }, []string{"Order.Line[0].Count: not more than 0", "Order.Shape: not set"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := validOrder()
			tt.change(o)
			err := o.Validate()
			var got []string
			if e := (*xsd.InvalidError)(nil); errors.As(err, &e) {
				for _, p := range e.Problems {
					got = append(got, p.String())
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Only types beneath which something is restricted have the method.
func TestNothingToValidate(t *testing.T) {
	t.Parallel()
	if _, has := any(&facets.Plain{}).(interface{ Validate() error }); has {
		t.Error("Plain has a method Validate")
	}
}

type anyOrder struct{ facets.UnimplementedFacets }

func (anyOrder) Order(context.Context, *facets.Order) (*facets.Plain, error) {
	return &facets.Plain{}, nil
}

// Who checks: nobody by default, the client or the server where it is told to.
func TestValidateInCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		client, server bool
		want           string
		sent           bool
	}{
		{"nobody", false, false, "", true},
		{"client", true, false, `Order: invalid request: Order.Line[0].Sku: longer than 6`, false},
		{"server", false, true, `fault Client: invalid request: Order.Line[0].Sku: longer than 6`, true},
	} {
		s := &soapserver.Service{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
		if tt.server {
			s.Interceptors = []soapserver.Interceptor{soapserver.Validate}
		}
		facets.RegisterFacets(s, anyOrder{})
		sent := false
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = true
			s.ServeHTTP(w, r)
		}))
		defer srv.Close()
		o := validOrder()
		o.Line[0].Sku = "ABC-1234"
		_, err := facets.NewFacetsClient(&soapclient.Client{URL: srv.URL, Validate: tt.client}).Order(t.Context(), o)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) || sent != tt.sent {
			t.Errorf("%s: %v, sent %v", tt.name, err, sent)
		}
	}
}
