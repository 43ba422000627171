package soapclient_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
)

// An answer that says it belongs to another request is refused; one that says
// nothing is taken unless the client is strict.
func TestRelatesTo(t *testing.T) {
	t.Parallel()
	const space = "http://www.w3.org/2005/08/addressing"
	var relates string // "" says nothing, "own" names the request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		m, err := soap.Read(wire.NewReader(b, wire.Options{}))
		if err != nil {
			t.Error(err)
			return
		}
		a, err := addressing.Read(m.Headers)
		if err != nil || a == nil || a.Action != "urn:x/echo" || a.MessageID == "" || !a.ReplyTo.IsAnonymous() {
			t.Errorf("request %+v, %v", a, err)
			return
		}
		header := ""
		switch relates {
		case "":
		case "own":
			header = a.MessageID
		default:
			header = relates
		}
		if header != "" {
			header = `<s:Header><a:RelatesTo xmlns:a="` + space + `">` + header + `</a:RelatesTo></s:Header>`
		}
		w.Header().Set("Content-Type", ct11)
		_, _ = io.WriteString(w, strings.Replace(envelope(ns11, "<echoResponse><v>hi</v></echoResponse>"), "<s:Body>", header+"<s:Body>", 1))
	}))
	defer srv.Close()
	for _, tt := range []struct {
		relates string
		strict  bool
		err     string
	}{
		{"own", true, ""},
		{"", false, ""},
		{"", true, "does not say which request"},
		{"urn:uuid:other", false, "belongs to another request"},
	} {
		relates = tt.relates
		c := &soapclient.Client{URL: srv.URL, Strict: tt.strict, Addressing: soap.Addressing10}
		_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{})
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// A block that the program adds takes the place of ours.
func TestOwnAddressingBlock(t *testing.T) {
	t.Parallel()
	c := &soapclient.Client{URL: "http://h.example/", Addressing: soap.Addressing10, HTTP: doer(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		m, err := soap.Read(wire.NewReader(b, wire.Options{}))
		if err != nil {
			return nil, err
		}
		if a, err := addressing.Read(m.Headers); err != nil || a.To != "" || a.Action != "urn:x/echo" {
			t.Errorf("sent %s: %+v, %v", b, a, err)
		}
		return nil, io.EOF
	})}
	own := soap.Header{Name: xml.Name{Space: soap.Addressing10.Namespace(), Local: "To"}, Role: "urn:elsewhere", Value: &text{"urn:y"}}
	_ = soapclient.Send(t.Context(), c, echo, &text{}, soapclient.WithHeader(own))
}
