package login_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/gateway/login"
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

// A new ticket with each request: with what was used in the store, or in memory.
func BenchmarkKerberos(b *testing.B) {
	w := newWorld(b)
	const text = `
listen: [{addr: ":443"}]
realms: {corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate]}}
`
	client, err := kerberos.NewPasswordClient(kerberos.Config{
		DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{w.kdc.Addr()}}},
	}, "alice", authn.NewSecret(marked+"alice"))
	if err != nil {
		b.Fatal(err)
	}
	for _, stored := range []bool{false, true} {
		b.Run(fmt.Sprintf("store=%v", stored), func(b *testing.B) {
			o := w.options()
			o.Logger = slog.New(slog.DiscardHandler)
			if !stored {
				o.Store = nil
			}
			c := w.config(text)
			s, err := login.New(c, o, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close(nil) }()
			h, err := s.Handler(spec(c, "x"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			if err != nil {
				b.Fatal(err)
			}
			tokens := make(chan string, 1<<16)
			for range min(b.N, cap(tokens)) {
				t, _, err := client.NewInitiator("HTTP/127.0.0.1", kerberos.InitiatorConfig{}).Step(b.Context(), nil)
				if err != nil {
					b.Fatal(err)
				}
				tokens <- base64.StdEncoding.EncodeToString(t)
			}
			b.ResetTimer()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest("GET", "https://gw.example/", nil)
					r.Header.Set("Authorization", "Negotiate "+<-tokens)
					rw := httptest.NewRecorder()
					if h.ServeHTTP(rw, r); rw.Code != 200 {
						b.Errorf("%d %s", rw.Code, rw.Body)
						return
					}
				}
			})
		})
	}
}
