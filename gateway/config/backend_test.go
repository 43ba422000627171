package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// backendIn is a configuration whose service has this upstream.
func backendIn(upstream string) string {
	return "listen: [{addr: \":80\"}]\nservices: {hr: {match: {path: /}, login: [none], upstream: {" + upstream + "}}}"
}

func TestBackend(t *testing.T) {
	t.Parallel()
	parse := func(upstream string) *Backend {
		t.Helper()
		c, err := Parse("/etc/soapward/c.yaml", []byte(backendIn(upstream)))
		if err != nil {
			t.Fatal(err)
		}
		return c.Services["hr"].Upstream
	}
	plain := parse(`url: "http://127.0.0.1:8080/base"`)
	full := parse(`urls: ["https://a.example", "https://b.example:8443", "unix:app.sock"], host: client, forwarded: rfc7239, strip_prefix: /hr, keep_authorization: true,
  max_connections: 16, timeout: 30s, connect_timeout: 1s, idle_timeout: 5s, upgrade_idle_timeout: 1h, health: {path: "/health?deep=1"},
  tls: {ca_file: ca.pem, server_name: app.internal}, identity: {header: X-User, headers: {sid: X-Sid, groups: X-Groups}}`)
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"url", plain.URL.String(), "http://127.0.0.1:8080/base"},
		{"servers of url", fmt.Sprint(plain.Servers()), "[http://127.0.0.1:8080/base]"},
		{"timeout", plain.Timeout.Std(), time.Duration(0)},
		{"connect", plain.ConnectTimeout.Std(), 5 * time.Second},
		{"idle", plain.IdleTimeout.Std(), time.Minute},
		{"upgrade", plain.UpgradeIdleTimeout.Std(), 10 * time.Minute},
		{"host", plain.Host, HostOfClient},
		{"forwarded", plain.Forwarded, ForwardedX},
		{"authorization", plain.KeepAuthorization, false},
		{"health", plain.Health, (*BackendHealth)(nil)},
		{"servers", fmt.Sprint(full.Servers()), "[https://a.example https://b.example:8443 unix:/etc/soapward/app.sock]"},
		{"socket", full.URLs[2].Path, "/etc/soapward/app.sock"},
		{"check", *full.Health, BackendHealth{Path: "/health?deep=1", Interval: Duration(10 * time.Second), Timeout: Duration(2 * time.Second), Status: 200}},
		{"authorities", full.TLS.CAFile, Path("/etc/soapward/ca.pem")},
		{"rfc", full.Forwarded, ForwardedRFC7239},
		{"headers", full.Identity.Headers.Names(), map[string]string{"sid": "X-Sid", "groups": "X-Groups"}},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestBackendErrors(t *testing.T) {
	t.Parallel()
	const u = `url: "http://x", `
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf(`"http://h%d"`, i)
	}
	for _, tt := range []struct{ name, upstream, want string }{
		{"nothing", "timeout: 1s", "services.hr.upstream: want url, or urls for several servers"},
		{"both", u + `urls: ["http://y"]`, "want one of url and urls"},
		{"twice", `urls: ["http://y", "http://y"]`, "services.hr.upstream.urls[1]: http://y is there twice"},
		{"many", "urls: [" + strings.Join(many, ", ") + "]", "urls are 33: want at most 32"},
		{"scheme", `url: "ftp://x"`, "want a URL that begins with http:// or https://"},
		{"password", `url: "http://u:p@x"`, "a URL carries no user and no password"},
		{"query", `url: "http://x/?a=b"`, "want a URL without a query"},
		{"socket with a host", `url: "unix://x/y"`, "the name of a socket, such as unix:/run/app.sock"},
		{"no socket", `url: "unix:"`, "the name of a file"},
		{"host of a socket", `url: "unix:/s", host: backend`, "backend wants a host, and a socket has none"},
		{"tls", u + "tls: {server_name: y}", "services.hr.upstream.tls is for https://"},
		{"host", u + "host: server", "want one of client, backend"},
		{"forwarded", u + "forwarded: xff", "want one of x, rfc7239, off"},
		{"strip", u + "strip_prefix: hr", "strip_prefix is \"hr\": want a path that begins with /"},
		{"connections", u + "max_connections: 1000000", "want at most 100000"},
		{"health", u + "health: {interval: 1s}", "health.path is \"\": want a path"},
		{"health path", u + `health: {path: "/a b"}`, "want a path that begins with /"},
		{"health status", u + "health: {path: /, status: 100}", "health.status is 100: want 200 to 599"},
		{"health timeout", u + "health: {path: /, interval: 1s}", "timeout is longer than interval"},
		{"identity", u + "identity: {headers: {}}", "want header, headers or jwt"},
		{"jwt", u + "identity: {jwt: {header: X}}", "want header and key"},
		{"name", u + "identity: {header: X_User}", "want letters, digits and hyphens, such as X-Remote-User"},
		{"reserved", u + "identity: {header: Authorization}", "which means something else"},
		{"reserved, forwarded", u + "identity: {headers: {sid: x-forwarded-for}}", "identity.headers.sid is x-forwarded-for, which means something else"},
		{"header twice", u + "identity: {header: X-User, headers: {upn: x-user}}", "services.hr.upstream.identity.headers.upn is the header of services.hr.upstream.identity.header too"},
		{"keep", u + "keep_authorisation: true", `did you mean "keep_authorization"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("c.yaml", []byte(backendIn(tt.upstream)))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "c.yaml:") {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}
