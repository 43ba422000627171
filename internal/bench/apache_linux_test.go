package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// A peer is a gateway that is measured, in processes of its own.
type peer struct {
	name    string
	process *testenv.Process

	// Where callers log in by Kerberos at each request, by NTLM for the
	// connection, by Kerberos for a session, and not at all.
	tickets, connection, session, open place
}

// A place is one of a peer's services.
type place struct{ addr, path string }

// backendPage is what the backend answers.
var backendPage = strings.Repeat("x", 426)

var nginxConf = template.Must(template.New("nginx.conf").Parse(`
daemon off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/nginx.log;
events { worker_connections 8192; }
http {
	access_log off;
	keepalive_requests 100000000;
	keepalive_timeout 600s;
	client_body_temp_path {{.Dir}}/t1; proxy_temp_path {{.Dir}}/t2; fastcgi_temp_path {{.Dir}}/t3; uwsgi_temp_path {{.Dir}}/t4; scgi_temp_path {{.Dir}}/t5;
	server {
		listen {{.Addr}} backlog=4096;
		location / { default_type text/xml; return 200 "{{.Page}}"; }
	}
}
`))

// startNginx starts the backend behind all peers: one worker which answers each
// request with the same page.
func startNginx(b *testing.B) (addr string) {
	b.Helper()
	program, dir := testenv.Need(b, "nginx"), b.TempDir()
	addr = freeAddr(b)
	var conf bytes.Buffer
	if err := nginxConf.Execute(&conf, map[string]string{"Dir": dir, "Addr": addr, "Page": backendPage}); err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	startPeer(b, exec.Command(program, "-p", dir, "-c", file, "-e", filepath.Join(dir, "nginx.log")), addr)
	return addr
}

// All of Apache's configuration. It is as fast as it goes with its documented
// settings: no access log, the event MPM with threads for 16 clients, kept
// connections to the backend, no replay cache (see its environment).
var apacheConf = template.Must(template.New("apache2.conf").Parse(`
ServerRoot {{.Dir}}
ServerName app.corp.test
PidFile {{.Dir}}/pid
DefaultRuntimeDir {{.Dir}}
Mutex file:{{.Dir}}
ErrorLog {{.Dir}}/error.log
LogLevel error
{{if .User}}User {{.User}}
Group {{.User}}
{{end}}
KeepAlive On
KeepAliveTimeout 600
Timeout 600
MaxKeepAliveRequests 0
{{range .Modules}}LoadModule {{.}}_module /usr/lib/apache2/modules/mod_{{.}}.so
{{end}}
ServerLimit 4
StartServers 2
ThreadsPerChild 64
ThreadLimit 64
MinSpareThreads 64
MaxSpareThreads 256
MaxRequestWorkers 256
AsyncRequestWorkerFactor 64
ListenBacklog 4096
ProxyPass / http://{{.Backend}}/ keepalive=On
RequestHeader set X-Remote-User "expr=%{REMOTE_USER}"
{{define "gssapi"}}AuthType GSSAPI
		AuthName "bench"
		GssapiSSLonly Off
		GssapiLocalName Off
		Require valid-user{{end}}
Listen {{.Open}}
Listen {{.Tickets}}
Listen {{.Session}}
Listen {{.Connection}}
<VirtualHost {{.Open}}>
</VirtualHost>
<VirtualHost {{.Tickets}}>
	<Location />
		{{template "gssapi"}}
		GssapiCredStore keytab:{{.Keytab}}
		GssapiAllowedMech krb5
	</Location>
</VirtualHost>
<VirtualHost {{.Session}}>
	<Location />
		{{template "gssapi"}}
		GssapiCredStore keytab:{{.Keytab}}
		GssapiAllowedMech krb5
		GssapiUseSessions On
		Session On
		SessionCookieName soapward_bench path=/
	</Location>
</VirtualHost>
<VirtualHost {{.Connection}}>
	<Location />
		{{template "gssapi"}}
		GssapiAllowedMech ntlmssp
		GssapiConnectionBound On
	</Location>
</VirtualHost>
`))

func startApache(b *testing.B, s *service, backend string) *peer {
	b.Helper()
	program := testenv.Need(b, "apache2")
	testenv.NeedFile(b, "/usr/lib/apache2/modules/mod_auth_gssapi.so")
	testenv.NeedFile(b, "/etc/gss/mech.d/mech.ntlmssp.conf")
	dir, err := os.MkdirTemp("", "soapward-bench-*")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if b.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			b.Logf("Apache's log: %.4000s", text)
		}
		_ = os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	at := func() place { return place{freeAddr(b), "/"} }
	p := &peer{name: "Apache", tickets: at(), connection: at(), session: at(), open: at()}
	keytab, users := filepath.Join(dir, "app.keytab"), filepath.Join(dir, "users")
	krb5conf := filepath.Join(dir, "krb5.conf")
	for file, text := range map[string][]byte{
		keytab: contents(b, s.keytab), users: []byte("CORP:alice:violet tractor lagoon\n"), krb5conf: contents(b, s.krb5conf),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	account := ""
	if os.Geteuid() == 0 {
		account = "www-data" // of each Debian
		u, err := user.Lookup(account)
		if err != nil {
			b.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		for _, file := range []string{keytab, users, krb5conf} {
			if err := os.Chown(file, uid, gid); err != nil {
				b.Fatal(err)
			}
		}
	}
	var conf bytes.Buffer
	err = apacheConf.Execute(&conf, map[string]any{
		"Dir": dir, "User": account, "Keytab": keytab, "Backend": backend,
		"Open": p.open.addr, "Tickets": p.tickets.addr, "Session": p.session.addr, "Connection": p.connection.addr,
		"Modules": []string{
			"mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "headers", "proxy", "proxy_http", "session", "session_cookie",
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "apache2.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, "-D", "FOREGROUND", "-f", file)
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+krb5conf, "KRB5RCACHENAME=none:",
		"NTLM_USER_FILE="+users, "NETBIOS_COMPUTER_NAME=APP", "NETBIOS_DOMAIN_NAME=CORP")
	p.process = startPeer(b, cmd, p.open.addr, p.tickets.addr, p.connection.addr, p.session.addr)
	return p
}

// startPeer starts a server and waits for its addresses.
func startPeer(b *testing.B, cmd *exec.Cmd, addrs ...string) *testenv.Process {
	b.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Stop(); err != nil {
			b.Error(err)
		}
		if b.Failed() {
			b.Logf("%s wrote: %.4000s", cmd.Path, out.String())
		}
	})
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	if err := p.WaitListening(ctx, addrs...); err != nil {
		b.Fatalf("%v: %s", err, out.String())
	}
	return p
}

func freeAddr(b *testing.B) string {
	b.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		b.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func contents(b *testing.B, file string) []byte {
	b.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// members returns the processes of a peer: those of its group.
func (p *peer) members(b *testing.B) []int {
	b.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	var pids []int
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if pgrp, _ := strconv.Atoi(fields[2]); pgrp == p.process.PID() {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// memory is what its processes have in memory, each shared page by its share.
func (p *peer) memory(b *testing.B) (bytes int64) {
	b.Helper()
	for _, pid := range p.members(b) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				var kb int64
				if _, err := fmt.Sscan(rest, &kb); err != nil {
					b.Fatal(err)
				}
				bytes += kb << 10
			}
		}
	}
	return bytes
}

// processor is what its processes took so far, in steps of 10 ms.
func (p *peer) processor(b *testing.B) (d time.Duration) {
	b.Helper()
	for _, pid := range p.members(b) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, f := range fields[11:13] { // user and system
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			d += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return d
}
