package console

import (
	"net/http"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/console/ui"
)

type servicesData struct {
	viewer
	*admin.Services
}

func (c *console) services(r *http.Request) (*answer, error) {
	s, err := c.areas.Services(r.Context())
	if err != nil {
		return nil, err
	}
	return &answer{page: "services", title: "Services", nav: ui.NavServices, data: servicesData{viewerOf(r), s}}, nil
}

type serviceData struct {
	viewer
	admin.ServiceInfo
	URL string // for an example of a request
}

func (c *console) service(r *http.Request) (*answer, error) {
	all, err := c.areas.Services(r.Context())
	if err != nil {
		return nil, err
	}
	name := r.URL.Query().Get("name")
	for _, s := range all.Services {
		if s.Name == name {
			d := serviceData{viewerOf(r), s, s.Path}
			if s.Host != "" {
				d.URL = "https://" + s.Host + s.Path
			}
			if d.URL == "" {
				d.URL = "/"
			}
			return &answer{page: "service", title: s.Name, nav: ui.NavServices, data: d}, nil
		}
	}
	return nil, &admin.Error{Kind: admin.NotFound, Text: "there is no such service", Remedy: "the list of services has all that are configured"}
}

type explainData struct {
	viewer
	Query   admin.ExplainQuery
	Who     string // any, anonymous, user
	Bad     string // field that is wrong
	Service string
	Answer  *authz.Explanation
}

func (c *console) explain(r *http.Request) (*answer, error) {
	q := r.URL.Query()
	d := explainData{viewer: viewerOf(r), Service: q.Get("service"), Who: choose(q.Get("who"), "any", "anonymous", "user")}
	d.Query = admin.ExplainQuery{
		Method: q.Get("method"), URL: q.Get("url"), Operation: q.Get("operation"), Client: q.Get("client"), User: q.Get("user"),
	}
	a := &answer{page: "explain", title: "Explain a request", nav: ui.NavServices}
	if d.Query.URL != "" {
		ask := d.Query
		ask.Anonymous = d.Who == "anonymous"
		if d.Who != "user" {
			ask.User = ""
		}
		if d.Who == "user" && ask.User == "" {
			a.failed = &admin.Error{Kind: admin.Invalid, Text: "which user?", Field: "user"}
		} else {
			d.Answer, a.failed = c.areas.Explain(r.Context(), ask)
		}
		d.Bad = field(a.failed)
	}
	a.data = d
	return a, nil
}
