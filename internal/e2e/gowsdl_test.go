package e2e

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	gowsdlsoap "github.com/hooklift/gowsdl/soap"

	"github.com/soapward/soapward/internal/e2e/gowsdlstub"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/stdxml"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// gowsdlBook implements the interface that gowsdl generated for its client.
type gowsdlBook struct{ gowsdlstub.Ledger }

func (gowsdlBook) PostContext(_ context.Context, req *gowsdlstub.Post) (*gowsdlstub.PostResponse, error) {
	if *req.Entry.From == "none" {
		return nil, &stdxml.Detail{V: gowsdlstub.UnknownAccount{Account: req.Entry.From, Message: "there is no such account"}, Reason: "unknown account"}
	}
	return &gowsdlstub.PostResponse{Number: 1<<53 + 1, PostedBy: req.Entry.Text}, nil
}

func (gowsdlBook) GetBalanceContext(context.Context, *gowsdlstub.GetBalance) (*gowsdlstub.GetBalanceResponse, error) {
	return nil, soap.Faultf(soap.CodeClient, "closed today")
}

// unknownAccount is the detail of a fault, as stubs of gowsdl take it.
type unknownAccount struct {
	Detail gowsdlstub.UnknownAccount `xml:"UnknownAccount"`
}

func (d *unknownAccount) ErrorString() string { return "detail: " + d.Detail.Message }
func (d *unknownAccount) HasData() bool       { return d.Detail.Message != "" }

// Stubs that gowsdl generated, on both ends: its client through StubHTTP, its
// interface through RegisterXML. It shows faults as faults, and connections that
// stay open.
func TestGowsdlStubs(t *testing.T) {
	t.Parallel()
	s := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	err := soapserver.RegisterXML[gowsdlstub.Ledger](s, soapserver.XMLService{
		Namespace: "http://example.com/ledger/2026",
		Action:    func(op string) string { return "http://example.com/ledger/2026/" + op },
	}, gowsdlBook{})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	peers := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		peers[r.RemoteAddr] = true
		mu.Unlock()
		if a := r.Header.Get("SOAPAction"); !strings.HasPrefix(a, `"http://`) {
			t.Errorf("SOAPAction %s", a)
		}
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	client := gowsdlsoap.NewClient(srv.URL, gowsdlsoap.WithHTTPClient(&soapclient.StubHTTP{HTTP: srv.Client()}))
	stub := gowsdlstub.NewLedger(client)
	for range 3 {
		e := gowsdlEntry("1000")
		e.Entry.Text = "Müller & Söhne"
		posted, err := stub.PostContext(t.Context(), e)
		if err != nil || posted.Number != 1<<53+1 || posted.PostedBy != e.Entry.Text {
			t.Fatalf("got %+v, %v", posted, err)
		}
	}
	_, err = stub.PostContext(t.Context(), gowsdlEntry("none"))
	var f *gowsdlsoap.SOAPFault
	if !errors.As(err, &f) || f.String != "unknown account" || !strings.HasSuffix(f.Code, ":Server") {
		t.Errorf("got %v, want their fault", err)
	}
	detail := new(unknownAccount)
	err = client.CallContextWithFaultDetail(t.Context(), "http://example.com/ledger/2026/Post", gowsdlEntry("none"), new(gowsdlstub.PostResponse), detail)
	if err == nil || err.Error() != "detail: there is no such account" || *detail.Detail.Account != "none" {
		t.Errorf("got %v and %+v", err, detail)
	}
	if _, err = stub.GetBalanceContext(t.Context(), &gowsdlstub.GetBalance{}); !errors.As(err, &f) || f.String != "closed today" {
		t.Errorf("got %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(peers) != 1 {
		t.Errorf("the calls came over %d connections", len(peers))
	}
}

// Answers that stubs of gowsdl cannot read by themselves.
func TestGowsdlAnswers(t *testing.T) {
	t.Parallel()
	const (
		ns11   = "http://schemas.xmlsoap.org/soap/envelope/"
		ns12   = "http://www.w3.org/2003/05/soap-envelope"
		answer = `<PostResponse xmlns="http://example.com/ledger/2026"><number>7</number><postedBy>J` + "\xFC" + `rg</postedBy></PostResponse>`
	)
	utf8 := strings.ReplaceAll(answer, "\xFC", "ü")
	envelope := func(ns, body string) string {
		return `<s:Envelope xmlns:s="` + ns + `"><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	for _, tt := range []struct {
		name   string
		status int
		ct     string
		body   string
		want   string // of the answer, or in the error
	}{
		{"1.1", 200, "text/xml", envelope(ns11, utf8), "Jürg"},
		{"1.2", 200, "application/soap+xml", envelope(ns12, utf8), "Jürg"},
		{"latin-1 by charset", 200, "text/xml; charset=iso-8859-1", envelope(ns11, answer), "Jürg"},
		{"latin-1 declared", 200, "text/xml", `<?xml version="1.0" encoding="ISO-8859-1"?>` + envelope(ns11, answer), "Jürg"},
		{"empty 202", 202, "", "", ""},
		{"empty 200", 200, "", "", ""},
		{"fault 1.2", 400, "application/soap+xml", envelope(ns12, `<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang="en">no</s:Text></s:Reason></s:Fault>`), "no"},
		{"fault with 200", 200, "text/xml", envelope(ns11, `<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault>`), "no"},
		{"html", 500, "text/html", "<html>broken", "HTTP Status 500: <html>broken"},
		{"xml, no envelope", 500, "text/xml", "<oops/>", "HTTP Status 500: <oops/>"},
		{"dtd", 200, "text/xml", "<!DOCTYPE x>" + envelope(ns11, utf8), "document type declaration refused"},
		{"long", 200, "text/xml", envelope(ns11, strings.Repeat(" ", 1<<20)), "larger than 100000 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if tt.ct != "" {
					w.Header().Set("Content-Type", tt.ct)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			h := &soapclient.StubHTTP{HTTP: srv.Client()}
			h.Limits.Bytes = 100_000
			stub := gowsdlstub.NewLedger(gowsdlsoap.NewClient(srv.URL, gowsdlsoap.WithHTTPClient(h)))
			res, err := stub.PostContext(t.Context(), gowsdlEntry("1"))
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = res.PostedBy
			}
			if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
