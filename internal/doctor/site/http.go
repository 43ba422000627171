package site

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ask sends the first request, which has no login, and reports whether the
// server asks for one of Windows.
func (s *site) ask(ctx context.Context) bool {
	a, err := s.getOnce(ctx)
	if err != nil {
		id := "http.no-answer"
		if t := s.report.TLS; t != nil && t.ALPN == "h2" {
			id = "http.h2-only" // not all refuse HTTP/1.1 as early as in TLS
		}
		s.report.found(id, cleanError(err))
		return false
	}
	s.first = a
	r := &Answer{
		Status: a.status, Proto: clean(a.proto), Server: clean(a.header.Get("Server")), Location: clean(a.header.Get("Location")),
		Schemes: []string{}, Between: between(a.header), Closes: a.closes,
	}
	for _, c := range a.challenges() {
		if !slices.Contains(r.Schemes, c.scheme) {
			r.Schemes = append(r.Schemes, c.scheme)
		}
	}
	s.report.HTTP = r
	asks := s.judge(a)
	if len(r.Between) > 0 {
		s.report.found("http.between", strings.Join(r.Between, ", "))
	}
	return asks
}

// getOnce asks without a login, on a connection of its own.
func (s *site) getOnce(ctx context.Context) (*answer, error) {
	l, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	return l.get(ctx, "")
}

// judge says what the first answer means.
func (s *site) judge(a *answer) bool {
	r := s.report
	status := fmt.Sprintf("the answer is %d", a.status)
	switch {
	case a.status == http.StatusUnauthorized:
		return s.judgeSchemes(a)
	case a.status == http.StatusProxyAuthRequired:
		r.found("proxy.login", status)
	case a.status >= 300 && a.status < 400 && a.header.Get("Location") != "":
		s.judgeRedirect(a)
	case a.status < 300 && loginForm(a.body):
		r.found("http.login-page", status+", a page with a password field")
	case a.status < 300 || a.status == http.StatusMethodNotAllowed:
		r.found("http.anonymous", status)
	case a.status == http.StatusForbidden:
		r.found("http.forbidden", status)
	case a.status == http.StatusNotFound:
		r.found("http.not-found", status)
	case a.status >= 500:
		r.found("http.error", status)
	default:
		r.found("http.status", status)
	}
	return false
}

func (s *site) judgeSchemes(a *answer) bool {
	r := s.report
	list := strings.Join(r.HTTP.Schemes, ", ")
	at := func(scheme string) int {
		return slices.IndexFunc(r.HTTP.Schemes, func(o string) bool { return strings.EqualFold(o, scheme) })
	}
	negotiate, ntlm := at("Negotiate"), at("NTLM")
	if at("Basic") >= 0 && s.url.Scheme == "http" {
		r.found("http.basic-plain", "it offers "+list)
	}
	switch {
	case list == "":
		r.found("http.no-challenge", "there is no WWW-Authenticate header")
		return false
	case negotiate < 0 && ntlm < 0:
		r.found("http.other-schemes", "it offers "+list)
		return false
	case negotiate < 0:
		r.found("http.ntlm-only", "it offers "+list)
	case ntlm >= 0 && ntlm < negotiate:
		r.found("http.order", "it offers "+list)
	}
	r.found("http.challenge", "it offers "+list)
	if t := r.TLS; t != nil && t.ALPN == "h2" {
		if ntlm >= 0 {
			r.found("http.h2-offered", "HTTP/2 is what a client gets that can speak it")
		} else {
			r.found("http.h2-kerberos", "HTTP/2 is what a client gets that can speak it")
		}
	}
	return true
}

// loginWords are in the paths of login pages.
var loginWords = []string{"login", "logon", "signin", "sign-in", "adfs", "oauth2", "saml", "wsfed", "openid-connect"}

func (s *site) judgeRedirect(a *answer) {
	r := s.report
	to, err := s.url.Parse(a.header.Get("Location"))
	if err != nil {
		r.found("http.status", fmt.Sprintf("the answer is %d, to no URL", a.status))
		return
	}
	why := fmt.Sprintf("the answer is %d, to %s", a.status, clean(to.Redacted()))
	path := strings.ToLower(to.Path)
	switch {
	case slices.ContainsFunc(loginWords, func(w string) bool { return strings.Contains(path, w) }):
		r.found("http.login-page", why)
	case !strings.EqualFold(to.Hostname(), s.url.Hostname()) || portOf(to) != s.port && to.Scheme == s.url.Scheme:
		r.found("http.redirect-host", why)
	default:
		r.found("http.redirect", why)
	}
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// loginForm reports whether a page has a field for a password.
func loginForm(page []byte) bool {
	page = bytes.ToLower(page)
	return bytes.Contains(page, []byte("<form")) &&
		(bytes.Contains(page, []byte(`type="password"`)) || bytes.Contains(page, []byte(`type='password'`)) || bytes.Contains(page, []byte("type=password")))
}

// Signs of something between client and server: fields that it adds, names in
// Server, and cookies by which balancers find their server again.
var (
	betweenFields = []string{
		"Via", "X-Cache", "X-Cache-Hits", "X-Served-By", "X-Varnish", "X-Forwarded-For", "X-Forwarded-Server", "Forwarded", "CF-RAY", "X-Amz-Cf-Id", "X-Azure-Ref",
		"X-Envoy-Upstream-Service-Time", "X-Proxy-Cache", "X-Backend-Server", "Age", "X-Squid-Error", "X-Arr-Log-Id",
	}
	betweenServers = []string{"nginx", "haproxy", "cloudflare", "awselb", "bigip", "big-ip", "ats", "squid", "varnish", "envoy", "traefik", "netscaler", "akamai", "kong", "istio", "caddy"}
	betweenCookies = []string{"bigipserver", "awsalb", "awselb", "arraffinity", "citrix_ns_id", "nsc_", "srv_id", "route", "serverid", "incap_ses", "f5_"}
)

func between(h http.Header) []string {
	var out []string
	for _, f := range betweenFields {
		if v := h.Get(f); v != "" {
			out = append(out, f+": "+clean(v))
		}
	}
	server := strings.ToLower(h.Get("Server"))
	name, _, _ := strings.Cut(server, "/")
	for _, n := range betweenServers {
		if name == n || len(n) > 3 && strings.Contains(server, n) {
			out = append(out, "Server: "+clean(h.Get("Server")))
			break
		}
	}
	for _, c := range h.Values("Set-Cookie") {
		name, _, _ := strings.Cut(strings.ToLower(c), "=")
		if slices.ContainsFunc(betweenCookies, func(p string) bool { return strings.HasPrefix(strings.TrimSpace(name), p) }) && len(out) < 10 {
			out = append(out, "the cookie "+clean(strings.TrimSpace(name)))
		}
	}
	return out
}

// Bounds of clocks, as for keytabs.
const (
	maxSkew  = 5 * time.Minute
	warnSkew = 2 * time.Minute
)

// serverClock compares with the time in NTLM's challenge, which is exact and of
// the server itself, or in the Date field.
func (s *site) serverClock() {
	var theirs time.Time
	from := "NTLM's challenge"
	switch {
	case s.report.NTLM != nil && s.report.NTLM.Time != nil:
		theirs = *s.report.NTLM.Time
	case s.first != nil:
		var err error
		if theirs, err = http.ParseTime(s.first.header.Get("Date")); err != nil {
			return
		}
		from = "the Date header"
	default:
		return
	}
	off := s.cfg.Now().Sub(theirs)
	why := fmt.Sprintf("ours is %s from the server's, by %s; from %v on Kerberos refuses", roundSkew(off), from, maxSkew)
	switch {
	case off.Abs() >= maxSkew:
		s.report.found("clock.server", why)
	case off.Abs() >= warnSkew:
		s.report.found("clock.drifts", why)
	default:
		s.report.found("clock.good", fmt.Sprintf("by %s", from))
	}
}

// roundSkew writes an offset with its sign. Whoever sets its clock to the year
// 1601 gets a number all the same.
func roundSkew(d time.Duration) string {
	if d >= 0 {
		return "+" + d.Round(time.Second).String()
	}
	return d.Round(time.Second).String()
}
