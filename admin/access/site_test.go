package access

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
)

type site struct {
	*world
	server *httptest.Server
}

// browser is a person's.
type browser struct {
	t      testing.TB
	site   *site
	client *http.Client
	header map[string]string
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s.t, s, &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, map[string]string{"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}}
}

type answer struct {
	*http.Response
	t    testing.TB
	text string
}

func (b *browser) do(method, path string, form url.Values) *answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	return b.send(method, path, "application/x-www-form-urlencoded", body)
}

func (b *browser) send(method, path, kind string, body io.Reader) *answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.site.server.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", kind)
	}
	for k, v := range b.header {
		r.Header.Set(k, v)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &answer{res, b.t, string(text)}
}

func (b *browser) get(path string) *answer { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// cookies returns the names of the cookies that the browser has.
func (b *browser) cookies() []string {
	u, _ := url.Parse(b.site.server.URL)
	var names []string
	for _, c := range b.client.Jar.Cookies(u) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// expect wants a status, and all texts in the page or in Location.
func (a *answer) expect(status int, texts ...string) *answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("status %d, want %d: %s %s", a.StatusCode, status, a.Header.Get("Location"), a.text)
	}
	for _, s := range texts {
		if !strings.Contains(a.text, s) && !strings.Contains(a.Header.Get("Location"), s) {
			a.t.Errorf("neither page nor Location has %q: %s %s", s, a.Header.Get("Location"), a.text)
		}
	}
	return a
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// fields returns the hidden ones of the form.
func (a *answer) fields(more ...string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(a.text, -1) {
		v.Set(m[1], m[2])
	}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// password types name and password.
func (b *browser) password(user, secret string) *answer {
	b.t.Helper()
	return b.do(http.MethodPost, localPath, b.get(localPath).expect(200).fields("user", user, "password", secret))
}

// second types a code.
func (b *browser) second(code string) *answer {
	b.t.Helper()
	return b.do(http.MethodPost, codePath, b.get(codePath).expect(200).fields("code", code))
}

// signInLocal is the whole way of a local administrator.
func (b *browser) signInLocal(user, code string) {
	b.t.Helper()
	b.password(user, secretPassword).expect(303, codePath)
	b.second(code).expect(303, home)
	b.get(home).expect(200, "hello "+user+" administrator true local")
}

// signIn comes back from a provider as a user of it.
func (b *browser) signIn(p *fakeProvider, account string) *answer {
	b.t.Helper()
	at := b.get(loginPath + "/" + p.name).expect(303)
	return b.get(p.back(b.t, at.Header.Get("Location"), account))
}

// program is a client of the API.
func (s *site) program(method, path, bearer string, body any) *answer {
	s.t.Helper()
	b := s.browser()
	b.header = map[string]string{}
	if bearer != "" {
		b.header["Authorization"] = "Bearer " + bearer
	}
	if body == nil {
		return b.send(method, path, "", nil)
	}
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return b.send(method, path, "application/json", strings.NewReader(string(text)))
}

// token exchanges something, and returns the token.
func (s *site) token(body map[string]string) given {
	s.t.Helper()
	a := s.program(http.MethodPost, tokenPath, "", body).expect(200)
	var got given
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		s.t.Fatal(err)
	}
	return got
}

// given is a token that was exchanged.
type given struct {
	Token   string
	Expires time.Time
	Name    string
	Role    admin.Role
}
