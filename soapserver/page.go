package soapserver

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
	"sync"
)

// wantsPage reports whether a request without query comes from a browser.
func wantsPage(r *http.Request) bool {
	return r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// page shows people what is served here.
func (s *Service) page(w http.ResponseWriter, r *http.Request) {
	type operation struct {
		Name, Input, Output string
		OneWay              bool
	}
	type service struct {
		Name, Space string
		Operations  []operation
	}
	var services []*service
	at := map[string]*service{}
	for _, op := range s.Operations() { // by service
		sv := at[op.Service]
		if sv == nil {
			space, name, ok := strings.Cut(strings.TrimPrefix(op.Service, "{"), "}")
			if !ok {
				space, name = "", op.Service
			}
			sv = &service{Name: name, Space: space}
			at[op.Service] = sv
			services = append(services, sv)
		}
		sv.Operations = append(sv.Operations, operation{op.Name, op.Input.Local, op.Output.Local, op.OneWay})
	}
	var b bytes.Buffer
	err := pageTemplate().Execute(&b, map[string]any{"Address": s.address(r), "Services": services})
	if err != nil { // the template is a constant
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Vary", "Accept")
	s.serve(w, r, "text/html; charset=utf-8", b.Bytes())
}

var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

const pageText = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{range $i, $s := .Services}}{{if $i}}, {{end}}{{$s.Name}}{{else}}SOAP service{{end}}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #777; --accent: #0b62c4; }
@media (prefers-color-scheme: dark) { :root { --soft: #9a9a9a; --accent: #79b8ff; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 2.5rem 0 0; }
h1 + p { margin: .1rem 0 1rem; }
p, th, i { color: var(--soft); }
a { color: var(--accent); }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; font-size: .85rem; }
th, td { padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { font-weight: 600; }
.where { border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1.1rem; }
.where p { margin: 0; }
</style>
</head>
<body>
<div class="where">
<p>This is a SOAP endpoint, for programs rather than browsers.</p>
<p>Address: <code>{{.Address}}</code></p>
<p>Description: <a href="?wsdl">WSDL</a></p>
</div>
{{range .Services}}
<h1>{{.Name}}</h1>
{{with .Space}}<p><code>{{.}}</code></p>{{end}}
<table>
<tr><th>Operation</th><th>Request</th><th>Answer</th></tr>
{{range .Operations}}<tr><td>{{.Name}}</td><td>{{with .Input}}<code>{{.}}</code>{{else}}<i>empty</i>{{end}}</td><td>{{if .OneWay}}<i>none</i>{{else if .Output}}<code>{{.Output}}</code>{{else}}<i>empty</i>{{end}}</td></tr>
{{end}}</table>
{{else}}
<p>It serves no operation.</p>
{{end}}
</body>
</html>
`
