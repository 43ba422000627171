package wsdl

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a browser would show instead of a description is said to be that.
func TestWebPage(t *testing.T) {
	t.Parallel()
	const form = `<form action="/in"><INPUT name=p type='Password'></form>`
	for name, tt := range map[string]struct {
		page, want string
		login      bool
	}{
		"doctype": {"<!DOCTYPE HTML>\n<p>It works", ":1:1: this is an HTML page, not a WSDL", false},
		"xhtml":   {"\ufeff<?xml version='1.0'?><!-- <a> -->\n<html xmlns='http://www.w3.org/1999/xhtml'/>", ":1:1: this is an HTML page, not a WSDL", false},
		"login":   {"<html><br>" + form, ":1:1: this is an HTML page, not a WSDL, with a form to log in", true},
		"other":   {"<htmlish/>", ":1:1: this is not a WSDL: the document element is htmlish", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.page)) })
			mux.Handle("/svc", http.RedirectHandler("/page", http.StatusFound))
			s := httptest.NewServer(mux)
			defer s.Close()
			moved := tt.want + " (redirected from " + s.URL + "/svc?wsdl)"
			if before, after, ok := strings.Cut(tt.want, ", with"); ok {
				moved = before + " (redirected from " + s.URL + "/svc?wsdl), with" + after
			}
			for path, want := range map[string]string{"/page": tt.want, "/svc?wsdl": moved} {
				_, err := (&Resolver{}).Open(t.Context(), s.URL+path)
				var e *Error
				if !errors.As(err, &e) || !e.NotWSDL || e.LoginForm != tt.login || e.Error() != "wsdl: "+s.URL+"/page"+want {
					t.Errorf("%s: got %v, want %s", path, err, want)
				}
			}
		})
	}
}

// An error names the address once.
func TestErrorNamesAddressOnce(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	open := func() string {
		_, err := (&Resolver{}).Open(t.Context(), s.URL+"/a?wsdl")
		if err == nil {
			t.Fatal("no error")
		}
		return err.Error()
	}
	if got, want := open(), "wsdl: "+s.URL+"/a?wsdl answered 404 Not Found"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Close()
	if got := open(); strings.Count(got, s.URL) != 1 || !strings.HasPrefix(got, "wsdl: open "+s.URL+"/a?wsdl: dial tcp") {
		t.Error(got)
	}
}
