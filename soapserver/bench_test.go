package soapserver_test

import (
	"context"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapserver"
)

type lines struct {
	Line []string `xml:"urn:x line"`
}

var lineName = xml.Name{Space: "urn:x", Local: "line"}

func (x *lines) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	for _, l := range x.Line {
		w.Element(lineName, l)
	}
	w.End()
}

func (x *lines) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Name() == lineName {
			x.Line = append(x.Line, r.Text())
		} else {
			r.Unknown()
		}
	}
}

// stdEcho is the same service as people write it with encoding/xml.
func stdEcho(w http.ResponseWriter, r *http.Request) {
	var in struct {
		XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		Body    struct {
			Echo *lines `xml:"urn:x echo"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = xml.Unmarshal(b, &in)
	}
	if err != nil || in.Body.Echo == nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	var out struct {
		XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		Body    struct {
			Response *lines `xml:"urn:x echoResponse"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	out.Body.Response = in.Body.Echo
	if b, err = xml.Marshal(out); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(b)
}

// BenchmarkEcho measures handlers without the network: a small and a large
// message, through a Service and through a handler on encoding/xml.
func BenchmarkEcho(b *testing.B) {
	s := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	soapserver.Handle(s, operation("echo"), func(_ context.Context, req *lines) (*lines, error) { return req, nil })
	for _, size := range []struct {
		name string
		n    int
	}{{"small", 2}, {"large", 1000}} {
		doc := envelope(ns11, "", "<echo>"+strings.Repeat("<line>one line of an order, 25.50</line>", size.n)+"</echo>")
		for _, h := range []struct {
			name string
			http.Handler
		}{{"service", s}, {"encoding-xml", http.HandlerFunc(stdEcho)}} {
			b.Run(size.name+"/"+h.name, func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(doc))
					r.Header.Set("Content-Type", soap.V11.ContentType(""))
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					if w.Code != http.StatusOK {
						b.Fatal(w.Body)
					}
				}
			})
		}
	}
}
