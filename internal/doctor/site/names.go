package site

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxAddresses bounds how many addresses are tried.
const maxAddresses = 8

func (s *site) checkURL() {
	host := s.url.Hostname()
	switch {
	case net.ParseIP(host) != nil:
		s.report.found("url.address", host)
	case !strings.Contains(strings.TrimSuffix(host, "."), "."):
		s.report.found("url.short", clean(host))
	}
	if s.url.Scheme == "http" {
		s.report.found("url.plain", "there is no TLS that a login could be bound to")
	}
	if p := s.cfg.Proxy; p != nil {
		s.report.Proxy = clean(p.Redacted())
		s.report.found("proxy.used", s.report.Proxy)
		if s.plainProxy() {
			s.report.found("proxy.plain", "requests go to the proxy as they are, with the logins in them")
		}
	}
}

// names looks the server up, and finds out which of its addresses take a
// connection. With a proxy, which does both, it does so for the proxy.
func (s *site) names(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	host, port := s.url.Hostname(), s.port
	if p := s.cfg.Proxy; p != nil {
		if host, port = p.Hostname(), p.Port(); port == "" {
			port = map[string]string{"http": "80", "https": "443"}[p.Scheme]
		}
	} else {
		s.checkHosts(host)
	}
	var addrs []string
	if net.ParseIP(host) != nil {
		addrs = []string{host}
	} else {
		found, err := s.cfg.Resolver.LookupIPAddr(ctx, host)
		if err != nil || len(found) == 0 {
			why := clean(host)
			if err != nil {
				why = cleanError(err)
			}
			if s.cfg.Proxy != nil {
				s.report.found("proxy.unreachable", why)
			} else {
				s.report.found("dns.none", why)
			}
			return false
		}
		for _, a := range found[:min(len(found), maxAddresses)] {
			addrs = append(addrs, a.String())
		}
		if s.cfg.Proxy == nil {
			s.report.found("dns.found", clean(host)+" is "+strings.Join(addrs, ", "))
			s.checkAlias(ctx, host, addrs[0])
		}
	}
	for _, a := range addrs {
		s.report.Addresses = append(s.report.Addresses, Address{Addr: net.JoinHostPort(a, port)})
	}
	return true
}

// checkHosts looks into the hosts file, which decides before DNS does.
func (s *site) checkHosts(host string) {
	f, err := os.Open(s.cfg.HostsFile)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) > 1 && !strings.EqualFold(host, "localhost") &&
			slices.ContainsFunc(fields[1:], func(n string) bool { return strings.EqualFold(n, host) }) {
			s.report.found("dns.hosts", fmt.Sprintf("%s has it as %s", s.cfg.HostsFile, clean(fields[0])))
			return
		}
	}
}

// checkAlias looks for other names that programs could ask for a ticket of.
func (s *site) checkAlias(ctx context.Context, host, addr string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	canonical := host
	if name, err := s.cfg.Resolver.LookupCNAME(ctx, host); err == nil {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" && name != host {
			canonical = name
			s.report.Alias = clean(name)
			s.report.found("dns.alias", fmt.Sprintf("%s stands for %s: some clients ask for a ticket of HTTP/%s, others of HTTP/%s", clean(host), clean(name), clean(host), clean(name)))
		}
	}
	back, err := s.cfg.Resolver.LookupAddr(ctx, addr)
	if err != nil || len(back) == 0 {
		return
	}
	same := slices.ContainsFunc(back, func(n string) bool {
		n = strings.ToLower(strings.TrimSuffix(n, "."))
		return n == host || n == canonical
	})
	if !same {
		s.report.found("dns.reverse", fmt.Sprintf("%s leads to %s", addr, clean(strings.TrimSuffix(back[0], "."))))
	}
}

// connect tries all addresses at the same time.
func (s *site) connect(ctx context.Context) bool {
	s.progress("connecting to %s", s.report.Host)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	list := s.report.Addresses
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			began := time.Now()
			c, err := s.cfg.Dial(ctx, "tcp", list[i].Addr)
			if err != nil {
				list[i].Error = cleanError(err)
				return
			}
			list[i].Milliseconds = float64(time.Since(began).Microseconds()) / 1e3
			_ = c.Close()
		})
	}
	wg.Wait()
	if ctx.Err() != nil && ctx.Err() == context.Canceled {
		return false
	}
	var good, bad []string
	for _, a := range list {
		if a.Error != "" {
			bad = append(bad, a.Addr+": "+a.Error)
			continue
		}
		if s.dialed == "" {
			s.dialed = a.Addr
		}
		good = append(good, fmt.Sprintf("%s (%.1f ms)", a.Addr, a.Milliseconds))
	}
	switch {
	case s.dialed == "" && s.cfg.Proxy != nil:
		s.report.found("proxy.unreachable", strings.Join(bad, "; "))
	case s.dialed == "":
		s.report.found("tcp.unreachable", strings.Join(bad, "; "))
	case len(bad) > 0:
		s.report.found("tcp.some", strings.Join(bad, "; "))
	case s.cfg.Proxy == nil:
		s.report.found("tcp.connected", strings.Join(good, ", "))
	}
	return s.dialed != ""
}
