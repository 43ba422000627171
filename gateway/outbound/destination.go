package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/soapward/soapward/gateway/config"
)

// destination returns the server that r is for, and what the program calls it,
// which is what addresses in answers are made of.
func (u *upstream) destination(r *http.Request) (target, local *url.URL, err error) {
	if u.config.Mode == config.ModeForwardProxy {
		return u.forward(r)
	}
	target = u.config.URL.URL
	if base := target.Path; base != "" && base != "/" && leavesBase(r.URL.Path) {
		return nil, nil, &refusal{reasonPath, fmt.Errorf("path %.200q could lead out of %s", r.URL.Path, base)}
	}
	local = &url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		local.Scheme = "https"
	}
	return target, local, nil
}

// leavesBase reports whether a path may go up, as whoever is behind may read it:
// backslashes, parameters behind dots, and what is encoded twice included.
func leavesBase(path string) bool {
	if strings.Contains(strings.ToLower(path), "%2e") {
		return true
	}
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

// forward is destination for a forward proxy. A request names its server in
// absolute form (RFC 9112 3.2.2). Programs that know no https: there write port
// 443, which is called by https.
func (u *upstream) forward(r *http.Request) (target, local *url.URL, err error) {
	switch {
	case r.URL.Host == "":
		return nil, nil, &refusal{reasonForm, errors.New("this is a forward proxy, and the request does not name a server: http://HOST/PATH")}
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return nil, nil, &refusal{reasonForm, fmt.Errorf("scheme %.20q: want http, or https", r.URL.Scheme)}
	case r.URL.User != nil:
		return nil, nil, &refusal{reasonForm, errors.New("a user in the address: the gateway logs in")}
	}
	port := r.URL.Port()
	target = &url.URL{Scheme: r.URL.Scheme, Host: strings.ToLower(r.URL.Host)}
	if port == "443" {
		target.Scheme = "https"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	name := strings.ToLower(r.URL.Hostname())
	if !u.serves(name, port) {
		return nil, nil, &refusal{reasonDestination, fmt.Errorf("%.200q is not among the hosts of the upstream", r.URL.Host)}
	}
	local = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	return target, local, nil
}

// serves reports whether a server may be called.
func (u *upstream) serves(name, port string) bool {
	for _, h := range u.config.Hosts {
		pattern := strings.ToLower(string(h))
		want := ""
		if host, p, err := net.SplitHostPort(pattern); err == nil {
			pattern, want = host, p
		}
		pattern = strings.Trim(pattern, "[]")
		if want != port && (want != "" || port != "80" && port != "443") {
			continue
		}
		if domain, below := strings.CutPrefix(pattern, "*"); name == pattern || below && strings.HasSuffix(name, domain) && len(name) > len(domain) {
			return true
		}
	}
	return false
}
