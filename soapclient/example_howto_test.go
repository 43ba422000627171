package soapclient_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// Scan stands for a generated type with large content.
type Scan struct{ Content wire.Binary }

var contentName = xml.Name{Space: "urn:scans", Local: "content"}

func (x *Scan) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	x.Content.MarshalWire(w, contentName)
	w.End()
}

func (x *Scan) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is(contentName.Space, contentName.Local) {
			x.Content.UnmarshalWire(r)
		} else {
			r.Unknown()
		}
	}
}

var exchangeScan = &soap.Operation{
	Service: "{urn:scans}Scans", Name: "Exchange", Action: "urn:scans/Exchange",
	Input: xml.Name{Space: "urn:scans", Local: "scan"}, Output: xml.Name{Space: "urn:scans", Local: "scanned"},
}

// Content travels in parts of its own, as a stream in both directions.
func ExampleMTOM() {
	service := &soapserver.Service{
		Logger:      slog.New(slog.DiscardHandler),
		Attachments: soap.AttachmentLimits{Total: 1 << 30}, // of a request; the envelope has MaxBody
	}
	soapserver.Handle(service, exchangeScan, func(_ context.Context, req *Scan) (*Scan, error) {
		n, err := req.Content.WriteTo(io.Discard) // SaveFile for a file
		if err != nil {
			return nil, err
		}
		fmt.Println("uploaded", n, "bytes")
		return &Scan{wire.BytesBinary(make([]byte, 3<<20))}, nil // FileBinary from a file
	})
	server := httptest.NewServer(service)
	defer server.Close()

	client := &soapclient.Client{
		URL:         server.URL,
		Attachments: soap.AttachmentLimits{Total: 1 << 30}, // of an answer
	}
	req := &Scan{Content: wire.BytesBinary(make([]byte, 5<<20))} // FileBinary from a file
	res, err := soapclient.Call[Scan, Scan](context.Background(), client, exchangeScan, req, soapclient.MTOM())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Content.Close()
	n, err := res.Content.WriteTo(io.Discard) // SaveFile for a file
	fmt.Println("downloaded", n, "bytes", err)
	// Output:
	// uploaded 5242880 bytes
	// downloaded 3145728 bytes <nil>
}

var sessionName = xml.Name{Space: greetings, Local: "session"}

// Header blocks in both directions, as the functions that are generated for
// each header do it.
func ExampleWithHeader() {
	op := *greet
	op.Headers = []xml.Name{sessionName}
	service := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	soapserver.Handle(service, &op, func(ctx context.Context, _ *Greet) (*GreetResponse, error) {
		call := soapserver.FromContext(ctx)
		var session GreetResponse
		if h, ok := call.Header(sessionName); ok {
			if err := h.Decode(&session); err != nil {
				return nil, err
			}
		}
		call.Reply(soap.Header{Name: sessionName, Value: &GreetResponse{Text: "after " + session.Text}})
		return &GreetResponse{Text: "hello"}, nil
	})
	server := httptest.NewServer(service)
	defer server.Close()

	client := &soapclient.Client{URL: server.URL}
	var headers []soap.Header
	_, err := soapclient.Call[Greet, GreetResponse](context.Background(), client, &op, &Greet{},
		soapclient.WithHeader(soap.Header{Name: sessionName, Value: &GreetResponse{Text: "session 1"}}),
		soapclient.ReceiveHeaders(&headers))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range headers {
		if h.Name == sessionName {
			var session GreetResponse
			err := h.Decode(&session)
			fmt.Println(session.Text, err)
		}
	}
	// Output: after session 1 <nil>
}

// A server that is not up yet, or away for a moment.
func ExampleRetry() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	address := l.Addr().String()
	_ = l.Close() // nobody is there

	client := &soapclient.Client{
		URL: "http://" + address,
		Interceptors: []soapclient.Interceptor{soapclient.Retry(soapclient.RetryPolicy{
			Attempts:   3,
			Wait:       time.Millisecond,
			Idempotent: func(op *soap.Operation) bool { return strings.HasPrefix(op.Name, "Get") },
			OnRetry:    func(context.Context, *soap.Operation, time.Duration, error) { fmt.Println("again") },
		})},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // of all tries together
	defer cancel()
	_, err = soapclient.Call[Greet, GreetResponse](ctx, client, greet, &Greet{Name: "Alice"})
	var refused *net.OpError
	fmt.Println(errors.As(err, &refused))
	// Output:
	// again
	// again
	// true
}

// Stubs of gowsdl get it as their HTTP client:
//
//	soap.NewClient(url, soap.WithHTTPClient(&soapclient.StubHTTP{HTTP: httpClient}))
//
// What such a stub would take for a failure of HTTP becomes a fault to it.
func ExampleStubHTTP() {
	service := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	soapserver.Handle(service, greet, func(context.Context, *Greet) (*GreetResponse, error) {
		return nil, soap.Faultf(soap.CodeClient, "whom?")
	})
	server := httptest.NewServer(service)
	defer server.Close()

	stub := &soapclient.StubHTTP{HTTP: http.DefaultClient} // one with an authclient.Transport to log in
	const message = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><greet xmlns="urn:greetings"/></s:Body></s:Envelope>`
	req, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(message))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	req.Header.Set("SOAPAction", greet.Action)
	resp, err := stub.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, strings.Contains(string(body), "whom?"), err)
	// Output: 200 OK true <nil>
}

// Named stands for a generated type that the schema restricts.
type Named struct{ Greet }

func (x *Named) Validate() error {
	if x.Name == "" {
		return errors.New("name: must not be empty")
	}
	return nil
}

// WS-Addressing and the rules of the schema, on both sides.
func ExampleClient() {
	service := &soapserver.Service{
		Logger:       slog.New(slog.DiscardHandler),
		Addressing:   true, // also for operations whose description does not ask for it
		Interceptors: []soapserver.Interceptor{soapserver.Validate},
	}
	soapserver.Handle(service, greet, func(ctx context.Context, _ *Named) (*GreetResponse, error) {
		return &GreetResponse{Text: soapserver.FromContext(ctx).Headers[0].Name.Space}, nil
	})
	server := httptest.NewServer(service)
	defer server.Close()

	client := &soapclient.Client{
		URL:        server.URL,
		Addressing: soap.Addressing10, // Addressing200408 for old peers, AddressingOff for none
		Validate:   true,
	}
	res, err := soapclient.Call[Named, GreetResponse](context.Background(), client, greet, &Named{Greet{"Alice"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Text)
	_, err = soapclient.Call[Named, GreetResponse](context.Background(), client, greet, &Named{})
	fmt.Println(err) // was not sent
	// Output:
	// http://www.w3.org/2005/08/addressing
	// soapclient: Greet: invalid request: name: must not be empty
}
