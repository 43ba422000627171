package interop

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/publish"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

// publishOurs puts in front of our server what publishes its descriptions, which
// have an address where nobody is, and returns its URL. query is what a client
// gets when it asks for ?wsdl. The server behind gets calls only.
func publishOurs(t *testing.T, server, query string) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	mux := http.NewServeMux()
	for _, name := range []string{"catalog", "inventory"} {
		p, err := publish.New(name, &config.Service{
			Match: config.Match{Path: "/" + name}, WSDL: config.Path("catalog/wsdl/" + name + ".wsdl"),
		})
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			if strings.EqualFold(r.URL.RawQuery, "wsdl") {
				r.URL.RawQuery = query
			}
			switch {
			case p.Takes(r):
				p.ServeHTTP(w, r)
			case r.Method == http.MethodPost:
				// PHP does not wait for the answer to a one-way call.
				proxy.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
			default:
				t.Errorf("%s %s is no description", r.Method, r.URL)
				http.NotFound(w, r)
			}
		})
	}
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return ts.URL
}

// Clients understand what the gateway publishes as they understand what our own
// server does, and call at the address in it.
func TestPublished(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"wsdl", "singleWsdl"} {
		for _, v := range versions {
			check := func(name string, c func(t *testing.T) foreignClient) {
				t.Run(name+" "+query+" "+v.String(), func(t *testing.T) {
					t.Parallel()
					f := c(t)
					f.published = query
					f.check(t)
				})
			}
			check("zeep", func(t *testing.T) foreignClient { return zeepClient(testenv.NeedPython(t, "zeep"), v) })
			check("php", func(t *testing.T) foreignClient { return phpClient(testenv.NeedPHP(t, "soap"), v) })
			check("node", func(t *testing.T) foreignClient {
				f := nodeClient(testenv.Need(t, "node"), testenv.NodeModules(t, "testdata/node"), v)
				if query == "singleWsdl" { // it knows a type more, that of a derived type in another schema
					f.sees["GetOrder full"] = with(f.sees["GetOrder full"], view{"customer.contact.born": "1990-02-03T00:00:00.000Z"})
				}
				return f
			})
		}
	}
}

// The tools of .NET fetch a description with all that it imports.
func TestPublishedMono(t *testing.T) {
	t.Parallel()
	mono, wsdl, mcs := testenv.Need(t, "mono"), testenv.Need(t, "wsdl"), testenv.Need(t, "mcs")
	for _, query := range []string{"wsdl", "singleWsdl"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			gateway := publishOurs(t, "http://127.0.0.1:1", query) // nothing is called
			catalog, inventory := filepath.Join(dir, "catalog.cs"), filepath.Join(dir, "inventory.cs")
			testenv.Run(t, nil, "", wsdl, "-out:"+catalog, "-namespace:Demo", gateway+"/catalog?wsdl")
			testenv.Run(t, nil, "", wsdl, "-out:"+inventory, "-namespace:Demo.Inventory", gateway+"/inventory?wsdl")
			client := filepath.Join(dir, "client.exe")
			testenv.Run(t, nil, "", mcs, "-target:exe", "-out:"+client, "-r:System.Web.Services", "-r:System.Xml",
				catalog, inventory, "testdata/mono/View.cs", "testdata/mono/Client.cs")
			f := monoClient(mono, client, soap.V11)
			f.published = query
			f.check(t)
		})
	}
}
