package login_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/soapward/soapward/authn"
)

// What a login costs a request that is warm, without net/http: a session that is
// in the store, and a connection that NTLM logged in.
func BenchmarkWarm(b *testing.B) {
	w := newWorld(b)
	c := w.config(both)
	o := w.options()
	o.Logger = nil
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	nothing := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if authn.FromContext(r.Context()) == nil {
			b.Error("nobody")
		}
	})
	b.Run("session", func(b *testing.B) {
		srv := w.serve(c, s, "session")
		key := sessionOf(b, w, srv.URL, w.client(srv, w.kerberos("alice")))
		h, err := s.Handler(spec(c, "session"), nothing)
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequest("GET", srv.URL, nil)
		r.AddCookie(key)
		rw := httptest.NewRecorder()
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(rw, r)
		}
	})
	b.Run("connection", func(b *testing.B) {
		h, err := s.Handler(spec(c, "staff"), nothing)
		if err != nil {
			b.Fatal(err)
		}
		var warm *http.Request
		srv := w.listen(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			warm = r
			h.ServeHTTP(rw, r)
		}), true)
		client := oneConnection(b, srv.Client())
		if status := loginOver(b, client, srv.URL, "dora"); status != 200 {
			b.Fatal(status)
		}
		r := warm.Clone(context.WithoutCancel(warm.Context()))
		r.Header.Del("Authorization")
		rw := httptest.NewRecorder()
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(rw, r)
		}
	})
}
