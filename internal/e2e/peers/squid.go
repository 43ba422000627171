package peers

import (
	"bytes"
	"context"
	"fmt"
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

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// ProxyUser is the header in which Squid tells servers on plain HTTP who logged
// in at it.
const ProxyUser = "X-Proxy-User"

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
{{if not .Telling}}via off
forwarded_for delete
{{end -}}
hosts_file {{.Dir}}/hosts
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
request_header_add ` + ProxyUser + ` "%un" all
`))

// SquidAuth is a helper program that judges the logins of one scheme.
type SquidAuth struct {
	Scheme  string // "negotiate" or "ntlm"
	Program string // with its arguments
}

// Squid is the Squid proxy.
type Squid struct {
	*url.URL
	dir string
}

type squidConf struct {
	Dir, Host         string
	Port              int
	Telling           bool
	Auth              []SquidAuth
	CertFile, KeyFile string
}

// SquidHelperEnv is set in the environment of Squid and its helpers, so that a
// test program that Squid runs as a helper knows it.
const SquidHelperEnv = "SOAPWARD_TEST_SQUID_HELPER"

// SquidAuthFor makes the helper's configuration, given a directory that Squid's
// user can read and a way to hand a file over to that user.
type SquidAuthFor func(t *testing.T, dir string, own func(file string)) SquidAuth

// StartSquid starts Squid under the name host, with TLS to itself if secure. It
// does not tell servers that it forwards.
func StartSquid(t *testing.T, dc *adtest.DC, host string, secure bool, auth ...SquidAuthFor) *Squid {
	t.Helper()
	return startSquid(t, dc, host, secure, nil, auth)
}

// StartTellingSquid starts a Squid without a login, which tells servers that it
// forwards, and for whom, as each does that nobody told otherwise.
// It finds the hosts at ip.
func StartTellingSquid(t *testing.T, ip string, hosts ...string) *Squid {
	t.Helper()
	return startSquid(t, nil, "127.0.0.1", false, append([]string{ip}, hosts...), nil)
}

// startSquid starts one that tells servers that it forwards if it has a line for its
// hosts file.
func startSquid(t *testing.T, dc *adtest.DC, host string, secure bool, line []string, auth []SquidAuthFor) *Squid {
	t.Helper()
	program := testenv.Need(t, "squid")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := squidConf{Dir: PublicDir(t), Host: host, Port: port, Telling: line != nil}
	own := squidOwner(t)
	own(c.Dir) // logs
	env := []string{SquidHelperEnv + "=1"}
	if dc != nil {
		krb5conf := filepath.Join(c.Dir, "krb5.conf")
		CopyFile(t, krb5conf, dc.Krb5Conf, 0o644)
		env = append(dc.Env(), append(env, "KRB5_CONFIG="+krb5conf)...)
	}
	s := &Squid{URL: &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}, dir: c.Dir}
	if secure {
		s.Scheme = "https"
		c.CertFile, c.KeyFile = filepath.Join(c.Dir, "cert.pem"), filepath.Join(c.Dir, "key.pem")
		CopyFile(t, c.CertFile, dc.CAFile, 0o644)
		CopyFile(t, c.KeyFile, dc.KeyFile, 0o600)
		own(c.KeyFile)
	}
	for _, f := range auth {
		c.Auth = append(c.Auth, f(t, c.Dir, own))
	}
	names := "127.0.0.1 localhost\n" + strings.Join(line, " ") + "\n"
	if err := os.WriteFile(filepath.Join(c.Dir, "hosts"), []byte(names), 0o644); err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	if err := squidConfig.Execute(&conf, c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "squid.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	var output Log
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

func (s *Squid) file(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(b)
}

// Proxy is for http.Transport.Proxy.
func (s *Squid) Proxy(*http.Request) (*url.URL, error) { return s.URL, nil }

// Access is a line of Squid's log of requests.
type Access struct{ User, Method, Target, Status string }

// Requests returns the log of the requests that were let pass, once there are
// n of them.
func (s *Squid) Requests(t *testing.T, n int) []Access {
	t.Helper()
	var passed []Access
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		passed = nil
		for line := range strings.Lines(s.file("access.log")) {
			if f := strings.Fields(line); len(f) == 4 && f[1] != "-" && f[3] != "407" { // "-": closed without a request
				passed = append(passed, Access{f[0], f[1], f[2], f[3]})
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

// SquidKerberos has tickets for a service judged by Squid's own helper.
func SquidKerberos(dc *adtest.DC, service, spn string) SquidAuthFor {
	return func(t *testing.T, dir string, own func(string)) SquidAuth {
		t.Helper()
		helper := testenv.NeedFile(t, "/usr/lib/squid/negotiate_kerberos_auth")
		keytab := filepath.Join(dir, "proxy.keytab")
		CopyFile(t, keytab, dc.Keytab(service), 0o600)
		own(keytab)
		return SquidAuth{"negotiate", helper + " -r -k " + keytab + " -s " + spn}
	}
}
