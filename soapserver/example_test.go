package soapserver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"time"

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
