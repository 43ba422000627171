package ui_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/soapward/soapward/console/ui"
)

func parse(main string) (p *ui.Page) {
	return &ui.Page{Title: "Users", Main: ui.Parse(fstest.MapFS{"p.html": {Data: []byte(main)}}, "p.html")}
}

func render(t *testing.T, p *ui.Page) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	ui.Render(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/console/", nil), http.StatusOK, p)
	return w
}

func TestRender(t *testing.T) {
	t.Parallel()
	p := parse(`{{define "main"}}<h1>{{.Data}}</h1><form method="post">{{template "csrf" .}}</form>{{end}}`)
	p.Data, p.CSRF, p.Problem, p.Remedy, p.Ref, p.Notice = "<b>", "token", "It <failed>", "Try again", "abc", "Done"
	w := render(t, p)
	for _, want := range []string{
		"<h1>&lt;b&gt;</h1>", `name="csrf" value="token"`, `role="alert"`, "It &lt;failed&gt;", "Try again", "<code>abc</code>", `role="status"`,
		`<title>Users – soapward</title>`, `class="alone"`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in %s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "<nav") {
		t.Error("a page without Nav has a navigation")
	}
	p.Nav, p.User, p.Role = ui.NavUsers, `CORP\<i>`, "viewer"
	w = render(t, p)
	for _, want := range []string{`class="framed"`, `href="/console/users" aria-current="page"`, `<bdi>CORP\&lt;i&gt;</bdi>`, "viewer", `href="#main"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in %s", want, w.Body)
		}
	}
	if got := strings.Count(w.Body.String(), `aria-current="page"`); got != 1 {
		t.Errorf("%d entries are the current one, want 1", got)
	}
}

func TestRenderFails(t *testing.T) {
	t.Parallel()
	w := render(t, parse(`{{define "main"}}half{{.Data.Missing.Thing}}{{end}}`))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "half") {
		t.Errorf("got %d %q, want 500 without half a page", w.Code, w.Body)
	}
}

// TestAttackConsolePolicy: the address of a provider adds nothing else to the policy
// of a page.
func TestAttackConsolePolicy(t *testing.T) {
	t.Parallel()
	p := parse(`{{define "main"}}{{end}}`)
	p.FormAction = []string{
		"https://login.example.com", "http://127.0.0.1:8080", "https://[::1]:8443",
		"https://a.example; script-src *", "*", "https:", "https://", "javascript:alert(1)", "https://a.example/path", "https://*.example", "https://a.example 'unsafe-inline'", "https://a\r\nX: y",
	}
	want := "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"form-action 'self' https://login.example.com http://127.0.0.1:8080 https://[::1]:8443; frame-ancestors 'none'; base-uri 'none'"
	if got := render(t, p).Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	body := render(t, parse(`{{define "main"}}{{end}}`)).Body.String()
	files := regexp.MustCompile(`"(/console/static/[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(files) != 3 {
		t.Fatalf("%d files, want 3", len(files))
	}
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		ui.Static().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	for _, f := range files {
		w := get(http.MethodGet, f[1])
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Body.Len() == 0 {
			t.Errorf("%s: got %d, %v", f[1], w.Code, w.Header())
		}
		if strings.Contains(w.Body.String(), "http://") && !strings.Contains(w.Body.String(), "http://www.w3.org/") || strings.Contains(w.Body.String(), "https://") {
			t.Errorf("%s leads elsewhere", f[1])
		}
		if strings.HasSuffix(f[1], ".js") && w.Body.Len() > 15<<10 {
			t.Errorf("the script has %d bytes, want less than 15 KiB", w.Body.Len())
		}
		if got := get(http.MethodPost, f[1]).Code; got != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d", f[1], got)
		}
		if w := get(http.MethodHead, f[1]); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: got %d with %d bytes", f[1], w.Code, w.Body.Len())
		}
	}
	for _, path := range []string{"/console/static/", "/console/static/style.css", "/console/static/../ui.go"} {
		if got := get(http.MethodGet, path).Code; got != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, got)
		}
	}
}

func TestFuncs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		main string
		data any
		want string
	}{
		{`{{n .Data}}`, int64(1234567), "1,234,567"},
		{`{{n .Data}}`, -1234, "-1,234"},
		{`{{n .Data}}`, 999, "999"},
		{`{{plural .Data "user" "users"}}`, 1, "1 user"},
		{`{{plural .Data "user" "users"}}`, 2000, "2,000 users"},
		{`<a href="/u?{{q "name" .Data "after" "" "limit" 0}}">`, `CORP\a&b="'<`, `<a href="/u?name=CORP%5Ca%26b%3D%22%27%3C">`},
		{`{{show .Data}}`, "CORP\\\u202egnp.exe\u200b", `CORP\\u202egnp.exe\u200b`},
		{`{{show .Data}}`, "Ольга Çelik 李 👩", "Ольга Çelik 李 👩"},
		{`{{show .Data}}`, "a\x00\n\u00a0b", `a\u0000\u000a\u00a0b`},
		{`{{bare .Data}}`, []string{"a", "b"}, "a, b"},
		{`{{bare .Data}}`, true, "true"},
		{`{{short 4 .Data}}`, "äöüßx", "äöü…"},
		{`{{ago .Data $.Now}}`, now.Add(-3 * time.Minute), `<time datetime="2026-11-26T12:57:00Z" title="2026-11-26 12:57:00 UTC">3 min ago</time>`},
		{`{{ago .Data $.Now}}`, now.Add(26 * time.Hour), `<time datetime="2026-11-27T15:00:00Z" title="2026-11-27 15:00:00 UTC">in 26 h</time>`},
		{`{{ago .Data $.Now}}`, time.Time{}, "never"},
		{`{{at .Data}}`, now.In(time.FixedZone("", 3600)), `<time datetime="2026-11-26T13:00:00Z" title="2026-11-26 13:00:00 UTC">26 Nov 2026 13:00:00</time>`},
		{`{{json .Data}}`, []byte(`{"a":"<"}`), "{\n  &#34;a&#34;: &#34;\\u003c&#34;\n}"},
		{`{{json .Data}}`, []byte(`<no`), "&lt;no"},
	} {
		p := parse(`{{define "main"}}[[` + tt.main + `]]{{end}}`)
		p.Data, p.Now = tt.data, now
		body := render(t, p).Body.String()
		if !strings.Contains(body, "[["+tt.want+"]]") {
			_, got, _ := strings.Cut(body, "[[")
			t.Errorf("%s of %v: got %.150q, want %q", tt.main, tt.data, got, tt.want)
		}
	}
}
