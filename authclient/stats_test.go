package authclient_test

import (
	"net/http"
	"testing"

	"github.com/soapward/soapward/authclient"
)

func TestIdle(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	tr := &authclient.Transport{Source: authclient.Static(ntlmCredential("alice"))}
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d idle connections before the first request", n)
	}
	if _, _, err := do(&http.Client{Transport: tr}, http.MethodGet, s.URL, nil); err != nil {
		t.Fatal(err)
	}
	if n := tr.Idle(); n != 1 {
		t.Errorf("%d idle connections, want 1", n)
	}
	tr.CloseIdleConnections()
	if n := tr.Idle(); n != 0 {
		t.Errorf("%d idle connections after they were closed", n)
	}
}
