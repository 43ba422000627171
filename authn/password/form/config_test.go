package form

import (
	"html/template"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{Verifier: new(people), Sessions: &session.Manager{Store: session.NewMemory(0)}}
	}
	withNTLM := &iwa.Authenticator{Kerberos: &kerberos.Mechanism{}, NTLM: &ntlm.Mechanism{}}
	german := German()
	german.Windows = ""
	percent := English()
	percent.BlockedMinutes = "in 60 minutes"
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // in the error; empty: none
	}{
		{"good", func(*Config) {}, ""},
		{"Kerberos", func(c *Config) { c.Windows = &iwa.Authenticator{Kerberos: &kerberos.Mechanism{}} }, ""},
		{"NTLM", func(c *Config) { c.Windows = withNTLM }, "leave NTLM of the iwa.Authenticator nil"},
		{"Basic", func(c *Config) { c.Windows = &password.Basic{} }, "Basic"},
		{"no verifier", func(c *Config) { c.Verifier = nil }, "Verifier"},
		{"no sessions", func(c *Config) { c.Sessions = nil }, "Sessions"},
		{"no store", func(c *Config) { c.Sessions = &session.Manager{} }, "Store"},
		{"path", func(c *Config) { c.Path = "login" }, `"/login"`},
		{"path with a slash", func(c *Config) { c.Path = "/login/" }, `"/login"`},
		{"path of another host", func(c *Config) { c.Path = "//evil" }, `"/login"`},
		{"home elsewhere", func(c *Config) { c.Home = "https://evil.test" }, "home"},
		{"style", func(c *Config) { c.Style = "a{}</style><script>" }, "style"},
		{"a word is missing", func(c *Config) { c.Texts = []Texts{german} }, `"de": Windows`},
		{"minutes", func(c *Config) { c.Texts = []Texts{percent} }, "%d"},
		{"no language", func(c *Config) { c.Texts = []Texts{} }, "texts"},
	} {
		c := good()
		tt.change(&c)
		_, err := New(c)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	pt := English()
	pt.Language, pt.SignIn = "pt-BR", "Entrar"
	all := []Texts{English(), German(), pt}
	for _, tt := range []struct{ accept, want string }{
		{"", "en"}, {"de", "de"}, {"de-CH, en;q=0.9", "de"}, {"fr, de;q=0.7, en;q=0.8", "en"}, {"pt-br", "pt-BR"}, {"pt", "en"},
		{"en;q=0, de;q=0.1", "de"}, {"*", "en"}, {"de;q=x", "en"}, {"DE-de", "de"}, {strings.Repeat("fr,", 500) + "de", "en"}, {";;,,", "en"},
	} {
		if got := choose(all, []string{tt.accept}).Language; got != tt.want {
			t.Errorf("%.30q: %s, want %s", tt.accept, got, tt.want)
		}
	}
	b := newSite(t, Config{}).browser(t)
	b.header["Accept-Language"] = "de-AT,de;q=0.9"
	page := b.get("/login")
	page.expect(t, 200, `<html lang="de">`, "Kennwort", "Angemeldet bleiben")
	if page.Header.Get("Content-Language") != "de" {
		t.Errorf("Content-Language %q", page.Header.Get("Content-Language"))
	}
	arabic := English()
	arabic.Language, arabic.RightToLeft = "ar", true
	newSite(t, Config{Texts: []Texts{arabic}}).browser(t).get("/login").expect(t, 200, `<html lang="ar" dir="rtl">`)
	// Each word of one language differs from the other's, or it was forgotten.
	e, g := reflect.ValueOf(English()), reflect.ValueOf(German())
	for i := range e.NumField() {
		if e.Field(i).Kind() == reflect.String && e.Field(i).String() == g.Field(i).String() {
			t.Errorf("%s is the same in English and German", e.Type().Field(i).Name)
		}
	}
}

func TestOwnLook(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{
		Style:    "h1 { color: #123456 }",
		Template: template.Must(template.New("x").Parse(`<style>{{.Style}}</style><h1>{{.Texts.SignIn}}</h1><input type="hidden" name="{{.TokenField}}" value="{{.Token}}">`)),
	})
	b := s.browser(t)
	page := b.get("/login")
	page.expect(t, 200, "<style>h1 { color: #123456 }</style><h1>Sign in</h1>")
	b.login(page, `CORP\alice`, secretPassword).expect(t, 303)
}
