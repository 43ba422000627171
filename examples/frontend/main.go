// Command frontend is a SOAP service that calls another one as its caller: it
// takes expenses, and the ledger books each under the name of the employee who
// hands it in.
//
//	frontend -keytab frontend.keytab -ledger http://ledger.corp.test:8081/ledger
//
// The keytab has the keys of one account, under its own name and under its
// service name (HTTP/frontend.corp.test). The domain controller must let that
// account delegate to the ledger's: msDS-AllowedToDelegateTo of the one lists
// HTTP/ledger.corp.test, or msDS-AllowedToActOnBehalfOfOtherIdentity of the
// other lists the account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "frontend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("frontend", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	keytabFile := flags.String("keytab", "", "`file` with the keys of the service's account")
	krb5Conf := flags.String("krb5", "/etc/krb5.conf", "`file` that names the realm and its domain controllers")
	ledgerURL := flags.String("ledger", ledger.LedgerURL, "`address` of the ledger")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case *keytabFile == "":
		return errors.New("no -keytab")
	}
	target, err := url.Parse(*ledgerURL)
	if err != nil {
		return err
	}
	ledgerSPN := "HTTP/" + target.Hostname()

	// This is all it takes: our own account, whom it may act towards, and a
	// transport that acts for the caller whom a request's ctx names.
	config, err := kerberos.LoadConfig(*krb5Conf)
	if err != nil {
		return err
	}
	keytab, err := kerberos.LoadKeytab(*keytabFile)
	if err != nil {
		return err
	}
	account, err := kerberos.NewKeytabClient(*config, "", keytab)
	if err != nil {
		return err
	}
	callers := &delegation.Delegator{
		Client:    account,
		Kerberos:  *config,
		Upstreams: []delegation.Upstream{{SPN: ledgerSPN}},
	}
	transport := &authclient.Transport{Source: delegation.Source(callers)}
	books := ledger.NewLedgerClient(&soapclient.Client{
		URL: *ledgerURL, HTTP: &http.Client{Transport: transport},
	})
	defer transport.CloseIdleConnections()

	mechanism := &kerberos.Mechanism{Keytab: keytab}
	if err := mechanism.Check(); err != nil {
		return err
	}
	service := &soapserver.Service{}
	expenses.RegisterExpenses(service, &front{ledger: books})
	guard := &authn.Middleware{
		Authenticators: []authn.Authenticator{&iwa.Authenticator{Kerberos: mechanism}},
		Deny:           soapserver.Deny,
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on http://%s/\n", l.Addr())
	return serve(ctx, iwa.Server(guard.Wrap(service)), l)
}

// front books expenses in the ledger. The rest of the service is not there.
type front struct {
	expenses.UnimplementedExpenses
	ledger *ledger.LedgerClient
}

// SubmitExpense books an expense as the caller. It passes ctx on, which says
// who that is; nothing else is needed.
func (f *front) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	e := &req.Expense
	posted, err := f.ledger.Post(ctx, &ledger.Post{Entry: ledger.Entry{
		From: "cash", To: string(e.Category), Text: &e.Description,
		Amount: ledger.Money{Value: e.Amount.Value, Currency: e.Amount.Currency},
	}})
	if err != nil {
		return nil, err
	}
	return &expenses.SubmitExpenseResponse{
		ID: fmt.Sprintf("E%04d", posted.Number), SubmittedBy: authn.FromContext(ctx).String(), BookedBy: &posted.PostedBy,
	}, nil
}

// serve runs until ctx ends, and lets calls finish then.
func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- s.Shutdown(grace)
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
