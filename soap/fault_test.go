package soap

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

// notFound is a typed fault detail such as the generator makes.
type notFound struct{ ID string }

func (x *notFound) Error() string        { return "no order " + x.ID }
func (x *notFound) DetailName() xml.Name { return xml.Name{Space: "urn:x", Local: "notFound"} }
func (x *notFound) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Attr(xml.Name{Local: "id"}, x.ID)
	w.End()
}

func (x *notFound) UnmarshalWire(r *wire.Reader) {
	s, _ := r.Attr("", "id")
	x.ID = r.Keep(s)
	r.Skip()
}

var _ Detail = (*notFound)(nil)

var lookup = &Operation{
	Service: "{urn:x}Orders", Name: "Lookup",
	Faults: []func() Detail{func() Detail { return new(notFound) }},
}

// doubleHop is an error that chooses its fault, from a package that knows
// nothing of SOAP.
type doubleHop struct{}

func (doubleHop) Error() string { return "user alice via NTLM to http://10.0.0.1: double hop" }
func (doubleHop) SOAPFault() (xml.Name, string) {
	return xml.Name{Space: "urn:d", Local: "DoubleHop"}, "your login cannot be passed on"
}

func faultDoc(t *testing.T, v Version, f *Fault) string {
	t.Helper()
	w := wire.NewWriter(nil)
	WriteFault(w, v, nil, f)
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readFault(t *testing.T, doc string) *Fault {
	t.Helper()
	m, err := read(doc)
	if err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	f, err := m.Fault(lookup)
	if err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return f
}

func TestFaultRoundTrip(t *testing.T) {
	t.Parallel()
	detail, err := DetailOf(&notFound{"7"})
	if err != nil {
		t.Fatal(err)
	}
	q1, q2 := xml.Name{Space: "urn:q", Local: "One"}, xml.Name{Space: "urn:q", Local: "Two"}
	tests := []struct {
		name string
		f    Fault
		v11  []xml.Name // subcodes that survive SOAP 1.1
	}{
		{"server", Fault{Reason: "broken <&>"}, nil},
		{"client", Fault{Code: CodeClient, Reason: "r", Lang: "de", Role: "urn:role"}, nil},
		{"must understand", Fault{Code: CodeMustUnderstand, Reason: "r"}, nil},
		{"version", Fault{Code: CodeVersionMismatch, Reason: "r"}, nil},
		{"detail", Fault{Reason: "r", Detail: detail}, nil},
		{"subcodes", Fault{Reason: "r", Subcodes: []xml.Name{q1, q2}}, []xml.Name{q2}},
	}
	for _, tt := range tests {
		for _, v := range []Version{V11, V12} {
			t.Run(tt.name+" "+v.String(), func(t *testing.T) {
				t.Parallel()
				doc := faultDoc(t, v, &tt.f)
				got := readFault(t, doc)
				want := tt.f
				if v == V11 {
					want.Subcodes = tt.v11
				}
				if want.Lang == "" {
					want.Lang = "en"
				}
				if got.Code != want.Code || got.Reason != want.Reason || got.Lang != want.Lang || got.Role != want.Role ||
					got.Detail != want.Detail || fmt.Sprint(got.Subcodes) != fmt.Sprint(want.Subcodes) || !got.FromPeer() {
					t.Errorf("got  %+v\nwant %+v\n%s", got, want, doc)
				}
				var nf *notFound
				if found := errors.As(got, &nf); found != !tt.f.Detail.IsZero() || found && nf.ID != "7" {
					t.Errorf("typed detail %v", nf)
				}
			})
		}
	}
}

// TestReadFault has faults as servers send them.
func TestReadFault(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, doc string
		code      Code
		subcode   string
		reason    string
		detail    string
	}{
		{"WCF 1.1", open11 + `<s:Body><s:Fault><faultcode xmlns:a="http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher">a:InternalServiceFault</faultcode><faultstring xml:lang="en-US">The server was unable.</faultstring></s:Fault></s:Body>` + closed,
			CodeServer, "InternalServiceFault", "The server was unable.", ""},
		{"WCF 1.2", open12 + `<s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a="urn:a">a:BadContextToken</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">No.</s:Text></s:Reason></s:Fault></s:Body>` + closed,
			CodeClient, "BadContextToken", "No.", ""},
		{"dotted", open11 + `<s:Body><s:Fault><faultcode>s:Client.Authentication</faultcode><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeClient, "Client.Authentication", "r", ""},
		{"no prefix", open11 + `<s:Body><s:Fault><faultcode>Client</faultcode><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeClient, "", "r", ""},
		{"prefix not declared", open11 + `<s:Body><s:Fault><faultcode>soap:MustUnderstand</faultcode><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeMustUnderstand, "", "r", ""},
		{"a number", open11 + `<s:Body><s:Fault><faultcode>5001</faultcode><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeServer, "5001", "r", ""},
		{"empty code", open11 + `<s:Body><s:Fault><faultcode/><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeServer, "", "r", ""},
		{"children in the envelope's namespace", open11 + `<s:Body><s:Fault><s:faultcode>s:Client</s:faultcode><s:faultstring>r</s:faultstring><s:detail>text</s:detail></s:Fault></s:Body>` + closed,
			CodeClient, "", "r", "text"},
		{"other order, unknown children", open11 + `<s:Body><s:Fault><x>1<y/></x><detail><a>1</a><b/></detail><faultstring>r</faultstring><faultcode>s:Client</faultcode></s:Fault></s:Body>` + closed,
			CodeClient, "", "r", "<a>1</a><b/>"},
		{"1.1 fault in 1.2 envelope", open12 + `<s:Body><s:Fault><faultcode>s:Sender</faultcode><faultstring>r</faultstring></s:Fault></s:Body>` + closed,
			CodeClient, "", "r", ""},
		{"English preferred", open12 + `<s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang="de">nein</s:Text><s:Text xml:lang="en">no</s:Text><s:Text xml:lang="en-GB">nope</s:Text></s:Reason></s:Fault></s:Body>` + closed,
			CodeServer, "", "no", ""},
		{"empty", open11 + `<s:Body><s:Fault/></s:Body>` + closed, CodeServer, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := readFault(t, tt.doc)
			sub := ""
			if n := len(f.Subcodes); n > 0 {
				sub = f.Subcodes[n-1].Local
			}
			if f.Code != tt.code || sub != tt.subcode || f.Reason != tt.reason || f.Detail.String() != tt.detail {
				t.Errorf("got %v, subcodes %v, %q, %q", f.Code, f.Subcodes, f.Reason, f.Detail)
			}
		})
	}
}

func TestAsFault(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.1.2.3: password hunter2")
	chosen := &Fault{Code: CodeClient, Reason: "bad id", Err: secret}
	fromPeer := &Fault{Code: CodeClient, Reason: "peer says hunter2", Err: &notFound{"9"}, fromPeer: true}
	tests := []struct {
		name     string
		err      error
		code     Code
		reason   string // prefix
		ref      bool   // reason ends with the reference
		detail   bool
		internal bool
	}{
		{"nil", nil, CodeServer, "internal error", true, false, true},
		{"plain", secret, CodeServer, "internal error", true, false, true},
		{"deadline", context.DeadlineExceeded, CodeServer, "internal error", true, false, true},
		{"fault", chosen, CodeClient, "bad id", false, false, false},
		{"wrapped fault", fmt.Errorf("x: %w", chosen), CodeClient, "bad id", false, false, false},
		{"joined fault", errors.Join(secret, chosen), CodeClient, "bad id", false, false, false},
		{"detail", &notFound{"7"}, CodeServer, "no order 7", false, true, false},
		{"wrapped detail", fmt.Errorf("hunter2: %w", &notFound{"7"}), CodeServer, "no order 7", false, true, false},
		{"chooser", fmt.Errorf("x: %w", doubleHop{}), CodeServer, "your login cannot be passed on", true, false, false},
		{"peer's fault", fromPeer, CodeServer, "internal error", true, false, true},
		{"peer's fault wrapped", fmt.Errorf("call: %w", fromPeer), CodeServer, "internal error", true, false, true},
		{"nil fault", (*Fault)(nil), CodeServer, "internal error", true, false, true},
		{"syntax error of a backend's answer", &wire.SyntaxError{Msg: "hunter2"}, CodeServer, "internal error", true, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := AsFault(tt.err)
			if len(f.Ref) != 10 {
				t.Errorf("reference %q", f.Ref)
			}
			want := tt.reason
			if tt.ref {
				want += " (reference " + f.Ref + ")"
			}
			if f.Code != tt.code || f.Reason != want || f.Detail.IsZero() == tt.detail || f.Internal() != tt.internal {
				t.Errorf("got %+v, want %q", f, want)
			}
			for _, v := range []Version{V11, V12} {
				if doc := faultDoc(t, v, f); strings.Contains(doc, "hunter2") {
					t.Errorf("the peer sees %s", doc)
				}
			}
			if tt.err != nil && tt.internal && !errors.Is(f, tt.err) && tt.name != "nil fault" {
				t.Errorf("the log does not see %v", tt.err)
			}
		})
	}
	if chosen.Ref != "" {
		t.Error("AsFault changed the handler's fault")
	}
}

// TestAttackPeerFault shows that a backend's fault does not pass through a
// handler to its caller, neither text nor detail, though both are errors that
// errors.As would find.
func TestAttackPeerFault(t *testing.T) {
	t.Parallel()
	backend := faultDoc(t, V11, AsFault(&notFound{"hunter2"}))
	err := fmt.Errorf("backend: %w", readFault(t, backend))
	if nf := new(*notFound); !errors.As(err, nf) {
		t.Fatal("the handler does not find the typed detail")
	}
	f := AsFault(errors.Join(io.EOF, err))
	if doc := faultDoc(t, V12, f); strings.Contains(doc, "hunter2") || !f.Internal() {
		t.Errorf("the caller sees %s", doc)
	}
	// Passed on deliberately, it is.
	f = AsFault(&Fault{Code: CodeClient, Reason: "no such order", Err: err})
	if f.Internal() || f.Reason != "no such order" || !errors.Is(f, err) {
		t.Errorf("got %+v", f)
	}
}

// unwritable is a detail that XML cannot carry.
type unwritable struct{ notFound }

func (x *unwritable) MarshalWire(w *wire.Writer, name xml.Name) { w.Element(name, "\x00") }

func TestUnwritableDetailIsInternal(t *testing.T) {
	t.Parallel()
	if f := AsFault(&unwritable{}); !f.Internal() || !f.Detail.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestChooserSubcodeIsSent(t *testing.T) {
	t.Parallel()
	for _, v := range []Version{V11, V12} {
		f := readFault(t, faultDoc(t, v, AsFault(doubleHop{})))
		sentinel := &Fault{Subcodes: []xml.Name{{Space: "urn:d", Local: "DoubleHop"}}}
		if !errors.Is(f, sentinel) {
			t.Errorf("%v: %+v", v, f)
		}
		if errors.Is(f, &Fault{Subcodes: []xml.Name{{Space: "urn:d", Local: "Other"}}}) {
			t.Errorf("%v: every subcode matches", v)
		}
	}
}

func TestRequestFault(t *testing.T) {
	t.Parallel()
	long := open11 + "<s:Body>" + strings.Repeat("<a>", 300)
	tests := []struct {
		name, doc string
		code      Code
		status    int
		want      string
	}{
		{"limit", long, CodeClient, 400, "message exceeds the depth limit of 256: line 1, column 835 (byte 834)"},
		{"syntax", open11 + "<s:Body><a><b></a>", CodeClient, 400, "malformed XML: end tag does not match element b: line 1, column 79"},
		{"dtd", "<!DOCTYPE a><a/>", CodeClient, 400, "malformed XML: document type declaration refused"},
		{"version", "<a/>", CodeVersionMismatch, 500, "the message is not a SOAP 1.1 or 1.2 envelope"},
		{"place", open11 + closed, CodeClient, 400, "malformed message: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := read(tt.doc)
			if err == nil {
				err = m.Decode(m.Body, &wire.Any{})
			}
			f := RequestFault(err)
			if f.Code != tt.code || f.HTTPStatus(V11) != tt.status || !strings.HasPrefix(f.Reason, tt.want) || f.Internal() || f.Ref == "" {
				t.Errorf("got %+v, want %q", f, tt.want)
			}
			if strings.Contains(f.Reason, "wire:") {
				t.Errorf("reason names our package: %q", f.Reason)
			}
		})
	}
	if f := RequestFault(io.ErrUnexpectedEOF); f.Reason != "the message could not be read" {
		t.Errorf("got %q", f.Reason)
	}
}

func TestFaultfKeepsTheCause(t *testing.T) {
	t.Parallel()
	f := Faultf(CodeClient, "order %d: %w", 7, io.EOF)
	if f.Reason != "order 7: EOF" || !errors.Is(f, io.EOF) || f.FromPeer() {
		t.Errorf("got %+v", f)
	}
}

func TestFaultHTTPStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		f        Fault
		v11, v12 int
	}{
		{Fault{}, 500, 500},
		{Fault{Code: CodeClient}, 500, 400},
		{Fault{Code: CodeMustUnderstand}, 500, 500},
		{Fault{Code: CodeVersionMismatch}, 500, 500},
		{Fault{Code: CodeClient, Status: 403}, 403, 403},
	}
	for _, tt := range tests {
		if a, b := tt.f.HTTPStatus(V11), tt.f.HTTPStatus(V12); a != tt.v11 || b != tt.v12 {
			t.Errorf("%v: %d and %d, want %d and %d", tt.f.Code, a, b, tt.v11, tt.v12)
		}
	}
}

func TestFaultLogs(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	l := slog.New(slog.NewTextHandler(&b, nil))
	l.Info("x", "fault", &Fault{Code: CodeClient, Reason: "r", Err: io.EOF, Subcodes: []xml.Name{{Space: "u", Local: "s"}}})
	for _, want := range []string{"fault.code=Client", "fault.reason=r", "fault.cause=EOF", "fault.subcode={u}s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q not in %s", want, b.String())
		}
	}
}

// TestFaultWithNil: a strict reader refused a fault for an actor that says
// xsi:nil, and the caller did not learn what went wrong.
func TestFaultWithNil(t *testing.T) {
	t.Parallel()
	const doc = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><e:Body><e:Fault>` +
		`<faultcode>e:Server</faultcode><faultstring>no</faultstring><faultactor i:nil="true"/></e:Fault></e:Body></e:Envelope>`
	m, err := Read(wire.NewReader([]byte(doc), wire.Options{Strict: true}))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := m.Fault(nil); err != nil || f.Reason != "no" || f.Role != "" {
		t.Errorf("got %+v, %v", f, err)
	}
}
