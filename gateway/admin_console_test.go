package gateway

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is at the console. That of browse has signed in as root.
type browser struct {
	*governed
	client *http.Client
}

func (g *governed) newBrowser() *browser {
	g.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &browser{g, &http.Client{Jar: jar}}
}

func (g *governed) browse() *browser {
	g.t.Helper()
	b := g.newBrowser()
	_, page := b.get("/console/login/local")
	b.post("/console/login/local", page, "user", "root", "password", rootPassword)
	_, page = b.get("/console/login/local/setup")
	if res, text := b.post("/console/login/local/setup", page, "skip", "yes"); res.StatusCode != 200 || res.Request.URL.Path != "/console/" {
		g.t.Fatalf("signing in ends at %s: %s\n%s", res.Request.URL, res.Status, text)
	}
	return b
}

func (b *browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", "http://"+b.admin+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	return b.send(req)
}

var hidden = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// post sends a form with the token of a page.
func (b *browser) post(path, page string, values ...string) (*http.Response, string) {
	b.t.Helper()
	form := url.Values{}
	if m := hidden.FindStringSubmatch(page); m != nil {
		form.Set("csrf", m[1])
	}
	for i := 0; i+1 < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	req, err := http.NewRequestWithContext(b.t.Context(), "POST", "http://"+b.admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Origin", "http://"+b.admin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(req)
}

func (b *browser) send(req *http.Request) (*http.Response, string) {
	b.t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(text)
}

var links = regexp.MustCompile(`(?:href|src)="(/console/[^"#]*)"`)

// Everything that pages of the console lead to is there, and signing out ends the
// session.
func TestConsolePages(t *testing.T) {
	t.Parallel()
	g := govern(t)
	b := g.browse()
	_, home := b.get("/console/")
	todo, seen := []string{"/console/"}, map[string]bool{"/console/": true}
	for len(todo) > 0 && len(seen) < 200 {
		path := html.UnescapeString(todo[0])
		todo = todo[1:]
		res, text := b.get(path)
		if res.StatusCode != 200 && res.StatusCode != 405 { // what only takes forms
			t.Errorf("%s: %s\n%.300s", path, res.Status, text)
		}
		if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				todo = append(todo, m[1])
			}
		}
	}
	if len(seen) < 15 || strings.Contains(g.log.String(), "a request of an administrator failed") {
		t.Errorf("%d pages: %v\n%s", len(seen), seen, grep(g.log.String(), "failed"))
	}
	out := regexp.MustCompile(`action="(/console/log[^"]*)"`).FindStringSubmatch(home)
	if out == nil {
		t.Fatalf("no way to sign out in\n%s", home)
	}
	if res, text := b.post(out[1], home); res.StatusCode != 200 {
		t.Errorf("signing out at %s: %s\n%.300s", out[1], res.Status, text)
	}
	if res, _ := b.get("/console/users"); !strings.HasPrefix(res.Request.URL.Path, "/console/login") {
		t.Errorf("after signing out: %s", res.Request.URL)
	}
}
