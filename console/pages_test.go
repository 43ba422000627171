package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/console"
	"github.com/soapward/soapward/internal/testenv"
)

const token = "the-token"

// site is a console for a caller.
func site(f *fake, role admin.Role, log *testenv.Log) http.Handler {
	return siteFor(f, &admin.Caller{Name: `it\erin@example.com`, Role: role, Login: "it", Peer: "10.9.1.5", Session: "s4"}, log)
}

func siteFor(f *fake, caller *admin.Caller, log *testenv.Log) http.Handler {
	return siteOf(f, caller, log)
}

func siteOf(f console.Areas, caller *admin.Caller, log *testenv.Log) http.Handler {
	h := console.New(console.Options{
		Areas: f, CSRF: func(*http.Request) string { return token }, Logger: testLogger(log), Now: func() time.Time { return now },
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := authn.WithRef(r.Context(), "5f0c3a9b11")
		if caller != nil {
			ctx = admin.NewContext(ctx, caller)
		}
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

func get(t testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func post(t testing.TB, h http.Handler, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	h.ServeHTTP(w, r)
	return w
}

// allPages are all that can be got, with what each must have for whoever may see it.
func allPages() []struct{ path, want string } {
	pages := []struct{ path, want string }{
		{"/console/", "ldaps://dc2.corp.example"},
		{"/console/?since=7d", "last 7 days"},
		{"/console/?since=90d", "last 90 days"},
		{"/console/services", "pay.corp.example/pay"},
		{"/console/service?name=payroll", "inherited from defaults"},
		{"/console/explain", "Nothing is sent"},
		{"/console/explain?url=/pay&who=user&user=CORP%5Calice&operation=x&service=payroll", "not this operation"},
		{"/console/users", "104,312"},
		{"/console/users?search=alice", `CORP\alice`},
		{"/console/users?search=nobody-at-all", "Nobody is like that"},
		{"/console/users/add", "As in"},
		{"/console/user?name=CORP%5Calice", "Payroll Readers"},
		{"/console/user?name=admin", "set up"},
		{"/console/user/edit?name=CORP%5Calice", "Alice Liddell"},
		{"/console/user/password?name=admin", "the password"},
		{"/console/user/second-factor?name=admin", "second factor"},
		{"/console/user/delete?name=CORP%5Calice", "for good"},
		{"/console/roles", "it-admins"},
		{"/console/sessions", "kept logged in"},
		{"/console/blocks", "203.0.113.9"},
		{"/console/realms", "in 14 h"},
		{"/console/realm?name=corp", "101,204 users seen"},
		{"/console/realm?name=it", "redirect URI"},
		{"/console/providers", "https://login.example.com/"},
		{"/console/providers/passwords", "There is no way back"},
		{"/console/logins", "STATUS_WRONG_PASSWORD"},
		{"/console/logins?after=100&outcome=refused", "clock-skew"},
		{"/console/logins?newer=170", "26 Nov 2026"},
		{"/console/logins?ref=0000152561", "Apache-CXF"},
		{"/console/changes", "alice@old.example"},
		{"/console/configuration", "username_claim: email"},
		{"/console/configuration/versions", "CHG-1182"},
		{"/console/configuration/version?id=41", "in place"},
		{"/console/configuration/version?id=40", "Roll back to version 40"},
		{"/console/account", "lifts blocks"},
	}
	for _, name := range hostile {
		q := url.Values{"name": {name}}.Encode()
		pages = append(pages, struct{ path, want string }{"/console/user?" + q, "<h1><bdi>" + strings.ReplaceAll(name, "\u202e", `\u202e`)})
	}
	return pages
}

// TestPages walks all pages as each role, of a company and of nobody.
func TestPages(t *testing.T) {
	t.Parallel()
	administratorOnly := regexp.MustCompile(`^/console/(users/add|user/(edit|password|second-factor|delete)|providers/passwords|configuration/roll-back)`)
	for _, role := range []admin.Role{admin.Viewer, admin.Operator, admin.Administrator} {
		for _, empty := range []bool{false, true} {
			f := newFake()
			f.empty = empty
			log := new(testenv.Log)
			h := site(f, role, log)
			for _, p := range allPages() {
				w := get(t, h, p.path)
				body := w.Body.String()
				gone := empty && (strings.Contains(p.path, "name=") || strings.Contains(p.path, "id="))
				want := http.StatusOK
				if gone {
					want = http.StatusNotFound
				}
				if w.Code != want {
					t.Errorf("%s, %s, empty %v: got %d, want %d", p.path, role, empty, w.Code, want)
					continue
				}
				needsMore := administratorOnly.MatchString(p.path) && role < admin.Administrator || strings.Contains(p.want, "Roll back") && role < admin.Administrator
				if !empty && !needsMore && !strings.Contains(html.UnescapeString(body), html.UnescapeString(p.want)) {
					t.Errorf("%s, %s: no %q in %s", p.path, role, p.want, body)
				}
				if needsMore && !empty && !strings.Contains(body, "takes the role administrator") {
					t.Errorf("%s, %s: does not say which role it takes", p.path, role)
				}
				checkPage(t, p.path+", "+role.String(), w, role)
			}
			if log.String() != "" {
				t.Errorf("log: %s", log)
			}
		}
	}
}

// TestPresentSession has pages mark the session that they are looked at with, and
// buttons say that ending it signs out.
func TestPresentSession(t *testing.T) {
	t.Parallel()
	h := site(newFake(), admin.Operator, nil)
	for path, out := range map[string]int{ // buttons that sign out
		"/console/account": 2, "/console/user?" + url.Values{"name": {`it\erin@example.com`}}.Encode(): 2,
		"/console/sessions": 1, "/console/user?" + url.Values{"name": {`CORP\alice`}}.Encode(): 0,
	} {
		body := get(t, h, path).Body.String()
		if n := strings.Count(body, ">this browser</span>"); n != min(out, 1) {
			t.Errorf("%s marks %d sessions", path, n)
		}
		if n := strings.Count(strings.ToLower(body), "sign out here"); n != out {
			t.Errorf("%s has %d buttons that say that they sign out, want %d", path, n, out)
		}
		before, _, _ := strings.Cut(body, ">Sign out here<")
		if out > 0 && !strings.Contains(before[strings.LastIndex(before, "<form"):], `value="s4"`) {
			t.Errorf("%s: the button is of another session", path)
		}
	}
}

// formRole says which role a form takes, by its action.
var formRole = map[string]admin.Role{
	"/console/logout": admin.NoRole, "/console/user/state": admin.Operator, "/console/sessions/end": admin.Operator, "/console/blocks/lift": admin.Operator,
	"/console/realm/test": admin.Operator, "/console/realm/sync": admin.Operator, "/console/users/add": admin.Administrator, "/console/user/edit": admin.Administrator,
	"/console/user/password": admin.Administrator, "/console/user/second-factor": admin.Administrator, "/console/user/delete": admin.Administrator,
	"/console/providers/passwords": admin.Administrator, "/console/configuration/roll-back": admin.Administrator,
	"/console/configuration": admin.Viewer, // where those who may not change have no button
}

// checkPage looks at what every page must have, and what none may.
func checkPage(t *testing.T, name string, w *httptest.ResponseRecorder, role admin.Role) {
	t.Helper()
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self'; script-src 'self';") || strings.Contains(got, "unsafe") {
		t.Errorf("%s: policy %q", name, got)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q", name, got)
	}
	body := w.Body.String()
	for _, bad := range []string{"ZgotmplZ", "%!", "no value", "&lt;nil&gt;"} {
		if strings.Contains(strings.ReplaceAll(body, "%20", ""), bad) {
			t.Errorf("%s: has %q", name, bad)
		}
	}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ids, headings, scripts := map[string]bool{}, 0, 0
	var refs []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		a := attributes(n)
		for k, v := range a {
			switch {
			case strings.HasPrefix(k, "on"), k == "style", k == "srcdoc":
				t.Errorf("%s: <%s %s=%q>", name, n.Data, k, v)
			case (k == "href" || k == "src" || k == "action") && !strings.HasPrefix(v, "/console/") && !strings.HasPrefix(v, "#"):
				t.Errorf("%s: <%s %s=%q> leads elsewhere", name, n.Data, k, v)
			case k == "id":
				if ids[v] {
					t.Errorf("%s: two elements have the id %q", name, v)
				}
				ids[v] = true
			case k == "for", k == "aria-describedby", k == "aria-labelledby", k == "list":
				refs = append(refs, strings.Fields(v)...)
			}
		}
		switch n.Data {
		case "h1":
			headings++
		case "script":
			scripts++
			if n.FirstChild != nil || !strings.HasPrefix(a["src"], "/console/static/") {
				t.Errorf("%s: <script %v>", name, a)
			}
		case "style", "iframe", "object", "embed", "base":
			t.Errorf("%s: <%s>", name, n.Data)
		case "form":
			checkForm(t, name, n, a, role)
		}
	}
	if headings != 1 || scripts != 1 {
		t.Errorf("%s: %d headings of level 1 and %d scripts, want one of each", name, headings, scripts)
	}
	for _, r := range refs {
		if !ids[r] {
			t.Errorf("%s: nothing has the id %q", name, r)
		}
	}
}

func checkForm(t *testing.T, name string, form *html.Node, a map[string]string, role admin.Role) {
	t.Helper()
	var tokens, buttons int
	for n := range form.Descendants() {
		in := attributes(n)
		if n.Data == "input" && in["name"] == "csrf" {
			tokens++
			if in["value"] != token || in["type"] != "hidden" {
				t.Errorf("%s: token %v", name, in)
			}
		}
		if n.Data == "input" && in["type"] == "password" && in["value"] != "" {
			t.Errorf("%s: a password is shown again", name)
		}
		if n.Data == "button" && in["type"] == "submit" {
			buttons++
		}
	}
	action, _, _ := strings.Cut(a["action"], "#")
	switch a["method"] {
	case "post":
		needed, known := formRole[action]
		if tokens != 1 || !known || role < needed {
			t.Errorf("%s: form to %q has %d tokens and takes %s", name, action, tokens, needed)
		}
		if action == "/console/configuration" && (buttons > 0) != (role == admin.Administrator) && !strings.Contains(name, "read only") && buttons > 0 {
			t.Errorf("%s: %d buttons", name, buttons)
		}
	default:
		if tokens != 0 {
			t.Errorf("%s: a token in an address", name)
		}
		if buttons == 0 {
			t.Errorf("%s: form to %q has no button", name, action)
		}
	}
}

func attributes(n *html.Node) map[string]string {
	m := make(map[string]string, len(n.Attr))
	for _, a := range n.Attr {
		m[a.Key] = a.Val
	}
	return m
}

// TestAttackConsoleByLink: what changes something is not done by a link that an
// administrator is made to follow.
func TestAttackConsoleByLink(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := site(f, admin.Administrator, nil)
	for action := range formRole {
		if action == "/console/logout" || action == "/console/configuration" {
			continue
		}
		f.called()
		get(t, h, action+"?name=admin&state=disabled&id=s1&who=x&user=admin")
		if got := f.called(); regexp.MustCompile(`Change|Delete|Set|Clear|End|Unblock|Apply|RollBack|Sync|Test|Add`).MatchString(strings.ReplaceAll(got, "Changes", "")) {
			t.Errorf("GET %s did %s", action, got)
		}
	}
}

// TestMethods: pages cannot be posted to, and others are not there.
func TestMethods(t *testing.T) {
	t.Parallel()
	h := site(newFake(), admin.Administrator, nil)
	for _, path := range []string{"/console/", "/console/users", "/console/logins", "/console/account", "/console/roles"} {
		if w := post(t, h, path, url.Values{}); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: got %d, Allow %q", path, w.Code, w.Header().Get("Allow"))
		}
	}
	for _, path := range []string{"/console/none", "/console/users/", "/console/user/none?name=x"} {
		w := get(t, h, path)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
		checkPage(t, path, w, admin.Administrator)
	}
}

// TestNobody: without a caller there is nothing.
func TestNobody(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := siteFor(f, nil, nil)
	for _, p := range append(allPages(), struct{ path, want string }{path: "/console/logins.csv"}, struct{ path, want string }{path: "/console/changes.jsonl"}) {
		if w := get(t, h, p.path); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", p.path, w.Code)
		}
	}
	for action := range formRole {
		if w := post(t, h, action, url.Values{"name": {"admin"}}); w.Code != http.StatusUnauthorized {
			t.Errorf("POST %s: got %d, want 401", action, w.Code)
		}
	}
	if got := f.called(); got != "" {
		t.Errorf("called %s", got)
	}
}

// TestErrors: each page tells of a store that is away, and says nothing of what
// nobody foresaw.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		set    func(*fake)
		role   admin.Role
		status int
		want   string
		logged string
	}{
		{"down", func(f *fake) { f.down = true }, admin.Viewer, http.StatusServiceUnavailable, "Look whether PostgreSQL runs.", "connection refused"},
		{"broken", func(f *fake) { f.broken = true }, admin.Viewer, http.StatusInternalServerError, "<code>5f0c3a9b11</code>", "hunter2"},
		{"forbidden", func(*fake) {}, admin.NoRole, http.StatusForbidden, "This needs the role viewer.", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, log := newFake(), new(testenv.Log)
			tt.set(f)
			h := site(f, tt.role, log)
			for _, p := range allPages() {
				if slices.Contains([]string{"/console/users/add", "/console/explain", "/console/providers/passwords"}, p.path) {
					continue // which ask nobody, or can do without
				}
				w := get(t, h, p.path)
				body := w.Body.String()
				if w.Code != tt.status || !strings.Contains(body, tt.want) || !strings.Contains(body, `role="alert"`) {
					t.Errorf("%s: got %d %s", p.path, w.Code, body)
				}
				if strings.Contains(body, "hunter2") || strings.Contains(body, "10.0.0.5") {
					t.Errorf("%s tells what only operators may know: %s", p.path, body)
				}
				checkPage(t, p.path, w, tt.role)
			}
			if !strings.Contains(log.String(), tt.logged) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestAttackConsoleNotice: an address chooses a text of ours, and a number, but
// says nothing of its own.
func TestAttackConsoleNotice(t *testing.T) {
	t.Parallel()
	h := site(newFake(), admin.Administrator, nil)
	for _, tt := range []struct{ q, want string }{
		{"done=ended-all&n=3", "3 sessions are ended."},
		{"done=ended-all&n=1", "One session is ended."},
		{"done=ended-all", "There was no session."},
		{"done=ended-all&n=<b>", "There was no session."},
		{"done=saved&n=7", "The changes are saved."},
		{"done=Your+password+expired", ""},
		{"done=", ""},
		{"notice=hello&problem=hello", ""},
	} {
		body := get(t, h, "/console/users?"+tt.q).Body.String()
		_, after, found := strings.Cut(body, `id="notice"`)
		if found != (tt.want != "") || tt.want != "" && !strings.Contains(after, "<p>"+tt.want+"</p>") {
			t.Errorf("%s: notice %v, want %q", tt.q, found, tt.want)
		}
	}
}
