package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/internal/e2e/peers"
)

var (
	look     = flag.String("look", "", "write pictures of all pages into this `directory`")
	lookOnly = flag.String("look.only", "", "only pages whose address matches this `expression`")
)

// signIn is a page outside of the frame, as those for signing in are.
func signIn() http.Handler {
	page := ui.Parse(fstest.MapFS{"sign-in.html": {Data: []byte(`{{define "main"}}<h1>Local administrator</h1>
<form class="stack card" method="post" action="/console/login/local">{{template "csrf" .}}
<div class="field"><label for="user">User name</label><input id="user" name="user" value="admin" autocomplete="username"></div>
<div class="field"><label for="password">Password</label><input id="password" name="password" type="password" aria-invalid="true" aria-describedby="wrong"><p class="problem" id="wrong">Invalid user name or password</p></div>
<div class="buttons"><button class="primary">Continue</button></div></form>
<p class="soft"><a href="/console/login">Other ways to sign in</a></p>{{end}}`)}}, "sign-in.html")
	static := ui.Static()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, ui.StaticPrefix) {
			static.ServeHTTP(w, r)
			return
		}
		ui.Render(w, r, http.StatusOK, &ui.Page{Title: "Sign in", Main: page, Problem: "The provider does not answer.", Remedy: "A local administrator can sign in all the same.", Ref: "5f0c3a9b11"})
	})
}

// TestLook takes pictures of all pages, narrow and wide, light and dark, and finds
// that none is wider than the window.
func TestLook(t *testing.T) {
	t.Parallel()
	b := peers.StartChrome(t, peers.ChromeConfig{})
	s := httptest.NewServer(site(newFake(), admin.Administrator, nil))
	defer s.Close()
	none := newFake()
	none.empty = true
	empty := httptest.NewServer(site(none, admin.Viewer, nil))
	defer empty.Close()
	alone := httptest.NewServer(signIn())
	defer alone.Close()
	only := regexp.MustCompile(*lookOnly)
	widths, schemes := []int{390, 1440}, []string{"light", "dark"}
	if *look == "" {
		schemes = schemes[:1] // colours are the matter of TestAccessible
	}
	for _, width := range widths {
		for _, scheme := range schemes {
			b.Window(width, 900, scheme)
			for i, p := range allPages() {
				for kind, at := range map[string]string{"": s.URL, "-empty": empty.URL, "-alone": alone.URL} {
					if kind == "-alone" && i > 0 {
						continue
					}
					if !only.MatchString(p.path) || kind != "" && (*look == "" || strings.Contains(p.path, "name=")) {
						continue
					}
					b.Open(at + p.path)
					var got struct{ Wide, High int }
					b.Script(`return { Wide: document.documentElement.scrollWidth, High: document.documentElement.scrollHeight }`, &got)
					if got.Wide > width {
						t.Errorf("%s%s is %d wide in a window of %d", p.path, kind, got.Wide, width)
					}
					if *look == "" {
						continue
					}
					b.Window(width, min(max(got.High, 600), 3200), scheme)
					name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.TrimPrefix(p.path, "/console/"), "-")
					name = fmt.Sprintf("%02d-%.40s%s-%d-%s.png", i, name, kind, width, scheme)
					if err := os.WriteFile(filepath.Join(*look, name), b.Screenshot(), 0o600); err != nil {
						t.Fatal(err)
					}
					b.Window(width, 900, scheme)
				}
			}
		}
	}
}
