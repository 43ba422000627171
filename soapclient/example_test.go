package soapclient_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// Greet and GreetResponse stand for what soapward generate writes.
type (
	Greet         struct{ Name string }
	GreetResponse struct{ Text string }
)

const greetings = "urn:greetings"

func (x *Greet) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: greetings, Local: "name"}, x.Name)
	w.End()
}

func (x *Greet) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is(greetings, "name") {
			x.Name = r.Text()
		} else {
			r.Unknown()
		}
	}
}

func (x *GreetResponse) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: greetings, Local: "text"}, x.Text)
	w.End()
}

func (x *GreetResponse) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if r.Is(greetings, "text") {
			x.Text = r.Text()
		} else {
			r.Unknown()
		}
	}
}

var greet = &soap.Operation{
	Service: "{urn:greetings}Greeter",
	Name:    "Greet",
	Action:  "urn:greetings/Greet",
	Input:   xml.Name{Space: greetings, Local: "greet"},
	Output:  xml.Name{Space: greetings, Local: "greetResponse"},
}

func Example() {
	service := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	soapserver.Handle(service, greet, func(_ context.Context, req *Greet) (*GreetResponse, error) {
		if req.Name == "" {
			return nil, soap.Faultf(soap.CodeClient, "whom?")
		}
		return &GreetResponse{Text: "Hello, " + req.Name}, nil
	})
	server := httptest.NewServer(service)
	defer server.Close()

	client := &soapclient.Client{URL: server.URL}
	ctx := context.Background()
	res, err := soapclient.Call[Greet, GreetResponse](ctx, client, greet, &Greet{Name: "Alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Text)

	_, err = soapclient.Call[Greet, GreetResponse](ctx, client, greet, &Greet{})
	var fault *soap.Fault
	if errors.As(err, &fault) {
		fmt.Println(fault.Code, fault.Reason)
	}
	// Output:
	// Hello, Alice
	// Client whom?
}
