package authclient_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
)

// rotating is a source of credentials with a version; the last one is newest.
type rotating struct {
	version atomic.Int64
	latest  int64
}

func (r *rotating) Credential(context.Context, authclient.Target) (authclient.Credential, error) {
	return &versioned{r, r.version.Load()}, nil
}

type versioned struct {
	source  *rotating
	version int64
}

func (v *versioned) Key() string       { return fmt.Sprint("v", v.version) }
func (v *versioned) Schemes() []string { return []string{authclient.SchemeNegotiate} }

func (v *versioned) NewInitiator(string, authclient.Target, authn.ChannelBinding) (authn.Initiator, error) {
	return &versionedInitiator{v}, nil
}

type versionedInitiator struct{ v *versioned }

func (i *versionedInitiator) Step(context.Context, []byte) ([]byte, bool, error) {
	return fmt.Append(nil, "token", i.v.version), true, nil
}

func (i *versionedInitiator) Refused() bool {
	return i.v.version < i.v.source.latest && i.v.source.version.CompareAndSwap(i.v.version, i.v.version+1)
}

// A login was refused for as long as the ticket was in the cache, although a
// new one would have done.
func TestRefusedLoginIsRenewed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		latest, wanted int64
		body           io.Reader
		ok             bool
		logins         int64
	}{
		{"newer one is taken", 1, 1, strings.NewReader("hello"), true, 2},
		{"newer one is refused too", 9, 10, strings.NewReader("hello"), false, 2},
		{"there is no newer one", 0, 1, strings.NewReader("hello"), false, 1},
		{"body without GetBody that was kept", 1, 1, io.MultiReader(strings.NewReader("hello")), true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var logins atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := r.Header.Get("Authorization")
				if h != "" {
					logins.Add(1)
				}
				if h != "Negotiate "+base64.StdEncoding.EncodeToString(fmt.Append(nil, "token", tc.wanted)) {
					w.Header().Set("WWW-Authenticate", "Negotiate")
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				_, _ = io.Copy(w, r.Body)
			}))
			t.Cleanup(s.Close)
			tr := &authclient.Transport{Source: &rotating{latest: tc.latest}}
			t.Cleanup(tr.CloseIdleConnections)
			code, text, err := do(&http.Client{Transport: tr}, http.MethodPost, s.URL, tc.body)
			var refused *authclient.RefusedError
			if tc.ok && (err != nil || code != 200 || text != "hello") || !tc.ok && !errors.As(err, &refused) {
				t.Errorf("%d %q, %v", code, text, err)
			}
			if n := logins.Load(); n != tc.logins {
				t.Errorf("%d logins, want %d", n, tc.logins)
			}
		})
	}
}
