package admin

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/pgtest"
)

const nodeConfig = `listen: [{addr: "%SERVICES%"}]
admin: {addr: "%ADMIN%", roles: {administrator: [gwadmins]}, local: {allow_without_second_factor: true}}
store: {driver: postgres, dsn: "%DSN%"}
passwords: {memory_kib: 8192, passes: 1}
realms: {staff: {internal: {}}}
roles: {gwadmins: {users: [first, second]}}
services:
  pay:
    match: {path: /pay/}
    login: [staff/basic]
    allow: [{path: /, roles: [any]}]
    upstream: {url: "%BACKEND%", identity: {header: X-Remote-User}}
`

// TestNodes: what an administrator does at one of two nodes counts at the other one,
// which the store tells.
func TestNodes(t *testing.T) {
	t.Parallel()
	dsn, backend := pgtest.Database(t), startBackend(t)
	var nodes [2]*office
	for i := range nodes {
		admin := net.JoinHostPort("127.0.0.1", strconv.Itoa(peers.FreePort(t)))
		services := net.JoinHostPort("127.0.0.1", strconv.Itoa(peers.FreePort(t)))
		text := strings.NewReplacer("%ADMIN%", admin, "%SERVICES%", services, "%DSN%", dsn, "%BACKEND%", backend).Replace(nodeConfig)
		n := &office{server: "http://" + admin, services: "http://" + services, home: t.TempDir(), bin: t.TempDir()}
		n.Gateway = peers.StartGateway(t, text, nil, admin)
		nodes[i] = n
	}
	a, b := nodes[0], nodes[1]
	file := a.password(t, localPassword)
	for _, args := range [][]string{{"first", "--local-admin"}, {"second", "--local-admin"}, {"carol"}} {
		a.must(t, append([]string{"user", "add", "-c", a.File, "--password-file", file}, args...)...)
	}
	a.must(t, "login", "--local", "first", "--server", a.server, "--password-file", file)
	b.must(t, "login", "--local", "second", "--server", b.server, "--password-file", file)
	carol := func(want int) {
		t.Helper()
		eventually(t, func() error {
			if status, _ := b.call(t, "/pay/x", "carol", localPassword); status != want {
				return fmt.Errorf("carol at the second node: %d, want %d", status, want)
			}
			return nil
		})
	}
	refused := func(want string) {
		t.Helper()
		begin := time.Now()
		eventually(t, func() error {
			if code, out, errs := b.run(t, nil, "user", "list", "--server", b.server); code != 1 || !strings.Contains(errs, want) {
				return fmt.Errorf("second at the second node: %d %s%s", code, out, errs)
			}
			return nil
		})
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("it took %v", d)
		}
	}
	carol(http.StatusOK)
	if out := b.must(t, "user", "list", "--server", b.server); !strings.Contains(out, "carol") {
		t.Errorf("users at the second node: %s", out)
	}
	a.must(t, "user", "disable", "carol", "--server", a.server)
	carol(http.StatusUnauthorized)
	a.must(t, "user", "enable", "carol", "--server", a.server)
	carol(http.StatusOK)

	a.must(t, "session", "end", "--user", "second", "--server", a.server)
	refused("try: soapward login")
	b.must(t, "login", "--local", "second", "--server", b.server, "--password-file", file)
	a.must(t, "user", "disable", "second", "--server", a.server)
	refused("try: ")
	if code, out, errs := b.run(t, nil, "login", "--local", "second", "--server", b.server, "--password-file", file); code != 1 {
		t.Errorf("a disabled administrator logs in: %d %s%s", code, out, errs)
	}
	if out := a.must(t, "audit", "changes", "--server", a.server); strings.Count(out, "user.disable") != 2 {
		t.Errorf("changes: %s", out)
	}
}
