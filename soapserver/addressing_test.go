package soapserver_test

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

const (
	wsa10 = "http://www.w3.org/2005/08/addressing"
	wsa04 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
)

// blocks are header blocks whose prefix is a.
func blocks(ns, content string) string {
	return `<s:Header xmlns:a="` + ns + `">` + content + `</s:Header>`
}

const (
	fullEcho = `<a:Action s:mustUnderstand="1">urn:x/echo</a:Action><a:MessageID>urn:m</a:MessageID><a:To s:mustUnderstand="1">http://h/</a:To>`
	callEcho = `<echo><v>hi</v></echo>`
)

func TestAddressing(t *testing.T) {
	t.Parallel()
	endpoint := func(local, address string) string {
		return "<a:" + local + "><a:Address>" + address + "</a:Address></a:" + local + ">"
	}
	tests := []struct {
		name, ns, env, header, body string
		op                          string // what the operation echo says: "", "on" or "required"
		service                     bool
		status                      int
		want                        string
	}{
		{"description says so", wsa10, ns11, fullEcho, callEcho, "on", false, 200, ">urn:x:Test:echoResponse</"},
		{"service allows it", wsa10, ns11, fullEcho, callEcho, "", true, 200, "RelatesTo>urn:m</"},
		{"1.2", wsa10, ns12, fullEcho, callEcho, "on", false, 200, "RelatesTo>urn:m</"},
		{"2004", wsa04, ns11, fullEcho, callEcho, "on", false, 200, "To>" + wsa04 + "/role/anonymous</"},
		{"nobody allows it", wsa10, ns11, fullEcho, callEcho, "", false, 500, "MustUnderstand"},
		{"not marked, ignored", wsa10, ns11, "<a:Action>urn:x/echo</a:Action>" + endpoint("ReplyTo", "http://evil/"), callEcho, "", false, 200, ">hi<"},
		{"no blocks", wsa10, ns11, "", callEcho, "on", false, 200, ">hi<"},
		{"no blocks, required", wsa10, ns11, "", callEcho, "required", false, 500, ":MessageAddressingHeaderRequired</faultcode>"},
		{"no blocks, required, 1.2", wsa10, ns12, "", callEcho, "required", false, 400, ":MessageAddressingHeaderRequired</"},
		{"no action", wsa10, ns11, "<a:MessageID>m</a:MessageID>", callEcho, "on", false, 500, ":MessageAddressingHeaderRequired</faultcode>"},
		{"no message id", wsa10, ns11, "<a:Action>urn:x/echo</a:Action>", callEcho, "on", false, 500, ":MessageAddressingHeaderRequired</faultcode>"},
		{"twice", wsa10, ns11, fullEcho + "<a:To>x</a:To>", callEcho, "on", false, 500, ":InvalidCardinality</faultcode>"},
		{"detail in a block", wsa10, ns11, fullEcho + "<a:To>x</a:To>", callEcho, "on", false, 500, "FaultDetail><"},
		{"detail in the fault, 1.2", wsa10, ns12, fullEcho + "<a:To>x</a:To>", callEcho, "on", false, 400, "<s:Detail><"},
		{"anonymous", wsa10, ns11, fullEcho + endpoint("ReplyTo", wsa10+"/anonymous"), callEcho, "on", false, 200, ">hi<"},
		{"none", wsa10, ns11, fullEcho + endpoint("ReplyTo", wsa10+"/none"), callEcho, "on", false, 202, ""},
		{"fault", wsa10, ns11, strings.ReplaceAll(fullEcho, "echo", "fail"), "<fail><v>fault</v></fail>", "on", true, 500, "Action>" + wsa10 + "/soap/fault</"},
		{"declared fault", wsa10, ns11, strings.ReplaceAll(fullEcho, "echo", "fail"), "<fail><v>detail</v></fail>", "on", true, 500, ">urn:x/tooMuch</"},
		{"fault to none", wsa10, ns11, strings.ReplaceAll(fullEcho, "echo", "fail") + endpoint("FaultTo", wsa10+"/none"), "<fail><v>x</v></fail>", "", true, 202, ""},
		{"one-way", wsa10, ns11, "<a:Action>urn:x/notify</a:Action>", "<notify/>", "", true, 202, ""},
		{"same body, told apart", wsa10, ns11, "<a:Action>urn:x/two</a:Action><a:MessageID>m</a:MessageID>", "<same/>", "", true, 200, ">two<"},
		{"reference parameter", wsa10, ns11, fullEcho + "<a:ReplyTo><a:Address>" + wsa10 + "/anonymous</a:Address><a:ReferenceParameters><k>7</k></a:ReferenceParameters></a:ReplyTo>", callEcho, "on", false, 200, `IsReferenceParameter="true"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t)
			s.Addressing = tt.service
			for _, op := range s.Operations() {
				switch {
				case op.Name == "echo" && tt.op != "":
					op.Addressing, op.AddressingRequired = soap.Addressing10, tt.op == "required"
				case op.Name == "fail":
					op.FaultActions = map[xml.Name]string{(&tooMuch{}).DetailName(): "urn:x/tooMuch"}
				}
			}
			header := ""
			if tt.header != "" {
				header = blocks(tt.ns, tt.header)
			}
			ct := ct11
			if tt.env == ns12 {
				ct = ct12
			}
			w := post(t, s, envelope(tt.env, header, tt.body), ct, "")
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || tt.want == "" && w.Body.Len() > 0 {
				t.Errorf("got %d %s\nwant %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

// TestAttackAddressingAction shows requests whose wsa:Action names another
// operation than the body or SOAPAction: it must not be what a policy looks at.
func TestAttackAddressingAction(t *testing.T) {
	t.Parallel()
	del := `<delete><v>x</v></delete>`
	tests := []struct{ name, header, action, code string }{
		{"of another operation", "<a:Action>urn:x/echo</a:Action><a:MessageID>m</a:MessageID>", "", ":ActionNotSupported<"},
		{"of nobody", "<a:Action>urn:x/nothing</a:Action><a:MessageID>m</a:MessageID>", "", ":ActionNotSupported<"},
		{"not that of SOAPAction", "<a:Action>urn:x/echo</a:Action><a:MessageID>m</a:MessageID>", `"urn:x/delete"`, ":ActionMismatch<"},
		{"SOAPAction of another operation", "<a:Action>urn:x/delete</a:Action><a:MessageID>m</a:MessageID>", `"urn:x/echo"`, ":ActionMismatch<"},
		{"two", "<a:Action>urn:x/delete</a:Action><a:Action>urn:x/echo</a:Action><a:MessageID>m</a:MessageID>", "", "<faultcode"},
		{"two, one for somebody else", `<a:Action>urn:x/delete</a:Action><a:Action s:actor="urn:else">urn:x/echo</a:Action><a:MessageID>m</a:MessageID>`, "", "<faultcode"},
		{"in the other version as well", "<a:Action>urn:x/delete</a:Action><b:Action xmlns:b='" + wsa04 + "'>urn:x/echo</b:Action>", "", "<faultcode"},
		{"default action of another", "<a:Action>urn:x:Test:bareRequest</a:Action><a:MessageID>m</a:MessageID>", "", ":ActionNotSupported<"},
	}
	for _, tt := range tests {
		for _, on := range []bool{true, false} {
			s, _ := newService(t)
			s.Addressing = on
			w := post(t, s, envelope(ns11, blocks(wsa10, tt.header), del), ct11, tt.action)
			if w.Code != 500 || strings.Contains(w.Body.String(), "deleted") || !strings.Contains(w.Body.String(), tt.code) {
				t.Errorf("%s, addressing %v: %d %s", tt.name, on, w.Code, w.Body)
			}
		}
	}
}

// TestAttackReplyTo shows that no message makes the server send anything to an
// address in it, and that the operation does not run for one that tries.
func TestAttackReplyTo(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	victim := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer victim.Close()
	for _, ns := range []string{wsa10, wsa04} {
		for _, local := range []string{"ReplyTo", "FaultTo"} {
			for _, address := range []string{victim.URL, wsa10 + "/anonymous?" + victim.URL, " ", "urn:x", "//" + strings.TrimPrefix(victim.URL, "http://")} {
				s, _ := newService(t)
				s.Addressing = true
				ran := false
				s.Interceptors = []soapserver.Interceptor{func(next soapserver.Func) soapserver.Func {
					return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
						ran = true
						return next(ctx, op, req)
					}
				}}
				header := fullEcho + "<a:" + local + "><a:Address>" + address + "</a:Address></a:" + local + ">"
				w := post(t, s, envelope(ns11, blocks(ns, header), callEcho), ct11, "")
				if w.Code != 500 || ran || !strings.Contains(w.Body.String(), ":Invalid") && !strings.Contains(w.Body.String(), ":OnlyAnonymous") && !strings.Contains(w.Body.String(), ":MissingAddress") {
					t.Errorf("%s %q: %d, ran %v, %s", local, address, w.Code, ran, w.Body)
				}
			}
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came to the address in the message", n)
	}
}

// TestAddressingClient runs our client against our server, which refuses a
// request without the blocks.
func TestAddressingClient(t *testing.T) {
	t.Parallel()
	for _, v := range []soap.Addressing{soap.Addressing10, soap.Addressing200408} {
		s, _ := newService(t)
		var seen []string
		s.Interceptors = []soapserver.Interceptor{func(next soapserver.Func) soapserver.Func {
			return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
				if a := soapserver.FromContext(ctx).Addressing; a != nil {
					seen = append(seen, a.Action)
				}
				return next(ctx, op, req)
			}
		}}
		var echo *soap.Operation
		for _, op := range s.Operations() {
			if op.Name == "echo" {
				echo = op
			}
		}
		echo.Addressing, echo.AddressingRequired = v, true
		srv := httptest.NewServer(s)
		defer srv.Close()
		c := &soapclient.Client{URL: srv.URL, Strict: true}
		var hs []soap.Header
		res, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"hi"}, soapclient.ReceiveHeaders(&hs))
		if err != nil || res.V != "hi" {
			t.Fatalf("%v: %v", v, err)
		}
		if a, err := addressing.Read(hs); err != nil || a.Version != v || a.Action != echo.ReplyAction() {
			t.Errorf("%v: answered %+v, %v", v, a, err)
		}
		if len(seen) != 1 || seen[0] != "urn:x/echo" {
			t.Errorf("%v: the handler saw %q", v, seen)
		}
		c.Addressing = soap.AddressingOff
		_, err = soapclient.Call[text, text](t.Context(), c, echo, &text{"hi"})
		var f *soap.Fault
		if !errors.As(err, &f) || len(f.Subcodes) == 0 || !strings.HasSuffix(f.Subcodes[0].Local, "HeaderRequired") {
			t.Errorf("%v: without the blocks: %v", v, err)
		}
	}
}
