package soapclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// text is a wire type with one value, such as the generator makes.
type text struct{ V string }

var valueName = xml.Name{Space: "urn:x", Local: "v"}

func (x *text) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(valueName, x.V)
	w.End()
}

func (x *text) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Name() == valueName {
			x.V = r.Text()
		} else {
			r.Unknown()
		}
	}
}

// tooMuch is a typed fault detail.
type tooMuch struct{ text }

func (x *tooMuch) Error() string        { return "too much: " + x.V }
func (x *tooMuch) DetailName() xml.Name { return xml.Name{Space: "urn:x", Local: "tooMuch"} }

var (
	echo = &soap.Operation{
		Service: "{urn:x}Test", Name: "echo", Action: "urn:x/echo",
		Input: xml.Name{Space: "urn:x", Local: "echo"}, Output: xml.Name{Space: "urn:x", Local: "echoResponse"},
		Faults: []func() soap.Detail{func() soap.Detail { return new(tooMuch) }},
	}
	rpc = &soap.Operation{
		Service: "{urn:x}Test", Name: "rpc", RPC: true,
		Input: xml.Name{Space: "urn:x", Local: "rpc"}, Output: xml.Name{Space: "urn:x", Local: "rpcResponse"},
	}
	ping = &soap.Operation{Service: "{urn:x}Test", Name: "ping", Action: "urn:x/ping"}
)

const (
	ns11 = "http://schemas.xmlsoap.org/soap/envelope/"
	ns12 = "http://www.w3.org/2003/05/soap-envelope"
	ct11 = "text/xml; charset=utf-8"
	ct12 = "application/soap+xml; charset=utf-8"
)

func envelope(ns, body string) string {
	return `<s:Envelope xmlns:s="` + ns + `" xmlns="urn:x"><s:Body>` + body + `</s:Body></s:Envelope>`
}

// answering returns a client of a server that always answers the same.
func answering(t *testing.T, status int, contentType, body string, header ...string) *soapclient.Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return &soapclient.Client{URL: srv.URL, HTTP: srv.Client()}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	ok := "<echoResponse><v>hi</v></echoResponse>"
	tests := []struct {
		name     string
		op       *soap.Operation
		status   int
		ct, body string
		strict   bool
		want     string // answer
		err      string // or in the error
	}{
		{"1.1", echo, 200, ct11, envelope(ns11, ok), false, "hi", ""},
		{"1.2 to a 1.1 client", echo, 200, ct12, envelope(ns12, ok), false, "hi", ""},
		{"202 with an answer", echo, 202, ct11, envelope(ns11, ok), false, "hi", ""},
		{"latin-1 by charset", echo, 200, "text/xml; charset=ISO-8859-1", envelope(ns11, "<echoResponse><v>\xE9</v></echoResponse>"), false, "é", ""},
		{"latin-1 declared", echo, 200, "text/xml", `<?xml version="1.0" encoding="iso-8859-1"?>` + envelope(ns11, "<echoResponse><v>\xE9</v></echoResponse>"), false, "é", ""},
		{"utf-16 declared, utf-8 sent", echo, 200, "text/xml", `<?xml version="1.0" encoding="utf-16"?>` + envelope(ns11, ok), false, "hi", ""},
		{"wrong namespace", echo, 200, ct11, envelope(ns11, `<echoResponse xmlns="urn:y"><v xmlns="urn:x">hi</v></echoResponse>`), false, "hi", ""},
		{"wrong namespace, strict", echo, 200, ct11, envelope(ns11, `<echoResponse xmlns="urn:y"/>`), true, "", "body holds {urn:y}echoResponse instead of {urn:x}echoResponse"},
		{"unknown element, strict", echo, 200, ct11, envelope(ns11, `<echoResponse><w/></echoResponse>`), true, "", "element not allowed here"},
		{"another element", echo, 200, ct11, envelope(ns11, `<otherResponse/>`), false, "", "body holds {urn:x}otherResponse instead"},
		{"rpc: any name", rpc, 200, ct11, envelope(ns11, `<n:anything xmlns:n="urn:n"><v>hi</v></n:anything>`), true, "hi", ""},
		{"empty body", echo, 200, ct11, envelope(ns11, ""), false, "", "no element in the body"},
		{"two elements", echo, 200, ct11, envelope(ns11, ok+ok), false, "", "more than one element"},
		{"malformed", echo, 200, ct11, "<a>", false, "", "echo: read answer: "},
		{"dtd", echo, 200, ct11, "<!DOCTYPE a>" + envelope(ns11, ok), false, "", "document type declaration refused"},
		{"not an envelope", echo, 200, ct11, "<a/>", false, "", "not a SOAP 1.1 or 1.2 envelope"},
		{"no operation may stay silent", echo, 200, "", "", false, "", "not a SOAP message"},
		{"empty xml", echo, 200, ct11, "", false, "", "no root element"},
		{"answer with status 500", echo, 500, ct11, envelope(ns11, ok), false, "", "HTTP 500 Internal Server Error: the answer is a SOAP message, but no fault"},

		{"fault", echo, 500, ct11, envelope(ns11, "<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault>"), false, "", "soapclient: echo: soap: fault Client: no"},
		{"fault with 200", echo, 200, ct11, envelope(ns11, "<s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault>"), false, "", "soap: fault Server: no"},
		{"fault 1.2 with 400", echo, 400, ct12, envelope(ns12, "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>no</s:Text></s:Reason></s:Fault>"), false, "", "soap: fault Client: no"},
		{"fault with 401", echo, 401, ct11, envelope(ns11, "<s:Fault><faultcode>s:Client</faultcode><faultstring>who?</faultstring></s:Fault>"), false, "", "authclient.Transport: soap: fault Client: who?"},

		{"html", echo, 200, "text/html", "<html>\n\t<b>Login</b>\x1b[31m</html>", false, "", `HTTP 200 OK: not a SOAP message (content type "text/html"): "<html> <b>Login</b>[31m</html>"`},
		{"404", echo, 404, "text/plain", "not here", false, "", `HTTP 404 Not Found: not a SOAP message (content type "text/plain"): "not here"`},
		{"xml error page", echo, 503, "application/xml", "<error>busy</error>", false, "", `HTTP 503 Service Unavailable: not a SOAP message (content type "application/xml"): "<error>busy</error>"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := answering(t, tt.status, tt.ct, tt.body)
			c.Strict = tt.strict
			res, err := soapclient.Call[text, text](t.Context(), c, tt.op, &text{"x"})
			if (res == nil) == (err == nil) {
				t.Fatalf("answer %v and error %v", res, err)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %+v, %v, want an error with %q", res, err, tt.err)
				}
				return
			}
			if err != nil || res.V != tt.want {
				t.Errorf("got %+v, %v, want %q", res, err, tt.want)
			}
		})
	}
}

func TestTypedFault(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		envelope(ns11, `<s:Fault><faultcode>s:Server</faultcode><faultstring>r</faultstring><detail><x/><t:tooMuch xmlns:t="urn:x"><t:v>7</t:v></t:tooMuch></detail></s:Fault>`),
		envelope(ns12, `<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang="en">r</s:Text></s:Reason><s:Detail><tooMuch><v>7</v></tooMuch></s:Detail></s:Fault>`),
	} {
		_, err := soapclient.Call[text, text](t.Context(), answering(t, 500, ct11, body), echo, &text{})
		var detail *tooMuch
		var f *soap.Fault
		if !errors.As(err, &detail) || detail.V != "7" || !errors.As(err, &f) || !f.FromPeer() || f.Reason != "r" {
			t.Errorf("got %v, detail %v", err, detail)
		}
	}
}

func TestStatusError(t *testing.T) {
	t.Parallel()
	c := answering(t, 401, "text/html", strings.Repeat("x", 1<<20), "WWW-Authenticate", "Negotiate c2VjcmV0", "WWW-Authenticate", "NTLM")
	_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{})
	var se *soapclient.StatusError
	if !errors.As(err, &se) || se.Code != 401 || len(se.Excerpt) != 512 || !slices.Equal(se.Challenges, []string{"Negotiate", "NTLM"}) {
		t.Fatalf("got %+v", err)
	}
	if s := err.Error(); !strings.Contains(s, "wants a login (Negotiate, NTLM); use an http.Client whose Transport is an authclient.Transport") || strings.Contains(s, "c2VjcmV0") {
		t.Errorf("got %s", s)
	}
}

func TestOneWayAndEmptyAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		status   int
		ct, body string
		send     string // in the error of Send
		ping     string // in that of Call for an operation whose body may be empty
	}{
		{"202 empty", 202, "", "", "", ""},
		{"202 empty with type", 202, ct11, "", "", ""},
		{"204", 204, "", "", "", ""},
		{"200 empty", 200, "", "", "", ""},
		{"200 empty with type", 200, ct11, "", "", ""},
		{"200 empty with another type", 200, "text/html", "", "", ""},
		{"200 empty envelope", 200, ct11, envelope(ns11, ""), "", ""},
		{"202 text", 202, "text/plain", "thanks", "", "not a SOAP message"},
		{"200 text", 200, "text/plain", "thanks", "not a SOAP message", "not a SOAP message"},
		{"fault", 500, ct11, envelope(ns11, "<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault>"), "fault Client: no", "fault Client: no"},
		{"404 empty", 404, "", "", "HTTP 404", "HTTP 404"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := answering(t, tt.status, tt.ct, tt.body)
			check := func(what string, err error, want string) {
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", what, err, want)
				}
			}
			check("Send", soapclient.Send(t.Context(), c, echo, &text{}), tt.send)
			_, err := soapclient.Call[wire.Empty, wire.Empty](t.Context(), c, ping, &wire.Empty{})
			check("Call", err, tt.ping)
		})
	}
}

// doer records what is sent.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, v := range []soap.Version{0, soap.V11, soap.V12} {
		var got *http.Request
		var body string
		c := &soapclient.Client{URL: "http://h.example/svc", Version: v, HTTP: doer(func(r *http.Request) (*http.Response, error) {
			got = r
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body = string(b)
			return nil, io.ErrUnexpectedEOF
		})}
		c.Options = []soapclient.CallOption{soapclient.WithHTTPHeader("X-A", "1"), soapclient.WithHTTPHeader("X-B", "1")}
		_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"<x>"},
			soapclient.WithHeader(soap.Header{Name: xml.Name{Space: "urn:h", Local: "session"}, MustUnderstand: true, Value: &text{"s"}}),
			soapclient.WithHTTPHeader("x-b", "2"))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		h := got.Header
		if v == soap.V12 {
			if h.Get("Content-Type") != `application/soap+xml; charset=utf-8; action="urn:x/echo"` || h.Get("SOAPAction") != "" {
				t.Errorf("header %v", h)
			}
		} else if h.Get("Content-Type") != ct11 || h.Get("SOAPAction") != `"urn:x/echo"` {
			t.Errorf("header %v", h)
		}
		if h.Get("X-A") != "1" || h.Get("X-B") != "2" {
			t.Errorf("header %v", h)
		}
		m, err := soap.Read(wire.NewReader([]byte(body), wire.Options{}))
		if err != nil || len(m.Headers) != 1 || !m.Headers[0].MustUnderstand {
			t.Fatalf("%v in %s", err, body)
		}
		var sent text
		if err := m.Decode(echo.Input, &sent); err != nil || sent.V != "<x>" || int64(len(body)) != got.ContentLength {
			t.Errorf("sent %+v, %v", sent, err)
		}
		// An authenticating transport sends the body more than once.
		for range 2 {
			again, err := got.GetBody()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(again); err != nil || string(b) != body {
				t.Errorf("replayed %s, %v", b, err)
			}
		}
	}
}

func TestCallerReplacesAction(t *testing.T) {
	t.Parallel()
	c := &soapclient.Client{URL: "http://h.example/", HTTP: doer(func(r *http.Request) (*http.Response, error) {
		if vs := r.Header.Values("SOAPAction"); len(vs) != 1 || vs[0] != "mine" {
			t.Errorf("header %v", r.Header)
		}
		return nil, io.EOF
	})}
	_ = soapclient.Send(t.Context(), c, echo, &text{}, soapclient.WithHTTPHeader("SOAPAction", "mine"))
}

func TestUnwritableRequestIsNotSent(t *testing.T) {
	t.Parallel()
	c := &soapclient.Client{URL: "http://h.example/", HTTP: doer(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.EOF
	})}
	if _, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"\x00"}); err == nil || !strings.Contains(err.Error(), "U+0000") {
		t.Errorf("got %v", err)
	}
}

func TestReceiveHeaders(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"<echoResponse/>", "<s:Fault/>"} {
		doc := strings.Replace(envelope(ns11, body), "<s:Body>", `<s:Header><session><v>S</v></session></s:Header><s:Body>`, 1)
		var hs []soap.Header
		_, err := soapclient.Call[text, text](t.Context(), answering(t, 200, ct11, doc), echo, &text{}, soapclient.ReceiveHeaders(&hs))
		var v text
		if len(hs) != 1 || hs[0].Decode(&v) != nil || v.V != "S" {
			t.Errorf("headers %+v, %v", hs, err)
		}
	}
}

func TestContextEndsTheCall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", ct11)
		_, _ = io.WriteString(w, "<s:Envelope") // then nothing
		w.(http.Flusher).Flush()
		<-release
	}))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := soapclient.Call[text, text](ctx, &soapclient.Client{URL: srv.URL}, echo, &text{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestAttackAnswers shows that a hostile server cannot make a client read
// without end.
func TestAttackAnswers(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(bytes.Repeat([]byte(" "), 4<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	limits := wire.Limits{Bytes: 1 << 20, Elements: 100, Depth: 50}
	tests := []struct{ name, body, encoding, want string }{
		{"long", envelope(ns11, strings.Repeat(" ", 2<<20)), "", "the message is larger than 1048576 bytes"},
		{"gzip bomb", bomb.String(), "gzip", "the message is larger than 1048576 bytes"},
		{"many elements", envelope(ns11, "<echoResponse>"+strings.Repeat("<a/>", 100)+"</echoResponse>"), "", "elements limit of 100"},
		{"deep", envelope(ns11, "<echoResponse>"+strings.Repeat("<a>", 1000)), "", "depth limit of 50"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if tt.encoding != "" {
				header = []string{"Content-Encoding", tt.encoding}
			}
			c := answering(t, 200, ct11, tt.body, header...)
			c.Limits = limits
			_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{})
			var le *wire.LimitError
			if !errors.As(err, &le) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestClientMeetsServer runs calls through both halves over HTTP.
func TestClientMeetsServer(t *testing.T) {
	t.Parallel()
	s := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	soapserver.Handle(s, echo, func(_ context.Context, req *text) (*text, error) {
		if req.V == "much" {
			return nil, fmt.Errorf("wrapped: %w", &tooMuch{text{"9"}})
		}
		return &text{req.V}, nil
	})
	soapserver.Handle(s, ping, func(context.Context, *wire.Empty) (*wire.Empty, error) { return &wire.Empty{}, nil })
	srv := httptest.NewServer(s)
	defer srv.Close()
	for _, v := range []soap.Version{soap.V11, soap.V12} {
		c := &soapclient.Client{URL: srv.URL, HTTP: srv.Client(), Version: v}
		const all = "<&>\"'\r\n\t é😀 ]]>"
		res, err := soapclient.Call[text, text](t.Context(), c, echo, &text{all})
		if err != nil || res.V != all {
			t.Errorf("%v: got %+v, %v", v, res, err)
		}
		var detail *tooMuch
		if _, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"much"}); !errors.As(err, &detail) || detail.V != "9" {
			t.Errorf("%v: got %v", v, err)
		}
		if _, err := soapclient.Call[wire.Empty, wire.Empty](t.Context(), c, ping, &wire.Empty{}); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// A nil request made the codec panic.
func TestNilRequest(t *testing.T) {
	t.Parallel()
	c := answering(t, 200, ct11, envelope(ns11, "<echoResponse><v>hi</v></echoResponse>"))
	res, err := soapclient.Call[text, text](t.Context(), c, echo, nil)
	if res != nil || err == nil || err.Error() != "soapclient: echo: the request is nil" {
		t.Errorf("Call: %v, %v", res, err)
	}
	if err := soapclient.Send[text](t.Context(), c, echo, nil); err == nil || err.Error() != "soapclient: echo: the request is nil" {
		t.Errorf("Send: %v", err)
	}
}
