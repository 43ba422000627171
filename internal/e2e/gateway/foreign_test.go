package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// legacyOpenSSL gives Python's NTLM the hash MD4, which OpenSSL 3 keeps apart.
const legacyOpenSSL = `openssl_conf = init
[init]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`

// request is what the programs in testdata are asked to do: get the description
// and everything it imports, and call WhoAmI and Pay.
type request struct {
	WSDL     string `json:"wsdl"`
	Login    string `json:"login"` // negotiate, ntlm or basic
	Domain   string `json:"domain"`
	User     string `json:"user"`
	Password string `json:"password"`
	CA       string `json:"ca"`
	IP       string `json:"ip"`  // of the gateway, for who asks no C library
	Dir      string `json:"dir"` // for files
}

// reply is what they write.
type reply struct {
	Location  string // of the service, as the description says
	User      string // whom the server behind was told of
	Token     string // whom the signed token names, which it verified
	Mechanism string
	Receipt   string // of Pay
	Fault     string
}

// program is one of them.
type program struct {
	name   string
	argv   []string
	env    []string
	logins []string
	path   string // of the service
}

// mechanisms are those of the logins.
var mechanisms = map[string]string{"negotiate": authn.MechanismKerberos, "ntlm": authn.MechanismNTLM, "basic": "Basic"}

func (w *world) programs(t *testing.T) []program {
	t.Helper()
	openssl := filepath.Join(t.TempDir(), "openssl.cnf")
	if err := os.WriteFile(openssl, []byte(legacyOpenSSL), 0o600); err != nil {
		t.Fatal(err)
	}
	zeep := []string{testenv.NeedPython(t, "zeep", "requests_ntlm", "requests_kerberos"), "testdata/zeep_client.py"}
	return []program{
		{"zeep", zeep, []string{"OPENSSL_CONF=" + openssl}, []string{"negotiate", "ntlm", "basic"}, "/hr/service"},
		{"zeep at ASP.NET", zeep, nil, []string{"negotiate"}, "/stock/service.asmx"},
		{"PHP", []string{testenv.NeedPHP(t, "soap", "curl"), "testdata/soapclient.php"}, nil, []string{"negotiate", "ntlm", "basic"}, "/hr/service"},
		{"Node", []string{testenv.Need(t, "node"), "testdata/client.js", testenv.NodeModules(t, "../../interop/testdata/node")}, []string{"NODE_EXTRA_CA_CERTS=" + w.dc.CAFile}, []string{"ntlm", "basic"}, "/hr/service"},
	}
}

// Everything that others wrote, around one gateway.
func TestForeign(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	t.Run("clients", func(t *testing.T) { testClients(t, w) })
	t.Run("curl", func(t *testing.T) { testCurl(t, w) })
	t.Run("gSOAP", func(t *testing.T) { testGSOAP(t, w) })
	t.Run("browser", func(t *testing.T) { testBrowser(t, w) })
	t.Run("nginx", func(t *testing.T) { testNGINX(t, w) })
	t.Run("Squid", func(t *testing.T) { testSquid(t, w) })
	t.Run("caller", func(t *testing.T) { testCaller(t, w) })
	t.Cleanup(func() { // after all of them
		log := w.String()
		for _, user := range []string{adtest.Alice, adtest.Bob, adtest.GW02, adtest.Jill} {
			if strings.Contains(log, adtest.Password(t, user)) {
				t.Errorf("the password of %s is in the log", user)
			}
		}
		if strings.Contains(log, "level=ERROR") || strings.Contains(log, `"level":"ERROR"`) {
			t.Error("the log has errors")
		}
	})
}

func testClients(t *testing.T, w *world) {
	t.Parallel()
	for _, p := range w.programs(t) {
		for _, login := range p.logins {
			users := []string{adtest.Alice}
			if login == p.logins[0] {
				users = append(users, adtest.Bob)
			}
			for _, user := range users {
				t.Run(p.name+" "+login+" "+user, func(t *testing.T) {
					t.Parallel()
					env := append(w.env[:len(w.env):len(w.env)], p.env...)
					if login == "negotiate" {
						env = append(w.ticket(t, user), p.env...)
					}
					in, err := json.Marshal(request{w.at(p.path + "?wsdl"), login, "CORP", user, adtest.Password(t, user), w.dc.CAFile, w.ip, t.TempDir()})
					if err != nil {
						t.Fatal(err)
					}
					out := testenv.Run(t, env, string(in), p.argv[0], p.argv[1:]...)
					var got reply
					if err := json.Unmarshal([]byte(out), &got); err != nil {
						t.Fatalf("it wrote %q: %v", out, err)
					}
					if p.name != "PHP" && got.Location != w.at(p.path) {
						t.Errorf("the description says %s", got.Location)
					}
					checkReply(t, got, user, mechanisms[login])
				})
			}
		}
	}
}

// checkReply: alice is in Payroll and bob is not.
func checkReply(t *testing.T, got reply, user, mechanism string) {
	t.Helper()
	if got.User != `CORP\`+user || got.Token != `CORP\`+user || got.Mechanism != mechanism {
		t.Errorf("the server behind was told %+v, want %s by %s", got, user, mechanism)
	}
	if user == adtest.Alice && (got.Receipt != `7 to CORP\alice` || got.Fault != "") {
		t.Errorf("Pay: %+v, want a receipt", got)
	}
	if user == adtest.Bob && (got.Receipt != "" || !strings.HasPrefix(strings.ToLower(got.Fault), "access denied")) {
		t.Errorf("Pay: %+v, want a refusal", got)
	}
}

// envelope is a message for an operation.
func envelope(space, operation, content string) string {
	return fmt.Sprintf(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><%s xmlns="%s">%s</%[1]s></e:Body></e:Envelope>`, operation, space, content)
}

// element returns the text of an element.
func element(text, name string) string {
	m := regexp.MustCompile(`<(?:[\w.-]+:)?` + name + `(?:\s[^>]*)?>([^<]*)<`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// curl runs curl and returns the status and the answer.
func (w *world) curl(t *testing.T, env []string, login, user string, args ...string) (status, body string) {
	t.Helper()
	conf := "user = \":\"\n"
	switch {
	case login == "":
		conf = ""
	case login != "negotiate":
		conf = fmt.Sprintf("user = \"CORP\\\\%s:%s\"\n", user, adtest.Password(t, user))
	}
	if env == nil {
		env = w.env
	}
	args = append([]string{"-q", "-sS", "--max-time", "60", "-K", "-", "--cacert", w.dc.CAFile, "-w", "\n%{http_code}"}, args...)
	if login != "" {
		args = append(args, "--"+login)
	}
	out := testenv.Run(t, env, conf, testenv.Need(t, "curl"), args...)
	i := strings.LastIndex(out, "\n")
	return out[i+1:], out[:i]
}

func testCurl(t *testing.T, w *world) {
	t.Parallel()
	services := []struct{ name, path, space, action string }{
		{"PHP", "/hr/service", "urn:hr", "urn:hr:"},
		{"ASP.NET", "/stock/service.asmx", "urn:stock", "urn:stock/"},
	}
	for _, login := range []string{"negotiate", "ntlm", "basic"} {
		for _, user := range []string{adtest.Alice, adtest.Bob} {
			t.Run(login+" "+user, func(t *testing.T) {
				t.Parallel()
				env := w.env
				if login == "negotiate" {
					env = w.ticket(t, user)
				}
				for _, s := range services {
					call := func(operation, action, content string) (string, string) {
						t.Helper()
						return w.curl(t, env, login, user, "--noproxy", "*", "-H", "Content-Type: text/xml", "-H", `SOAPAction: "`+action+`"`,
							"-H", "X-Remote-User: CORP\\administrator", "-H", "X-Identity: a.b.c", "-d", envelope(s.space, operation, content), w.at(s.path))
					}
					status, wsdl := w.curl(t, env, login, user, "--noproxy", "*", w.at(s.path+"?wsdl"))
					if status != "200" || !strings.Contains(wsdl, `location="`+w.at(s.path)+`"`) || strings.Contains(wsdl, "internal.corp.test") || strings.Contains(wsdl, "127.0.0.1") {
						t.Errorf("%s: description: %s %.3000s", s.name, status, wsdl)
					}
					_, who := call("WhoAmI", s.action+"WhoAmI", "")
					if c := element(who, "credentials"); c != "" {
						t.Errorf("%s: the server behind got the credentials %s", s.name, c)
					}
					status, pay := call("Pay", s.action+"Pay", "<amount>7</amount>")
					got := reply{User: element(who, "user"), Token: element(who, "token"), Mechanism: element(who, "mechanism"), Fault: element(pay, "faultstring")}
					if got.Receipt = element(pay, "receipt"); s.name == "ASP.NET" {
						got.Receipt = element(pay, "PayResult")
					}
					checkReply(t, got, user, mechanisms[login])
					if got.User == "" {
						t.Logf("%s: %.2000s", s.name, who)
					}
					if user == adtest.Bob && status != "500" && status != "403" {
						t.Errorf("%s: status of the refusal: %s", s.name, status)
					}
					// As one operation for the gateway, as another for who looks at the header.
					status, wrong := call("WhoAmI", s.action+"Pay", "")
					if status != "400" && status != "500" || element(wrong, "faultcode") == "" || element(wrong, "user") != "" {
						t.Errorf("%s: a wrong SOAPAction: %s %.500s", s.name, status, wrong)
					}
				}
			})
		}
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		for _, s := range services {
			for _, path := range []string{s.path, s.path + "?wsdl"} {
				status, body := w.curl(t, nil, "", "", "--noproxy", "*", "-i", w.at(path))
				for _, want := range []string{"Negotiate\r\n", "NTLM\r\n", "Basic realm="} {
					if status != "401" || !strings.Contains(body, "Www-Authenticate: "+want) {
						t.Errorf("%s: %s %.500s, want the challenge %s", path, status, body, want)
					}
				}
			}
		}
	})
}
