package soapserver_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// Interceptors decide who may call what, for how long, and write it down.
func ExampleService_interceptors() {
	withoutTimes := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "dur" {
			return slog.Attr{}
		}
		return a
	}}
	caller := func(context.Context) string { return `CORP\alice` }                   // usually authn.FromContext
	hasRole := func(_ context.Context, role string) bool { return role == "reader" } // usually a group
	s := &soapserver.Service{
		Logger: slog.New(slog.DiscardHandler),
		Interceptors: []soapserver.Interceptor{
			soapserver.LogCalls(slog.New(slog.NewTextHandler(os.Stdout, withoutTimes)), caller),
			soapserver.RequireRoles(soapserver.Roles{"echo": {"reader"}, "delete": {"writer"}}, hasRole),
			soapserver.Timeouts(10*time.Second, nil),
			soapserver.Validate,
		},
	}
	echo, del := operation("echo"), operation("delete") // of a generated package
	soapserver.Handle(s, echo, func(_ context.Context, req *text) (*text, error) { return req, nil })
	soapserver.Handle(s, del, func(context.Context, *text) (*text, error) { return &text{}, nil })
	srv := httptest.NewServer(s)
	defer srv.Close()

	c := &soapclient.Client{URL: srv.URL}
	res, err := soapclient.Call[text, text](context.Background(), c, echo, &text{"hello"})
	fmt.Println(res.V, err)
	_, err = soapclient.Call[text, text](context.Background(), c, del, &text{})
	var fault *soap.Fault
	fmt.Println(errors.As(err, &fault) && fault.Code == soap.CodeClient)
	// Output:
	// level=INFO msg="operation called" op={urn:x}echo user=CORP\alice result=ok
	// hello <nil>
	// level=INFO msg="operation called" op={urn:x}delete user=CORP\alice result=fault
	// true
}

// Groups of the directory are the roles, by SID, which nobody can rename, or by
// name.
func ExampleRequireRoles() {
	const auditors authn.SID = "S-1-5-21-1-2-3-1105"
	roles := soapserver.Roles{
		"echo":   {`CORP\staff`, string(auditors)},
		"delete": {string(auditors)},
	}
	inGroup := func(ctx context.Context, role string) bool {
		id := authn.FromContext(ctx)
		return id != nil && slices.ContainsFunc(id.Groups, func(g authn.Group) bool {
			return string(g.SID) == role || g.Name == role
		})
	}
	s := &soapserver.Service{
		Logger:       slog.New(slog.DiscardHandler),
		Interceptors: []soapserver.Interceptor{soapserver.RequireRoles(roles, inGroup)},
	}
	echo, del := operation("echo"), operation("delete") // of a generated package
	soapserver.Handle(s, echo, func(_ context.Context, req *text) (*text, error) { return req, nil })
	soapserver.Handle(s, del, func(context.Context, *text) (*text, error) { return &text{}, nil })
	if err := roles.Check([]*soap.Operation{echo, del}); err != nil { // a slip of the pen
		fmt.Println(err)
		return
	}
	// In a program, an authn.Middleware around s finds out who calls.
	alice := &authn.Identity{Account: "alice", Groups: []authn.Group{{Name: `CORP\staff`}}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), alice)))
	}))
	defer srv.Close()

	c := &soapclient.Client{URL: srv.URL}
	_, err := soapclient.Call[text, text](context.Background(), c, echo, &text{"hello"})
	fmt.Println("echo:", err)
	_, err = soapclient.Call[text, text](context.Background(), c, del, &text{})
	var fault *soap.Fault
	if errors.As(err, &fault) {
		fmt.Println("delete:", fault.Reason[:len("access denied")])
	}
	// Output:
	// echo: <nil>
	// delete: access denied
}

type (
	// Price and PriceResponse are such as gowsdl generates them.
	Price struct {
		XMLName xml.Name `xml:"urn:stock Price"`
		Symbol  string   `xml:"symbol"`
	}
	PriceResponse struct {
		XMLName xml.Name `xml:"urn:stock PriceResponse"`
		Price   string   `xml:"price"`
	}
	Stock interface {
		PriceContext(context.Context, *Price) (*PriceResponse, error)
	}
	stocks struct{}
)

func (stocks) PriceContext(_ context.Context, req *Price) (*PriceResponse, error) {
	return &PriceResponse{Price: req.Symbol + " is 12.50"}, nil
}

// The interface of a gowsdl stub becomes a service.
func ExampleRegisterXML() {
	s := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	if err := soapserver.RegisterXML[Stock](s, soapserver.XMLService{Namespace: "urn:stock"}, stocks{}); err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewServer(s)
	defer srv.Close()

	op := &soap.Operation{Name: "Price", Input: xml.Name{Space: "urn:stock", Local: "Price"}, Output: xml.Name{Space: "urn:stock", Local: "PriceResponse"}}
	res, err := soapclient.CallXML[Price, PriceResponse](context.Background(), &soapclient.Client{URL: srv.URL}, op, &Price{Symbol: "ABC"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Price)
	// Output: ABC is 12.50
}
