package gentest

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/odd"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/ports"
)

type searcher struct{ ports.UnimplementedSearch }

// Find answers with the version of SOAP and the header blocks that it saw.
func (searcher) Find(ctx context.Context, req *ports.Find) (*ports.Found, error) {
	v := req.Value + " by " + soapserver.FromContext(ctx).Version.String()
	token, err := ports.TokenFrom(ctx)
	if err != nil {
		return nil, err
	}
	if token != nil {
		v += " with " + token.Value
	}
	return &ports.Found{Value: v}, nil
}

func (searcher) Count(context.Context, *ports.Count) (*ports.CountResponse, error) {
	return &ports.CountResponse{N: 7}, nil
}

// TestVersions calls one server in both versions of SOAP, each with the action
// that its binding says.
func TestVersions(t *testing.T) {
	t.Parallel()
	var action, contentType string
	svc := &soapserver.Service{}
	ports.RegisterSearch(svc, searcher{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		action, contentType = r.Header.Get("Soapaction"), r.Header.Get("Content-Type")
		svc.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		name                string
		make                func(*soapclient.Client) *ports.SearchClient
		version             soap.Version
		action, contentType string
		want                string
	}{
		{"default", ports.NewSearchClient, 0, `"urn:find"`, `text/xml; charset=utf-8`, "x by 1.1 with t"},
		{"chosen", ports.NewSearchClient, soap.V12, ``, `application/soap+xml; charset=utf-8; action="urn:find12"`, "x by 1.2 with t"},
		{"port", ports.NewSearchSoap12Client, 0, ``, `application/soap+xml; charset=utf-8; action="urn:find12"`, "x by 1.2 with t"},
		{"port, yet chosen", ports.NewSearchSoap12Client, soap.V11, `"urn:find"`, `text/xml; charset=utf-8`, "x by 1.1 with t"},
	} {
		c := tt.make(&soapclient.Client{URL: srv.URL, Version: tt.version})
		got, err := c.Find(t.Context(), &ports.Find{Value: "x"}, ports.WithToken(&ports.Token{Value: "t"}))
		if err != nil || got.Value != tt.want {
			t.Errorf("%s: got %+v, %v, want %q", tt.name, got, err, tt.want)
		}
		if action != tt.action || contentType != tt.contentType {
			t.Errorf("%s: action %s, content type %s", tt.name, action, contentType)
		}
		if n, err := c.Count(t.Context(), &ports.Count{}); err != nil || n.N != 7 {
			t.Errorf("%s: Count: got %+v, %v", tt.name, n, err)
		}
	}
}

type typedParts struct{ odd.UnimplementedOdd }

func (typedParts) Types(_ context.Context, req *odd.Types) (*odd.TypesResponse, error) {
	if req.A < 0 {
		f := soap.Faultf(soap.CodeServer, "no")
		raw, err := wire.RawOf(&odd.Reason{Why: "negative"}, xml.Name{Local: "t"})
		if err != nil {
			return nil, err
		}
		f.Detail = raw
		return nil, f
	}
	return &odd.TypesResponse{S: string(req.B.E)}, nil
}

// TestTypedParts calls an operation of document style whose parts have types
// in place of elements, and decodes the detail of its fault.
func TestTypedParts(t *testing.T) {
	t.Parallel()
	c := odd.NewOddClient(&soapclient.Client{URL: serve(t, func(s *soapserver.Service) { odd.RegisterOdd(s, typedParts{}) }), Strict: true})
	b := odd.Val{Value: odd.EX, E: odd.EY, Q: xml.Name{Local: "q"}}
	got, err := c.Types(t.Context(), &odd.Types{A: 1, B: b})
	if err != nil || got.S != "y" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = c.Types(t.Context(), &odd.Types{A: -1, B: b})
	var f *soap.Fault
	var why odd.Reason
	if !errors.As(err, &f) || f.Detail.Decode(&why) != nil || why.Why != "negative" {
		t.Errorf("got %v, %+v", err, why)
	}
}

// recorder is an HTTP client that only notes where it was sent.
type recorder struct{ url string }

func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	r.url = req.URL.String()
	return nil, http.ErrServerClosed
}

// TestAddresses sends calls to where the description says.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(*soapclient.Client) *ports.SearchClient
		c    soapclient.Client
		want string
	}{
		{"default", ports.NewSearchClient, soapclient.Client{}, ports.SearchURL},
		{"SOAP 1.2", ports.NewSearchClient, soapclient.Client{Version: soap.V12}, ports.SearchSoap12URL},
		{"port", ports.NewSearchSoap12Client, soapclient.Client{}, "http://127.0.0.1:8080/search12"},
		{"of another service", ports.NewSpareSearchSoapClient, soapclient.Client{}, "http://127.0.0.2:8080/search"},
		{"of the program", ports.NewSearchSoapClient, soapclient.Client{URL: "http://127.0.0.3/"}, "http://127.0.0.3/"},
	} {
		var r recorder
		tt.c.HTTP = &r
		_, err := tt.make(&tt.c).Find(t.Context(), &ports.Find{})
		if err == nil || r.url != tt.want {
			t.Errorf("%s: sent to %s, %v, want %s", tt.name, r.url, err, tt.want)
		}
	}
}
