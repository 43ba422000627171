package observe

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/soapward/soapward/gateway/health"
)

// Admin is Status behind Guard.
func (o *Observer) Admin() http.Handler { return o.Guard(o.Status()) }

// Status answers /healthz, /readyz, /metrics, and a page for people at /, for who
// puts it behind Guard.
//
// /healthz answers 200 while the process can answer. /readyz answers 200 or 503,
// with a health.Report that names what is missing. Neither asks anybody.
func (o *Observer) Status() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", o.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /{$}", o.page)
	return mux
}

// Report is what is known of all that the gateway depends on.
func (o *Observer) Report() health.Report { return o.monitor.Report() }

// Loaded returns when the configuration in force was loaded, and why the last
// reload was refused, if it was.
func (o *Observer) Loaded() (at time.Time, refused error) {
	last := o.reloaded.Load()
	return last.inForce, last.err
}

// Version returns that of the program.
func (o *Observer) Version() string { return o.version }

// Started returns when the Observer was made.
func (o *Observer) Started() time.Time { return o.begun }

// ready answers whether requests should be sent here.
func (o *Observer) ready(w http.ResponseWriter, _ *http.Request) {
	r := o.monitor.Report()
	w.Header().Set("Content-Type", "application/json")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(r) // the client went away
}

// Guard returns next for those who may look after the gateway: who comes from
// this machine, or from admin.networks. There is no login. Others get 403, and
// so do
//
//   - requests that a proxy on this machine passes on, which says so in
//     X-Forwarded-For, Forwarded, X-Real-IP or Via: without admin.networks nobody
//     else is meant to see anything;
//   - requests from this machine that are for a name of somebody else: a browser
//     is made to send them, by a page whose name suddenly has our address (DNS
//     rebinding). The name in admin.url is ours.
func (o *Observer) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if why := o.stranger(r); why != "" {
			http.Error(w, "Forbidden: "+why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// stranger says why r is not answered, or nothing.
func (o *Observer) stranger(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		if _, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); ok {
			return "" // who may is said by the file's permissions
		}
		return "requests come from this machine, or from admin.networks"
	}
	addr := peer.Addr().Unmap().WithZone("")
	a := o.set.Load().config.Admin
	if a != nil {
		for _, n := range a.Networks {
			if n.Contains(addr) {
				return ""
			}
		}
	}
	switch {
	case !addr.IsLoopback():
		return "requests come from this machine, or from admin.networks"
	case forwarded(r.Header):
		return "a proxy passes others' requests on: admin.networks must have its address"
	case !ownName(r.Host) && (a == nil || a.URL.URL == nil || !strings.EqualFold(hostOf(r.Host), a.URL.Hostname())):
		return "the request is for another name: use an address, or localhost"
	}
	return ""
}

// forwarded reports whether a proxy passed a request on. An empty line counts: some
// proxies add theirs behind that of the client, who may have sent one.
func forwarded(h http.Header) bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// ownName reports whether a Host cannot be somebody else's name.
func ownName(host string) bool {
	host = hostOf(host)
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// hostOf returns a Host without its port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.Trim(host, "[]")
}
