package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
)

type openLedger struct {
	ledger.UnimplementedLedger
	refuse bool
}

func (l openLedger) GetCaller(ctx context.Context, _ *ledger.GetCaller) (*ledger.GetCallerResponse, error) {
	if l.refuse {
		return nil, soap.Faultf(soap.CodeClient, "closed today")
	}
	name := soapserver.FromContext(ctx).Addressing.Action
	return &ledger.GetCallerResponse{Caller: ledger.Caller{Name: name}}, nil
}

// zeep with its WS-Addressing, whose blocks the server must understand.
func TestZeepAddressing(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "zeep")
	for _, refuse := range []bool{false, true} {
		s := &soapserver.Service{Addressing: true, Logger: slog.New(slog.DiscardHandler)}
		ledger.RegisterLedger(s, openLedger{refuse: refuse})
		srv := httptest.NewServer(s)
		defer srv.Close()
		out := testenv.Run(t, nil, "", python, "testdata/zeep_addressing.py", srv.URL+"?wsdl", "GetCaller")
		var got struct {
			Action, Fault string
			Related       bool
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("zeep wrote %q: %v", out, err)
		}
		action, fault := "http://example.com/ledger/2026/Ledger/GetCallerResponse", ""
		if refuse {
			action, fault = "http://www.w3.org/2005/08/addressing/soap/fault", "closed today"
		}
		if got.Action != action || got.Fault != fault || !got.Related {
			t.Errorf("got %s, want %s", out, action)
		}
	}
}
