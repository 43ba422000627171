// Command client calls a SOAP service that wants a Windows login.
//
//	SOAPWARD_PASSWORD=secret client -user 'CORP\alice' -url http://127.0.0.1:8080/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	url := flags.String("url", expenses.ExpensesURL, "`address` of the service")
	user := flags.String("user", `CORP\alice`, "`user` to log in as; the password is in SOAPWARD_PASSWORD")
	amount := flags.String("amount", "59.90", "amount of the expense in `EUR`")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp): // it was printed
		return nil
	case err != nil:
		return err
	}
	if os.Getenv("SOAPWARD_PASSWORD") == "" {
		return errors.New("SOAPWARD_PASSWORD is not set")
	}
	value, err := xsd.ParseDecimal(*amount)
	if err != nil {
		return err
	}
	day, err := xsd.ParseDate("2026-03-01")
	if err != nil {
		return err
	}

	// This is all it takes: a transport that logs in, the generated client.
	transport := &authclient.Transport{Source: authclient.Static(&authclient.NTLM{
		User: *user, Password: authn.NewSecret(os.Getenv("SOAPWARD_PASSWORD")),
	})}
	defer transport.CloseIdleConnections()
	client := expenses.NewExpensesClient(&soapclient.Client{
		URL: *url, HTTP: &http.Client{Transport: transport},
	})

	res, err := client.SubmitExpense(ctx, &expenses.SubmitExpense{Expense: expenses.Expense{
		Description: "Train to the customer",
		Category:    expenses.CategoryTravel,
		SpentOn:     day,
		Amount:      expenses.Money{Value: value, Currency: "EUR"},
	}})
	var violation *expenses.PolicyViolation
	switch {
	case errors.As(err, &violation):
		fmt.Fprintf(out, "refused by rule %s: %s\n", violation.Rule, violation.Message)
	case err != nil:
		return err
	default:
		fmt.Fprintf(out, "expense %s handed in by %s\n", res.ID, res.SubmittedBy)
	}
	return nil
}
