package soapserver_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
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
		{"same body, no action", ns11, "", el("same", ""), ct11, "", 500, `SOAPAction "" does not belong to the operation in the body, whose action is "urn:x/one" or "urn:x/two"`},
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
		{"empty body, action of another", ns11, "", "", ct11, `"urn:x/echo"`, 500, `SOAPAction "urn:x/echo" does not belong to the operation in the body, whose action is "urn:x/ping"`},
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

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		s, l := newService(t)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(m, "/svc?wsdl", nil))
		if w.Code != 405 || w.Header().Get("Allow") != "POST" || strings.Contains(w.Body.String(), "wsdl") {
			t.Errorf("%s: %d, Allow %q, %s", m, w.Code, w.Header().Get("Allow"), w.Body)
		}
		if got := l.String(); !strings.Contains(got, "level=DEBUG") || !strings.Contains(got, "method="+m+" ") || !strings.Contains(got, "path=/svc") {
			t.Errorf("%s: log %s", m, got)
		}
	}
}

// Who opens the address in a browser learns where the description is.
func TestGetTellsOfTheDescription(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	s.WSDL = fstest.MapFS{"svc.wsdl": {Data: []byte("<x/>")}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/svc", nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" || !strings.Contains(w.Body.String(), "?wsdl") {
		t.Errorf("%d, Allow %q, %s", w.Code, w.Header().Get("Allow"), w.Body)
	}
}

// What the client did wrong is in the log as well as in the answer, and what
// it sent cannot fill either.
func TestRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	small := envelope(ns11, "", "<delete><v>x</v></delete>")
	for _, tt := range []struct {
		name, body, ct, action string
		status                 int
		want                   []string
	}{
		{"action", small, ct11, `"urn:x/echo"`, 500, []string{"level=INFO", `urn:x/echo`, `urn:x/delete`, "op={urn:x}delete"}},
		{"long action", small, ct11, long, 500, []string{"level=INFO", "xxx...", "op="}},
		{"content type", small, "application/json", "", 415, []string{"level=INFO", "contentType=application/json", "path=/svc"}},
		{"long content type", small, "a/" + long, "", 415, []string{"contentType=a/xxx"}},
		{"too large", envelope(ns11, "", "<delete><v>"+strings.Repeat("x", 200_000)+"</v></delete>"), ct11, "", 413,
			[]string{"level=INFO", "larger than 100000 bytes", "soapserver.Service.MaxBody"}},
		{"too deep", envelope(ns11, "", strings.Repeat("<delete>", 300)), ct11, "", 400, []string{"depth limit of 256", "soapserver.Service.Limits"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, l := newService(t)
			s.MaxBody = 100_000
			w := post(t, s, tt.body, tt.ct, tt.action)
			got := l.String()
			if w.Code != tt.status || strings.Count(got, "\n") != 1 || len(got) > 2000 || w.Body.Len() > 2000 {
				t.Errorf("%d, %d bytes, logged %s", w.Code, w.Body.Len(), got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in the log: %s", want, got)
				}
			}
			if strings.Contains(w.Body.String(), "soapserver") {
				t.Errorf("the peer sees %s", w.Body)
			}
		})
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

// TestDenyTellsCauses: each status that authn.Middleware has gets words of its
// own, so that a person who reads the fault knows whether to wait.
func TestDenyTellsCauses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		401: "authentication required", 429: "too many failed login attempts", 503: "not available at the moment",
	} {
		w := httptest.NewRecorder()
		soapserver.Deny(w, httptest.NewRequest(http.MethodPost, "/", nil), status, "abc123")
		if w.Code != status || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "abc123") {
			t.Errorf("%d: %d %s", status, w.Code, w.Body)
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
		if w := post(t, s, body, ct, ""); w.Code != 413 || !strings.Contains(w.Body.String(), "exceeds the limit of 2000 bytes") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	chunked := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(request(3000))))
	chunked.Header.Set("Content-Type", ct)
	chunked.ContentLength = -1
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, chunked); w.Code != 413 || !strings.Contains(w.Body.String(), "exceeds the limit of 2000 bytes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
