package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/xsd"
)

// limit is what one expense may cost.
var limit = expenses.Money{Value: xsd.DecimalOf(1000), Currency: "EUR"}

// book keeps expenses in memory, each with who handed it in.
type book struct {
	expenses.UnimplementedExpenses

	mu  sync.Mutex
	all []expenses.SubmittedExpense
}

// SubmitExpense implements expenses.ExpensesServer.
func (b *book) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	caller := authn.FromContext(ctx).String()
	amount := req.Expense.Amount
	if amount.Currency != limit.Currency {
		return nil, soap.Faultf(soap.CodeClient, "amounts in %s are not accepted", amount.Currency)
	}
	if amount.Value.Cmp(limit.Value) > 0 {
		return nil, &expenses.PolicyViolation{
			Rule: "limit", Message: "an expense of more than " + limit.Value.String() + " needs an order", Limit: &limit,
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := expenses.SubmittedExpense{
		ID: strconv.Itoa(len(b.all) + 1), Expense: req.Expense, Status: expenses.StatusSubmitted,
		SubmittedBy: caller, SubmittedAt: xsd.DateTimeOf(time.Now()),
	}
	b.all = append(b.all, e)
	return &expenses.SubmitExpenseResponse{ID: e.ID, SubmittedBy: caller}, nil
}

// ListExpenses implements expenses.ExpensesServer. It shows a caller nobody
// else's expenses.
func (b *book) ListExpenses(ctx context.Context, req *expenses.ListExpenses) (*expenses.ListExpensesResponse, error) {
	caller := authn.FromContext(ctx).String()
	b.mu.Lock()
	defer b.mu.Unlock()
	res := &expenses.ListExpensesResponse{}
	for _, e := range b.all {
		if e.SubmittedBy == caller && wanted(req, e) {
			res.Expense = append(res.Expense, e)
		}
	}
	slices.SortStableFunc(res.Expense, func(x, y expenses.SubmittedExpense) int {
		return cmp.Compare(day(y), day(x))
	})
	return res, nil
}

func wanted(req *expenses.ListExpenses, e expenses.SubmittedExpense) bool {
	return (req.From == nil || day(e) >= req.From.Time(time.UTC).Unix()) &&
		(req.To == nil || day(e) <= req.To.Time(time.UTC).Unix()) &&
		(len(req.Status) == 0 || slices.Contains(req.Status, e.Status))
}

func day(e expenses.SubmittedExpense) int64 { return e.Expense.SpentOn.Time(time.UTC).Unix() }
