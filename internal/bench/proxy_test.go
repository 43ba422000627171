package bench

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
)

// maxProxyCPU is how much of a processor a request may cost in our proxy beside
// httputil.ReverseProxy. Both stand on net/http's server, which is in it.
const maxProxyCPU = 0.6

// bytesRole is the server behind the proxies, which sends requests back;
// proxiesRole are the proxies, which find it in proxyTarget. See serverRole.
const (
	bytesRole   = "bytes"
	proxiesRole = "proxies"
	proxyTarget = "SOAPWARD_BENCH_TARGET"
)

// BenchmarkProxy puts load on proxies in front of one server: wrk with 16
// connections, which shares the processors with proxies and server. What counts
// is the time of a processor that a request costs in the process of the proxies.
// Ours tells the server who the caller is, and ReverseProxy does not.
func BenchmarkProxy(b *testing.B) {
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	behind := exec.Command(program)
	behind.Env = append(os.Environ(), serverRole+"="+bytesRole)
	_, next := startAnnouncing(b, behind)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverRole+"="+proxiesRole, proxyTarget+"=http://"+next())
	process, next := startAnnouncing(b, cmd)
	servers := []*server{
		{name: "soapward", process: process, addr: next(), raw: true},
		{name: "ReverseProxy", process: process, addr: next(), raw: true, lossy: true}, // now and then, of the larger ones
		{name: "net/http, answers itself", process: process, addr: next(), raw: true},
	}
	const rounds = 7
	fmt.Printf("\nA proxy in front of a server, %s, wrk with 16 connections, %d processors for load, proxy and server, medians of %d rounds of 1 s\n",
		runtime.Version(), runtime.NumCPU(), rounds)
	for _, size := range []struct {
		name  string
		lines int
	}{{"small", 1}, {"large", 100}} {
		doc := fmt.Sprintf(ordersEnvelope, orderXML(1, size.lines))
		wrk := newLoader(b, doc)
		wrk.connections = 16
		took, rates := make(map[*server][]float64), make(map[*server][]float64)
		for _, s := range servers {
			s.check(b, doc)
		}
		for round := range rounds {
			for i := range servers {
				s := servers[(round+i)%len(servers)]
				s.clear()
				wrk.run(b, s)
				took[s], rates[s] = append(took[s], float64(s.server)/1e3), append(rates[s], s.rate)
			}
		}
		fmt.Printf("  %-30s %11s %17s\n", fmt.Sprintf("%s, %d bytes", size.name, len(doc)), "requests/s", "of a processor")
		for _, s := range servers {
			fmt.Printf("    %-28s %11.0f %14.1f us  %.2f x ReverseProxy\n", s.name, middle(rates[s], nil), middle(took[s], nil), middle(took[s], took[servers[1]]))
		}
		if ratio := middle(took[servers[0]], took[servers[1]]); ratio > maxProxyCPU {
			b.Errorf("%s: a request costs %.2f of what it costs in ReverseProxy, want at most %.2f", size.name, ratio, maxProxyCPU)
		}
	}
	fmt.Println()
}

// serveBytes sends requests back until its standard input ends.
func serveBytes() error { return serveAll(http.HandlerFunc(sendBack)) }

// sendBack is serveEcho without its way to tell of users.
func sendBack(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, _ = w.Write(b)
}

// serveProxies serves what passes requests on to proxyTarget.
func serveProxies() error {
	target, err := url.Parse(os.Getenv(proxyTarget))
	if err != nil {
		return err
	}
	ours, err := backend.New(&config.Backend{
		URL: config.BackendURL{URL: target}, Identity: &config.Identity{Header: "X-Remote-User"},
		Host: config.HostOfClient, Forwarded: config.ForwardedX, Timeout: config.Duration(30 * time.Second),
	}, backend.Options{Service: "orders", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	alice := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismKerberos}
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ours.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), alice)))
	})
	peer := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // wrk's connections end within requests
	}
	return serveAll(known, peer, http.HandlerFunc(sendBack))
}

// serveAll serves handlers at addresses of their own, which it prints in order,
// until its standard input ends.
func serveAll(handlers ...http.Handler) error {
	for _, h := range handlers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(l) }()
		fmt.Println(l.Addr())
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
