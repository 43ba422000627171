package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	gowsdlsoap "github.com/hooklift/gowsdl/soap"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/gowsdlstub"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// ledgerService answers with the caller as the middleware knows it.
type ledgerService struct{ ledger.UnimplementedLedger }

func (ledgerService) GetCaller(ctx context.Context, _ *ledger.GetCaller) (*ledger.GetCallerResponse, error) {
	id := authn.FromContext(ctx)
	sid := string(id.SID)
	c := ledger.Caller{Name: id.String(), Mechanism: &id.Mechanism, SID: &sid}
	for _, g := range id.Groups {
		c.Group = append(c.Group, string(g.SID))
	}
	return &ledger.GetCallerResponse{Caller: c}, nil
}

func (ledgerService) Post(ctx context.Context, req *ledger.Post) (*ledger.PostResponse, error) {
	if req.Entry.From == "none" {
		return nil, &ledger.UnknownAccount{Account: req.Entry.From, Message: "there is no such account"}
	}
	return &ledger.PostResponse{Number: 1<<53 + 1, PostedBy: authn.FromContext(ctx).String()}, nil
}

// expensesService takes every expense up to a limit, and answers with a digest
// of what it got.
type expensesService struct {
	expenses.UnimplementedExpenses
}

func (expensesService) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	e := req.Expense
	if e.Amount.Value.Cmp(xsd.DecimalOf(1000)) > 0 {
		return nil, &expenses.PolicyViolation{
			Rule: "max-amount", Message: "more than 1000 needs an approval",
			Limit: &expenses.Money{Value: xsd.DecimalOf(1000), Currency: e.Amount.Currency},
		}
	}
	return &expenses.SubmitExpenseResponse{ID: digest(e), SubmittedBy: authn.FromContext(ctx).String()}, nil
}

// digest depends on each value of an expense.
func digest(e expenses.Expense) string {
	h := sha256.New()
	for _, s := range []string{e.Description, string(e.Category), e.SpentOn.String(), e.Amount.Value.String(), e.Amount.Currency} {
		io.WriteString(h, s+"\x00") //nolint:errcheck // a hash never fails
	}
	for _, r := range e.Receipt {
		io.WriteString(h, r.FileName+"\x00"+r.MediaTypeOrDefault()+"\x00") //nolint:errcheck // a hash never fails
		h.Write(r.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// soapHandler serves both services and their descriptions.
func soapHandler(log io.Writer) http.Handler {
	logger := slog.New(slog.NewTextHandler(log, nil))
	mux := http.NewServeMux()
	l, e := &soapserver.Service{Logger: logger}, &soapserver.Service{Logger: logger}
	ledger.RegisterLedger(l, ledgerService{})
	expenses.RegisterExpenses(e, expensesService{})
	mux.Handle("/ledger", l)
	mux.Handle("/expenses", e)
	return mux
}

func startSOAP(t *testing.T, login *iwa.Authenticator, tls bool) *server {
	t.Helper()
	return startServer(t, serverConfig{login: login, handler: soapHandler(t.Output()), tls: tls})
}

// description has what is easily lost: markup, other scripts, spaces.
const description = "Taxi <Zürich> & 東京 ]]> \"a\"  b"

func expense(amount string) expenses.Expense {
	value, err := xsd.ParseDecimal(amount)
	if err != nil {
		panic(err) // a constant of a test
	}
	date, err := xsd.ParseDate("2026-11-20")
	if err != nil {
		panic(err)
	}
	return expenses.Expense{
		Description: description, Category: expenses.CategoryTravel, SpentOn: date,
		Amount: expenses.Money{Value: value, Currency: "CHF"},
		Receipt: []expenses.Receipt{
			{FileName: "taxi.pdf", Content: []byte(strings.Repeat("\x00\xff%PDF", 1<<20/6))},
		},
	}
}

// legacyOpenSSL gives Python's NTLM the hash MD4, which OpenSSL 3 keeps apart.
const legacyOpenSSL = `openssl_conf = init
[init]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`

func TestZeep(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "zeep", "requests_ntlm", "requests_kerberos")
	dc := adtest.Start(t)
	plain := startSOAP(t, &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)}, false)
	bound := localNTLM(t)
	bound.Binding = authn.BindingRequired
	overTLS := startSOAP(t, &iwa.Authenticator{NTLM: bound}, true)
	env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice),
		"OPENSSL_CONF="+writeFile(t, "openssl.cnf", legacyOpenSSL))
	ntlm := map[string]any{"user": `CORP\alice`, "password": localPass}

	// call runs zeep and decodes its answer into out.
	call := func(t *testing.T, login map[string]any, wsdl, operation string, arguments, out any, args ...string) {
		t.Helper()
		config := map[string]any{"arguments": arguments}
		for k, v := range login {
			config[k] = v
		}
		input, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		cmd := append([]string{"testdata/zeep_call.py", wsdl, operation}, args...)
		answer := testenv.Run(t, env, string(input), python, cmd...)
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			t.Fatalf("zeep wrote %q: %v", answer, err)
		}
	}
	type caller struct {
		Name, Mechanism, SID string
		Group                []string
	}

	t.Run("NTLM", func(t *testing.T) {
		t.Parallel()
		var got caller
		call(t, ntlm, plain.At("web.corp.test", "/ledger")+"?wsdl", "GetCaller", map[string]any{}, &got)
		if got.Name != `CORP\alice` || got.SID != string(localSID) || got.Mechanism != authn.MechanismNTLM {
			t.Errorf("caller = %+v, want the local alice", got)
		}
	})
	t.Run("NTLM bound to TLS", func(t *testing.T) {
		t.Parallel()
		// The certificate of the server is httptest's.
		var got caller
		call(t, ntlm, overTLS.At("example.com", "/ledger")+"?wsdl", "GetCaller", map[string]any{}, &got, overTLS.CAFile)
		if got.Name != `CORP\alice` {
			t.Errorf("caller = %+v, want the local alice", got)
		}
	})
	t.Run("Kerberos", func(t *testing.T) {
		t.Parallel()
		var got caller
		call(t, nil, plain.At("web.corp.test", "/ledger")+"?wsdl", "GetCaller", map[string]any{}, &got)
		if got.Name != `CORP\alice` || got.SID != dc.SID(t, adtest.Alice) || got.Mechanism != authn.MechanismKerberos {
			t.Errorf("caller = %+v, want alice of the domain", got)
		}
		if !slices.Contains(got.Group, dc.SID(t, adtest.Auditors)) {
			t.Errorf("groups = %v, want those of the domain", got.Group)
		}
	})

	arguments := func(e expenses.Expense) map[string]any {
		var receipts []any
		for _, r := range e.Receipt {
			receipts = append(receipts, map[string]any{"fileName": r.FileName, "content": base64.StdEncoding.EncodeToString(r.Content)})
		}
		return map[string]any{"expense": map[string]any{
			"description": e.Description, "category": e.Category, "spentOn": e.SpentOn.String(),
			"amount":  map[string]any{"_value_1": e.Amount.Value.String(), "currency": e.Amount.Currency},
			"receipt": receipts,
		}}
	}
	for name, login := range map[string]map[string]any{"NTLM": ntlm, "Kerberos": nil} {
		t.Run("1 MB by "+name, func(t *testing.T) {
			t.Parallel()
			e := expense("123.40")
			var got struct{ ID, SubmittedBy string }
			call(t, login, plain.At("web.corp.test", "/expenses")+"?wsdl", "SubmitExpense", arguments(e), &got)
			if got.ID != digest(e) || got.SubmittedBy != `CORP\alice` {
				t.Errorf("answer = %+v, want alice and digest %s: the message came changed", got, digest(e))
			}
		})
	}
	t.Run("fault", func(t *testing.T) {
		t.Parallel()
		var got struct {
			Fault struct{ Code, Message string }
		}
		call(t, ntlm, plain.At("web.corp.test", "/expenses")+"?wsdl", "SubmitExpense", arguments(expense("1000.01")), &got)
		if !strings.Contains(got.Fault.Message, "more than 1000") {
			t.Errorf("fault = %+v, want the rule broken", got.Fault)
		}
	})
}

// The client that gowsdl generated, unchanged, over our transport.
func TestGowsdlClient(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	s := startSOAP(t, &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)}, false)
	kc, err := passwordClient(t, dc, adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name       string
		credential authclient.Credential
		sid        string
	}{
		{authn.MechanismNTLM, &authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(localPass)}, string(localSID)},
		{authn.MechanismKerberos, &authclient.Kerberos{Client: kc}, dc.SID(t, adtest.Alice)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stub := gowsdlstub.NewLedger(gowsdlsoap.NewClient(s.At("web.corp.test", "/ledger"),
				gowsdlsoap.WithHTTPClient(ourClient(t, dc, authclient.Static(tt.credential)))))
			for range 3 {
				answer, err := stub.GetCallerContext(t.Context(), &gowsdlstub.GetCaller{})
				if err != nil {
					t.Fatal(err)
				}
				if c := answer.Caller; c.Name != `CORP\alice` || c.Sid != tt.sid || c.Mechanism != tt.name {
					t.Errorf("caller = %+v, want alice by %s", c, tt.name)
				}
			}
			_, err := stub.PostContext(t.Context(), gowsdlEntry("none"))
			// It does not look for a fault in an answer with status 500.
			var refused *gowsdlsoap.HTTPError
			if !errors.As(err, &refused) || refused.StatusCode != http.StatusInternalServerError ||
				!strings.Contains(string(refused.ResponseBody), "there is no such account") {
				t.Errorf("unknown account: %v, want the fault", err)
			}
			posted, err := stub.PostContext(t.Context(), gowsdlEntry("1000"))
			if err != nil {
				t.Fatal(err)
			}
			if posted.Number != 1<<53+1 || posted.PostedBy != `CORP\alice` {
				t.Errorf("answer = %+v, want alice", posted)
			}
		})
	}
}

func gowsdlEntry(from gowsdlstub.Account) *gowsdlstub.Post {
	to, amount := gowsdlstub.Account("2000"), gowsdlstub.Amount(12.5)
	return &gowsdlstub.Post{Entry: &gowsdlstub.Entry{
		From: &from, To: &to, Amount: &gowsdlstub.Money{Value: &amount, Currency: "CHF"},
	}}
}

// Our client and our server, each by generated code, with Apache's login
// between them or with ours.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	s := startSOAP(t, &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web)}, false)
	kc, err := passwordClient(t, dc, adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	client := ourClient(t, dc, authclient.Static(&authclient.Kerberos{Client: kc}))
	api := expenses.NewExpensesClient(&soapclient.Client{URL: s.At("web.corp.test", "/expenses"), HTTP: client})

	e := expense("999.99")
	answer, err := api.SubmitExpense(t.Context(), &expenses.SubmitExpense{Expense: e})
	if err != nil {
		t.Fatal(err)
	}
	if answer.ID != digest(e) || answer.SubmittedBy != `CORP\alice` {
		t.Errorf("answer = %+v, want alice and digest %s", answer, digest(e))
	}
	_, err = api.SubmitExpense(t.Context(), &expenses.SubmitExpense{Expense: expense("1000.01")})
	var violation *expenses.PolicyViolation
	if !errors.As(err, &violation) || violation.Rule != "max-amount" || violation.Limit.Value.Cmp(xsd.DecimalOf(1000)) != 0 {
		t.Errorf("error = %v, want the policy violation with its limit", err)
	}

	// The same service without a login of its own, behind Apache's.
	a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, asRemoteUser(soapHandler(t.Output())))
	behind := ledger.NewLedgerClient(&soapclient.Client{URL: a.URL("/ledger"), HTTP: client})
	caller, err := behind.GetCaller(t.Context(), &ledger.GetCaller{})
	if err != nil {
		t.Fatal(err)
	}
	if caller.Caller.Name != adtest.Realm+`\alice` {
		t.Errorf("caller = %+v, want alice as Apache names her", caller.Caller)
	}
}

// asRemoteUser takes the caller from the header that Apache sets.
func asRemoteUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, realm, _ := strings.Cut(r.Header.Get(peers.RemoteUser), "@")
		id := &authn.Identity{Account: account, Domain: realm, Mechanism: "Apache"}
		next.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), id)))
	})
}
