package main

import (
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// loginProxy starts an HTTP proxy that wants an NTLM login of CORP\gate,
// password "open gate", and returns its URL.
func loginProxy(t *testing.T) string {
	t.Helper()
	accounts, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: "gate", Password: authn.NewSecret("open gate")})
	if err != nil {
		t.Fatal(err)
	}
	guard := &authn.Middleware{Logger: slog.New(slog.DiscardHandler), Authenticators: []authn.Authenticator{
		&iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "PROXY"}}},
	}}
	guarded := guard.Wrap(http.HandlerFunc(forward))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := iwa.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header["Authorization"] = r.Header["Proxy-Authorization"]
		guarded.ServeHTTP(&proxyWriter{ResponseWriter: w}, r)
	}))
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

// forward sends a request on, and says so in the answer.
func forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Header.Del("Authorization")
	out.Header.Del("Proxy-Authorization")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	maps.Copy(w.Header(), resp.Header)
	w.Header().Set("Via", "1.1 gate")
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// proxyWriter makes what a server says of a login what a proxy says.
type proxyWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *proxyWriter) WriteHeader(code int) {
	h := w.Header()
	if c := h["Www-Authenticate"]; code == http.StatusUnauthorized && c != nil {
		h["Proxy-Authenticate"] = c
		h.Del("WWW-Authenticate")
		code = http.StatusProxyAuthRequired
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController find the connection.
func (w *proxyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
