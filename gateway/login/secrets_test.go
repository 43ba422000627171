package login_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// TestAttackGatewaySecretsInLog: whoever reads the log, at its most talkative, or
// what is told of logins finds no password, no hash, no token and no session, of
// logins that are right, wrong or broken.
func TestAttackGatewaySecretsInLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	w.user(c, "staff", "dora")

	var mu sync.Mutex
	secrets := map[string]string{marked: "a password"}
	note := func(what, secret string) {
		mu.Lock()
		defer mu.Unlock()
		if len(secret) > 12 {
			secrets[secret] = what
		}
	}
	for _, name := range []string{"carol", "dora"} {
		note("an NT hash", hex.EncodeToString(ntlm.HashPassword(marked+name).Reveal()))
	}
	for service := range c.Services {
		h, err := s.Handler(spec(c, service), whoami)
		if err != nil {
			t.Fatal(err)
		}
		inner := route(s, h)
		srv := w.listen(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if _, rest, ok := authn.Authorization(r); ok {
				note("a token", rest)
				if b, err := base64.StdEncoding.DecodeString(rest); err == nil {
					note("a token in hex", hex.EncodeToString(b))
				}
			}
			for _, k := range r.Cookies() {
				note("a cookie", k.Value)
			}
			inner.ServeHTTP(rw, r)
		}), true)
		wrong := authn.NewSecret(marked + "wrong")
		for _, as := range []authclient.Credential{
			w.kerberos("alice"), ntlmAs("carol"), ntlmAs("dora"), basicAs("carol"), basicAs("dora"),
			&authclient.NTLM{User: "carol", Password: wrong}, &authclient.Basic{User: "carol", Password: wrong},
		} {
			client := w.client(srv, as)
			for range 2 {
				_ = get(t, client, srv.URL)
			}
		}
		for _, broken := range []string{"Negotiate " + base64.StdEncoding.EncodeToString([]byte(marked)), "NTLM !" + marked, "Basic " + marked, "Bearer " + marked} {
			_ = ask(t, srv.Client(), "GET", srv.URL, "Authorization", broken)
		}
	}
	log := w.log.String()
	w.seen.mu.Lock()
	for _, d := range w.seen.list {
		log += fmt.Sprintf("%+v\n", d)
	}
	w.seen.mu.Unlock()
	if len(secrets) < 20 || !strings.Contains(log, "alice") {
		t.Fatalf("%d secrets and %d bytes of log: the logins are not there", len(secrets), len(log))
	}
	for secret, what := range secrets {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("%s is in the log: %.200s", what, log[max(i-150, 0):])
		}
	}
}
