package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// startServices starts ledger, the back end, expenses, the front, and a server
// that pretends to be one of them.
func (d *Demo) startServices(ctx context.Context) error {
	d.ledger = &ledgerService{names: d.names}
	ls := &soapserver.Service{Logger: d.logger}
	ledger.RegisterLedger(ls, d.ledger)
	mux := http.NewServeMux()
	mux.Handle("/ledger", ls)
	port, err := d.serveProtected(ctx, ledgerSPN, mux)
	if err != nil {
		return err
	}
	d.ledgerURL = "http://127.0.0.1:" + port + "/ledger"

	d.expenses = &expensesService{}
	mux = http.NewServeMux()
	for path, transition := range map[string]bool{"/expenses": false, "/expenses/transition": true, "/expenses/restarted": true} {
		next, err := d.passOn(transition)
		if err != nil {
			return err
		}
		es := &soapserver.Service{Logger: d.logger}
		expenses.RegisterExpenses(es, d.expenses.with(next))
		mux.Handle(path, es)
	}
	if port, err = d.serveProtected(ctx, expensesSPN, mux); err != nil {
		return err
	}
	d.expensesURL = "http://localhost:" + port + "/expenses"
	d.transitionURL, d.restartedURL = d.expensesURL+"/transition", d.expensesURL+"/restarted"

	if port, err = d.serve(ctx, &http.Server{Handler: http.HandlerFunc(impostor), ReadHeaderTimeout: 5 * time.Second}); err != nil {
		return err
	}
	d.impostorURL = "http://localhost:" + port + "/expenses"
	return nil
}

// serveProtected serves h to callers who logged in: this is all that it takes
// to put Windows authentication in front of a handler.
func (d *Demo) serveProtected(ctx context.Context, spn string, h http.Handler) (port string, err error) {
	kt, err := d.keytab(spn)
	if err != nil {
		return "", err
	}
	mw := &authn.Middleware{
		Authenticators: []authn.Authenticator{
			&iwa.Authenticator{
				Kerberos: &kerberos.Mechanism{Keytab: kt, SPNs: []string{spn}, Logger: d.logger},
				NTLM:     &ntlm.Mechanism{Verifier: d.accounts, Names: ntlm.Names{Domain: netbios}},
			},
			&password.Basic{Verifier: d.accounts, Realm: netbios, AllowInsecureHTTP: true}, // loopback
		},
		Logger: d.logger,
		Deny:   soapserver.Deny,
	}
	return d.serve(ctx, iwa.Server(mw.Wrap(h)))
}

// passOn returns a client of ledger that calls it as whoever calls expenses.
func (d *Demo) passOn(transition bool) (*ledger.LedgerClient, error) {
	kt, err := d.keytab(expensesAccount)
	if err != nil {
		return nil, err
	}
	c, err := kerberos.NewKeytabClient(*d.krb, expensesAccount, kt)
	if err != nil {
		return nil, err
	}
	hc := d.clientOf(delegation.Source(&delegation.Delegator{
		Client:    c,
		Kerberos:  *d.krb,
		Upstreams: []delegation.Upstream{{SPN: ledgerSPN, ProtocolTransition: transition}},
		Domains:   map[string]string{netbios: realm},
		Logger:    d.logger,
	}))
	return ledger.NewLedgerClient(&soapclient.Client{URL: d.ledgerURL, HTTP: hc}), nil
}

// impostor lets everybody in and cannot prove who it is.
func impostor(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprint(w, "<html>welcome</html>")
}

// witness remembers whom a service saw last.
type witness struct {
	mu    sync.Mutex
	last  *authn.Identity
	calls int
}

func (w *witness) saw(id *authn.Identity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.calls = id, w.calls+1
}

// seen returns the caller of the last operation and how many there were.
func (w *witness) seen() (*authn.Identity, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.calls
}

// ledgerService is the back end. It books what it is told and knows by whom.
type ledgerService struct {
	ledger.UnimplementedLedger
	witness
	names map[authn.SID]string

	mu     sync.Mutex
	number int64
}

func (s *ledgerService) Post(ctx context.Context, _ *ledger.Post) (*ledger.PostResponse, error) {
	id := authn.FromContext(ctx)
	s.saw(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return &ledger.PostResponse{Number: s.number, PostedBy: id.String()}, nil
}

func (s *ledgerService) GetCaller(ctx context.Context, _ *ledger.GetCaller) (*ledger.GetCallerResponse, error) {
	id := authn.FromContext(ctx)
	s.saw(id)
	sid := string(id.SID)
	c := ledger.Caller{Name: id.String(), Mechanism: &id.Mechanism, SID: &sid}
	for _, g := range id.Groups {
		if name := s.names[g.SID]; name != "" {
			c.Group = append(c.Group, name)
		}
	}
	return &ledger.GetCallerResponse{Caller: c}, nil
}

// expensesService is the front. It books each expense in the ledger, as the
// employee who hands it in.
type expensesService struct {
	expenses.UnimplementedExpenses
	witness

	mu   sync.Mutex
	list []expenses.SubmittedExpense
}

// with returns the service over a client of ledger.
func (s *expensesService) with(c *ledger.LedgerClient) expenses.ExpensesServer {
	return &bookedExpenses{expensesService: s, ledger: c}
}

type bookedExpenses struct {
	*expensesService
	ledger *ledger.LedgerClient
}

func (s *bookedExpenses) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	id := authn.FromContext(ctx)
	s.saw(id)
	// ctx says who the caller is; the client's transport acts for that caller.
	posted, err := s.ledger.Post(ctx, &ledger.Post{Entry: ledger.Entry{
		From: "cash", To: string(req.Expense.Category), Text: &req.Expense.Description,
		Amount: ledger.Money{Value: req.Expense.Amount.Value, Currency: req.Expense.Amount.Currency},
	}})
	if err != nil {
		return nil, err
	}
	e := expenses.SubmittedExpense{
		ID: fmt.Sprintf("E%04d", posted.Number), Expense: req.Expense, Status: expenses.StatusSubmitted,
		SubmittedBy: id.String(), SubmittedAt: xsd.DateTimeOf(time.Now()),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == maxExpenses {
		return nil, soap.Faultf(soap.CodeServer, "the demo keeps %d expenses and no more", maxExpenses)
	}
	s.list = append(s.list, e)
	return &expenses.SubmitExpenseResponse{ID: e.ID, SubmittedBy: e.SubmittedBy, BookedBy: &posted.PostedBy}, nil
}

// maxExpenses bounds the memory of a demo that is kept running.
const maxExpenses = 10_000

func (s *expensesService) ListExpenses(ctx context.Context, _ *expenses.ListExpenses) (*expenses.ListExpensesResponse, error) {
	id := authn.FromContext(ctx)
	s.saw(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &expenses.ListExpensesResponse{}
	for i := len(s.list) - 1; i >= 0; i-- {
		if s.list[i].SubmittedBy == id.String() {
			res.Expense = append(res.Expense, s.list[i])
		}
	}
	return res, nil
}
