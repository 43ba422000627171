package publish

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// Descriptions that others wrote mean the same after they were published, but that
// all addresses are ours.
func TestCorpus(t *testing.T) {
	t.Parallel()
	ids, files := testenv.Corpus(t, filepath.Join("..", "..", "..", "shared", "wsdl"))
	folded := 0 // subtests run one after the other
	for i, id := range ids {
		t.Run(id, func(t *testing.T) {
			before, err := new(wsdl.Resolver).Open(t.Context(), files[i])
			if err != nil {
				t.Skipf("does not load: %v", err)
			}
			p, err := New("x", &config.Service{WSDL: config.Path(files[i]), Match: config.Match{Path: "/x/"}})
			if err != nil {
				t.Fatal(err)
			}
			ts := httptest.NewServer(p)
			defer ts.Close()
			after, err := new(wsdl.Resolver).Open(t.Context(), ts.URL+"/x/y?wsdl")
			if err != nil {
				t.Fatal(err)
			}
			same(t, before, after, ts.URL+"/x/")
			if len(p.Operations()) == 0 {
				t.Error("no operations")
			}
			if p.unfolded != nil {
				t.Logf("not in one document: %v", p.unfolded)
				return
			}
			folded++
			one, err := new(wsdl.Resolver).Open(t.Context(), ts.URL+"/x/y?singleWsdl")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range one.Documents[1:] {
				if d.Namespace != wire.XML {
					t.Errorf("?singleWsdl: there is %s as well", d.URI)
				}
			}
			same(t, before, one, ts.URL+"/x/")
		})
	}
	t.Logf("%d of %d can be one document", folded, len(ids))
	if folded < 71 { // what is lost below this has been won before
		t.Errorf("%d of %d can be one document, expected more", folded, len(ids))
	}
}

// The same by Rewrite, document by document, as the outbound side has them.
func TestCorpusRewrite(t *testing.T) {
	t.Parallel()
	ids, files := testenv.Corpus(t, filepath.Join("..", "..", "..", "shared", "wsdl"))
	for i, id := range ids {
		t.Run(id, func(t *testing.T) {
			before, err := new(wsdl.Resolver).Open(t.Context(), files[i])
			if err != nil {
				t.Skipf("does not load: %v", err)
			}
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, d := range before.Documents {
					if u, _ := url.Parse(d.URI); u.Path != r.URL.Path {
						continue
					}
					b, err := Rewrite(d.Content, func(old *url.URL) *url.URL {
						if old.Scheme != "http" && old.Scheme != "https" && *old != (url.URL{}) {
							return nil // a relative location, or of another protocol
						}
						return &url.URL{Scheme: "http", Host: "local.test", Path: old.Path, RawQuery: old.RawQuery}
					})
					if err != nil {
						t.Logf("%s: %v", d.URI, err)
						b = d.Content
					}
					w.Header().Set("Content-Type", "text/xml; charset=utf-8")
					_, _ = w.Write(b)
					return
				}
				http.NotFound(w, r)
			}))
			defer ts.Close()
			u, _ := url.Parse(before.URI)
			after, err := new(wsdl.Resolver).Open(t.Context(), ts.URL+(&url.URL{Path: u.Path}).String())
			if err != nil {
				t.Fatal(err)
			}
			same(t, before, after, "http://local.test")
		})
	}
}

// same compares what two descriptions say, and looks whether the addresses of one
// begin with a prefix where they were of HTTP.
func same(t *testing.T, want, got *wsdl.Definitions, prefix string) {
	t.Helper()
	a, b := say(want), say(got)
	if !slices.Equal(a, b) {
		for i := range max(len(a), len(b)) {
			switch {
			case i >= len(a):
				t.Fatalf("there is more: %s", b[i])
			case i >= len(b):
				t.Fatalf("there is less: %s", a[i])
			case a[i] != b[i]:
				t.Fatalf("got  %s\nwant %s", b[i], a[i])
			}
		}
	}
	for i, s := range got.Services {
		for j, p := range s.Ports {
			old := want.Services[i].Ports[j].Location
			if u, err := url.Parse(old); old == "" || err == nil && u.Scheme != "http" && u.Scheme != "https" {
				continue
			}
			if !strings.HasPrefix(p.Location, prefix) {
				t.Errorf("port %s is at %s, was at %s", p.Name, p.Location, old)
			}
		}
	}
}

// say lists what a description says of its messages.
func say(d *wsdl.Definitions) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, s := range d.Services {
		for _, p := range s.Ports {
			add("service %s port %s binding %s policy %s", s.Name, p.Name, p.Binding.Name, policy(p.Policy))
		}
	}
	message := func(m *wsdl.BoundMessage) {
		if m == nil {
			return
		}
		add(" message %s use %s namespace %s action %s", m.Message.Name, m.Use, m.Namespace, m.Action)
		for _, p := range m.Message.Parts {
			add("  part %s", p.Name)
			if p.Element != nil {
				add("   element %s type %s", p.Element.Name, shape(p.Element.Type, 3))
			} else {
				add("   type %s", shape(p.Type, 3))
			}
		}
	}
	for _, b := range d.Bindings {
		add("binding %s %s %s", b.Name, b.Version, b.PortType.Name)
		for _, o := range b.Operations {
			add(" operation %s %q %s wrapped %v %q", o.Name, o.Action, o.Style, o.Wrapped, o.Doc)
			message(o.In)
			message(o.Out)
			for _, f := range o.Faults {
				add("  fault %s %s", f.Name, f.Message.Name)
			}
		}
	}
	var types, elements []string // the order of schemas is free
	for _, x := range d.Types {
		types = append(types, x.Name.String()+" "+shape(x, 2))
	}
	for _, x := range d.Elements {
		elements = append(elements, x.Name.String()+" "+shape(x.Type, 2))
	}
	slices.Sort(types)
	slices.Sort(elements)
	return append(append(lines, types...), elements...)
}

func policy(p *wsdl.Policy) string {
	return fmt.Sprint(p.TLS, p.Logins, p.Addressing, p.AddressingRequired, p.MTOM, p.MTOMRequired, len(p.Unsupported))
}

// shape tells a type by its name and its content, so many levels deep.
func shape(x *wsdl.Type, deep int) string {
	if x == nil || deep == 0 {
		return "."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", x.Name)
	if x.Base != nil {
		fmt.Fprintf(&b, ":%s", x.Base.Name)
	}
	for _, a := range x.Attributes {
		fmt.Fprintf(&b, " @%s", a.Name)
	}
	var walk func(p *wsdl.Particle)
	walk = func(p *wsdl.Particle) {
		if p == nil {
			return
		}
		fmt.Fprintf(&b, " %d[%d,%d", p.Kind, p.Min, p.Max)
		if p.Element != nil {
			fmt.Fprintf(&b, " %s %s", p.Element.Name, shape(p.Element.Type, deep-1))
		}
		for _, c := range p.Children {
			walk(c)
		}
		b.WriteString("]")
	}
	walk(x.Content)
	return b.String()
}
