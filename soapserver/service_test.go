package soapserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

// text is a wire type with one value, such as the generator makes.
type text struct{ V string }

func (x *text) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: "urn:x", Local: "v"}, x.V)
	w.End()
}

func (x *text) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is("urn:x", "v") {
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

func operation(name string) *soap.Operation {
	return &soap.Operation{
		Service: "{urn:x}Test", Name: name, Action: "urn:x/" + name,
		Input: xml.Name{Space: "urn:x", Local: name}, Output: xml.Name{Space: "urn:x", Local: name + "Response"},
	}
}

var session = xml.Name{Space: "urn:x", Local: "session"}

// newService serves a handful of operations and logs to the buffer.
func newService(t *testing.T) (*soapserver.Service, *logs) {
	t.Helper()
	l := &logs{}
	s := &soapserver.Service{Logger: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	echo := operation("echo")
	echo.Headers = []xml.Name{session}
	soapserver.Handle(s, echo, func(ctx context.Context, req *text) (*text, error) {
		call := soapserver.FromContext(ctx)
		if h, ok := call.Header(session); ok {
			var v text
			if err := h.Decode(&v); err != nil {
				return nil, err
			}
			call.Reply(soap.Header{Name: session, Value: &v})
			return &text{req.V + " in " + v.V}, nil
		}
		return &text{req.V}, nil
	})
	soapserver.Handle(s, operation("delete"), func(context.Context, *text) (*text, error) { return &text{"deleted"}, nil })
	soapserver.Handle(s, operation("fail"), func(_ context.Context, req *text) (*text, error) {
		switch req.V {
		case "fault":
			return nil, soap.Faultf(soap.CodeClient, "chosen text")
		case "detail":
			return nil, &tooMuch{text{"7"}}
		case "panic":
			panic("secret in a panic")
		case "nil":
			return nil, nil
		case "illegal":
			return &text{"\x01"}, nil
		case "illegal fault":
			return nil, soap.Faultf(soap.CodeClient, "\x01")
		}
		return nil, errors.New("secret: " + req.V)
	})
	notify := operation("notify")
	notify.OneWay = true
	soapserver.HandleOneWay(s, notify, func(_ context.Context, req *text) error {
		if req.V == "bad" {
			return soap.Faultf(soap.CodeClient, "refused")
		}
		return nil
	})
	ping := &soap.Operation{Service: "{urn:x}Test", Name: "ping", Action: "urn:x/ping"}
	soapserver.Handle(s, ping, func(context.Context, *wire.Empty) (*wire.Empty, error) { return &wire.Empty{}, nil })
	bare := operation("bare")
	bare.Action = ""
	soapserver.Handle(s, bare, func(context.Context, *text) (*text, error) { return &text{"bare"}, nil })
	for _, n := range []string{"one", "two"} { // same body, told apart by action
		op := operation(n)
		op.Input = xml.Name{Space: "urn:x", Local: "same"}
		soapserver.Handle(s, op, func(context.Context, *text) (*text, error) { return &text{n}, nil })
	}
	return s, l
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	ns11 = "http://schemas.xmlsoap.org/soap/envelope/"
	ns12 = "http://www.w3.org/2003/05/soap-envelope"
)

func envelope(ns, header, body string) string {
	return `<s:Envelope xmlns:s="` + ns + `" xmlns="urn:x">` + header + `<s:Body>` + body + `</s:Body></s:Envelope>`
}

func post(t *testing.T, h http.Handler, body, contentType, action string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/svc", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if action != "" {
		r.Header.Set("SOAPAction", action)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	ct11 = "text/xml; charset=utf-8"
	ct12 = "application/soap+xml; charset=utf-8"
)

func TestService(t *testing.T) {
	t.Parallel()
	el := func(name, v string) string { return "<" + name + "><v>" + v + "</v></" + name + ">" }
	tests := []struct {
		name, ns, header, body, ct, action string
		status                             int
		want                               string // in the answer
	}{
		{"1.1", ns11, "", el("echo", "hi"), ct11, `"urn:x/echo"`, 200, "Response><n1:v>hi</n1:v>"},
		{"1.2", ns12, "", el("echo", "hi"), ct12, "", 200, "Response><n1:v>hi</n1:v>"},
		{"1.2 action", ns12, "", el("echo", "hi"), ct12 + `; action="urn:x/echo"`, "", 200, ">hi<"},
		{"no action", ns11, "", el("echo", "hi"), ct11, "", 200, ">hi<"},
		{"empty action", ns11, "", el("echo", "hi"), ct11, `""`, 200, ">hi<"},
		{"action without quotes", ns11, "", el("echo", "hi"), ct11, `urn:x/echo`, 200, ">hi<"},
		{"application/xml", ns11, "", el("echo", "hi"), "application/xml", "", 200, ">hi<"},
		{"no charset, single quotes", ns11, "", el("echo", "hi"), "text/xml", "", 200, ">hi<"},
		{"1.2 envelope as text/xml", ns12, "", el("echo", "hi"), ct11, "", 200, ns12},
		{"latin-1", ns11, "", el("echo", "\xE9"), "text/xml; charset=iso-8859-1", "", 200, ">é<"},
		{"unknown element skipped", ns11, "", "<echo><x/><v>hi</v></echo>", ct11, "", 200, ">hi<"},
		{"one way", ns11, "", el("notify", "x"), ct11, "", 202, ""},
		{"one way refused", ns11, "", el("notify", "bad"), ct11, "", 500, "refused"},
		{"empty body by action", ns11, "", "", ct11, `"urn:x/ping"`, 200, "<s:Body/>"},
		{"same body, one", ns11, "", el("same", ""), ct11, `"urn:x/one"`, 200, ">one<"},
		{"same body, two", ns11, "", el("same", ""), ct11, `"urn:x/two"`, 200, ">two<"},
		{"same body, no action", ns11, "", el("same", ""), ct11, "", 500, "SOAPAction does not belong"},
		{"no action declared, any action", ns11, "", el("bare", ""), ct11, `"urn:whatever"`, 200, ">bare<"},
		{"understood header", ns11, `<s:Header><session s:mustUnderstand="1"><v>S</v></session></s:Header>`, el("echo", "hi"), ct11, "", 200, "<s:Header><n1:session><n1:v>S</n1:v></n1:session></s:Header><s:Body>"},
		{"optional header", ns11, `<s:Header><other/></s:Header>`, el("echo", "hi"), ct11, "", 200, ">hi<"},
		{"header for another role", ns11, `<s:Header><other s:mustUnderstand="1" s:actor="urn:cache"/></s:Header>`, el("echo", "hi"), ct11, "", 200, ">hi<"},
		{"header not understood", ns11, `<s:Header><other s:mustUnderstand="1"/></s:Header>`, el("echo", "hi"), ct11, "", 500, "<faultcode>s:MustUnderstand</faultcode>"},
		{"header not understood 1.2", ns12, `<s:Header><other s:mustUnderstand="true" s:role="http://www.w3.org/2003/05/soap-envelope/role/next"/></s:Header>`, el("echo", "hi"), ct12, "", 500, "<s:Value>s:MustUnderstand</s:Value>"},
		{"headers not understood 1.2", ns12, `<s:Header><other s:mustUnderstand="1"/><session s:mustUnderstand="1"/><y:more xmlns:y="urn:y" s:mustUnderstand="1"/></s:Header>`, el("echo", "hi"), ct12, "", 500,
			`<s:Header><s:NotUnderstood qname="n1:other"/><s:NotUnderstood qname="n2:more"/></s:Header><s:Body>`},
		{"header of another operation", ns11, `<s:Header><session s:mustUnderstand="1"/></s:Header>`, el("delete", ""), ct11, "", 500, "MustUnderstand"},

		{"chosen fault", ns11, "", el("fail", "fault"), ct11, "", 500, "<faultcode>s:Client</faultcode><faultstring xml:lang=\"en\">chosen text<"},
		{"chosen fault 1.2", ns12, "", el("fail", "fault"), ct12, "", 400, "<s:Value>s:Sender</s:Value>"},
		{"typed detail", ns11, "", el("fail", "detail"), ct11, "", 500, `<detail><n1:tooMuch xmlns:n1="urn:x"><n1:v>7</n1:v></n1:tooMuch></detail>`},
		{"plain error", ns11, "", el("fail", "x"), ct11, "", 500, "<faultcode>s:Server</faultcode><faultstring xml:lang=\"en\">internal error (reference "},
		{"plain error 1.2", ns12, "", el("fail", "x"), ct12, "", 500, "<s:Value>s:Receiver</s:Value>"},
		{"panic", ns11, "", el("fail", "panic"), ct11, "", 500, "internal error (reference "},
		{"nil answer", ns11, "", el("fail", "nil"), ct11, "", 500, "internal error (reference "},
		{"answer that XML cannot carry", ns11, "", el("fail", "illegal"), ct11, "", 500, "internal error (reference "},
		{"fault that XML cannot carry", ns11, "", el("fail", "illegal fault"), ct11, "", 500, ">error (reference "},

		{"unknown operation", ns11, "", "<other/>", ct11, "", 500, "no operation takes {urn:x}other"},
		{"unknown operation 1.2", ns12, "", "<other/>", ct12, "", 400, "no operation takes {urn:x}other"},
		{"empty body", ns11, "", "", ct11, "", 200, "<s:Body/>"},
		{"empty body, action of another", ns11, "", "", ct11, `"urn:x/echo"`, 500, "SOAPAction does not belong"},
		{"unknown envelope", "urn:soap", "", el("echo", "hi"), ct11, "", 500, "<faultcode>s:VersionMismatch</faultcode>"},
		{"malformed", ns11, "", "<echo>", ct11, "", 400, "malformed XML: end tag does not match element echo: line 1, column "},
		{"bad charset", ns11, "", el("echo", "\xE9"), ct11, "", 400, "invalid UTF-8"},
		{"depth", ns11, "", strings.Repeat("<echo>", 300), ct11, "", 400, "exceeds the depth limit of 256"},
		{"form", ns11, "", el("echo", "hi"), "application/x-www-form-urlencoded", "", 415, "not text/xml"},
		{"json", ns11, "", el("echo", "hi"), "application/json", "", 415, "not text/xml"},
		{"no type", ns11, "", el("echo", "hi"), "", "", 415, "not text/xml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, l := newService(t)
			w := post(t, s, envelope(tt.ns, tt.header, tt.body), tt.ct, tt.action)
			got := w.Body.String()
			if w.Code != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("got %d %s\nwant %d with %s", w.Code, got, tt.status, tt.want)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("the peer sees %s", got)
			}
			if w.Code >= 400 && w.Code != 415 {
				ref := ""
				if _, after, ok := strings.Cut(l.String(), "ref="); ok {
					ref, _, _ = strings.Cut(after, " ")
				}
				if strings.Count(l.String(), "\n") != 1 || len(ref) != 10 {
					t.Errorf("log: %s", l.String())
				}
				if strings.Contains(got, "(reference ") && !strings.Contains(got, ref) {
					t.Errorf("reference %s of the log is not in %s", ref, got)
				}
				internal := strings.Contains(got, "internal error")
				if internal != strings.Contains(l.String(), "level=ERROR") {
					t.Errorf("log level: %s", l.String())
				}
			}
			switch {
			case w.Code == 202:
				if got != "" || w.Header().Get("Content-Type") != "" {
					t.Errorf("202 with %q of %q", got, w.Header().Get("Content-Type"))
				}
			case w.Code != 415:
				want := "text/xml; charset=utf-8"
				if strings.Contains(got, ns12) {
					want = "application/soap+xml; charset=utf-8"
				}
				if ct := w.Header().Get("Content-Type"); ct != want {
					t.Errorf("content type %q, want %q", ct, want)
				}
			}
		})
	}
}

// TestAttackSOAPAction shows requests whose action and body name different
// operations: what allows the one must not run the other.
func TestAttackSOAPAction(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	del := `<delete><v>x</v></delete>`
	tests := []struct {
		name, ns, body, ct string
		actions            []string
	}{
		{"action of another operation", ns11, del, ct11, []string{`"urn:x/echo"`}},
		{"action of nobody", ns11, del, ct11, []string{`"urn:x/nothing"`}},
		{"two headers", ns11, del, ct11, []string{`"urn:x/delete"`, `"urn:x/echo"`}},
		{"two headers, right one last", ns11, del, ct11, []string{`"urn:x/echo"`, `"urn:x/delete"`}},
		{"1.2 parameter", ns12, del, ct12 + `; action="urn:x/echo"`, nil},
		{"1.2 parameter and header", ns12, del, ct12 + `; action="urn:x/delete"`, []string{`"urn:x/echo"`}},
		{"action of an operation without body", ns11, del, ct11, []string{`"urn:x/ping"`}},
		{"operation without action, action of another", ns11, `<bare/>`, ct11, []string{`"urn:x/echo"`}},
		{"case differs", ns11, del, ct11, []string{`"URN:X/delete"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(envelope(tt.ns, "", tt.body)))
			r.Header.Set("Content-Type", tt.ct)
			r.Header["Soapaction"] = tt.actions
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code < 400 || strings.Contains(w.Body.String(), "deleted") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// TestAttackTwoBodies shows that the handler never runs for a message that
// carries more than its operation, whatever comes first.
func TestAttackTwoBodies(t *testing.T) {
	t.Parallel()
	echo, del := `<echo><v>x</v></echo>`, `<delete><v>x</v></delete>`
	open, end := `<s:Envelope xmlns:s="`+ns11+`" xmlns="urn:x">`, `</s:Envelope>`
	tests := []struct{ name, doc string }{
		{"two bodies", open + "<s:Body>" + echo + "</s:Body><s:Body>" + del + "</s:Body>" + end},
		{"two elements", open + "<s:Body>" + echo + del + "</s:Body>" + end},
		{"header after body", open + "<s:Body>" + echo + "</s:Body><s:Header/>" + end},
		{"two documents", open + "<s:Body>" + echo + "</s:Body>" + end + open + "<s:Body>" + del + "</s:Body>" + end},
		{"text after", open + "<s:Body>" + echo + "</s:Body>" + end + "x"},
		{"not closed", open + "<s:Body>" + echo + "</s:Body>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t)
			ran := false
			s.Interceptors = []soapserver.Interceptor{func(next soapserver.Func) soapserver.Func {
				return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
					ran = true
					return next(ctx, op, req)
				}
			}}
			if w := post(t, s, tt.doc, ct11, ""); w.Code != 400 || ran {
				t.Errorf("%d, ran: %v, %s", w.Code, ran, w.Body)
			}
		})
	}
}

// TestAttackCrossSitePost shows that what a browser sends to another site
// without asking is not taken for a SOAP request: it would carry the user's
// credentials.
func TestAttackCrossSitePost(t *testing.T) {
	t.Parallel()
	for _, ct := range []string{"text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/xml, text/plain", "text/plain; x=text/xml"} {
		s, _ := newService(t)
		w := post(t, s, envelope(ns11, "", "<delete/>"), ct, `"urn:x/delete"`)
		if w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d %s", ct, w.Code, w.Body)
		}
	}
	for _, types := range [][]string{nil, {"text/xml", "text/plain"}, {"text/plain", "text/xml"}} {
		s, _ := newService(t)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(envelope(ns11, "", "<delete/>")))
		r.Header["Content-Type"] = types
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %d %s", types, w.Code, w.Body)
		}
	}
}

// TestAttackLargeRequests runs through a real server, which has a connection
// to give up.
func TestAttackLargeRequests(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.MaxBody = 1000
	srv := httptest.NewServer(s)
	defer srv.Close()
	zip := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, s); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	small := envelope(ns11, "", "<echo><v>hi</v></echo>")
	large := envelope(ns11, "", "<echo><v>"+strings.Repeat("x", 1<<20)+"</v></echo>")
	tests := []struct {
		name, body, encoding string
		chunked              bool
		status               int
		want                 string
	}{
		{"small", small, "", false, 200, ">hi<"},
		{"small chunked", small, "", true, 200, ">hi<"},
		{"small gzip", zip(small), "gzip", false, 200, ">hi<"},
		{"large", large, "", false, 400, "exceeds the bytes limit of 1000"},
		{"large chunked", large, "", true, 400, "exceeds the bytes limit of 1000"},
		{"gzip bomb", zip(large), "gzip", false, 400, "exceeds the bytes limit of 1000"},
		{"not gzip", small, "gzip", false, 400, "could not be read"},
		{"cut gzip", zip(small)[:60], "gzip", false, 400, "could not be read"},
		{"unknown encoding", small, "br", false, 415, "content encoding not supported"},
		{"two encodings", zip(small), "gzip, gzip", false, 415, "content encoding not supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(tt.body)
			if tt.chunked {
				body = io.MultiReader(body)
			}
			r, err := http.NewRequest(http.MethodPost, srv.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", ct11)
			if tt.encoding != "" {
				r.Header.Set("Content-Encoding", tt.encoding)
			}
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(b), tt.want) {
				t.Errorf("%d %s, %v", resp.StatusCode, b, err)
			}
		})
	}
}

func TestMultipartRequest(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.MaxBody = 2000
	request := func(size int) string {
		return "--b\r\nContent-Type: application/xop+xml; type=\"text/xml\"\r\n\r\n" +
			envelope(ns11, "", `<echo><v><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:p"/></v></echo>`) +
			"\r\n--b\r\nContent-ID: <p>\r\n\r\n" + strings.Repeat("a", size) + "\r\n--b--\r\n"
	}
	const ct = `multipart/related; boundary=b; type="application/xop+xml"; start-info="text/xml"`
	if w := post(t, s, request(3), ct, ""); w.Code != 200 || !strings.Contains(w.Body.String(), ">YWFh<") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, body := range []string{request(3000), strings.TrimSuffix(request(3000), "--b--\r\n")} {
		if w := post(t, s, body, ct, ""); w.Code != 400 || !strings.Contains(w.Body.String(), "bytes limit of 2000") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	chunked := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(request(3000))))
	chunked.Header.Set("Content-Type", ct)
	chunked.ContentLength = -1
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, chunked); w.Code != 400 || !strings.Contains(w.Body.String(), "bytes limit of 2000") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestInterceptorsAndContext(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	var order []string
	note := func(name string) soapserver.Interceptor {
		return func(next soapserver.Func) soapserver.Func {
			return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
				order = append(order, name+" "+op.Name+" "+req.(*text).V)
				if soapserver.FromContext(ctx).Operation != op {
					t.Error("Call of another operation")
				}
				return next(ctx, op, req)
			}
		}
	}
	deny := func(next soapserver.Func) soapserver.Func {
		return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
			if op.Name == "delete" {
				f := soap.Faultf(soap.CodeClient, "access denied")
				f.Status = http.StatusForbidden
				return nil, f
			}
			return next(ctx, op, req)
		}
	}
	s.Interceptors = []soapserver.Interceptor{note("a"), note("b"), deny}
	if w := post(t, s, envelope(ns11, "", "<echo><v>1</v></echo>"), ct11, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post(t, s, envelope(ns11, "", "<delete><v>2</v></delete>"), ct11, ""); w.Code != 403 || !strings.Contains(w.Body.String(), "access denied") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := strings.Join(order, ", "); got != "a echo 1, b echo 1, a delete 2, b delete 2" {
		t.Errorf("order %s", got)
	}
	if soapserver.FromContext(context.Background()) != nil {
		t.Error("a Call outside of one")
	}
	for name, ic := range map[string]soapserver.Interceptor{
		"wrong answer": func(soapserver.Func) soapserver.Func {
			return func(context.Context, *soap.Operation, any) (any, error) { return "x", nil }
		},
		"wrong request": func(next soapserver.Func) soapserver.Func {
			return func(ctx context.Context, op *soap.Operation, _ any) (any, error) { return next(ctx, op, "x") }
		},
	} {
		s, l := newService(t)
		s.Interceptors = []soapserver.Interceptor{ic}
		w := post(t, s, envelope(ns11, "", "<echo/>"), ct11, "")
		if w.Code != 500 || !strings.Contains(l.String(), "an interceptor") {
			t.Errorf("%s: %d %s", name, w.Code, l)
		}
	}
}

// fragile panics when it is read or written.
type fragile struct{}

func (x *fragile) UnmarshalWire(r *wire.Reader) {
	if v, ok := r.Attr("", "panic"); ok {
		panic("secret " + v)
	}
	r.Skip()
}

func (x *fragile) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	panic("secret while writing")
}

func TestPanicsOfCodecsAndInterceptors(t *testing.T) {
	t.Parallel()
	s, l := newService(t)
	soapserver.Handle(s, operation("fragile"), func(_ context.Context, req *fragile) (*fragile, error) { return req, nil })
	for _, body := range []string{`<fragile panic="on read"/>`, `<fragile/>`} {
		w := post(t, s, envelope(ns11, "", body), ct11, "")
		if w.Code != 500 || !strings.Contains(w.Body.String(), "internal error (reference ") || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if log := l.String(); strings.Count(log, "level=ERROR") != 2 || strings.Count(log, "service_test.go") < 2 {
		t.Errorf("log without stacks: %s", log)
	}
	// The Writer that was interrupted goes on to serve.
	if w := post(t, s, envelope(ns11, "", "<echo><v>hi</v></echo>"), ct11, ""); w.Code != 200 || !strings.Contains(w.Body.String(), ">hi<") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	s.Interceptors = []soapserver.Interceptor{func(soapserver.Func) soapserver.Func {
		return func(context.Context, *soap.Operation, any) (any, error) { panic(http.ErrAbortHandler) }
	}}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	post(t, s, envelope(ns11, "", "<echo/>"), ct11, "")
}

func TestClientThatGaveUpIsNoAlarm(t *testing.T) {
	t.Parallel()
	s, l := newService(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(envelope(ns11, "", "<fail><v>x</v></fail>"))).WithContext(ctx)
	r.Header.Set("Content-Type", ct11)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if !strings.Contains(l.String(), "level=INFO") {
		t.Errorf("log: %s", l)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	for _, m := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(m, "/svc?wsdl", nil))
		if w.Code != 405 || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", m, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestHandlePanicsOnAmbiguity(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "{urn:x}echo") {
			t.Errorf("panic %q", p)
		}
	}()
	soapserver.Handle(s, operation("echo"), func(context.Context, *text) (*text, error) { return nil, nil })
}

func TestOperations(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	var names []string
	for _, op := range s.Operations() {
		names = append(names, op.Name)
	}
	if got := strings.Join(names, " "); got != "bare delete echo fail notify one ping two" {
		t.Errorf("got %s", got)
	}
}

func TestDenySpeaksTheClientsVersion(t *testing.T) {
	t.Parallel()
	for ct, want := range map[string]string{ct11: ns11, ct12: ns12, "": ns11} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Content-Type", ct)
		w := httptest.NewRecorder()
		w.Header().Set("WWW-Authenticate", "Negotiate")
		soapserver.Deny(w, r, 401, "abc123")
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Negotiate" || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "abc123") {
			t.Errorf("%q: %d %s", ct, w.Code, w.Body)
		}
	}
}

// TestConcurrentCalls is for the race detector, and for answers that get into
// each other's pooled buffers.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			v := strings.Repeat(string(rune('a'+i)), 100*(i+1))
			for range 50 {
				w := post(t, s, envelope(ns11, "", "<echo><v>"+v+"</v></echo>"), ct11, "")
				if !strings.Contains(w.Body.String(), ">"+v+"<") {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
}
