package inbound

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/login"
)

// The real parts: a message whose rest is not what it should be never arrives as a
// whole at the server behind, and no connection to it goes on after that.
func TestRealParts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []got
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		mu.Lock()
		seen = append(seen, got{method: r.Method, uri: r.RequestURI, host: r.RemoteAddr, user: strings.Join(r.Header["X-Remote-User"], ","), body: b, err: err})
		mu.Unlock()
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(app.Close)
	key, hash := hook.NewAPIKey()
	c, err := config.Parse("gw.yaml", []byte(`
listen: [{addr: '127.0.0.1:8080'}]
roles: {batch: {users: [batch]}}
services:
  hr:
    match: {path: /hr/}
    login: [custom]
    custom: {api_keys: [{name: batch, hash: `+hex.EncodeToString(hash[:])+`}]}
    allow: [{operation: "{urn:hr}Get", roles: [any]}]
    upstream: {url: "`+app.URL+`", identity: {header: X-Remote-User}}
`))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	logins, err := login.New(c, login.Options{Logger: logger}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logins.Close(nil) })
	proxy, err := backend.New(c.Services["hr"].Upstream, backend.Options{Service: "hr", Logger: logger, Deny: Deny})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	h, err := New(c, Parts{Logins: logins, Backends: map[string]*backend.Proxy{"hr": proxy}, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	gw := httptest.NewUnstartedServer(h)
	gw.Config = iwa.Server(h)
	gw.Start()
	t.Cleanup(gw.Close)

	long := strings.Repeat("<a>0123456789</a>", 200_000)
	for _, tt := range []struct {
		name, body string
		status     int // 0: anything but 200, or no answer
	}{
		{"small", envelope(getOK), 200},
		{"large", envelope("<h:Get>" + long + "</h:Get>"), 200},
		{"not allowed", envelope("<h:Pay/>"), 403},
		{"second element", envelope(getOK + "<h:Pay/>"), 400},
		{"second element far away", envelope("<h:Get>" + long + "</h:Get><h:Pay/>"), 0},
		{"second body at the very end", envelope("<h:Get>"+long+"</h:Get>") + "<h:Pay/>", 0},
		{"no end", strings.TrimSuffix(envelope("<h:Get>"+long+"</h:Get>"), "</s:Envelope>"), 0},
	} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(tt.body)
			if chunked {
				body = io.MultiReader(body)
			}
			r, err := http.NewRequest("POST", gw.URL+"/hr/svc", body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", xmlType)
			r.Header.Set("X-API-Key", key.Reveal())
			mu.Lock()
			seen = nil
			mu.Unlock()
			res, err := gw.Client().Do(r)
			status := 0
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				status = res.StatusCode
			}
			mu.Lock()
			for _, g := range seen {
				if g.err == nil && !bytes.Equal(g.body, []byte(tt.body)) || tt.status == 0 && g.err == nil || g.user != "batch" {
					t.Errorf("%s, chunked %v: the server behind got %d bytes, %v, from %q", tt.name, chunked, len(g.body), g.err, g.user)
				}
			}
			if tt.status >= 400 && len(seen) > 0 || tt.status == 200 && len(seen) != 1 {
				t.Errorf("%s, chunked %v: the server behind got %d requests", tt.name, chunked, len(seen))
			}
			mu.Unlock()
			if tt.status != 0 && status != tt.status || tt.status == 0 && status == 200 {
				t.Errorf("%s, chunked %v: got %d, %v, want %d", tt.name, chunked, status, err, tt.status)
			}
		}
	}
}
