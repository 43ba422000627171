package main

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"sync"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
)

// newSite returns what the portal serves, each part behind its login, and the
// rules in front of and behind these.
func newSite(l *login) (http.Handler, error) {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", l.home)
	pages.HandleFunc("GET /payroll/{$}", l.home)
	pages.Handle("/.soapward/", integrated.NewHandler(integrated.Options{})) // whoami, role, and the same by SOAP

	service := &soapserver.Service{}
	expenses.RegisterExpenses(service, &book{})

	policy, err := authz.NewPolicy(authz.PolicyConfig{Roles: l.roles, Root: &authz.Element{
		Name: "portal", Elements: []*authz.Element{
			{Name: "payroll", Match: authz.Match{Path: "/payroll/"}, Allow: []authz.Rule{{Roles: []string{"payroll"}}}},
		},
	}})
	if err != nil {
		return nil, err
	}
	guard := &authz.Guard{Policy: policy}
	all := http.NewServeMux()
	all.Handle("/", l.people.Wrap(guard.Wrap(pages)))
	all.Handle("/soap", l.programs.Wrap(guard.Wrap(service)))
	return guard.Admit(all), nil
}

var page = template.Must(template.New("home").Parse(`<!DOCTYPE html>
<html lang="en"><title>Portal</title><link rel="icon" href="data:,">
<h1>{{.Path}}</h1>
<p id="who">{{.ID}} by {{.ID.Mechanism}}</p>
<p id="roles">{{range .Roles}}{{.}} {{end}}</p>
<ul>{{range .ID.Groups}}<li>{{.}}{{end}}</ul>
{{if .Token}}<form method="post" action="/login/out"><input type="hidden" name="csrf" value="{{.Token}}"><button>Sign out</button></form>{{end}}
`))

// home tells people who they are. The button is for those with a session.
func (l *login) home(w http.ResponseWriter, r *http.Request) {
	id := authn.FromContext(r.Context())
	roles, err := l.roles.Of(r.Context(), id)
	if err != nil {
		slog.Error("roles are not known", slog.String("cause", err.Error()))
		http.Error(w, "The directory does not answer. Try again in a minute.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = page.Execute(w, map[string]any{ // an error means that the browser went away
		"Path": r.URL.Path, "ID": id, "Roles": roles, "Token": l.sessions.Token(r),
	})
}

// book is the SOAP service: everybody hands expenses in, and those in the role
// payroll see what there is.
type book struct {
	expenses.UnimplementedExpenses

	mu  sync.Mutex
	all []expenses.SubmittedExpense
}

// SubmitExpense implements expenses.ExpensesServer.
func (b *book) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	caller := authn.FromContext(ctx).String()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, expenses.SubmittedExpense{Expense: req.Expense, Status: expenses.StatusSubmitted, SubmittedBy: caller})
	return &expenses.SubmitExpenseResponse{SubmittedBy: caller}, nil
}

// ListExpenses implements expenses.ExpensesServer.
func (b *book) ListExpenses(ctx context.Context, _ *expenses.ListExpenses) (*expenses.ListExpensesResponse, error) {
	switch ok, err := authz.IsInRole(ctx, "payroll"); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, soap.Faultf(soap.CodeClient, "only payroll sees expenses")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return &expenses.ListExpensesResponse{Expense: append([]expenses.SubmittedExpense(nil), b.all...)}, nil
}
