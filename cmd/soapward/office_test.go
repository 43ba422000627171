package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api"
)

// officeAt is the machine of somebody who is logged in to a server of a test.
func officeAt(t *testing.T, server http.Handler) *office {
	t.Helper()
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	o := &office{t: t, server: s.URL, home: t.TempDir()}
	err := (&tokenFile{o.tokens()}).change(t.Context(), func(all *tokenSet, _ func() error) error {
		all.Servers[s.URL], all.Last = &serverLogin{Expires: time.Now().Add(time.Hour)}, s.URL
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// apiFor is an API that says what a fake says, to a caller.
func apiFor(by *admin.Caller, fake *admintest.Fake) http.Handler {
	a := api.New(fake)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), by)))
	})
}
