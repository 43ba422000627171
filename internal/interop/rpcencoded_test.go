package interop

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/interop/encoded"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// encodedWSDL is the description that every stack gets.
const encodedWSDL = "encoded/wsdl/encoded.wsdl"

// encodedService answers with what it got.
type encodedService struct{}

func (encodedService) EchoStruct(_ context.Context, req *encoded.EchoStruct) (*encoded.EchoStructResponse, error) {
	return &encoded.EchoStructResponse{Return: req.Person}, nil
}

func (encodedService) EchoStrings(_ context.Context, req *encoded.EchoStrings) (*encoded.EchoStringsResponse, error) {
	return &encoded.EchoStringsResponse{Return: req.List}, nil
}

func (encodedService) EchoNumbers(_ context.Context, req *encoded.EchoNumbers) (*encoded.EchoNumbersResponse, error) {
	return &encoded.EchoNumbersResponse{Return: req.List}, nil
}

func (encodedService) EchoPeople(_ context.Context, req *encoded.EchoPeople) (*encoded.EchoPeopleResponse, error) {
	return &encoded.EchoPeopleResponse{Return: req.List}, nil
}

func (encodedService) EchoTable(_ context.Context, req *encoded.EchoTable) (*encoded.EchoTableResponse, error) {
	return &encoded.EchoTableResponse{Return: req.Table}, nil
}

func (encodedService) EchoTeam(_ context.Context, req *encoded.EchoTeam) (*encoded.EchoTeamResponse, error) {
	return &encoded.EchoTeamResponse{Return: req.Team}, nil
}

func (encodedService) EchoAny(_ context.Context, req *encoded.EchoAny) (*encoded.EchoAnyResponse, error) {
	return &encoded.EchoAnyResponse{Return: req.Value}, nil
}

func (encodedService) EchoChain(_ context.Context, req *encoded.EchoChain) (*encoded.EchoChainResponse, error) {
	return &encoded.EchoChainResponse{Return: req.Chain}, nil
}

func (encodedService) Divide(_ context.Context, req *encoded.Divide) (*encoded.DivideResponse, error) {
	if req.Divisor == 0 {
		return nil, soap.Faultf(soap.CodeClient, "division by zero")
	}
	return &encoded.DivideResponse{Quotient: req.Dividend / req.Divisor, Remainder: req.Dividend % req.Divisor}, nil
}

func (encodedService) Ping(context.Context, *encoded.Ping) (*encoded.PingResponse, error) {
	return &encoded.PingResponse{}, nil
}

var _ encoded.EncodedServer = encodedService{}

// recorder keeps the messages that pass, for what a failure prints and for
// checks that a peer did send references.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.WriteString(s + "\n")
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// serveEncoded starts our server.
func serveEncoded(t *testing.T) (url string, seen *recorder) {
	t.Helper()
	s := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	encoded.RegisterEncoded(s, encodedService{})
	seen = &recorder{}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen.add(string(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(hs.Close)
	return hs.URL, seen
}

// RoundTrip records the answers of a peer.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	r.add(string(b))
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, err
}

func encodedText(local, text string) wire.Any {
	raw, err := wire.TextRaw(text)
	if err != nil {
		panic(err)
	}
	a := wire.Any{Content: raw}
	a.Type.Space, a.Type.Local = wire.XSD, local
	return a
}

func encodedTime(s string) xsd.DateTime {
	d, err := xsd.ParseDateTime(s)
	if err != nil {
		panic(err)
	}
	return d
}

func ada() *encoded.Person {
	return &encoded.Person{Name: "Ada <&>", Age: 36, Height: 1.65, Born: encodedTime("1815-12-10T00:00:00Z"), Member: true}
}

func bob() *encoded.Person {
	nick := "b"
	return &encoded.Person{Age: -1, Born: encodedTime("2000-02-29T12:00:00Z"), Nick: &nick}
}

// encodedCall is a call of ours at somebody else's server.
type encodedCall struct {
	name string
	do   func(context.Context, *encoded.EncodedClient) (any, error)
	want any
}

func encodedCalls() []encodedCall {
	type ctx = context.Context
	type client = *encoded.EncodedClient
	team := &encoded.Team{Name: "t", Members: []encoded.Person{*bob()}, Tags: []string{"x"}, Lead: ada()}
	led := *team
	led.Deputy, led.Members = ada(), []encoded.Person{*bob(), *ada()} // what the servers make of it
	empty := &encoded.Team{Name: "e", Members: []encoded.Person{}, Tags: []string{}}
	return []encodedCall{
		{"struct", func(ctx ctx, c client) (any, error) { return c.EchoStruct(ctx, &encoded.EchoStruct{Person: ada()}) }, &encoded.EchoStructResponse{Return: ada()}},
		{"nil struct", func(ctx ctx, c client) (any, error) { return c.EchoStruct(ctx, &encoded.EchoStruct{}) }, &encoded.EchoStructResponse{}},
		{"strings", func(ctx ctx, c client) (any, error) {
			return c.EchoStrings(ctx, &encoded.EchoStrings{List: []string{"a", "", "c"}})
		}, &encoded.EchoStringsResponse{Return: []string{"a", "", "c"}}},
		{"no strings", func(ctx ctx, c client) (any, error) {
			return c.EchoStrings(ctx, &encoded.EchoStrings{List: []string{}})
		}, &encoded.EchoStringsResponse{Return: []string{}}},
		{"numbers", func(ctx ctx, c client) (any, error) {
			return c.EchoNumbers(ctx, &encoded.EchoNumbers{List: []int32{1, -2}})
		}, &encoded.EchoNumbersResponse{Return: []int32{1, -2}}},
		{"structs", func(ctx ctx, c client) (any, error) {
			return c.EchoPeople(ctx, &encoded.EchoPeople{List: []encoded.Person{*ada(), *bob()}})
		}, &encoded.EchoPeopleResponse{Return: []encoded.Person{*ada(), *bob()}}},
		{"arrays", func(ctx ctx, c client) (any, error) {
			return c.EchoTable(ctx, &encoded.EchoTable{Table: [][]int32{{1, 2}, {}, {3}}})
		}, &encoded.EchoTableResponse{Return: [][]int32{{1, 2}, {}, {3}}}},
		{"shared struct", func(ctx ctx, c client) (any, error) { return c.EchoTeam(ctx, &encoded.EchoTeam{Team: team}) }, &encoded.EchoTeamResponse{Return: &led}},
		{"nil members", func(ctx ctx, c client) (any, error) { return c.EchoTeam(ctx, &encoded.EchoTeam{Team: empty}) }, &encoded.EchoTeamResponse{Return: empty}},
		{"any int", func(ctx ctx, c client) (any, error) {
			return c.EchoAny(ctx, &encoded.EchoAny{Value: encodedText("int", "42")})
		}, &encoded.EchoAnyResponse{Return: encodedText("int", "42")}},
		{"any string", func(ctx ctx, c client) (any, error) {
			return c.EchoAny(ctx, &encoded.EchoAny{Value: encodedText("string", "a<b")})
		}, &encoded.EchoAnyResponse{Return: encodedText("string", "a<b")}},
		{"chain", func(ctx ctx, c client) (any, error) {
			return c.EchoChain(ctx, &encoded.EchoChain{Chain: &encoded.Chain{Link: "1", Next: &encoded.Chain{Link: "2"}}})
		}, &encoded.EchoChainResponse{Return: &encoded.Chain{Link: "1", Next: &encoded.Chain{Link: "2"}}}},
		{"several answers", func(ctx ctx, c client) (any, error) {
			return c.Divide(ctx, &encoded.Divide{Dividend: 17, Divisor: 5})
		}, &encoded.DivideResponse{Quotient: 3, Remainder: 2}},
		{"nothing", func(ctx ctx, c client) (any, error) { return c.Ping(ctx, &encoded.Ping{}) }, &encoded.PingResponse{}},
	}
}

// checkEncodedServer calls a server with everything, and wants its answer to
// the shared struct to have references. lacks says which calls it cannot serve,
// and why.
func checkEncodedServer(t *testing.T, url string, v soap.Version, lacks map[string]string) {
	t.Helper()
	for _, tt := range encodedCalls() {
		if lacks[tt.name] != "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			seen := &recorder{}
			c := encoded.NewEncodedClient(&soapclient.Client{URL: url, Version: v, HTTP: &http.Client{Transport: seen}})
			got, err := tt.do(t.Context(), c)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v\nwant %+v\nof %s", got, err, tt.want, seen)
			}
			if tt.name == "shared struct" && !strings.Contains(seen.String(), `"#`) && !strings.Contains(seen.String(), `:ref="`) {
				t.Errorf("no reference in %s", seen)
			}
		})
	}
	t.Run("fault", func(t *testing.T) {
		c := encoded.NewEncodedClient(&soapclient.Client{URL: url, Version: v})
		if _, err := c.Divide(t.Context(), &encoded.Divide{Dividend: 1}); err == nil || !strings.Contains(err.Error(), "division by zero") {
			t.Errorf("got %v", err)
		}
	})
}

// TestEncodedOurselves is the conformance of our own pair, without the
// references.
func TestEncodedOurselves(t *testing.T) {
	t.Parallel()
	url, _ := serveEncoded(t)
	for _, tt := range encodedCalls() {
		if tt.name == "shared struct" {
			continue
		}
		c := encoded.NewEncodedClient(&soapclient.Client{URL: url, Strict: true})
		if got, err := tt.do(t.Context(), c); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}
