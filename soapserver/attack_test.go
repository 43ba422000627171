package soapserver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
)

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
		{"large", large, "", false, 413, "the message is larger than 1000 bytes"},
		{"large chunked", large, "", true, 413, "the message is larger than 1000 bytes"},
		{"gzip bomb", zip(large), "gzip", false, 413, "the message is larger than 1000 bytes"},
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

// TestAttackHeaderTime shows header blocks that are many: each costs a little,
// and none of them a look at all others.
func TestAttackHeaderTime(t *testing.T) {
	t.Parallel()
	const n = 60_000
	many := func(format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	actions := make([]string, n)
	for i := range actions {
		actions[i] = fmt.Sprintf("a%06d", i)
	}
	del := `<delete><v>x</v></delete>`
	tests := []struct {
		name, ns, header, body, ct, want string
		actions                          []string
	}{
		{"wsa:Action", ns11, many("<a:Action>a%06d</a:Action>"), del, ct11, "two different actions", nil},
		{"SOAPAction", ns11, "", del, ct11, "two different actions", actions},
		{"must be understood", ns12, many(`<a:x%d s:mustUnderstand="1"/>`), `<echo><v>x</v></echo>`, ct12, "NotUnderstood", nil},
		{"parameters of an endpoint", ns11, `<a:Action>urn:x/echo</a:Action><a:ReplyTo><a:Address>x</a:Address>` +
			strings.Repeat("<a:ReferenceParameters><k>1</k></a:ReferenceParameters>", n) + `</a:ReplyTo>`, del, ct11, "ActionNotSupported", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t)
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(envelope(tt.ns, blocks(wsa10, tt.header), tt.body)))
			r.Header.Set("Content-Type", tt.ct)
			r.Header["Soapaction"] = tt.actions
			w := httptest.NewRecorder()
			begin := time.Now()
			s.ServeHTTP(w, r)
			if took := time.Since(begin); took > 10*time.Second { // one of a fraction of a second
				t.Errorf("took %v", took)
			}
			if w.Code < 400 || !strings.Contains(w.Body.String(), tt.want) || w.Body.Len() > 64<<10 {
				t.Errorf("%d, %d bytes: %.300s", w.Code, w.Body.Len(), w.Body)
			}
		})
	}
}
