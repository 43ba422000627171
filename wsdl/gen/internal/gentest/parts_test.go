package gentest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/parts"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/parts/common"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/parts/customers"
	"github.com/soapward/soapward/wsdl/gen/testdata/golden/parts/orders"
)

type shop struct {
	parts.UnimplementedOrders
	got *orders.Place
}

func (s *shop) Place(ctx context.Context, req *orders.Place) (*orders.Placed, error) {
	session, err := parts.SessionFrom(ctx)
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, &orders.Refused{Problem: common.Problem{Message: "who are you?"}}
	}
	s.got = req
	return &orders.Placed{Value: common.StatusPaid}, nil
}

func (*shop) Cancel(_ context.Context, req *parts.Cancel) (*parts.CancelResponse, error) {
	return &parts.CancelResponse{Status: *req.Item.Status}, nil
}

// TestParts uses types of several packages in one message.
func TestParts(t *testing.T) {
	t.Parallel()
	s := &shop{}
	url := serve(t, func(svc *soapserver.Service) { parts.RegisterOrders(svc, s) })
	c := parts.NewOrdersClient(&soapclient.Client{URL: url, Strict: true})
	card := func() common.AnyPayment {
		return &common.Card{Amount: must(xsd.ParseDecimal("1.50")), Item: common.Item{Number: ptr("4711")}}
	}
	order := &orders.Place{
		By:   customers.Customer{Choice: customers.CustomerChoice{Last: card()}},
		Item: []orders.Item{{Name: "bolt", Status: ptr(common.StatusOpen)}, {Name: "nut"}}, Pay: card(),
	}
	got, err := c.Place(t.Context(), order, parts.WithSession(&common.Session{Value: "s"}))
	if err != nil || got.Value != common.StatusPaid || !reflect.DeepEqual(s.got, order) {
		t.Errorf("Place: got %+v, %v; the server got %+v", got, err, s.got)
	}
	var refused *orders.Refused
	if _, err := c.Place(t.Context(), order); !errors.As(err, &refused) || refused.Message != "who are you?" {
		t.Errorf("Place without session: got %v", err)
	}
	answer, err := c.Cancel(t.Context(), &parts.Cancel{Item: order.Item[0]})
	if err != nil || answer.Status != common.StatusOpen {
		t.Errorf("Cancel: got %+v, %v", answer, err)
	}
}
