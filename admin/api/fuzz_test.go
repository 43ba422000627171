package api

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

// What is refused is refused in our own words, without what was sent.
func FuzzDecodeBody(f *testing.F) {
	for _, s := range []string{
		`{"name":"x"}`, `{"name":"x","password":"marked"}`, `{"roles":["a"],"local_admin":true}`, `{"files":[{"path":"a","text":"b"}],"digest":"x"}`,
		`[]`, `null`, `{"version":1e400}`, `{"name":"\ud800"}`, "\ufeff{}", `{"a":{"b":{}}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, into := range []any{&wire.NewUser{}, &admin.UserChange{}, &wire.Apply{}, &wire.Test{}, &wire.NewPassword{}} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			err := decodeBody(httptest.NewRecorder(), r, maxBody, maxValues, into)
			var e *admin.Error
			if err != nil && (!errors.As(err, &e) || statuses[e.Kind] == 0 || len(e.Text) > 500) {
				t.Errorf("%T: %v", into, err)
			}
		}
	})
}

func FuzzDecodeQuery(f *testing.F) {
	for _, s := range []string{"search=x&limit=3", "since=2026-11-26T08:00:00Z", "newer_id=-1", "limit=%zz", "a=1&a=2", ";", "since=24h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, into := range []any{&admin.UserQuery{}, &admin.LoginQuery{}, &overviewQuery{}, &exportQuery{}} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.URL = &url.URL{Path: "/", RawQuery: raw}
			err := decodeQuery(r, into)
			var e *admin.Error
			if err != nil && (!errors.As(err, &e) || statuses[e.Kind] == 0 || len(e.Text) > 500) {
				t.Errorf("%T: %v", into, err)
			}
		}
	})
}
