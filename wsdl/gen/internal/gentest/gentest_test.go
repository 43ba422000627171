// Package gentest uses packages that the generator wrote, as a program would.
package gentest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/names"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/odd"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/shapes"
)

func ptr[T any](v T) *T { return &v }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const shapesSpace = "urn:test:shapes"

// minimal is the least that Everything can be.
func minimal() *shapes.Everything {
	return &shapes.Everything{ID: "a1", Hex: []byte{}, Choice: shapes.EverythingChoice{ByNumber: ptr[int32](0)}}
}

func full() *shapes.Everything {
	return &shapes.Everything{
		Required: " kept <&> \t\"'é\U0001F600", Optional: ptr[int32](0),
		Repeated:    []xsd.Decimal{must(xsd.ParseDecimal("1.10")), must(xsd.ParseDecimal("-12345678901234567890.123456789"))},
		NilOne:      ptr(must(xsd.ParseDate("2024-02-29+02:00"))),
		NilOptional: wire.Some(""), NilRepeated: []*bool{ptr(true), nil, ptr(false)},
		Binary: []byte{0, 255}, Hex: []byte{0xCA, 0xFE}, Big: ptr(must(xsd.ParseInteger("123456789012345678901234567890"))),
		Qname: &xml.Name{Space: "urn:other", Local: "thing"},
		When:  ptr(must(xsd.ParseDateTime("-0044-03-15T24:00:00"))), Length: ptr(must(xsd.ParseDuration("-P1Y2M3DT0.5S"))),
		Numbers: []int32{1, -2}, Words: []string{"a", "b"}, SizeOrNumber: ptr("small"), Level: ptr(shapes.LevelMinus1),
		X: 1, Y: -1,
		Choice: shapes.EverythingChoice{Group: &shapes.EverythingChoiceGroup{Street: "Main", Town: ptr("Town")}},
		First:  ptr("A"), Last: ptr("B"),
		Choices: []shapes.EverythingChoice2{
			{Line: ptr("1")}, {Break: &shapes.EverythingBreak{}}, {Group: &shapes.EverythingChoice2Group{Key: "k", Value: ptr("v")}},
			{Group: &shapes.EverythingChoice2Group{Key: "k2"}}, {Line: ptr("")}, {Line: ptr("2")},
		},
		Groups: []shapes.EverythingGroup{{Even: 2, Odd: ptr[int32](3)}, {Even: 4}, {Even: 6, Odd: ptr[int32](7)}},
		Again:  &shapes.Again{Mark: 1, Text: ptr("t"), Mark2: 2},
		Shape: []shapes.AnyShape{
			&shapes.Circle{Radius: 1.5, Name: ptr("c"), Colour: ptr("red")}, &shapes.Square{Side: 2}, &shapes.Plain{},
		},
		Choice2:  &shapes.EverythingChoice3{Tilted: &shapes.Square{Side: 3}},
		Tree:     &shapes.Tree{Label: "root", Branch: []shapes.Tree{{Label: "l"}, {Label: "r", Branch: []shapes.Tree{{}}}}},
		Ring:     &shapes.Ring{Choice: shapes.RingChoice{Link: &shapes.Link{Ring: shapes.Ring{Choice: shapes.RingChoice{End: ptr("x")}}}}},
		Note:     &shapes.Note{Content: must(wire.ParseRaw("text <b xmlns=\"urn:test:shapes\">bold</b> tail")), Kind: ptr("k")},
		Anything: &wire.Any{Type: xml.Name{Space: wire.XSD, Local: "int"}, Content: must(wire.ParseRaw("42"))},
		Local:    ptr("unqualified"), Imported: &shapes.Imported{B: 255, A: ptr(must(xsd.ParseGYear("2024")))},
		Included: &shapes.Included{Part: []string{"one", "two"}},
		Any:      []wire.Raw{must(wire.ParseRaw(`<o:x xmlns:o="urn:other" o:a="1"/>`)), must(wire.ParseRaw(`<o:y xmlns:o="urn:other">o:q</o:y>`))},
		ID:       "a1", Lang: ptr("de"), Unit: ptr(shapes.UnitIn), Flags: []shapes.Unit{shapes.UnitCm, "unknown"},
		Attrs: []xml.Attr{{Name: xml.Name{Space: "urn:other", Local: "extra"}, Value: "a\nb"}},
	}
}

// TestRoundTrip writes values and reads them again, strictly.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	name := xml.Name{Space: shapesSpace, Local: "echo"}
	nilled := minimal()
	nilled.NilOptional = wire.NilValue[string]()
	for _, tt := range []struct {
		name string
		v    interface {
			wire.Marshaler
			wire.Unmarshaler
		}
	}{
		{"minimal", minimal()},
		{"full", full()},
		{"nil", nilled},
		{"derived root", &shapes.Draw{Value: &shapes.Circle{Radius: 1}}},
		{"simple root", &shapes.Pong{Value: must(xsd.ParseDateTime("2024-01-01T00:00:00.123456789Z"))}},
		{"substitution", &shapes.Drawn{Choices: []shapes.DrawnChoice{{Round: &shapes.Circle{}}, {Angular: &shapes.Square{}}, {Round: &shapes.Circle{Radius: 2}}}}},
		{"names", &names.Func{Type: names.TypeTypeABValue, String: names.String{}, Choice2: names.FuncChoice{Soap: &names.Soap{Next: &names.Soap{}}}, TypeAttr: "unheard of"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := wire.Marshal(tt.v, name)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := reflect.New(reflect.TypeOf(tt.v).Elem()).Interface().(wire.Unmarshaler)
			if !ok {
				t.Fatalf("%T cannot be read", tt.v)
			}
			if err := wire.Unmarshal(b, got, wire.Options{Strict: true}); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			if !reflect.DeepEqual(got, tt.v) {
				t.Errorf("got  %+v\nwant %+v\n%s", got, tt.v, b)
			}
			v2, ok := got.(wire.Marshaler)
			if !ok {
				t.Fatalf("%T cannot be written", got)
			}
			again, err := wire.Marshal(v2, name)
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("written again: %v\n%s\nfirst\n%s", err, again, b)
			}
		})
	}
}

// TestZeroIsWritten guards against leaving out required values that are zero.
func TestZeroIsWritten(t *testing.T) {
	t.Parallel()
	b := must(wire.Marshal(minimal(), xml.Name{Space: shapesSpace, Local: "echo"}))
	for _, want := range []string{"required/>", "hex></", "x>0<", "y>0<", "byNumber>0<", `nil="true"`, "constant>always<", `version="1.0"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q is missing in %s", want, b)
		}
	}
	if strings.Contains(string(b), "optional") {
		t.Errorf("optional element in %s", b)
	}
}

// TestWriteStrict lists values that cannot be written as the schema wants.
func TestWriteStrict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*shapes.Everything)
		want   string
	}{
		{"no alternative", func(e *shapes.Everything) { e.Choice = shapes.EverythingChoice{} }, "exactly one field of EverythingChoice"},
		{"two alternatives", func(e *shapes.Everything) { e.Choice.ByName = ptr("x") }, "exactly one field of EverythingChoice"},
		{"empty repeated choice", func(e *shapes.Everything) { e.Choices = make([]shapes.EverythingChoice2, 1) }, "exactly one field of EverythingChoice2"},
		{"too many", func(e *shapes.Everything) { e.NilRepeated = make([]*bool, 4) }, "NilRepeated has more than 3"},
		{"too few", func(e *shapes.Everything) { e.Included = &shapes.Included{} }, "Part has fewer than 1"},
		{"nil in interface", func(e *shapes.Everything) { e.Shape = []shapes.AnyShape{nil} }, "of type Shape is not set"},
		{"nil pointer in interface", func(e *shapes.Everything) { e.Shape = []shapes.AnyShape{(*shapes.Circle)(nil)} }, "nil *Circle"},
		{"not a character", func(e *shapes.Everything) { e.Required = "\x00" }, "U+0000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := minimal()
			tt.change(e)
			b, err := wire.Marshal(e, xml.Name{Local: "e"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q\n%s", err, tt.want, b)
			}
		})
	}
}

// TestReadRefuses lists messages that would lose or invent something.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	good := string(must(wire.Marshal(minimal(), xml.Name{Space: shapesSpace, Local: "echo"})))
	prefix := good[1:strings.Index(good, ":")]
	for _, tt := range []struct{ name, old, new, want string }{
		{"missing element", "<" + prefix + ":required/>", "", "element required is missing"},
		{"missing attribute", ` id="a1"`, "", "attribute id is missing"},
		{"missing alternative", "<" + prefix + ":byNumber>0</" + prefix + ":byNumber>", "", "exactly one of the elements of EverythingChoice"},
		{"two alternatives", "<" + prefix + ":byNumber>", "<" + prefix + ":byName/><" + prefix + ":byNumber>", "exactly one of the elements of EverythingChoice"},
		{"element twice", "<" + prefix + ":required/>", "<" + prefix + ":required/><" + prefix + ":required/>", "there twice"},
		{"optional element twice", "<" + prefix + ":nilOne ", "<" + prefix + ":optional>1</" + prefix + ":optional><" + prefix + ":optional>2</" + prefix + ":optional><" + prefix + ":nilOne ", "there twice"},
		{"alternative twice", "<" + prefix + ":byNumber>", "<" + prefix + ":byNumber>1</" + prefix + ":byNumber><" + prefix + ":byNumber>", "there twice"},
		{"part of a group missing", "</" + prefix + ":byNumber>", "</" + prefix + ":byNumber><" + prefix + ":odd>1</" + prefix + ":odd>", "element even is missing"},
		{"not a number", "<" + prefix + ":x>0<", "<" + prefix + ":x>zero<", "xs:int"},
		{"number too large", "<" + prefix + ":x>0<", "<" + prefix + ":x>2147483648<", "xs:int"},
		{"element in text", "<" + prefix + ":required/>", "<" + prefix + ":required><a/></" + prefix + ":required>", "only text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc := strings.Replace(good, tt.old, tt.new, 1)
			if doc == good {
				t.Fatalf("%q is not in %s", tt.old, good)
			}
			err := wire.Unmarshal([]byte(doc), new(shapes.Everything), wire.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestXSIType reads elements whose type is abstract.
func TestXSIType(t *testing.T) {
	t.Parallel()
	const head = `<draw xmlns="urn:test:shapes" xmlns:t="urn:test:shapes:types" xmlns:i="` + wire.XSI + `" `
	for _, tt := range []struct {
		name, doc string
		want      shapes.AnyShape
		err       string
	}{
		{"derived", head + `i:type="t:Square"><side xmlns="">1</side></draw>`, &shapes.Square{Side: 1}, ""},
		{"restriction", head + `i:type="t:Plain"/>`, &shapes.Plain{}, ""},
		{"none", head + `/>`, nil, "xsi:type is missing"},
		{"abstract", head + `i:type="t:Shape"/>`, nil, "is not derived from Shape"},
		{"foreign", head + `i:type="t:Imported"/>`, nil, "is not derived from Shape"},
		{"undeclared prefix", head + `i:type="u:Square"/>`, nil, "undeclared prefix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var d shapes.Draw
			err := wire.Unmarshal([]byte(tt.doc), &d, wire.Options{Strict: true})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(d.Value, tt.want) {
				t.Errorf("got %+v, %v, want %+v", d.Value, err, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	if got := minimal().UnitOrDefault(); got != shapes.UnitCm {
		t.Errorf("got %q, want cm", got)
	}
	if got := full().UnitOrDefault(); got != shapes.UnitIn {
		t.Errorf("got %q, want in", got)
	}
	if shapes.Unit("furlong").Known() || !shapes.UnitIn.Known() {
		t.Error("Known is wrong")
	}
}

// TestElementDefault reads empty elements that have a default; an element that
// is absent has none.
func TestElementDefault(t *testing.T) {
	t.Parallel()
	var b odd.Base
	if err := wire.Unmarshal([]byte(`<x xmlns="urn:odd"><a/></x>`), &b, wire.Options{}); err != nil || b.A != 7 {
		t.Errorf("empty: got %+v, %v, want 7", b, err)
	}
	if err := wire.Unmarshal([]byte(`<x xmlns="urn:odd"><a>0</a></x>`), &b, wire.Options{}); err != nil || b.A != 0 {
		t.Errorf("zero: got %+v, %v, want 0", b, err)
	}
	if err := wire.Unmarshal([]byte(`<x xmlns="urn:odd"/>`), &b, wire.Options{}); err == nil {
		t.Error("absent: accepted")
	}
}

// service echoes, and fails in each way that the description declares.
type service struct {
	shapes.UnimplementedShapes
	notified chan struct{}
}

func (s *service) Echo(ctx context.Context, req *shapes.Everything) (*shapes.Everything, error) {
	session, err := shapes.SessionFrom(ctx)
	if err != nil {
		return nil, err
	}
	if session != nil {
		req.Required = session.Value
	}
	switch req.Required {
	case "broken":
		return nil, &shapes.BrokenFault{Broken: shapes.Broken{Error: "E1", Message: ptr("it broke")}}
	case "busy":
		return nil, &shapes.Busy{RetryAfter: must(xsd.ParseDuration("PT5S"))}
	case "text":
		return nil, &shapes.TextFault{Value: "in words"}
	case "secret":
		return nil, errors.New("password of the database is 12345")
	}
	return req, nil
}

func (s *service) Notify(context.Context, *shapes.Notify) error {
	s.notified <- struct{}{}
	return nil
}

type adder struct{ shapes.UnimplementedAdder }

func (adder) Add(_ context.Context, req *shapes.Add) (*shapes.AddResponse, error) {
	return &shapes.AddResponse{Sum: int64(req.Left) + int64(req.Right)}, nil
}

func serve(t *testing.T, register func(*soapserver.Service)) string {
	t.Helper()
	s := &soapserver.Service{Strict: true, Logger: slog.New(slog.DiscardHandler)}
	register(s)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestCalls runs generated client and server against each other.
func TestCalls(t *testing.T) {
	t.Parallel()
	svc := &service{notified: make(chan struct{}, 1)}
	url := serve(t, func(s *soapserver.Service) { shapes.RegisterShapes(s, svc) })
	c := shapes.NewShapesClient(&soapclient.Client{URL: url, Strict: true})
	ctx := t.Context()

	got, err := c.Echo(ctx, full())
	if err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("Echo: got %+v, %v", got, err)
	}
	got, err = c.Echo(ctx, minimal(), shapes.WithSession(&shapes.Session{Value: "from the header"}))
	if err != nil || got.Required != "from the header" {
		t.Errorf("Echo with header: got %+v, %v", got, err)
	}
	if err := c.Notify(ctx, &shapes.Notify{}); err != nil {
		t.Errorf("Notify: %v", err)
	}
	<-svc.notified
	if _, err := c.Ping(ctx, &wire.Empty{}); err == nil || !strings.Contains(err.Error(), "not implemented") {
		t.Errorf("Ping: got %v, want not implemented", err)
	}

	add := shapes.NewAdderClient(&soapclient.Client{URL: serve(t, func(s *soapserver.Service) { shapes.RegisterAdder(s, adder{}) })})
	sum, err := add.Add(ctx, &shapes.Add{Left: 1 << 30, Right: 1 << 30})
	if err != nil || sum.Sum != 1<<31 {
		t.Errorf("Add: got %+v, %v", sum, err)
	}
}

// TestFaults finds typed faults by errors.As.
func TestFaults(t *testing.T) {
	t.Parallel()
	url := serve(t, func(s *soapserver.Service) { shapes.RegisterShapes(s, &service{}) })
	c := shapes.NewShapesClient(&soapclient.Client{URL: url})
	call := func(how string) error {
		req := minimal()
		req.Required = how
		_, err := c.Echo(t.Context(), req)
		return err
	}
	var broken *shapes.BrokenFault
	if err := call("broken"); !errors.As(err, &broken) || broken.Broken.Error != "E1" {
		t.Errorf("broken: got %v", err)
	}
	var busy *shapes.Busy
	if err := call("busy"); !errors.As(err, &busy) || busy.RetryAfter.String() != "PT5S" || errors.As(err, &broken) {
		t.Errorf("busy: got %v", err)
	}
	var text *shapes.TextFault
	if err := call("text"); !errors.As(err, &text) || text.Value != "in words" {
		t.Errorf("text: got %v", err)
	}
	var fault *soap.Fault
	if err := call("text"); !errors.As(err, &fault) || fault.Reason != "in words" {
		t.Errorf("text: got %v, want its reason", err)
	}
	if err := call("secret"); err == nil || strings.Contains(err.Error(), "12345") {
		t.Errorf("secret: got %v, want an internal error", err)
	}
}

// bodies answers with messages that are the body itself.
type bodies struct{ odd.UnimplementedOdd }

func (bodies) Parts(_ context.Context, req *odd.Parts) (*odd.Base, error) {
	return &odd.Base{A: int32(len(req.Head))}, nil
}

func (bodies) Untyped(_ context.Context, req *wire.Any) (*wire.Any, error) { return req, nil }

// TestBodies calls operations whose body holds several elements, or is of a
// type itself. The action tells them apart.
func TestBodies(t *testing.T) {
	t.Parallel()
	c := odd.NewOddClient(&soapclient.Client{URL: serve(t, func(s *soapserver.Service) { odd.RegisterOdd(s, bodies{}) })})
	res, err := c.Parts(t.Context(), &odd.Parts{Lone: 1, Head: []odd.E{odd.EX, odd.EY}})
	if err != nil || res.A != 2 {
		t.Errorf("several parts: got %+v, %v", res, err)
	}
	const content = `<a xmlns="urn:a"/><b xmlns="urn:b">text</b>`
	any, err := c.Untyped(t.Context(), &wire.Any{Content: must(wire.ParseRaw(content))})
	if err != nil || any.Content.String() != content {
		t.Errorf("any content: got %+v, %v", any, err)
	}
}

// TestPublished loads the description that a service publishes, imports too.
func TestPublished(t *testing.T) {
	t.Parallel()
	url := serve(t, func(s *soapserver.Service) { shapes.RegisterShapes(s, &service{}) })
	d, err := (&wsdl.Resolver{HTTP: http.DefaultClient}).Open(t.Context(), url+"?wsdl")
	if err != nil {
		t.Fatal(err)
	}
	// The main document is there twice: an import refers back to it by name.
	if len(d.Documents) != 6 {
		t.Errorf("got %d documents, want 6", len(d.Documents))
	}
	if got := d.Services[0].Ports[0].Location; got != url && got != url+"/" {
		t.Errorf("published address is %s, want %s", got, url)
	}
	for _, w := range d.Warnings {
		t.Errorf("warning: %v", w)
	}
}

// TestEmbedded checks that the packages carry files which need nothing else.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fs   fs.FS
		main string
	}{{"shapes", shapes.WSDL(), shapes.WSDLFile}, {"names", names.WSDL(), names.WSDLFile}} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, tt.fs); err != nil {
			t.Fatal(err)
		}
		if _, err := (&wsdl.Resolver{}).Open(t.Context(), filepath.Join(dir, tt.main)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
