package publish

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/gateway/config"
)

// everything is a page with two services of which anybody may see all.
func everything(t *testing.T) map[string]*Publisher {
	t.Helper()
	hr := service(t, func(s *config.Service) {
		s.Login = []config.Login{{Realm: "corp", Method: config.Negotiate}, {Realm: "corp", Method: config.NTLM}, {Realm: "staff", Method: config.Basic}, {Realm: "corp", Method: config.Basic}}
	})
	api, err := New("api", &config.Service{
		Title: "Orders <v2>", Description: "Orders of all shops.", PublicURL: config.URL{URL: parse(t, "https://api.test/v2")},
		Settings: config.Settings{Login: []config.Login{{Method: config.None}}}, Match: config.Match{Path: "/api/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Publisher{"hr": hr, "api": api}
}

func anybody(*http.Request, string) bool { return true }

func TestPage(t *testing.T) {
	t.Parallel()
	h := Page(everything(t), anybody)
	for _, tt := range []struct {
		url    string
		status int
		want   []string
		no     []string
	}{
		{
			"https://gw.test/.soapward/services", 200,
			[]string{
				`<h3><a href="?service=hr">HRService</a></h3>`, `Who works here &amp; since when.`, `<code class="address">https://gw.test/hr/Service.asmx</code>`,
				`<li>Windows (Negotiate)</li><li>Windows (NTLM)</li><li>Password (Basic)</li></ul>`, `<span>2 operations</span><a href="https://gw.test/hr/Service.asmx?wsdl">WSDL</a>`,
				`<h3><a href="?service=api">Orders &lt;v2&gt;</a></h3>`, `<code class="address">https://api.test/v2/</code>`, `No login needed`,
			},
			[]string{":8080", "svc-hr", "<script", "api.test/v2?wsdl"},
		},
		{
			"https://gw.test/?service=hr", 200,
			[]string{
				"<h1>HRService</h1>", "<small>urn:hr</small>", "<h3>Pay</h3><p>Pays a salary.</p><code>http://10.0.0.7/hr/Pay</code>", "<h3>Hire</h3><code>urn:hire</code>",
				`<a href="https://gw.test/hr/Service.asmx?singleWsdl">`, `<a href="?">`,
			},
			nil,
		},
		{"https://gw.test/?service=api", 200, []string{"<h1>Orders &lt;v2&gt;</h1>"}, []string{"?wsdl", "Operations"}},
		{"https://gw.test/?service=none", 404, []string{"There is no such service that you may call."}, nil},
	} {
		w := ask(h, tt.url, nil)
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d", tt.url, w.Code, tt.status)
		}
		for _, want := range tt.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: no %s in\n%s", tt.url, want, w.Body)
			}
		}
		for _, no := range tt.no {
			if strings.Contains(w.Body.String(), no) {
				t.Errorf("%s: %s is in\n%s", tt.url, no, w.Body)
			}
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "https://gw.test/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

func TestPageAddress(t *testing.T) {
	t.Parallel()
	p := service(t, func(s *config.Service) { s.Match.Host = "hr.test"; s.Publish = config.PublishOff })
	w := ask(Page(map[string]*Publisher{"hr": p}, anybody), "http://gw.test:8080/", nil)
	if body := w.Body.String(); !strings.Contains(body, ">http://hr.test:8080/hr/Service.asmx<") || strings.Contains(body, "?wsdl") {
		t.Errorf("got %s", body)
	}
}

// A service that the caller may not see is as if it was not there.
func TestAttackPageShowsOthers(t *testing.T) {
	t.Parallel()
	h := Page(everything(t), func(_ *http.Request, name string) bool { return name == "api" })
	list := ask(h, "https://gw.test/", nil)
	if body := list.Body.String(); strings.Contains(body, "HRService") || strings.Contains(body, "service=hr") || !strings.Contains(body, "service=api") {
		t.Errorf("got %s", body)
	}
	hidden, none := ask(h, "https://gw.test/?service=hr", nil), ask(h, "https://gw.test/?service=none", nil)
	if hidden.Code != http.StatusNotFound || hidden.Body.String() != none.Body.String() {
		t.Errorf("hidden: status %d, %s; none: %s", hidden.Code, hidden.Body, none.Body)
	}
	nothing := ask(Page(everything(t), func(*http.Request, string) bool { return false }), "https://gw.test/", nil)
	if !strings.Contains(nothing.Body.String(), "There is no service that you may call.") {
		t.Errorf("got %s", nothing.Body)
	}
}

// Words of a description are words, and the policy of the page runs nothing.
func TestAttackScriptInDescription(t *testing.T) {
	t.Parallel()
	p := service(t, nil)
	p.title, p.text = `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`
	p.ops = []Operation{{Name: "{javascript:x}<b>", Action: "javascript:alert(1)", Doc: "</li><script>"}}
	h := Page(map[string]*Publisher{"hr": p}, anybody)
	for _, u := range []string{"https://gw.test/", "https://gw.test/?service=hr"} {
		w := ask(h, u, nil)
		for _, bad := range []string{"<script", "<img", "<b>", `href="javascript`} {
			if strings.Contains(w.Body.String(), bad) {
				t.Errorf("%s: %s is in the page", u, bad)
			}
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("policy %q", csp)
		}
	}
	if w := ask(h, "https://gw.test/", nil); w.Code != 200 {
		t.Fatal(w.Code)
	}
	r := httptest.NewRequest("GET", "https://gw.test/", nil)
	r.Host = `evil"><x`
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("Host with markup: status %d", w.Code)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		most int
		want string
	}{
		{" short ", 10, "short"},
		{"one two three", 8, "one two ..."},
		{"onetwothree", 6, "onetwo ..."},
		{"éééé", 3, "é ..."},
	} {
		if got := clip(tt.in, tt.most); got != tt.want {
			t.Errorf("clip(%q, %d) = %q, want %q", tt.in, tt.most, got, tt.want)
		}
	}
}
