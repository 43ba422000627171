package addressing

import (
	"encoding/xml"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

const (
	ns10 = "http://www.w3.org/2005/08/addressing"
	ns04 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
)

// headers reads the blocks of a message whose prefix a is that of ns.
func headers(t *testing.T, ns, blocks string) []soap.Header {
	t.Helper()
	doc := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="` + ns + `" xmlns:b="` + ns04 + `"><s:Header>` + blocks + `</s:Header><s:Body/></s:Envelope>`
	m, err := soap.Read(wire.NewReader([]byte(doc), wire.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	return m.Headers
}

func TestRead(t *testing.T) {
	t.Parallel()
	const action = "<a:Action>urn:do</a:Action>"
	tests := []struct {
		name, ns, blocks string
		kind             Kind // zero: it can be read
		header           string
	}{
		{"all", ns10, action + "<a:To>http://h/</a:To><a:MessageID>m</a:MessageID><a:From><a:Address>x</a:Address></a:From><a:ReplyTo><a:Address>" + ns10 + "/anonymous</a:Address></a:ReplyTo>", 0, ""},
		{"2004", ns04, action + "<a:ReplyTo><a:Address>" + ns04 + "/role/anonymous</a:Address><a:ReferenceProperties><x>1</x></a:ReferenceProperties><a:PortType xmlns:p='urn:p'>p:t</a:PortType></a:ReplyTo>", 0, ""},
		{"space around", ns10, "<a:Action> \n urn:do </a:Action>", 0, ""},
		{"relations", ns10, action + "<a:RelatesTo RelationshipType='urn:other'>o</a:RelatesTo><a:RelatesTo>r</a:RelatesTo><a:RelatesTo>s</a:RelatesTo>", 0, ""},
		{"for another node", ns10, action + "<a:Action s:actor='urn:elsewhere'>urn:other</a:Action>", 0, ""},
		{"action twice", ns10, action + action, InvalidCardinality, "Action"},
		{"other action", ns10, action + "<a:Action>urn:other</a:Action>", InvalidCardinality, "Action"},
		{"from twice", ns10, action + "<a:From/><a:From/>", InvalidCardinality, "From"},
		{"empty action", ns10, "<a:Action/>", InvalidAddress, "Action"},
		{"element in action", ns10, "<a:Action><x/></a:Action>", InvalidAddress, "Action"},
		{"both versions", ns10, action + "<b:Action>urn:other</b:Action>", InvalidAddressingHeader, "Action"},
		{"no address", ns10, action + "<a:ReplyTo><a:Metadata/></a:ReplyTo>", MissingAddressInEPR, "ReplyTo"},
		{"address of the other version", ns10, action + "<a:ReplyTo><b:Address>x</b:Address></a:ReplyTo>", MissingAddressInEPR, "ReplyTo"},
		{"two addresses", ns10, action + "<a:FaultTo><a:Address>x</a:Address><a:Address>y</a:Address></a:FaultTo>", InvalidEPR, "FaultTo"},
		{"parameter that is ours", ns10, action + "<a:ReplyTo><a:Address>x</a:Address><a:ReferenceParameters><a:Action>urn:x</a:Action></a:ReferenceParameters></a:ReplyTo>", InvalidEPR, "ReplyTo"},
		{"parameter with our prefix", ns10, action + "<a:ReplyTo><a:Address>x</a:Address><a:ReferenceParameters><p xmlns:soapward-wsa='urn:x'/></a:ReferenceParameters></a:ReplyTo>", InvalidEPR, "ReplyTo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := Read(headers(t, tt.ns, tt.blocks))
			if m == nil {
				t.Fatal("nothing read")
			}
			var e *Error
			switch {
			case tt.kind == 0 && (err != nil || m.Action != "urn:do"):
				t.Errorf("got %+v, %v", m, err)
			case tt.kind != 0 && (!errors.As(err, &e) || e.Kind != tt.kind || e.Header != tt.header):
				t.Errorf("got %v, want kind %d of %s", err, tt.kind, tt.header)
			}
			if tt.name == "relations" && m.RelatesTo != "r" {
				t.Errorf("relates to %q", m.RelatesTo)
			}
		})
	}
	if m, err := Read(headers(t, ns10, "<x/>")); m != nil || err != nil {
		t.Errorf("got %v, %v of a message without blocks", m, err)
	}
}

// write returns blocks as they stand in a message.
func write(t *testing.T, hs []soap.Header) string {
	t.Helper()
	w := wire.NewWriter(nil)
	soap.Write(w, soap.V11, nil, hs, xml.Name{Space: "urn:x", Local: "x"}, &wire.Empty{})
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRequestAndAnswer(t *testing.T) {
	t.Parallel()
	op := &soap.Operation{Service: "{urn:x}T", Name: "do"}
	for _, v := range []soap.Addressing{soap.Addressing10, soap.Addressing200408} {
		req := Request(v, op, "http://h/svc")
		doc := write(t, req.Headers(true))
		m, err := soap.Read(wire.NewReader([]byte(doc), wire.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(m.Headers)
		if err != nil || got.Action != "urn:x:T:doRequest" || got.To != "http://h/svc" || got.MessageID != req.MessageID || !got.ReplyTo.IsAnonymous() || got.ReplyTo == nil {
			t.Errorf("%v: got %+v, %v of %s", v, got, err, doc)
		}
		if n := strings.Count(doc, `mustUnderstand="1"`); n != 2 {
			t.Errorf("%d blocks are marked in %s", n, doc)
		}
		a := got.Answer(op.ReplyAction(), got.ReplyTo)
		if a.RelatesTo != req.MessageID || a.Action != "urn:x:T:doResponse" || a.MessageID == req.MessageID {
			t.Errorf("%v: answer %+v", v, a)
		}
	}
	if id := NewMessageID(); !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("message id %s", id)
	}
}

// The reference parameters of the endpoint come back as blocks, marked as such.
func TestReferenceParameters(t *testing.T) {
	t.Parallel()
	m, err := Read(headers(t, ns10, `<a:Action>x</a:Action><a:MessageID>m</a:MessageID><a:ReplyTo><a:Address>`+ns10+
		`/anonymous</a:Address><a:ReferenceParameters><k:key xmlns:k="urn:k" n="1">7</k:key><l xmlns=""/></a:ReferenceParameters></a:ReplyTo>`))
	if err != nil {
		t.Fatal(err)
	}
	doc := write(t, m.Answer("y", m.ReplyTo).Headers(false))
	sent, err := soap.Read(wire.NewReader([]byte(doc), wire.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, h := range sent.Headers {
		r := h.Raw.Reader(wire.Options{})
		if r.Child() {
			if s, ok := r.Attr(ns10, "IsReferenceParameter"); ok && s == "true" {
				found++
			}
		}
	}
	if found != 2 || !strings.Contains(doc, ">7</k:key>") {
		t.Errorf("%d parameters in %s", found, doc)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	f := (&Error{Version: soap.Addressing10, Kind: InvalidCardinality, Header: "To"}).Fault()
	if len(f.Subcodes) != 2 || f.Subcodes[0].Local != "InvalidAddressingHeader" || f.Subcodes[1].Local != "InvalidCardinality" ||
		!strings.Contains(f.Detail.String(), "ProblemHeaderQName") || !strings.Contains(f.Detail.String(), ":To<") {
		t.Errorf("got %+v", f)
	}
	f = (&Error{Version: soap.Addressing200408, Kind: OnlyAnonymousAddressSupported, Header: "ReplyTo"}).Fault()
	if len(f.Subcodes) != 1 || f.Subcodes[0].Space != ns04 || f.Subcodes[0].Local != "InvalidMessageInformationHeader" {
		t.Errorf("got %+v", f)
	}
	for k := InvalidAddressingHeader; k <= OnlyAnonymousAddressSupported; k++ {
		if kindNames[k] == "" || kindReasons[k] == "" {
			t.Errorf("kind %d has no name or reason", k)
		}
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		ns10 + "/anonymous": "anonymous", ns04 + "/role/anonymous": "anonymous", ns10 + "/none": "none",
		"http://h/": "other", ns10 + "/anonymous/": "other", "": "other",
	} {
		e := &Endpoint{Address: addr}
		got := "other"
		if e.IsAnonymous() {
			got = "anonymous"
		} else if e.IsNone() {
			got = "none"
		}
		if got != want {
			t.Errorf("%q is %s, want %s", addr, got, want)
		}
	}
	var nobody *Endpoint
	if !nobody.IsAnonymous() || nobody.IsNone() {
		t.Error("no endpoint is not the connection")
	}
}
