package soapclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// echoServer serves the operation echo, and remembers the last request.
func echoServer(t *testing.T) (srv *httptest.Server, last *atomic.Pointer[http.Request]) {
	t.Helper()
	s := &soapserver.Service{}
	soapserver.Handle(s, echo, func(_ context.Context, req *text) (*text, error) { return req, nil })
	last = new(atomic.Pointer[http.Request])
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last.Store(r)
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, last
}

func TestGzip(t *testing.T) {
	t.Parallel()
	srv, last := echoServer(t)
	for _, tt := range []struct {
		name     string
		gzip     bool
		size     int
		encoding string
	}{{"off", false, 100_000, ""}, {"small", true, 10, ""}, {"large", true, 100_000, "gzip"}} {
		c := &soapclient.Client{URL: srv.URL, Gzip: tt.gzip}
		want := strings.Repeat("x", tt.size)
		res, err := soapclient.Call[text, text](t.Context(), c, echo, &text{want})
		if err != nil || res.V != want {
			t.Errorf("%s: %v", tt.name, err)
		}
		r := last.Load()
		if r.Header.Get("Content-Encoding") != tt.encoding || tt.encoding != "" && r.ContentLength > int64(tt.size)/10 {
			t.Errorf("%s: sent %d bytes in %q", tt.name, r.ContentLength, r.Header.Get("Content-Encoding"))
		}
	}
}

// A transport that does not decompress hands answers on as they came.
func TestGzipAnswer(t *testing.T) {
	t.Parallel()
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
	good := envelope(ns11, "<echoResponse><v>hi</v></echoResponse>")
	for _, tt := range []struct{ name, encoding, body, err string }{
		{"gzip", "gzip", zip(good), ""},
		{"x-gzip", "X-GZIP", zip(good), ""},
		{"identity", "identity", good, ""},
		{"bomb", "gzip", zip(envelope(ns11, strings.Repeat(" ", 1<<20))), "larger than 100000 bytes"},
		{"not gzip", "gzip", good, "gzip: invalid header"},
		{"cut", "gzip", zip(good)[:60], "unexpected EOF"},
		{"brotli", "br", good, `content encoding "br" is not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := answering(t, 200, ct11, tt.body, "Content-Encoding", tt.encoding)
			c.HTTP = &http.Client{Transport: &http.Transport{DisableCompression: true}}
			c.Limits.Bytes = 100_000
			res, err := soapclient.Call[text, text](t.Context(), c, echo, &text{})
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || err == nil && res.V != "hi" {
				t.Errorf("got %v, %v", res, err)
			}
		})
	}
}

// With Expect a refusal comes before the body is sent.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	var read atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") == "100-continue" {
			http.Error(w, "login", http.StatusUnauthorized)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		read.Add(n)
		http.Error(w, "login", http.StatusUnauthorized)
	}))
	defer srv.Close()
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	c := &soapclient.Client{URL: srv.URL, ExpectAbove: 10_000, HTTP: &http.Client{Transport: transport}}
	var status *soapclient.StatusError
	for _, size := range []int{1 << 20, 10} {
		_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{strings.Repeat("x", size)})
		if !errors.As(err, &status) || status.Code != 401 {
			t.Fatal(err)
		}
		if n := read.Load(); size > 10_000 && n != 0 || size == 10 && n == 0 {
			t.Errorf("%d bytes: the server read %d", size, n)
		}
	}
}

// TestAttackRedirectedCall shows that what a call sends goes nowhere but to the
// origin it was meant for.
func TestAttackRedirectedCall(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	good, _ := echoServer(t)
	var to string
	var status int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	for _, status = range []int{301, 302, 303, 307, 308} {
		for _, to = range []string{thief.URL + "/login?secret=1", "//" + strings.TrimPrefix(thief.URL, "http://"), strings.Replace(srv.URL, "http:", "https:", 1), "/again", "::"} {
			c := &soapclient.Client{URL: srv.URL}
			_, err := soapclient.Call[text, text](t.Context(), c, echo, &text{"secret"})
			if err == nil {
				t.Fatalf("%d to %s: an answer", status, to)
			}
			var se *soapclient.StatusError
			if to != "::" && (!errors.As(err, &se) || se.Code != status || se.Location == "" || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%d to %s: %v", status, to, err)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("secret"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := (&soapclient.StubHTTP{}).Do(r)
			if err == nil {
				_ = resp.Body.Close()
			}
			if err == nil && resp.StatusCode != status {
				t.Errorf("%d to %s: a stub got %s", status, to, resp.Status)
			}
		}
	}
	if n := stolen.Load(); n != 0 {
		t.Errorf("%d requests went to another origin", n)
	}

	// The same origin may ask for the same message elsewhere.
	mux := http.NewServeMux()
	mux.Handle("/old", http.RedirectHandler("/new", http.StatusTemporaryRedirect))
	mux.Handle("/get", http.RedirectHandler("/new", http.StatusFound))
	mux.Handle("/new", good.Config.Handler)
	same := httptest.NewServer(mux)
	defer same.Close()
	res, err := soapclient.Call[text, text](t.Context(), &soapclient.Client{URL: same.URL + "/old"}, echo, &text{"hi"})
	if err != nil || res.V != "hi" {
		t.Errorf("got %v, %v", res, err)
	}
	if _, err = soapclient.Call[text, text](t.Context(), &soapclient.Client{URL: same.URL + "/get"}, echo, &text{"hi"}); err == nil || !strings.Contains(err.Error(), `the server redirects to "`+same.URL+`/new"`) {
		t.Errorf("got %v", err)
	}
	// A check of the program's own still counts.
	refuse := errors.New("not even there")
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return refuse }}
	if _, err = soapclient.Call[text, text](t.Context(), &soapclient.Client{URL: same.URL + "/old", HTTP: hc}, echo, &text{"hi"}); !errors.Is(err, refuse) {
		t.Errorf("got %v", err)
	}
}

func TestLoginPage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`<html><form action="/login"><input name=user><INPUT class="x" type = 'Password'></form></html>`: true,
		`<form method="post"><input type="hidden" name="SAMLRequest" value="x"/></form>`:                 true,
		strings.Repeat(" ", 2000) + `<input type="password">`:                                            true,
		`<html><b>Our password policy</b></html>`:                                                        false,
	} {
		_, err := soapclient.Call[text, text](t.Context(), answering(t, 200, "text/html; charset=utf-8", body), echo, &text{})
		var se *soapclient.StatusError
		if !errors.As(err, &se) || se.LoginForm != want || strings.Contains(err.Error(), "form to log in") != want {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

func TestErrorsNameTheOperation(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-block
	}))
	defer srv.Close()
	defer close(block)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	c := &soapclient.Client{URL: srv.URL, Version: soap.V12}
	_, err := soapclient.Call[text, text](ctx, c, echo, &text{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "soapclient: echo: ") {
		t.Errorf("got %v", err)
	}
}
