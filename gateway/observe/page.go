package observe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
})

// pagePolicy allows the page's own style and nothing else.
var pagePolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// pageData is what the page shows. Nothing of it is secret.
type pageData struct {
	Style           template.CSS
	Version, Go     string
	Up              string
	Report          health.Report
	Down            int
	Loaded          string
	Refused         string // why the last reload was
	Listeners       []string
	Services        []pageService
	Upstreams       []pageUpstream
	Logging, Traces string
}

type pageService struct{ Name, Match, Backend, Logins string }

type pageUpstream struct{ Name, Listen, URL, As string }

// page shows people what runs, and what is missing.
func (o *Observer) page(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, o.pageData(time.Now())); err != nil {
		o.logger.Error("page", "cause", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy())
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b.Bytes()) // the client went away
}

func (o *Observer) pageData(now time.Time) *pageData {
	c, last := o.set.Load().config, o.reloaded.Load()
	d := &pageData{
		Style:   template.CSS(pageStyle), // ours
		Version: o.version, Go: runtime.Version(), Up: ago(now.Sub(o.begun)),
		Report: o.monitor.Report(), Loaded: last.at.Format(time.DateTime),
		Logging: string(c.AccessLog.File), Traces: "off",
	}
	for _, one := range d.Report.Checks {
		if one.State == health.Down {
			d.Down++
		}
	}
	slices.SortStableFunc(d.Report.Checks, func(a, b health.Result) int { // what is down first
		return cmp.Compare(number(b.State == health.Down), number(a.State == health.Down))
	})
	if last.err != nil {
		d.Refused = clip(last.err.Error(), 4096)
	}
	if c.Tracing != nil {
		d.Traces = c.Tracing.OTLP.String()
	}
	for _, l := range c.Listen {
		scheme := "http"
		if l.TLS != nil {
			scheme = "https"
		}
		d.Listeners = append(d.Listeners, string(l.Addr)+" ("+scheme+")")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		one := pageService{Name: name, Match: s.Match.Host + s.Match.Path}
		if s.Upstream != nil {
			var servers []string
			for _, u := range s.Upstream.Servers() {
				servers = append(servers, place(u.URL))
			}
			one.Backend = strings.Join(servers, ", ")
		}
		one.Logins = join(c.LoginsOf(s))
		d.Services = append(d.Services, one)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u := c.Upstreams[name]
		server := place(u.URL.URL)
		if server == "" {
			server = string(u.Mode)
		}
		var as []string
		for _, a := range u.ActAs {
			as = append(as, string(a))
		}
		d.Upstreams = append(d.Upstreams, pageUpstream{name, string(u.Listen), server, strings.Join(as, ", ")})
	}
	return d
}

// place is a URL without its query, in which somebody may have put a key.
func place(u *url.URL) string {
	switch {
	case u == nil:
		return ""
	case u.Scheme == "unix":
		return "unix:" + u.Path
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func join(logins []config.Login) string {
	out := make([]string, len(logins))
	for i, l := range logins {
		out[i] = l.String()
	}
	return strings.Join(out, ", ")
}

// ago is a time in two of its units.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	days := int(d / (24 * time.Hour))
	return plural(days, "day") + " " + plural(int(d/time.Hour)%24, "hour")
}

func plural(n int, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}
