package rig

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"text/template"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// The answer is the caller's name, and a line with the token about him.
var backendConfig = template.Must(template.New("nginx.conf").Parse(`daemon off;
pid {{.Dir}}/pid;
error_log {{.Dir}}/error.log;
worker_processes 1;
events { worker_connections 1000; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	default_type text/plain;
	keepalive_requests 100000;
	large_client_header_buffers 4 64k;
	server {
		listen 127.0.0.1:{{.Port}};
		location / { return 200 "$http_x_remote_user\n$http_x_identity\n"; }
	}
}
`))

// Backend starts a server without a login: nginx, which answers the headers
// X-Remote-User and X-Identity, a line each.
func Backend(tb testing.TB) *Server {
	tb.Helper()
	program := testenv.Need(tb, "nginx")
	dir, port := publicDir(tb), Port(tb)
	file := execute(tb, backendConfig, filepath.Join(dir, "nginx.conf"), struct {
		Dir  string
		Port int
	}{dir, port})
	return startServer(tb, "nginx", exec.Command(program, "-e", filepath.Join(dir, "error.log"), "-c", file), port)
}

const apacheModules = "/usr/lib/apache2/modules"

var apacheConfig = template.Must(template.New("apache2.conf").Parse(`
ServerRoot {{.Dir}}
ServerName backend.corp.test
Listen 127.0.0.1:{{.Port}}
PidFile {{.Dir}}/pid
DefaultRuntimeDir {{.Dir}}
Mutex file:{{.Dir}}
ErrorLog {{.Dir}}/error.log
LogLevel warn
{{if .Root}}User www-data
Group www-data
{{end -}}
KeepAlive On
MaxKeepAliveRequests 0
{{range .Modules}}LoadModule {{.}}_module {{$.ModuleDir}}/mod_{{.}}.so
{{end}}
<Location />
	AuthType GSSAPI
	AuthName "soapward"
	GssapiCredStore keytab:{{.Dir}}/service.keytab
	GssapiAllowedMech krb5
	GssapiSSLonly Off
	GssapiLocalName Off
	Require valid-user
	RequestHeader set X-Remote-User "expr=%{REMOTE_USER}"
	ProxyPass http://127.0.0.1:{{.Behind}}/
</Location>
`))

// Apache starts Apache httpd as backend.corp.test, which wants a login by
// Kerberos, passes requests on to a Backend, and so answers who logged in to it.
func Apache(tb testing.TB, dc *adtest.DC, behind int) *Server {
	tb.Helper()
	program := testenv.Need(tb, "apache2")
	testenv.NeedFile(tb, filepath.Join(apacheModules, "mod_auth_gssapi.so"))
	dir, port := publicDir(tb), Port(tb)
	keytab, err := os.ReadFile(dc.Keytab(adtest.Backend))
	if err != nil {
		tb.Fatal(err)
	}
	secret := filepath.Join(dir, "service.keytab")
	if err := os.WriteFile(secret, keytab, 0o600); err != nil {
		tb.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root {
		u, err := user.Lookup("www-data")
		if err != nil {
			tb.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers, on this system
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(secret, uid, gid); err != nil {
			tb.Fatal(err)
		}
	}
	file := execute(tb, apacheConfig, filepath.Join(dir, "apache2.conf"), struct {
		Dir, ModuleDir string
		Port, Behind   int
		Modules        []string
		Root           bool
	}{dir, apacheModules, port, behind, []string{
		"mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "headers", "proxy", "proxy_http",
	}, root})
	krb5 := filepath.Join(dir, "krb5.conf")
	b, err := os.ReadFile(dc.Krb5Conf)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(krb5, b, 0o644); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(program, "-X", "-f", file)
	cmd.Env = append(dc.Env(), "KRB5_CONFIG="+krb5)
	return startServer(tb, "Apache", cmd, port)
}

// publicDir makes a directory that other users can go into, which those of
// testing.T are not.
func publicDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "soapward-rig-*")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}
