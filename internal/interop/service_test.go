package interop

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/interop/catalog"
	"github.com/soapward/soapward/internal/interop/inventory"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
)

var versions = []soap.Version{soap.V11, soap.V12}

// Kinds of fault that Check can be asked for.
const (
	faultStock   = "stock"   // OutOfStock
	faultInvalid = "invalid" // InvalidOrder
	faultDenied  = "denied"  // not declared, with a text for the peer
	faultBroken  = "broken"  // not declared, without one
)

var (
	outOfStock   = catalog.OutOfStock{Sku: "A-1", Available: 3}
	invalidOrder = catalog.InvalidOrder{Reason: []string{"no <id>", "größer"}}
)

// secret is in an error that is nobody's business.
const secret = "the password is hunter2"

// service implements both services and remembers what it understood.
type service struct {
	catalog.UnimplementedCatalog
	inventory.UnimplementedInventory

	mu    sync.Mutex
	calls map[string]view // by operation and id
	last  view

	versions map[soap.Version]int // calls of the catalog
}

func (s *service) remember(call string, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, _ = viewOf(v)
	s.calls[call] = s.last
}

// countVersions is an interceptor.
func (s *service) countVersions(next soapserver.Func) soapserver.Func {
	return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
		s.mu.Lock()
		s.versions[soapserver.FromContext(ctx).Version]++
		s.mu.Unlock()
		return next(ctx, op, req)
	}
}

// seen returns what the service understood of a call.
func (s *service) seen(call string) (view, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.calls[call]
	return v, ok
}

func (s *service) GetOrder(_ context.Context, req *catalog.GetOrder) (*catalog.GetOrderResponse, error) {
	order, ok := orders[req.Which]
	if !ok {
		return nil, soap.Faultf(soap.CodeClient, "there is no order %q", req.Which)
	}
	return &catalog.GetOrderResponse{Order: order()}, nil
}

func (s *service) EchoOrder(_ context.Context, req *catalog.EchoOrder) (*catalog.EchoOrderResponse, error) {
	s.remember("EchoOrder "+req.Order.ID, req.Order)
	return &catalog.EchoOrderResponse{Order: req.Order}, nil
}

func (s *service) GetParcel(_ context.Context, req *catalog.GetParcel) (*catalog.GetParcelResponse, error) {
	parcel, ok := parcels[req.Which]
	if !ok {
		return nil, soap.Faultf(soap.CodeClient, "there is no parcel %q", req.Which)
	}
	return &catalog.GetParcelResponse{Parcel: parcel()}, nil
}

func (s *service) EchoParcel(_ context.Context, req *catalog.Parcel) (*catalog.Parcel, error) {
	s.remember("EchoParcel "+parcelName(req), *req)
	return req, nil
}

// parcelName returns which parcel it is, by its amount, which nobody loses.
func parcelName(p *catalog.Parcel) string {
	got, _ := viewOf(*p)
	for name, parcel := range parcels {
		want, types := viewOf(parcel())
		for path, text := range want {
			if strings.HasSuffix(path, "payment.amount") && same(types[path], amountOf(got), text) {
				return name
			}
		}
	}
	return "?"
}

func amountOf(v view) string {
	for path, text := range v {
		if strings.HasSuffix(path, "payment.amount") {
			return text
		}
	}
	return absent
}

func (s *service) Seen(context.Context, *catalog.Seen) (*catalog.SeenResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(s.last)
	return &catalog.SeenResponse{JSON: string(b)}, err
}

func (s *service) Ping(ctx context.Context, req *catalog.Ping) (*catalog.PingResponse, error) {
	session, err := catalog.SessionFrom(ctx)
	if err != nil {
		return nil, err
	}
	if session != nil {
		s.remember("Ping", *session)
		session.Calls++
		soapserver.FromContext(ctx).Reply(soap.Header{Name: sessionName, Value: session})
	}
	return &catalog.PingResponse{Text: req.Text}, nil
}

func (s *service) Check(_ context.Context, req *catalog.Check) (*catalog.CheckResponse, error) {
	switch req.Kind {
	case faultStock:
		return nil, &outOfStock
	case faultInvalid:
		return nil, &invalidOrder
	case faultDenied:
		return nil, soap.Faultf(soap.CodeClient, "%s", hardText)
	case faultBroken:
		return nil, errors.New(secret)
	}
	return &catalog.CheckResponse{Ok: true}, nil
}

func (s *service) Notify(_ context.Context, req *catalog.Notify) error {
	s.remember("Notify", *req)
	return nil
}

func (s *service) Sum(_ context.Context, req *catalog.Sum) (*catalog.SumResponse, error) {
	s.remember("Sum", *req)
	sum := float64(req.A) + float64(req.B) + req.C
	if req.Negative {
		sum = -sum
	}
	return &catalog.SumResponse{Sum: sum}, nil
}

func (s *service) Add(_ context.Context, req *inventory.Add) (*inventory.AddResponse, error) {
	return &inventory.AddResponse{Sum: req.A + req.B}, nil
}

func (s *service) Store(_ context.Context, req *inventory.Store) (*inventory.StoreResponse, error) {
	s.remember("Store", *req)
	var path strings.Builder
	for at := []inventory.Category{req.Category}; len(at) > 0; at = at[0].Category {
		path.WriteString(at[0].Title + "/")
	}
	return &inventory.StoreResponse{Item: req.Item, Shelf: path.String() + string(req.Status)}, nil
}

// ourServer serves both descriptions.
type ourServer struct {
	*service
	url string
}

func (s *ourServer) catalogURL() string   { return s.url + "/catalog" }
func (s *ourServer) inventoryURL() string { return s.url + "/inventory" }

// startOurs starts a server that takes only what the schema allows.
func startOurs(t *testing.T) *ourServer {
	t.Helper()
	s := &service{calls: map[string]view{}, versions: map[soap.Version]int{}}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	c, i := &soapserver.Service{Logger: logger, Strict: true}, &soapserver.Service{Logger: logger, Strict: true}
	c.Interceptors = []soapserver.Interceptor{s.countVersions}
	catalog.RegisterCatalog(c, s)
	inventory.RegisterInventory(i, s)
	mux := http.NewServeMux()
	mux.Handle("/catalog", c)
	mux.Handle("/inventory", i)
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return &ourServer{s, ts.URL}
}
