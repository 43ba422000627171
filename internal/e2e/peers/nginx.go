package peers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// The file is the whole configuration: nothing of the machine's own is read.
const nginxConf = `daemon off;
pid DIR/pid;
error_log DIR/error.log;
USERworker_processes 1;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	upstream gateway { server GATEWAY; keepalive 1; }
	server {
		listen 127.0.0.1:PORT;
		include DIR/locations.conf;
	}
}
`

// StartNGINX starts nginx with the locations that are documented, in the file
// locations: it asks the gateway at one address about each request, over one
// connection for all clients, and passes it on to another one.
func StartNGINX(t *testing.T, locations, gateway, backend string) (port string) {
	t.Helper()
	program := testenv.Need(t, "nginx")
	dir, p, user := t.TempDir(), FreePort(t), ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	text, err := os.ReadFile(locations)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("127.0.0.1:8080", "gateway", "127.0.0.1:9000", backend,
		"internal;", "internal;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";").Replace(string(text)))
	conf := strings.NewReplacer("DIR", dir, "PORT", strconv.Itoa(p), "GATEWAY", gateway, "USER", user).Replace(nginxConf)
	file := filepath.Join(dir, "nginx.conf")
	for name, b := range map[string][]byte{filepath.Join(dir, "locations.conf"): text, file: []byte(conf)} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("nginx: %s", b)
		}
	})
	StartChild(t, nil, "127.0.0.1:"+strconv.Itoa(p), program, "-p", dir, "-c", file)
	return strconv.Itoa(p)
}
