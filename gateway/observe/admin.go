package observe

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin answers on the admin listener: /healthz, /readyz, /metrics, and a page
// for people at /. It is behind Guard.
//
// /healthz answers 200 while the process can answer. /readyz answers 200 or 503,
// with a health.Report that names what is missing. Neither asks anybody.
func (o *Observer) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", o.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /{$}", o.page)
	return o.Guard(mux)
}

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
//     X-Forwarded-For or Forwarded: without admin.networks nobody else is meant
//     to see anything;
//   - requests from this machine that are for a name of somebody else: a browser
//     is made to send them, by a page whose name suddenly has our address (DNS
//     rebinding).
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
	if a := o.set.Load().config.Admin; a != nil {
		for _, n := range a.Networks {
			if n.Contains(addr) {
				return ""
			}
		}
	}
	switch {
	case !addr.IsLoopback():
		return "requests come from this machine, or from admin.networks"
	case r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "":
		return "a proxy passes others' requests on: admin.networks must have its address"
	case !ownName(r.Host):
		return "the request is for another name: use an address, or localhost"
	}
	return ""
}

// ownName reports whether a Host cannot be somebody else's name.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}
