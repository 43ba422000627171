package peers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

const apacheModules = "/usr/lib/apache2/modules"

// RemoteUser is the header in which Apache tells the program behind it who the
// caller is.
const RemoteUser = "X-Remote-User"

// The file is the whole configuration: nothing of the machine's own is read.
var apacheConfig = template.Must(template.New("apache2.conf").Parse(`
ServerRoot {{.Dir}}
ServerName {{.Host}}
Listen 127.0.0.1:{{.Port}}
PidFile {{.Dir}}/pid
DefaultRuntimeDir {{.Dir}}
Mutex file:{{.Dir}}
ErrorLog {{.Dir}}/error.log
LogLevel info auth_gssapi:info
{{if .User}}User {{.User}}
Group {{.Group}}
{{end -}}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 120
{{range .Modules}}LoadModule {{.}}_module {{$.ModuleDir}}/mod_{{.}}.so
{{end}}
{{if .CertFile}}
SSLEngine on
SSLCertificateFile {{.CertFile}}
SSLCertificateKeyFile {{.KeyFile}}
SSLSessionCache none
{{end}}
<Location />
	AuthType GSSAPI
	AuthName "soapward"
{{if .Keytab}}	GssapiCredStore keytab:{{.Keytab}}
	GssapiAllowedMech krb5
{{else}}	GssapiAllowedMech ntlmssp
	GssapiConnectionBound On
{{end -}}
	GssapiSSLonly Off
	GssapiLocalName Off
	Require valid-user
	RequestHeader set ` + RemoteUser + ` "expr=%{REMOTE_USER}"
	ProxyPass {{.Backend}}
</Location>
`))

// Apache is Apache httpd with mod_auth_gssapi, which passes requests on to a
// handler of the test.
type Apache struct {
	Host   string
	Port   string
	scheme string
	errors string // file of the error log
}

// URL returns a URL under the name that the service's keytab is for.
func (a *Apache) URL(path string) string {
	return a.scheme + "://" + net.JoinHostPort(a.Host, a.Port) + path
}

// Address is a URL of it by number, for clients that know the service's name from
// elsewhere.
func (a *Apache) Address() string { return a.scheme + "://" + net.JoinHostPort("127.0.0.1", a.Port) }

// ApacheConf is a configuration. A test may change what it likes before Start.
type ApacheConf struct {
	Dir, Host, Backend string
	Keytab             string // empty: NTLM instead of Kerberos
	User, Group        string // empty: Apache stays who we are
	ModuleDir          string
	Modules            []string
	Port               int
	CertFile, KeyFile  string
}

// StartApache starts Apache as host, with the keys of service. With a handler
// of nil the answer tells who the caller is and what the body was.
func StartApache(t *testing.T, dc *adtest.DC, service, host string, tls bool, handler http.Handler) *Apache {
	t.Helper()
	c := NewApacheConf(t, host, handler)
	krb5conf := filepath.Join(c.Dir, "krb5.conf")
	CopyFile(t, krb5conf, dc.Krb5Conf, 0o644)
	c.Keytab = filepath.Join(c.Dir, "service.keytab")
	CopyFile(t, c.Keytab, dc.Keytab(service), 0o600)
	if tls {
		c.CertFile, c.KeyFile = dc.CAFile, dc.KeyFile
	}
	c.DropRoot(t, c.Keytab)
	return c.Start(t, append(dc.Env(), "KRB5_CONFIG="+krb5conf))
}

// NewApacheConf is a configuration of Apache as host that lacks only how callers
// log in.
func NewApacheConf(t *testing.T, host string, handler http.Handler) *ApacheConf {
	t.Helper()
	if handler == nil {
		handler = http.HandlerFunc(EchoRemoteUser)
	}
	backend := httptest.NewServer(handler)
	t.Cleanup(backend.Close)
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return &ApacheConf{
		Dir: PublicDir(t), Host: host, Backend: backend.URL + "/", Port: port, ModuleDir: apacheModules,
		Modules: []string{"mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "headers", "proxy", "proxy_http"},
	}
}

// Start starts Apache, with env added to its environment.
func (c *ApacheConf) Start(t *testing.T, env []string) *Apache {
	t.Helper()
	program := testenv.Need(t, "apache2")
	testenv.NeedFile(t, filepath.Join(apacheModules, "mod_auth_gssapi.so"))
	a := &Apache{Host: c.Host, Port: strconv.Itoa(c.Port), scheme: "http", errors: filepath.Join(c.Dir, "error.log")}
	if c.CertFile != "" {
		a.scheme = "https"
		c.Modules = append(c.Modules, "ssl")
	}
	var conf bytes.Buffer
	if err := apacheConfig.Execute(&conf, c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "apache2.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	var output Log
	cmd := exec.Command(program, "-X", "-f", file)
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
			t.Logf("Apache wrote:\n%s\n%s", output.String(), a.Log())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.WaitListening(ctx, net.JoinHostPort("127.0.0.1", a.Port)); err != nil {
		t.Fatal(err)
	}
	return a
}

// DropRoot names the user that Apache becomes when it is started as root, and
// gives that user the file with the secrets of the login.
func (c *ApacheConf) DropRoot(t *testing.T, secret string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	c.User, c.Group = "www-data", "www-data" // of each Debian
	u, err := user.Lookup(c.User)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers, on this system
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(secret, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// PublicDir makes a directory that other users can go into, which those of
// testing.T are not.
func PublicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "soapward-apache-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func CopyFile(t *testing.T, to, from string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, mode); err != nil {
		t.Fatal(err)
	}
}

func (a *Apache) Log() string {
	b, _ := os.ReadFile(a.errors)
	return string(b)
}

// EchoRemoteUser answers who Apache says the caller is, and the body.
func EchoRemoteUser(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s\n", strings.Join(r.Header.Values(RemoteUser), ","))
	_, _ = io.Copy(w, r.Body) // the test compares
}
