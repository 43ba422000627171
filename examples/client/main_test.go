package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapserver"
)

// service accepts expenses up to 100.
type service struct{ expenses.UnimplementedExpenses }

func (service) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	if req.Expense.Amount.Value.Cmp(xsd.DecimalOf(100)) > 0 {
		return nil, &expenses.PolicyViolation{Rule: "limit", Message: "too much"}
	}
	return &expenses.SubmitExpenseResponse{ID: "7", SubmittedBy: authn.FromContext(ctx).String()}, nil
}

// start serves behind NTLM and returns the address.
func start(t *testing.T) string {
	t.Helper()
	accounts, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := &soapserver.Service{Logger: quiet}
	expenses.RegisterExpenses(s, service{})
	guard := &authn.Middleware{Logger: quiet, Authenticators: []authn.Authenticator{
		&iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "TEST"}}},
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := iwa.Server(guard.Wrap(s))
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String() + "/"
}

func TestClient(t *testing.T) {
	url := start(t)
	for _, tt := range []struct{ name, password, amount, want, err string }{
		{"accepted", "correct horse", "59.90", "expense 7 handed in by CORP\\alice\n", ""},
		{"fault", "correct horse", "100.01", "refused by rule limit: too much\n", ""},
		{"wrong password", "wrong", "1", "", "refused the NTLM login"},
		{"no password", "", "1", "", "SOAPWARD_PASSWORD"},
		{"bad amount", "correct horse", "much", "", "xs:decimal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SOAPWARD_PASSWORD", tt.password)
			var out strings.Builder
			err := run(t.Context(), []string{"-url", url, "-amount", tt.amount}, &out)
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// Asking for help was answered with an error as well.
func TestHelp(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-h"}, io.Discard); err != nil {
		t.Error(err)
	}
}
