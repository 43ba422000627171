package form_test

import (
	"crypto/tls"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
)

// browse is what a browser sends when somebody opens a page.
func browse(h http.Handler, target, language string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.TLS = &tls.ConnectionState{}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// A service behind the login page. Programs serve the handler by TLS.
func Example() {
	users, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		log.Fatal(err)
	}
	login, err := form.New(form.Config{
		Verifier: users,
		Sessions: &session.Manager{Store: session.NewMemory(0)},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := login.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %v", authn.FromContext(r.Context()))
	}))

	w := browse(handler, "https://hr.corp.test/pay", "en")
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output: 303 /login?return=%2Fpay
}

// A page in the look and the language of the house.
func ExampleConfig() {
	dutch := form.English()
	dutch.Language, dutch.SignIn, dutch.Submit = "nl", "Aanmelden", "Aanmelden"
	dutch.User, dutch.Password, dutch.Remember = "Gebruikersnaam", "Wachtwoord", "Aangemeld blijven"
	// ... and the others.

	login, err := form.New(form.Config{
		Verifier: new(ntlm.Accounts),
		Sessions: &session.Manager{Store: session.NewMemory(0)},
		Service:  "Salarisadministratie",
		Texts:    []form.Texts{dutch, form.English(), form.German()},
		Template: template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="{{.Texts.Language}}">
<title>{{.Title}}</title>
<link rel="stylesheet" href="/house.css">
<h1>{{.Title}} – {{.Service}}</h1>
{{with .Message}}<p id="message" role="alert">{{.}}</p>{{end}}
{{if not .NoForm}}<form method="post" action="{{.Action}}">
<input type="hidden" name="{{.TokenField}}" value="{{.Token}}">
{{if .SignOut}}<button>{{.Texts.SignOut}}</button>
{{else}}<input type="hidden" name="return" value="{{.Return}}">
<label>{{.Texts.User}} <input name="user" value="{{.User}}" autocomplete="username" autofocus></label>
<label>{{.Texts.Password}} <input name="password" type="password" autocomplete="current-password"></label>
<button>{{.Texts.Submit}}</button>
{{end}}</form>{{end}}
`)),
	})
	if err != nil {
		log.Fatal(err)
	}
	w := browse(login, "https://hr.corp.test/login", "nl-BE, fr;q=0.5")
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "<h1>") {
			fmt.Print(line)
		}
	}
	// Output: <h1>Aanmelden – Salarisadministratie</h1>
}
