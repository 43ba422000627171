// Package publish shows services to those who use them: their WSDL with the
// gateway's address, and pages that list services and operations.
//
//   - Publisher has the description of one service, and answers ?wsdl,
//     ?singleWsdl and ?xsd=... with it, as IIS does. Of the text only addresses
//     change.
//   - Page lists services and operations.
//   - Rewrite changes the addresses of a description that somebody else serves.
//
// What a description may be is up to package wsdl, and it is read when a Publisher
// is made: nothing that a client says leads to a file.
//
// Compatibility: exported names keep their meaning within a major version.
package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/wsdl"
)

// A Publisher has the description of one service. It is safe for concurrent use.
type Publisher struct {
	name     string
	service  *config.Service
	logins   []config.Login
	trusted  []config.Network
	paths    *paths
	ops      []Operation
	title    string
	text     string               // what the page says of it
	home     *url.URL             // address in the description; nil: none
	docs     map[string]*document // by what they are asked for; nil: none
	unfolded error                // why there is no ?singleWsdl
	ready    cache
}

// New reads the description of a service and what it imports, from files. A
// service may have none: then Takes takes nothing.
//
// Most programs use All, which knows what services inherit.
func New(name string, s *config.Service) (*Publisher, error) {
	p := &Publisher{name: name, service: s, logins: s.Login, title: s.Title, text: s.Description, paths: newPaths(s)}
	if p.title == "" {
		p.title = name
	}
	if s.WSDL == "" {
		return p, nil
	}
	d, err := resolver().Open(context.Background(), string(s.WSDL))
	if err != nil {
		return nil, fmt.Errorf("publish: service %s: %w", name, err)
	}
	list, err := read(d)
	if err != nil {
		return nil, fmt.Errorf("publish: service %s: %w", name, err)
	}
	p.describe(d)
	p.docs = make(map[string]*document, len(list)+1)
	nameAll(list)
	for _, s := range list {
		s.whole()
		p.docs[s.out.query] = s.out
	}
	if one, err := single(list); err != nil {
		p.unfolded = err
	} else {
		p.docs["singlewsdl"] = one
	}
	return p, nil
}

// All makes a Publisher for each service of a configuration that has a
// description or is shown on the page. Errors are joined.
func All(c *config.Config) (map[string]*Publisher, error) {
	all := make(map[string]*Publisher)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		if s.WSDL == "" && !c.Publish.Page {
			continue
		}
		p, err := New(name, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.trusted, p.logins = c.TrustedProxies, c.LoginsOf(s)
		all[name] = p
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

// errNetwork is why an import of another machine is not followed.
var errNetwork = errors.New("descriptions that are published are read from files: save it beside the others, and change the location")

type noNetwork struct{}

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNetwork }

func resolver() *wsdl.Resolver {
	none := &http.Client{Transport: noNetwork{}}
	return &wsdl.Resolver{HTTP: none, Other: none}
}

// describe takes over what the description says in words, and its operations.
func (p *Publisher) describe(d *wsdl.Definitions) {
	p.ops = operations(d)
	if len(d.Services) > 0 && p.service.Title == "" {
		p.title = d.Services[0].Name.Local
	}
	for _, s := range d.Services {
		for _, port := range s.Ports {
			if u, err := url.Parse(port.Location); p.home == nil && err == nil && (u.Scheme == "http" || u.Scheme == "https") {
				p.home = u
			}
		}
	}
	if p.text == "" {
		p.text = d.Doc
		for _, s := range d.Services {
			if p.text == "" {
				p.text = s.Doc
			}
		}
	}
}

// Operations lists the operations in the order of the description.
func (p *Publisher) Operations() []Operation { return slices.Clone(p.ops) }

// Open reports whether who is not logged in gets the description as well.
func (p *Publisher) Open() bool { return p.service.Publish == config.PublishOpen }

// Takes reports whether r asks for a description (?wsdl, ?singleWsdl, ?xsd=...).
// It is so for a service whose description is published to nobody, too: that of
// the server behind would have the server's address in it.
func (p *Publisher) Takes(r *http.Request) bool {
	if p.docs == nil || r.URL.RawQuery == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	_, ok := asked(r.URL.RawQuery)
	return ok
}

// asked returns the document that a query is about, as document.query has it.
func asked(query string) (doc string, ok bool) {
	first, _, _ := strings.Cut(query, "&")
	key, value, has := strings.Cut(first, "=")
	switch key = strings.ToLower(key); key {
	case "wsdl":
		if value == "" {
			return key, true
		}
	case "singlewsdl":
		return key, value == ""
	case "xsd":
		if !has {
			return "", false
		}
	default:
		return "", false
	}
	if v, err := url.QueryUnescape(value); err == nil {
		value = v
	}
	return key + "=" + strings.ToLower(value), true
}

// ServeHTTP answers such a request.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, _ := asked(r.URL.RawQuery)
	doc := p.docs[query]
	switch {
	case p.service.Publish == config.PublishOff:
		http.Error(w, "The description of this service is not published.", http.StatusNotFound)
		return
	case doc == nil && query == "singlewsdl" && p.unfolded != nil:
		http.Error(w, "This description cannot be put into one document: "+p.unfolded.Error()+". Ask for ?wsdl.", http.StatusNotFound)
		return
	case doc == nil:
		http.Error(w, "The description of this service has no such document.", http.StatusNotFound)
		return
	}
	at := p.endpoint(r)
	if at == nil {
		http.Error(w, "The Host of this request cannot be a part of an address.", http.StatusBadRequest)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	// Documentation may be HTML, which is no reason to run it.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Cache-Control", "private, no-cache")
	if p.Open() {
		h.Set("Cache-Control", "no-cache")
	}
	p.ready.get(doc, at).serve(w, r)
}
