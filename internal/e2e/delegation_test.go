package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// relay calls url as the caller and passes the answer back.
func relay(client *http.Client, url string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, url, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		resp, err := client.Do(req)
		var de *delegation.Error
		switch {
		case errors.As(err, &de):
			slog.New(slog.NewTextHandler(r.Context().Value(relayLog{}).(io.Writer), nil)).Error("relay", slog.Any("cause", de))
			de.Problem("ref").ServeHTTP(w, r)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // the test compares
	})
}

// relayLog is the context's key for where relay logs to.
type relayLog struct{}

func withLog(log io.Writer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), relayLog{}, log)))
	})
}

// delegator acts as service, for callers, at the back ends of the fixture.
func delegator(t *testing.T, dc *adtest.DC, service string, upstream delegation.Upstream, log io.Writer) *delegation.Delegator {
	t.Helper()
	d := &delegation.Delegator{
		Kerberos:  krbConfig(t, dc),
		Upstreams: []delegation.Upstream{upstream},
		Domains:   map[string]string{adtest.NetBIOS: adtest.Realm},
		Logger:    slog.New(slog.NewTextHandler(log, nil)),
	}
	if service != "" {
		client, err := keytabClient(t, dc, service)
		if err != nil {
			t.Fatal(err)
		}
		d.Client = client
	}
	return d
}

// domainNTLM accepts NTLM from a user of the domain, as a verifier that asks a
// domain controller does: the identity has the domain's SID.
func domainNTLM(t *testing.T, dc *adtest.DC) *ntlm.Mechanism {
	t.Helper()
	accounts, err := ntlm.NewAccounts(adtest.NetBIOS, "corp.test", ntlm.Account{
		Name: adtest.Alice, Password: authn.NewSecret(adtest.Password(t, adtest.Alice)), SID: authn.SID(dc.SID(t, adtest.Alice)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: adtest.NetBIOS}}
}

// A caller logs in to a front service of ours, which calls Apache as that
// caller.
func TestDelegationToApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	backend := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
	other := peers.StartApache(t, dc, adtest.Other, "other.corp.test", false, nil)
	serviceClient, err := keytabClient(t, dc, adtest.Web)
	if err != nil {
		t.Fatal(err)
	}
	serviceAccount := &authclient.Kerberos{Client: serviceClient}

	tests := []struct {
		name         string
		service      string // the front service's account; empty: no client of its own
		spn          string
		forwardedTGT bool // the service takes it and the caller hands it over
		caller       string
		ntlm         bool // the caller logs in by NTLM
		to           *peers.Apache
		upstream     delegation.Upstream
		wantUser     string // who Apache sees; empty: refused
		wantLog      string // part of the log
	}{
		{
			name: "own ticket, S4U2Proxy", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Alice, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN}, wantUser: adtest.Alice,
		},
		{
			name: "own ticket, trusted service", service: adtest.Web, spn: adtest.WebSPN, caller: adtest.Bob, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN}, wantUser: adtest.Bob,
		},
		{
			name: "NTLM, protocol transition", service: adtest.Web, spn: adtest.WebSPN, caller: adtest.Alice, ntlm: true, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN, ProtocolTransition: true}, wantUser: adtest.Alice,
		},
		{
			name: "forwarded ticket", spn: adtest.WebSPN, forwardedTGT: true, caller: adtest.Alice, to: other,
			upstream: delegation.Upstream{SPN: adtest.OtherSPN}, wantUser: adtest.Alice,
		},
		{
			name: "NTLM, service account", service: adtest.Web, spn: adtest.WebSPN, caller: adtest.Alice, ntlm: true, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN, Service: serviceAccount}, wantUser: adtest.Web, wantLog: "service account",
		},

		{
			name: "double hop", service: adtest.Web, spn: adtest.WebSPN, caller: adtest.Alice, ntlm: true, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN}, wantLog: "double hop",
		},
		{
			name: "NTLM, transition not allowed to the account", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Alice, ntlm: true, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN, ProtocolTransition: true}, wantLog: "for-any-protocol",
		},
		{
			name: "sensitive account", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Carol, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN}, wantLog: "sensitive",
		},
		{
			name: "Protected Users", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Peggy, to: backend,
			upstream: delegation.Upstream{SPN: adtest.BackendSPN}, wantLog: "Protected Users",
		},
		{
			name: "upstream the directory does not list", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Alice, to: other,
			upstream: delegation.Upstream{SPN: adtest.OtherSPN}, wantLog: "KDC_ERR_BADOPTION",
		},
		{
			name: "upstream we do not list", service: adtest.Front, spn: adtest.FrontSPN, caller: adtest.Alice, to: backend,
			upstream: delegation.Upstream{SPN: adtest.OtherSPN}, wantLog: "not listed",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := tt.service
			if service == "" {
				service = adtest.Web
			}
			accept := domainKerberos(t, dc, service)
			accept.AllowForwardedTGT = tt.forwardedTGT
			log := new(logBuffer)
			onward := ourClient(t, dc, delegation.Source(delegator(t, dc, tt.service, tt.upstream, log)))
			front := startServer(t, serverConfig{
				login:   &iwa.Authenticator{Kerberos: accept, NTLM: domainNTLM(t, dc)},
				handler: withLog(log, relay(onward, tt.to.URL("/x"))),
			})

			host := strings.TrimPrefix(tt.spn, "HTTP/")
			caller := ourClient(t, dc, authclient.Static(callerCredential(t, dc, tt.caller, tt.ntlm, tt.forwardedTGT)))
			for range 2 { // the second by tickets kept
				status, answer, err := post(t.Context(), t, caller, front.At(host, "/"), "<a/>")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(log.String(), tt.wantLog) {
					t.Errorf("log does not say %q:\n%s", tt.wantLog, log)
				}
				if tt.wantUser != "" {
					if want := tt.wantUser + "@" + adtest.Realm + "\n<a/>"; status != http.StatusOK || answer != want {
						t.Errorf("status %d, answer %q, want %q", status, answer, want)
					}
					continue
				}
				var problem delegation.Problem
				if err := json.Unmarshal([]byte(answer), &problem); err != nil || status != http.StatusBadGateway || problem.Ref != "ref" {
					t.Errorf("status %d, answer %q, want a problem with its reference", status, answer)
				}
				if strings.Contains(answer, adtest.Realm) || strings.Contains(answer, "KDC") {
					t.Errorf("the client is told internals: %s", answer)
				}
			}
		})
	}
}

func callerCredential(t *testing.T, dc *adtest.DC, user string, byNTLM, forward bool) authclient.Credential {
	t.Helper()
	if byNTLM {
		return &authclient.NTLM{User: adtest.NetBIOS + `\` + user, Password: authn.NewSecret(adtest.Password(t, user))}
	}
	client, err := passwordClient(t, dc, user)
	if err != nil {
		t.Fatal(err)
	}
	return &authclient.Kerberos{Client: client, Forward: forward}
}

// bookingService books each expense in the ledger at once, as its caller.
type bookingService struct {
	expenses.UnimplementedExpenses
	ledger *ledger.LedgerClient
}

func (s bookingService) SubmitExpense(ctx context.Context, req *expenses.SubmitExpense) (*expenses.SubmitExpenseResponse, error) {
	posted, err := s.ledger.Post(ctx, &ledger.Post{Entry: ledger.Entry{
		From: "1000", To: "2000", Amount: ledger.Money{Value: req.Expense.Amount.Value, Currency: req.Expense.Amount.Currency},
	}})
	if err != nil {
		return nil, err
	}
	return &expenses.SubmitExpenseResponse{ID: "1", SubmittedBy: authn.FromContext(ctx).String(), BookedBy: &posted.PostedBy}, nil
}

// Two SOAP services, both of generated code: the first calls the second, behind
// Apache's login, as its caller.
func TestDelegationSOAP(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	backend := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, asRemoteUser(soapHandler(t.Output())))
	onward := ourClient(t, dc, delegation.Source(delegator(t, dc, adtest.Front, delegation.Upstream{SPN: adtest.BackendSPN}, t.Output())))
	service := &soapserver.Service{Logger: slog.New(slog.DiscardHandler)}
	expenses.RegisterExpenses(service, bookingService{
		ledger: ledger.NewLedgerClient(&soapclient.Client{URL: backend.URL("/ledger"), HTTP: onward}),
	})
	front := startServer(t, serverConfig{
		login:   &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Front), NTLM: domainNTLM(t, dc)},
		handler: service,
	})
	submit := func(credential authclient.Credential) (*expenses.SubmitExpenseResponse, error) {
		api := expenses.NewExpensesClient(&soapclient.Client{
			URL: front.At("front.corp.test", "/expenses"), HTTP: ourClient(t, dc, authclient.Static(credential)),
		})
		return api.SubmitExpense(t.Context(), &expenses.SubmitExpense{Expense: expenses.Expense{
			Description: description, Category: expenses.CategoryMeals, SpentOn: expense("1").SpentOn,
			Amount: expenses.Money{Value: xsd.DecimalOf(12), Currency: "CHF"},
		}})
	}

	answer, err := submit(callerCredential(t, dc, adtest.Alice, false, false))
	if err != nil {
		t.Fatal(err)
	}
	if answer.SubmittedBy != `CORP\alice` || answer.BookedBy == nil || *answer.BookedBy != adtest.Realm+`\alice` {
		t.Errorf("answer = %+v, want alice at both services", answer)
	}

	_, err = submit(callerCredential(t, dc, adtest.Alice, true, false))
	var fault *soap.Fault
	if !errors.As(err, &fault) || !strings.Contains(strings.ToLower(fault.Reason), "pass") {
		t.Fatalf("after NTLM: %v, want a fault that names the double hop", err)
	}
	if strings.Contains(fault.Reason, adtest.Realm) || strings.Contains(fault.Reason, "KDC") {
		t.Errorf("the client is told internals: %q", fault.Reason)
	}
	t.Logf("fault: %+v", fault)
}
