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

	"github.com/soapward/soapward/authn"
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
	gw, keys := realGateway(t, app.URL)

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
			r.Header.Set("X-API-Key", keys["batch"].Reveal())
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

// realGateway is a server of the real parts in front of one at url, and the keys of
// its users, batch and cron.
func realGateway(t *testing.T, url string) (*httptest.Server, map[string]authn.Secret) {
	t.Helper()
	keys, list := map[string]authn.Secret{}, []string{}
	for _, name := range []string{"batch", "cron"} {
		key, hash := hook.NewAPIKey()
		keys[name] = key
		list = append(list, "{name: "+name+", hash: "+hex.EncodeToString(hash[:])+"}")
	}
	c, err := config.Parse("gw.yaml", []byte(`
listen: [{addr: '127.0.0.1:8080'}]
services:
  hr:
    match: {path: /hr/}
    login: [custom]
    custom: {api_keys: [`+strings.Join(list, ", ")+`]}
    allow: [{operation: "{urn:hr}Get", roles: [any]}]
    upstream: {url: "`+url+`", identity: {header: X-Remote-User}}
`))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
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
	return gw, keys
}

// Two users over the same connections, to the gateway and to the server behind: who
// it is that the server sees, and what the body was, is always the caller's.
func TestAttackMixedUsersAtGateway(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d ", strings.Join(r.Header["X-Remote-User"], ","), len(b))
		_, _ = w.Write(b)
	}))
	t.Cleanup(app.Close)
	gw, keys := realGateway(t, app.URL)
	var wg sync.WaitGroup
	for i := range 32 {
		name := []string{"batch", "cron"}[i%2]
		wg.Go(func() {
			for j := range 20 {
				body := envelope(fmt.Sprintf("<h:Get><who>%s</who><n>%d %d</n>%s</h:Get>", name, i, j, strings.Repeat("<x/>", i*j*20)))
				r, err := http.NewRequest("POST", gw.URL+"/hr/svc", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", xmlType)
				r.Header.Set("X-API-Key", keys[name].Reveal())
				res, err := gw.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if want := fmt.Sprintf("%s %d %s", name, len(body), body); string(b) != want || err != nil {
					t.Errorf("got %d %.100q, %v, want %.100q", res.StatusCode, b, err, want)
				}
			}
		})
	}
	wg.Wait()
}
