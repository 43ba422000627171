package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// proxyUser is the header in which Squid tells servers on plain HTTP who logged
// in at it.
const proxyUser = "X-Proxy-User"

// The file is the whole configuration: nothing of the machine's own is read.
var squidConfig = template.Must(template.New("squid.conf").Parse(`
{{if .CertFile}}https_port 127.0.0.1:{{.Port}} tls-cert={{.CertFile}} tls-key={{.KeyFile}}
{{- else}}http_port 127.0.0.1:{{.Port}}{{end}}
visible_hostname {{.Host}}
pid_filename {{.Dir}}/pid
coredump_dir {{.Dir}}
cache_log {{.Dir}}/cache.log
logformat soapward %un %rm %ru %>Hs
access_log stdio:{{.Dir}}/access.log soapward
cache deny all
via off
forwarded_for delete
pinger_enable off
dns_nameservers 127.0.0.1
udp_incoming_address 127.0.0.1
udp_outgoing_address 127.0.0.1
netdb_filename none
shutdown_lifetime 0 seconds
{{range .Auth}}auth_param {{.Scheme}} program {{.Program}}
auth_param {{.Scheme}} children 20 startup=2 idle=2
{{end}}
{{if .Auth}}acl loggedin proxy_auth REQUIRED
http_access deny !loggedin
{{end}}http_access allow all
request_header_add ` + proxyUser + ` "%un" all
`))

// squidAuth is a helper program that judges the logins of one scheme.
type squidAuth struct {
	Scheme  string // "negotiate" or "ntlm"
	Program string // with its arguments
}

// squid is the Squid proxy.
type squid struct {
	*url.URL
	dir string
}

type squidConf struct {
	Dir, Host         string
	Port              int
	Auth              []squidAuth
	CertFile, KeyFile string
}

// squidAuthFor makes the helper's configuration, given a directory that Squid's
// user can read and a way to hand a file over to that user.
type squidAuthFor func(t *testing.T, dir string, own func(file string)) squidAuth

// startSquid starts Squid under the name host, with TLS to itself if secure.
func startSquid(t *testing.T, dc *adtest.DC, host string, secure bool, auth ...squidAuthFor) *squid {
	t.Helper()
	program := testenv.Need(t, "squid")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := squidConf{Dir: publicDir(t), Host: host, Port: port}
	own := squidOwner(t)
	own(c.Dir) // logs
	env := []string{squidHelperEnv + "=1"}
	if dc != nil {
		krb5conf := filepath.Join(c.Dir, "krb5.conf")
		copyFile(t, krb5conf, dc.Krb5Conf, 0o644)
		env = append(dc.Env(), append(env, "KRB5_CONFIG="+krb5conf)...)
	}
	s := &squid{URL: &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}, dir: c.Dir}
	if secure {
		s.Scheme = "https"
		c.CertFile, c.KeyFile = filepath.Join(c.Dir, "cert.pem"), filepath.Join(c.Dir, "key.pem")
		copyFile(t, c.CertFile, dc.CAFile, 0o644)
		copyFile(t, c.KeyFile, dc.KeyFile, 0o600)
		own(c.KeyFile)
	}
	for _, f := range auth {
		c.Auth = append(c.Auth, f(t, c.Dir, own))
	}
	var conf bytes.Buffer
	if err := squidConfig.Execute(&conf, c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "squid.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	var output logBuffer
	cmd := exec.Command(program, "-N", "-f", file)
	cmd.Dir = c.Dir
	cmd.Env = slices.Concat(os.Environ(), env)
	cmd.Stdout, cmd.Stderr = &output, &output
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("Squid wrote:\n%s\n%s\n%s", output.String(), s.file("cache.log"), s.file("access.log"))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.WaitListening(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		t.Fatal(err)
	}
	return s
}

// squidOwner returns what gives a file to the user that Squid becomes when it
// is started as root.
func squidOwner(t *testing.T) func(file string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func(string) {}
	}
	u, err := user.Lookup("proxy") // of each Debian, and built into its Squid
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers, on this system
	gid, _ := strconv.Atoi(u.Gid)
	return func(file string) {
		t.Helper()
		if err := os.Chown(file, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *squid) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// proxy is for http.Transport.Proxy.
func (s *squid) proxy(*http.Request) (*url.URL, error) { return s.URL, nil }

// access is a line of Squid's log of requests.
type access struct{ user, method, target, status string }

// requests returns the log of the requests that were let pass, once there are
// n of them.
func (s *squid) requests(t *testing.T, n int) []access {
	t.Helper()
	var passed []access
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		passed = nil
		for line := range strings.Lines(s.file("access.log")) {
			if f := strings.Fields(line); len(f) == 4 && f[1] != "-" && f[3] != "407" { // "-": closed without a request
				passed = append(passed, access{f[0], f[1], f[2], f[3]})
			}
		}
		if len(passed) < n {
			return fmt.Errorf("%d requests in the log, want %d", len(passed), n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return passed
}

// squidKerberos has tickets for a service judged by Squid's own helper.
func squidKerberos(dc *adtest.DC, service, spn string) squidAuthFor {
	return func(t *testing.T, dir string, own func(string)) squidAuth {
		t.Helper()
		helper := testenv.NeedFile(t, "/usr/lib/squid/negotiate_kerberos_auth")
		keytab := filepath.Join(dir, "proxy.keytab")
		copyFile(t, keytab, dc.Keytab(service), 0o600)
		own(keytab)
		return squidAuth{"negotiate", helper + " -r -k " + keytab + " -s " + spn}
	}
}

// squidHelperEnv makes TestSquidHelper what Squid takes for a helper.
const squidHelperEnv = "SOAPWARD_TEST_SQUID_HELPER"

// squidNTLM has NTLM logins judged by this package's acceptor, for the local
// users: the test program is its own helper.
func squidNTLM(t *testing.T, dir string, _ func(string)) squidAuth {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := filepath.Join(dir, "helper") // Squid's user cannot go where the test program is
	copyFile(t, helper, exe, 0o755)
	return squidAuth{"ntlm", helper + " -test.run=^TestSquidHelper$"}
}

// TestSquidHelper is a helper where Squid runs it, and elsewhere tests that.
func TestSquidHelper(t *testing.T) {
	m := localNTLM(t)
	m.Binding = authn.BindingOff // TLS ends in Squid, which does not tell
	if os.Getenv(squidHelperEnv) != "" {
		serveSquid(t.Context(), m, os.Stdin, os.Stdout)
		os.Exit(0) // testing would write to Squid
	}
	t.Parallel()
	for password, want := range map[string]string{localPass: "AF alice", "wrong": "NA refused"} {
		credential, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret(password))
		if err != nil {
			t.Fatal(err)
		}
		client := &ntlm.Initiator{Credential: credential}
		var token []byte
		answer := ""
		toHelper, out := io.Pipe()
		in, fromHelper := io.Pipe()
		go func() {
			serveSquid(t.Context(), m, toHelper, fromHelper)
			_ = fromHelper.Close()
		}()
		lines := bufio.NewScanner(in)
		for _, verb := range []string{"YR", "KK"} {
			if token, _, err = client.Step(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(out, verb, base64.StdEncoding.EncodeToString(token))
			lines.Scan()
			verb, answer, _ = strings.Cut(lines.Text(), " ")
			token, _ = base64.StdEncoding.DecodeString(answer) // of TT
			answer = verb + " " + answer
		}
		_ = out.Close()
		if answer != want {
			t.Errorf("password %s: answer %q, want %q", password, answer, want)
		}
	}
}

// serveSquid speaks Squid's protocol for helpers: a line with YR begins a
// login, one with KK goes on, and the answer is TT with a challenge, AF with a
// user or NA.
func serveSquid(ctx context.Context, m authn.Mechanism, in io.Reader, out io.Writer) {
	var a authn.Acceptor
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verb, text, _ := strings.Cut(lines.Text(), " ")
		if verb == "YR" {
			a = m.NewAcceptor(authn.Exchange{})
		}
		fmt.Fprintln(out, squidAnswer(ctx, a, text))
	}
}

func squidAnswer(ctx context.Context, a authn.Acceptor, text string) string {
	token, err := base64.StdEncoding.DecodeString(text)
	if err != nil || a == nil {
		return "BH not a token"
	}
	reply, id, err := a.Step(ctx, token)
	switch {
	case err != nil:
		return "NA refused"
	case id == nil:
		return "TT " + base64.StdEncoding.EncodeToString(reply)
	}
	return "AF " + id.Account
}
