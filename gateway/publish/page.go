package publish

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/soapward/soapward/gateway/config"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pagePolicy allows the style sheet, and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// page is what the templates show.
type page struct {
	Heading  string
	Style    template.CSS
	Services []*shown
	Service  *shown
}

// shown is a service on a page.
type shown struct {
	Name, Title, Text, Address string
	Logins                     []string
	WSDL, Single               string // empty: not published
	Count                      int
	Groups                     []group
}

// group is the operations of a namespace.
type group struct {
	Space      string
	Operations []Operation // with their local names
}

// Page lists services and operations. allowed says which services the caller of r
// may see. It is asked for those that are shown only; others are as if they were
// not there. The page may be at any path, and has no script.
func Page(services map[string]*Publisher, allowed func(r *http.Request, service string) bool) http.Handler {
	names := make([]string, 0, len(services))
	for name := range services {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(
			strings.Compare(strings.ToLower(services[a].title), strings.ToLower(services[b].title)),
			strings.Compare(a, b),
		)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This page can only be read.", http.StatusMethodNotAllowed)
			return
		}
		if !hostName.MatchString(r.Host) {
			http.Error(w, "The Host of this request cannot be a part of an address.", http.StatusBadRequest)
			return
		}
		name := r.URL.Query().Get("service")
		if name == "" {
			v := &page{Heading: "Services"}
			for _, name := range names {
				if allowed(r, name) {
					v.Services = append(v.Services, services[name].shown(r, false))
				}
			}
			v.serve(w, r, "list")
			return
		}
		p := services[name]
		if p == nil || !allowed(r, name) {
			http.Error(w, "There is no such service that you may call.", http.StatusNotFound)
			return
		}
		v := &page{Heading: p.title, Service: p.shown(r, true)}
		v.serve(w, r, "service")
	})
}

func (v *page) serve(w http.ResponseWriter, r *http.Request, name string) {
	v.Style = template.CSS(pageStyle)
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, name, v); err != nil { // the template is a constant
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(b.Bytes())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, no-cache")
	(&answer{body: b.Bytes(), etag: hex.EncodeToString(sum[:16])}).serve(w, r)
}

// shown returns what a page shows of a service; whole is with its operations.
func (p *Publisher) shown(r *http.Request, whole bool) *shown {
	at := p.endpoint(r)
	if host := p.service.Match.Host; host != "" && p.service.PublicURL.URL == nil && !strings.Contains(host, "*") {
		if _, port, err := net.SplitHostPort(at.origin.Host); err == nil {
			host = net.JoinHostPort(host, port)
		}
		at.origin.Host = host
	}
	at.asked = p.paths.outside
	address := at.origin
	address.Path = at.asked
	s := &shown{Name: p.name, Title: p.title, Text: clip(p.text, 160), Count: len(p.ops), Logins: p.loginNames()}
	if p.home != nil {
		s.Address = at.service(p.home)
	} else {
		s.Address = address.String()
	}
	if base, _, _ := strings.Cut(s.Address, "?"); p.docs != nil && p.service.Publish != config.PublishOff {
		s.WSDL = base + "?wsdl"
		if p.docs["singlewsdl"] != nil && len(p.docs) > 2 { // else the one is the other
			s.Single = base + "?singleWsdl"
		}
	}
	if !whole {
		return s
	}
	s.Text = clip(p.text, 5000)
	for _, op := range p.ops {
		space, local := op.Split()
		op.Name, op.Doc = local, clip(op.Doc, 2000)
		if n := len(s.Groups); n == 0 || s.Groups[n-1].Space != space {
			s.Groups = append(s.Groups, group{Space: space})
		}
		g := &s.Groups[len(s.Groups)-1]
		g.Operations = append(g.Operations, op)
	}
	return s
}

// methodNames are the ways to log in, as people call them who are to log in.
var methodNames = map[config.Method]string{
	config.Negotiate: "Windows (Negotiate)",
	config.NTLM:      "Windows (NTLM)",
	config.Basic:     "Password (Basic)",
	config.Form:      "Password (form)",
	config.OIDC:      "OpenID Connect",
	config.Custom:    "Own scheme",
	config.None:      "No login needed",
}

func (p *Publisher) loginNames() (names []string) {
	for _, l := range p.logins {
		if n := methodNames[l.Method]; !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// clip shortens a text for people, at a space where there is one.
func clip(s string, most int) string {
	s = strings.TrimSpace(s)
	if len(s) <= most {
		return s
	}
	s = strings.ToValidUTF8(s[:most], "")
	if i := strings.LastIndexAny(s, " \t\r\n"); i > most/2 {
		s = s[:i]
	}
	return s + " ..."
}
