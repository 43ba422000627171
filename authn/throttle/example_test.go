package throttle_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/throttle"
)

// Three wrong passwords, and even the right one has to wait.
func ExampleLimiter() {
	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		log.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	limit := &throttle.Limiter{
		Store:     throttle.NewMemory(0),
		Canonical: throttle.Names{Domains: [][]string{{"CORP", "corp.test"}}}.Canonical,
		Logger:    quiet,
	}
	basic := &password.Basic{Verifier: limit.Password(accounts), AllowInsecureHTTP: true}
	mw := &authn.Middleware{Authenticators: []authn.Authenticator{limit.Authenticator(basic)}, Logger: quiet, Deny: tellStatus}
	proxies, err := authn.ParseProxies("10.0.0.0/8")
	if err != nil {
		log.Fatal(err)
	}
	handler := proxies.Wrap(mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", authn.FromContext(r.Context()))
	})))

	for _, login := range [][2]string{
		{"alice", "horse"}, {`CORP\Alice`, "battery"}, {"alice@corp.test", "staple"}, {"alice", "correct horse"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(login[0], login[1])
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Body, w.Header()["Retry-After"])
	}
	// Output:
	// status 401 []
	// status 401 []
	// status 401 []
	// status 429 [30]
}

// tellStatus leaves out the reference, which is another one each time.
func tellStatus(w http.ResponseWriter, _ *http.Request, status int, _ string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, fmt.Sprint("status ", status))
}
