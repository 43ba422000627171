package gentest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/encoded"
)

// warehouse keeps the last request it got of each kind.
type warehouse struct {
	encoded.UnimplementedWarehouse
	stored  *encoded.Store
	session string
	forgot  *encoded.Forget
}

func (s *warehouse) Store(ctx context.Context, req *encoded.Store) (*encoded.StoreResponse, error) {
	s.stored = req
	if h, err := encoded.SessionFrom(ctx); err != nil {
		return nil, err
	} else if h != nil {
		s.session = h.Value
	}
	if req.Item == nil {
		return nil, &encoded.ShortageFault{Shortage: encoded.Shortage{Message: "nothing to store", Missing: 1}}
	}
	res := &encoded.StoreResponse{Result: req.Item, Left: 4}
	if len(req.Where) > 0 {
		res.Shelf = req.Where[0]
	}
	return res, nil
}

func (*warehouse) Arrays(_ context.Context, req *encoded.Arrays) (*encoded.ArraysResponse, error) {
	res := encoded.ArraysResponse(*req)
	return &res, nil
}

func (*warehouse) EchoMap(_ context.Context, req *encoded.EchoMap) (*encoded.EchoMapResponse, error) {
	return &encoded.EchoMapResponse{Map: req.Map}, nil
}

func (*warehouse) EchoChain(_ context.Context, req *encoded.EchoChain) (*encoded.EchoChainResponse, error) {
	return &encoded.EchoChainResponse{Chain: req.Chain}, nil
}

func (*warehouse) Ping(context.Context, *encoded.Ping) (*encoded.PingResponse, error) {
	return &encoded.PingResponse{}, nil
}

func (s *warehouse) Forget(_ context.Context, req *encoded.Forget) error {
	s.forgot = req
	return nil
}

func (*warehouse) Encoded(_ context.Context, req *encoded.Encoded) (*encoded.EncodedResponse, error) {
	return &encoded.EncodedResponse{Shared: req.Shared}, nil
}

func (*warehouse) Shared(_ context.Context, req *encoded.LiteralShared) (*encoded.SharedResponse, error) {
	return &encoded.SharedResponse{Shared: req.Shared}, nil
}

// serveWarehouse returns the URL of a server that refuses what no schema
// allows, and a function that returns the last request and answer.
func serveWarehouse(t *testing.T, h *warehouse) (url string, seen *bytes.Buffer) {
	t.Helper()
	s := &soapserver.Service{Strict: true, Logger: slog.New(slog.DiscardHandler)}
	encoded.RegisterWarehouse(s, h)
	encoded.RegisterLiteral(s, h)
	seen = new(bytes.Buffer)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen.Reset()
		seen.Write(b)
		r.Body = io.NopCloser(bytes.NewReader(b))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		seen.WriteString("\n" + rec.Body.String())
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(hs.Close)
	return hs.URL, seen
}

func anyText(local, text string) wire.Any {
	return wire.Any{Type: xml.Name{Space: wire.XSD, Local: local}, Content: must(wire.TextRaw(text))}
}

func item() *encoded.Item {
	return &encoded.Item{
		Name: "a <b> & c", Count: -3, Price: ptr(must(xsd.ParseDecimal("1.50"))), Since: ptr(must(xsd.ParseDateTime("2024-02-29T00:00:00Z"))),
		Colour: ptr(encoded.ColourGreen), Label: ptr("l"), Picture: []byte{0, 255}, Tags: []string{"x", "", "z"}, Sizes: []int32{},
		Aliases: []*string{ptr("n"), nil}, Maker: &encoded.Maker{Name: "m"}, Place: &encoded.Shelf{Hall: 1, Board: 2}, Extra: anyText("int", "42"),
	}
}

func versions(t *testing.T, f func(t *testing.T, v soap.Version)) {
	for name, v := range map[string]soap.Version{"1.1": soap.V11, "1.2": soap.V12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, v)
		})
	}
}

func TestEncodedRoundTrip(t *testing.T) {
	t.Parallel()
	versions(t, func(t *testing.T, v soap.Version) {
		h := &warehouse{}
		url, seen := serveWarehouse(t, h)
		c := encoded.NewWarehouseClient(&soapclient.Client{URL: url, Version: v, Strict: true})

		req := &encoded.Store{Item: item(), Places: []encoded.AnyPlace{&encoded.Box{Hall: 5, Choice: encoded.BoxChoice{Number: ptr[int32](6)}}, nil},
			Where: []encoded.AnyPlace{&encoded.Shelf{Hall: 9}}}
		res, err := c.Store(t.Context(), req, encoded.WithSession(&encoded.Session{Value: "s1"}))
		if err != nil {
			t.Fatalf("%v\n%s", err, seen)
		}
		if !reflect.DeepEqual(h.stored, req) || h.session != "s1" {
			t.Errorf("served %+v %q\nof %s", h.stored, h.session, seen)
		}
		if want := (&encoded.StoreResponse{Result: item(), Left: 4, Shelf: &encoded.Shelf{Hall: 9}}); !reflect.DeepEqual(res, want) {
			t.Errorf("got %+v, want %+v", res, want)
		}

		// The least that an item can be: what has a pointer is nil.
		least := &encoded.Store{Item: &encoded.Item{Tags: []string{}}, Places: []encoded.AnyPlace{}, Where: []encoded.AnyPlace{}}
		if res, err = c.Store(t.Context(), least); err != nil {
			t.Fatalf("%v\n%s", err, seen)
		}
		least.Item.Extra = wire.Any{Nil: true}
		if !reflect.DeepEqual(h.stored, least) || !reflect.DeepEqual(res, &encoded.StoreResponse{Result: least.Item, Left: 4}) {
			t.Errorf("served %+v, got %+v\nof %s", h.stored, res, seen)
		}

		_, err = c.Store(t.Context(), &encoded.Store{})
		var short *encoded.ShortageFault
		if !errors.As(err, &short) || short.Missing != 1 {
			t.Errorf("got %v\n%s", err, seen)
		}

		arrays := &encoded.Arrays{
			Items: []encoded.Item{*item()}, Any: []wire.Any{anyText("string", "s"), {Nil: true}}, Nested: [][]string{{"a"}, {}, nil},
			Grid: [][]float64{{1, 2.5}, {3, 4}, {5, 6}}, Cube: wire.Any{Nil: true}, Endless: []wire.Any{}, Bare: []wire.Any{anyText("int", "1")}, Numbers: []int32{1, -2},
		}
		got, err := c.Arrays(t.Context(), arrays)
		if want := encoded.ArraysResponse(*arrays); err != nil || !reflect.DeepEqual(got, &want) {
			t.Errorf("got %+v, %v\n%s", got, err, seen)
		}

		m := &encoded.Map{Item: []encoded.MapItem{{Key: anyText("string", "k"), Value: anyText("int", "1")}, {Key: anyText("int", "2"), Value: wire.Any{Nil: true}}}}
		if got, err := c.EchoMap(t.Context(), &encoded.EchoMap{Map: m}); err != nil || !reflect.DeepEqual(got.Map, m) {
			t.Errorf("got %+v, %v\n%s", got, err, seen)
		}
		chain := &encoded.Chain{Link: "1", Next: &encoded.Chain{Link: "2"}}
		if got, err := c.EchoChain(t.Context(), &encoded.EchoChain{Chain: chain}); err != nil || !reflect.DeepEqual(got.Chain, chain) {
			t.Errorf("got %+v, %v\n%s", got, err, seen)
		}
		if _, err := c.Ping(t.Context(), &encoded.Ping{}); err != nil {
			t.Errorf("%v\n%s", err, seen)
		}
		if err := c.Forget(t.Context(), &encoded.Forget{Chain: chain}); err != nil || !reflect.DeepEqual(h.forgot.Chain, chain) {
			t.Errorf("%v\n%s", err, seen)
		}
		shared := encoded.Shared{ID: 7, Owner: encoded.Owner{Name: "m"}}
		if got, err := c.Encoded(t.Context(), &encoded.Encoded{Shared: &shared}); err != nil || *got.Shared != shared || !strings.Contains(seen.String(), "xsi:type=") {
			t.Errorf("got %+v, %v\n%s", got, err, seen)
		}
		l := encoded.NewLiteralClient(&soapclient.Client{URL: url, Version: v, Strict: true})
		if got, err := l.Shared(t.Context(), &encoded.LiteralShared{Shared: shared}); err != nil || got.Shared != shared || strings.Contains(seen.String(), "type=") {
			t.Errorf("got %+v, %v\n%s", got, err, seen)
		}
	})
}

// TestEncodedReturnValue: the part that parameterOrder does not name is the
// return value, whatever its element is called.
func TestEncodedReturnValue(t *testing.T) {
	t.Parallel()
	var res encoded.StoreResponse
	err := wire.Unmarshal([]byte(`<r><left>4</left><StoreResult><name>n</name></StoreResult></r>`), &res, wire.Options{Strict: true})
	if err != nil || res.Left != 4 || res.Result == nil || res.Result.Name != "n" {
		t.Errorf("got %+v, %v", res, err)
	}
}

// TestEncodedShared reads what SOAP encoding allows of a type that literal
// operations use as well: accessors without namespace, and nil.
func TestEncodedShared(t *testing.T) {
	t.Parallel()
	var req encoded.Encoded
	err := wire.Unmarshal([]byte(`<r xmlns:xsi="`+wire.XSI+`"><shared><id>7</id><owner xsi:nil="true"/></shared></r>`), &req, wire.Options{Strict: true})
	if err != nil || req.Shared == nil || req.Shared.ID != 7 {
		t.Errorf("got %+v, %v", req, err)
	}
}

const envelope11 = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`

// TestEncodedAsOthersWrite reads the same request as stacks of different kinds
// write it.
func TestEncodedAsOthersWrite(t *testing.T) {
	t.Parallel()
	want := &encoded.Store{
		Item: &encoded.Item{Name: "n", Count: 1, Tags: []string{"a", "b"}, Aliases: []*string{ptr("a"), nil},
			Maker: &encoded.Maker{Name: "m"}, Place: &encoded.Shelf{Hall: 1, Board: 2}, Extra: anyText("int", "42")},
		Where: []encoded.AnyPlace{&encoded.Shelf{Hall: 1, Board: 2}, &encoded.Shelf{Hall: 1, Board: 2}},
	}
	const enc = ` xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"`
	for name, doc := range map[string]string{
		// Each value that is no simple one stands behind the call, as SOAP 1.1
		// 5.2.1 allows.
		"all independent": envelope11 + `<soapenv:Body>
<ns1:Store soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" xmlns:ns1="urn:test:encoded"><item href="#id0"/><places xsi:nil="true"/><where href="#id3"/></ns1:Store>
<multiRef id="id0"` + enc + ` soapenc:root="0" xsi:type="ns2:Item" xmlns:ns2="urn:test:encoded:types"><name xsi:type="xsd:string">n</name><count href="#id4"/>
<tags soapenc:arrayType="xsd:string[2]" xsi:type="soapenc:Array"><tags xsi:type="xsd:string">a</tags><tags>b</tags></tags><aliases href="#id1"/><label xsi:nil="true"/>
<maker href="#id2"/><place href="#id5"/><extra xsi:type="xsd:int">42</extra></multiRef>
<multiRef id="id1"` + enc + ` soapenc:arrayType="xsd:string[2]" xsi:type="soapenc:Array"><a>a</a><a xsi:nil="true"/></multiRef>
<multiRef id="id2" xsi:type="ns2:Maker" xmlns:ns2="urn:test:encoded:types"><name>m</name></multiRef>
<multiRef id="id3"` + enc + ` soapenc:arrayType="t:Place[2]" xmlns:t="urn:test:encoded:types" xsi:type="soapenc:Array"><i href="#id5"/><i href="#id5"/></multiRef>
<multiRef id="id4" xsi:type="xsd:int">1</multiRef>
<multiRef id="id5" xsi:type="t:Shelf" xmlns:t="urn:test:encoded:types"><hall>1</hall><board>2</board></multiRef>
</soapenv:Body></soapenv:Envelope>`,
		// A value is written where it is met first, and referred to after that.
		"first one inline": envelope11 + `<soapenv:Body xmlns:t="urn:test:encoded:types"` + enc + `><ns1:Store xmlns:ns1="urn:test:encoded">
<item xsi:type="t:Item"><count>1</count><name>n</name><tags><item>a</item><item>b</item></tags><aliases><s>a</s><s xsi:nil="1"/></aliases>
<maker><name>m</name></maker><place id="ref1" xsi:type="t:Shelf"><hall>1</hall><board>2</board></place><extra xsi:type="xsd:int">42</extra></item>
<where xsi:type="soapenc:Array" soapenc:arrayType="t:Place[2]"><item href="#ref1"/><item href="#ref1"/></where></ns1:Store></soapenv:Body></soapenv:Envelope>`,
		// Accessors in the namespace of the schema, and whole arrays of their
		// named type.
		"qualified": envelope11 + `<soapenv:Body xmlns:t="urn:test:encoded:types"><ns1:Store xmlns:ns1="urn:test:encoded">
<ns1:item><t:name>n</t:name><t:count>1</t:count><t:tags xsi:type="t:ArrayOfString"><t:i>a</t:i><t:i>b</t:i></t:tags><t:aliases><t:name>a</t:name><t:name xsi:nil="true"/></t:aliases>
<t:maker><t:name>m</t:name></t:maker><t:place xsi:type="t:Shelf"><t:hall>1</t:hall><t:board>2</t:board></t:place><t:extra xsi:type="xsd:int">42</t:extra></ns1:item>
<where><t:i xsi:type="t:Shelf"><t:hall>1</t:hall><t:board>2</t:board></t:i><t:i xsi:type="t:Shelf"><t:hall>1</t:hall><t:board>2</t:board></t:i></where></ns1:Store></soapenv:Body></soapenv:Envelope>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &warehouse{}
			url, seen := serveWarehouse(t, h)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/xml; charset=utf-8")
			req.Header.Set("SOAPAction", `"store"`)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close() // seen has it
			if !reflect.DeepEqual(h.stored, want) {
				t.Errorf("served %+v\nwant %+v\nof %s", h.stored, want, seen)
			}
		})
	}
}

// TestEncodedReturnName reads answers whose accessors have names of their own:
// SOAP 1.1 7.1 gives that of the return value no meaning.
func TestEncodedReturnName(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`<return xsi:type="xsd:anyType"><link>1</link></return>`, `<chain><link>1</link></chain>`, `<n:Result xmlns:n="urn:other"><link>1</link></n:Result>`,
		`<rpc:result xmlns:rpc="http://www.w3.org/2003/05/soap-rpc">chain</rpc:result><chain><link>1</link></chain>`,
	} {
		hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, envelope11+`<soapenv:Body><whatever>`+body+`</whatever></soapenv:Body></soapenv:Envelope>`)
		}))
		t.Cleanup(hs.Close)
		res, err := encoded.NewWarehouseClient(&soapclient.Client{URL: hs.URL, Strict: true}).EchoChain(t.Context(), &encoded.EchoChain{})
		if err != nil || res.Chain == nil || res.Chain.Link != "1" {
			t.Errorf("%s: got %+v, %v", body, res, err)
		}
	}
}
