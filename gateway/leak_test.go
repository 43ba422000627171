package gateway

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A gateway leaves nothing behind that was made for a configuration which is not
// in force any more: neither goroutines nor open files.
func TestReloadsLeaveNothing(t *testing.T) {
	a, up := freeAddr(t), freeAddr(t)
	text := func(n int) string {
		return fmt.Sprintf(`
listen: [{addr: %q}]
access_log: {file: access%d.log}
store: {driver: sqlite, dsn: s.db}
passwords: {min_length: %d}
realms: {staff: {internal: {ntlm: true}}, people: {ldap: {url: "ldaps://127.0.0.1:1/dc=x", timeout: %ds}}}
services:
  open: {match: {path: /o/}, login: [none], upstream: {url: "http://%s", idle_timeout: %ds, health: {path: /, interval: 1s, timeout: 1s}}}
  staff: {match: {path: /s/}, login: [staff/ntlm, staff/form], upstream: {url: "http://127.0.0.1:1"}}
upstreams: {u: {listen: %q, url: "http://127.0.0.1:1", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}
`, a, n%2, 12+n, 1+n, a, 1+n, up)
	}
	r := whole(t, text(0), nil)
	round := func(n int) {
		t.Helper()
		r.write(r.file, text(n))
		if err := r.Reload(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/o/s/", "/s/", "/.soapward/login/staff/"} {
			r.do("GET", "http://"+a+path, "")
		}
		r.do("GET", "http://"+up+"/", "")
	}
	for n := range 3 {
		round(n)
	}
	files, goroutines := count(t)
	for n := range 20 {
		round(3 + n)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		f, g := count(t)
		if f <= files+4 && g <= goroutines+8 {
			return
		}
		if time.Now().After(deadline) {
			b := make([]byte, 1<<20)
			t.Fatalf("%d files after %d, %d goroutines after %d\n%s", f, files, g, goroutines, b[:runtime.Stack(b, true)])
		}
	}
}

func count(t *testing.T) (files, goroutines int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil && !strings.Contains(err.Error(), "no such file") {
		t.Fatal(err)
	}
	return len(entries), runtime.NumGoroutine()
}
