package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// Balancing says how a balancer goes about it.
type Balancing struct {
	Nodes []int // their ports

	// HTTP looks into requests, and balances each. Otherwise connections are
	// passed on as they are.
	HTTP bool

	// Proxy tells the nodes of the client by the PROXY protocol, version 2. Only
	// for HAProxy without HTTP.
	Proxy bool

	// Kept gives each client a connection of its own to a node (http-reuse
	// never). Only for HAProxy with HTTP.
	Kept bool
}

var haproxyConfig = template.Must(template.New("haproxy.cfg").Parse(`
global
	maxconn 1000
	nbthread 1
defaults
	mode {{if .HTTP}}http{{else}}tcp{{end}}
	timeout connect 2s
	timeout client 2m
	timeout server 2m
	retries 3
	option redispatch 1
frontend clients
	bind 127.0.0.1:{{.Port}}{{if .HTTP}} ssl crt {{.Dir}}/both.pem alpn http/1.1
	option forwardfor
	http-request set-header X-Forwarded-Proto https{{end}}
	default_backend nodes
backend nodes
	balance roundrobin
{{- if .HTTP}}
	http-reuse {{if .Kept}}never
	option prefer-last-server{{else}}always{{end}}
{{- end}}
{{- range $i, $port := .Nodes}}
	server n{{$i}} 127.0.0.1:{{$port}} check inter 250 fall 2 rise 1 on-marked-down shutdown-sessions{{if $.Proxy}} send-proxy-v2{{end}}
{{- end}}
`))

// HAProxy starts one and returns its port.
func HAProxy(tb testing.TB, dc *adtest.DC, b Balancing) int {
	tb.Helper()
	program := testenv.Need(tb, "haproxy")
	dir, port := tb.TempDir(), Port(tb)
	writeBoth(tb, dc, dir)
	file := execute(tb, haproxyConfig, filepath.Join(dir, "haproxy.cfg"), struct {
		Balancing
		Dir  string
		Port int
	}{b, dir, port})
	startServer(tb, "HAProxy", exec.Command(program, "-db", "-f", file), port)
	return port
}

var nginxBalancerConfig = template.Must(template.New("nginx.conf").Parse(`daemon off;
pid {{.Dir}}/pid;
error_log {{.Dir}}/error.log;
{{if .Root}}user root;{{end}}
worker_processes 1;
events { worker_connections 1000; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	upstream nodes {
{{range .Nodes}}		server 127.0.0.1:{{.}} max_fails=1 fail_timeout=1s;
{{end}}		keepalive 2;
	}
	server {
		listen 127.0.0.1:{{.Port}} ssl;
		ssl_certificate {{.Dir}}/both.pem;
		ssl_certificate_key {{.Dir}}/both.pem;
		large_client_header_buffers 4 64k;
		location / {
			proxy_pass http://nodes;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto https;
			proxy_connect_timeout 2s;
		}
	}
}
`))

// NGINX starts one that balances by HTTP, and returns its port. Its connections
// to the nodes are few, and any client's request goes over any of them.
func NGINX(tb testing.TB, dc *adtest.DC, nodes []int) int {
	tb.Helper()
	program := testenv.Need(tb, "nginx")
	dir, port := tb.TempDir(), Port(tb)
	writeBoth(tb, dc, dir)
	file := execute(tb, nginxBalancerConfig, filepath.Join(dir, "nginx.conf"), struct {
		Dir   string
		Port  int
		Nodes []int
		Root  bool
	}{dir, port, nodes, os.Geteuid() == 0})
	startServer(tb, "nginx", exec.Command(program, "-e", filepath.Join(dir, "error.log"), "-c", file), port)
	return port
}

// writeBoth writes certificate and key of the domain into one file.
func writeBoth(tb testing.TB, dc *adtest.DC, dir string) {
	tb.Helper()
	var both []byte
	for _, file := range []string{dc.CAFile, dc.KeyFile} {
		b, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		both = append(both, b...)
	}
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), both, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func execute(tb testing.TB, t *template.Template, file string, data any) string {
	tb.Helper()
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// A Server is a program that others wrote, on a port of 127.0.0.1.
type Server struct {
	Name string
	Port int

	args []string
	env  []string
	proc *testenv.Process
	out  output
}

// startServer runs a server until the test ends.
func startServer(tb testing.TB, name string, cmd *exec.Cmd, port int) *Server {
	tb.Helper()
	s := &Server{Name: name, Port: port, args: cmd.Args, env: cmd.Env}
	s.args[0] = cmd.Path
	s.Start(tb)
	tb.Cleanup(func() {
		if s.proc != nil {
			if err := s.proc.Stop(); err != nil {
				tb.Error(err)
			}
		}
		if tb.Failed() {
			tb.Logf("%s wrote:\n%s", name, tail(s.out.String(), 4000))
		}
	})
	return s
}

// Start starts the server after Kill, and returns when it listens.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = &s.out, &s.out
	var err error
	if s.proc, err = testenv.StartProcess(cmd); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	if err := s.proc.WaitListening(ctx, Addr(s.Port)); err != nil {
		tb.Fatal(fmt.Errorf("%s: %w\n%s", s.Name, err, s.out.String()))
	}
}

// Kill ends the server as a crash would.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
	s.proc = nil
}

// output is what a program wrote. It is safe for concurrent use.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len() < 1<<20 {
		o.b.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
