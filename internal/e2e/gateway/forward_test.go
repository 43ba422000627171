package gateway

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/soapward/soapward/authn/hook"
)

// A service whose requests another proxy passes on has an upstream without a server,
// for the headers alone.
func TestForwardAuthHeaders(t *testing.T) {
	t.Parallel()
	key, hash := hook.NewAPIKey()
	port := freePort(t)
	startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
forward_auth: {proxies: [127.0.0.1]}
services:
  web:
    match: {path: /web/}
    login: [custom]
    custom: {api_keys: [{name: robot, hash: "%x"}]}
    forward_auth: true
    upstream: {identity: {header: X-Remote-User}}
`, port, hash), nil)
	for _, tt := range []struct {
		key, user string
		status    int
	}{{key.Reveal(), "robot", 200}, {"wrong", "", 401}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/.soapward/auth", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Original-URL", "http://x/web/a")
		r.Header.Set("X-Original-Method", "GET")
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		r.Header.Set("X-API-Key", tt.key)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != tt.status || res.Header.Get("X-Remote-User") != tt.user {
			t.Errorf("%d, %q, want %d, %q", res.StatusCode, res.Header.Get("X-Remote-User"), tt.status, tt.user)
		}
	}
}
