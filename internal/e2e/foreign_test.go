package e2e

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/testenv"
)

// foreignCall is what the programs in testdata, each in another language, are
// asked to do. They read the fields, one a line, and write for each request a
// line with the status and the body in base64.
type foreignCall struct {
	url                    string
	domain, user, password string
	body                   string // empty: GET
	count                  int
	caFile                 string
}

type foreignAnswer struct{ status, body string }

func (c foreignCall) input() string {
	return strings.Join([]string{c.url, c.domain, c.user, c.password, c.body, strconv.Itoa(c.count), c.caFile}, "\n")
}

// foreignClient is one of those programs.
type foreignClient struct {
	argv []string
	env  []string

	logsInAgain bool // for each request

	// mayFail says of a case of testLogins why the client itself may fail in
	// it, depending on who is faster. Where it does not, it must be let in as
	// always.
	mayFail map[string]string
}

// call does what c asks for.
func (f foreignClient) call(t *testing.T, c foreignCall) []foreignAnswer {
	t.Helper()
	return c.answers(t, testenv.Run(t, f.env, c.input(), f.argv[0], f.argv[1:]...))
}

// answers reads what a client wrote.
func (c foreignCall) answers(t *testing.T, output string) []foreignAnswer {
	t.Helper()
	var answers []foreignAnswer
	for line := range strings.Lines(output) {
		status, body, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			t.Fatalf("client wrote %q", output)
		}
		answers = append(answers, foreignAnswer{status, string(b)})
	}
	if len(answers) != c.count {
		t.Fatalf("client wrote %q, want %d answers", output, c.count)
	}
	return answers
}

// testLogins puts the client through what it can be asked, over the scheme
// NTLM.
func (f foreignClient) testLogins(t *testing.T) {
	t.Helper()
	alice := foreignCall{domain: "CORP", user: localUser, password: localPass}
	for _, tt := range []struct {
		name   string
		change func(*foreignCall)
		reason authn.Reason // "" means that it is let in
	}{
		{"get", func(*foreignCall) {}, ""},
		{"post", func(c *foreignCall) { c.body = "<a/>" }, ""},
		{"1 MB post", func(c *foreignCall) { c.body = strings.Repeat("<a/>", 1<<18) }, ""},
		{"three on a connection", func(c *foreignCall) { c.body, c.count = "<a/>", 3 }, ""},
		{"DNS domain", func(c *foreignCall) { c.domain = localDNS }, ""},
		{"no domain", func(c *foreignCall) { c.domain = "" }, ""},
		{"user principal name", func(c *foreignCall) { c.domain, c.user = "", "alice@corp.test" }, ""},
		{"wrong password", func(c *foreignCall) { c.password, c.body = "wrong", "<a/>" }, authn.ReasonWrongPassword},
		{"unknown user", func(c *foreignCall) { c.user = "nobody" }, authn.ReasonUnknownUser},
		{"another domain", func(c *foreignCall) { c.domain = "EVIL" }, authn.ReasonUnknownUser},
		{"disabled", func(c *foreignCall) { c.user, c.password = "dave", "dave-local" }, authn.ReasonDisabled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t), NoNegotiate: true}})
			c := alice
			tt.change(&c)
			c.url, c.count = s.URL, max(1, c.count)
			output, err := testenv.Try(t, f.env, c.input(), f.argv[0], f.argv[1:]...)
			refused := strings.HasPrefix(output, "401 ")
			if why := f.mayFail[tt.name]; why != "" && (err != nil || refused) {
				t.Logf("%v, %.100q: %s", err, output, why)
				if refused && strings.Contains(s.log.String(), "msg=login") {
					t.Error("log says that somebody logged in")
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			for _, a := range c.answers(t, output) {
				if tt.reason != "" {
					checkRefused(t, s, a.status, a.body, tt.reason)
				} else {
					checkLocalAlice(t, a.body, a.status, c.body)
				}
			}
			if tt.reason == "" {
				checkLoginLogged(t, s)
				want := 1
				if f.logsInAgain {
					want = c.count
				}
				if n := strings.Count(s.log.String(), "msg=login"); n != want {
					t.Errorf("%d logins for %d requests, want %d", n, c.count, want)
				}
			}
		})
	}
}

// checkLoginLogged: the operator sees who logged in.
func checkLoginLogged(t *testing.T, s *server) {
	t.Helper()
	if log := s.log.String(); !strings.Contains(log, "level=INFO msg=login") || !strings.Contains(log, `user.name=CORP\alice user.sid=`+string(localSID)) {
		t.Error("log does not say that alice logged in")
	}
}

// checkRefused: the client gets a 401 that does not tell why, and the log tells.
func checkRefused(t *testing.T, s *server, status, body string, reason authn.Reason) {
	t.Helper()
	if status != "401" || strings.Contains(body, string(reason)) {
		t.Errorf("status = %s, body %q, want 401 without the reason", status, body)
	}
	log := s.log.String()
	if !strings.Contains(log, "cause.reason="+string(reason)) {
		t.Errorf("log does not name the reason %q", reason)
	}
	if strings.Contains(log, "msg=login") {
		t.Error("log says that somebody logged in")
	}
}
