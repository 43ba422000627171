package outbound

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkCall is a call through the gateway, as the service by NTLM on a
// connection that is logged in, as a caller with a ticket for each request; and
// without a gateway, to compare.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b)
	s := w.protect(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	g := w.gateway(b, asCaller(s.URL, "act_as: [caller]")+strings.Replace(asService(s.URL, ""), "  up: {listen: \"127.0.0.1:9300\"", "  service: {listen: \"127.0.0.1:9301\"", 1))
	body := strings.Repeat("x", 2000)
	run := func(b *testing.B, c *http.Client, url string, header ...string) {
		for b.Loop() {
			req, err := http.NewRequest("POST", url, strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			if a := do(b, c, req); a.status != 200 {
				b.Fatal(a.status, a.body)
			}
		}
	}
	b.Run("service", func(b *testing.B) { run(b, direct, g.start(b, "service").URL) })
	b.Run("caller", func(b *testing.B) {
		run(b, direct, g.start(b, "up").URL, "X-Identity", g.token(b, w.byKerberos(b, "alice")))
	})
	plain := &http.Client{Transport: g.upstreams[0].transport.Base.Clone()}
	open := w.open(b)
	b.Run("no gateway, no login", func(b *testing.B) { run(b, plain, open.URL) })
}
