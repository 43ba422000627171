package backend

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// startPHP serves testdata/headers.php with PHP's own server.
func startPHP(tb testing.TB) (url string) {
	tb.Helper()
	php := testenv.Need(tb, "php")
	port, err := testenv.FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(php, "-S", addr, "testdata/headers.php")
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), wait)
	defer cancel()
	if err := p.WaitListening(ctx, addr); err != nil {
		tb.Fatal(err)
	}
	return "http://" + addr
}

// A server that others wrote gets bodies of each kind, with our path.
func TestPHP(t *testing.T) {
	t.Parallel()
	f := serve(t, startPHP(t), as(alice), told, signing)
	for _, size := range []int{0, 10, maxSmall + 1, 1 << 20} {
		body := strings.Repeat("x", size)
		a := do(t, request(t, "POST", f.url+"/hr/a%20b?c=d", strings.NewReader(body)))
		if a.status != 200 || a.err != nil || !strings.Contains(a.body, "BODY="+body+"\n") || !strings.Contains(a.body, "REQUEST_URI=/hr/a%20b?c=d\n") {
			t.Errorf("%d bytes: %d, %v, %.400s", size, a.status, a.err, a.body)
		}
	}
	const inner = "GET /smuggled HTTP/1.1\r\n\r\n"
	a := do(t, request(t, "POST", f.url+"/", io.MultiReader(strings.NewReader(inner)))) // in chunks
	if !strings.Contains(a.body, "BODY="+inner) || !strings.Contains(a.body, "REQUEST_URI=/\n") {
		t.Errorf("%s", a.body)
	}
}
