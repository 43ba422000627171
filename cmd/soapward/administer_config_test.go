package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api"
)

// Going back to what keeps out who goes back takes --force, as applying it does.
func TestConfigRollBackForce(t *testing.T) {
	t.Parallel()
	a := api.New(&admintest.Fake{Answer: func(_ context.Context, method string, args []any) (any, error) {
		if method == "RollBack" && args[2] != true {
			return nil, &admin.Error{Kind: admin.Refused, Text: "it would keep you out: why", Remedy: "roll back with force if that is meant"}
		}
		return &admin.ConfigVersion{ID: 42}, nil
	}})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), &admin.Caller{Name: "root", Role: admin.Administrator})))
	}))
	t.Cleanup(s.Close)
	o := &office{t: t, server: s.URL, home: t.TempDir()}
	err := (&tokenFile{o.tokens()}).change(t.Context(), func(all *tokenSet, _ func() error) error {
		all.Servers[s.URL] = &serverLogin{Expires: time.Now().Add(time.Hour)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := o.run("config", "rollback", "7", "--server", s.URL)
	if code != 1 || !strings.Contains(errs, "keep you out: why") || !strings.Contains(errs, "try: roll back with force") {
		t.Errorf("without: exit code %d, %s", code, errs)
	}
	code, out, errs := o.run("config", "rollback", "7", "--force", "--server", s.URL)
	if code != 0 || !strings.Contains(out, "version 42 is in force, with the files of version 7") {
		t.Errorf("with --force: exit code %d, %s%s", code, out, errs)
	}
}
