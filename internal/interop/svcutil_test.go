package interop

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/interop/desk"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soapserver"
)

// deskService answers with the ticket it got.
type deskService struct {
	mu  sync.Mutex
	got []*desk.Open
}

func (s *deskService) Open(_ context.Context, req *desk.Open) (*desk.OpenResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, req)
	return &desk.OpenResponse{OpenResult: req.Ticket}, nil
}

// Mono's svcutil, whose clients use the serializer of data contracts. It takes
// a description by its URL only, and one that WCF could have written.
func TestMonoSvcutil(t *testing.T) {
	t.Parallel()
	mono, svcutil, mcs := testenv.Need(t, "mono"), testenv.Need(t, "svcutil"), testenv.Need(t, "mcs")
	handler := &deskService{}
	service := &soapserver.Service{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Strict: true}
	desk.RegisterIDesk(service, handler)
	ts := httptest.NewServer(service)
	t.Cleanup(ts.Close)

	dir := t.TempDir()
	stubs, program := filepath.Join(dir, "desk.cs"), filepath.Join(dir, "client.exe")
	testenv.Run(t, sameEverywhere, "", svcutil, "-noLogo", "-noConfig", "-out:"+stubs, ts.URL+"?wsdl")
	testenv.Run(t, nil, "", mcs, "-target:exe", "-out:"+program, "-r:System.ServiceModel", "-r:System.Runtime.Serialization",
		stubs, "testdata/mono/svcutil/Client.cs")
	out := testenv.Run(t, sameEverywhere, "", mono, program, ts.URL, hardText)

	want := []string{
		"ticket.Closed=False", "ticket.Data=AP8Q", "ticket.Number=9223372036854775807",
		"ticket.Opened=1999-12-31T23:59:59.0000000Z", "ticket.Price=0.10", "ticket.Title=",
		"ticket.Next.Closed=True", "ticket.Next.Data=nil", "ticket.Next.Number=-9223372036854775808",
		"ticket.Next.Opened=2026-01-02T03:04:05.6780000Z", "ticket.Next.Price=-79228162514264337593543950335",
		"ticket.Next.Title=" + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(hardText),
		"ticket.Next.Next=nil",
		"none=nil",
	}
	if got := strings.Split(strings.TrimRight(out, "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("the client got back\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(handler.got) != 2 {
		t.Fatalf("%d calls arrived, want 2", len(handler.got))
	}
	first, second := handler.got[0], handler.got[1]
	if inner := first.Ticket.Value.Next.Value; inner.Title.Value == nil || *inner.Title.Value != hardText || inner.Price.String() != "-79228162514264337593543950335" {
		t.Errorf("the inner ticket arrived as %+v", inner)
	}
	if first.Copies == nil || *first.Copies != 2 {
		t.Errorf("copies arrived as %v, want 2", first.Copies)
	}
	if second.Ticket.Value != nil {
		t.Errorf("no ticket arrived as %+v", second.Ticket.Value)
	}
}
