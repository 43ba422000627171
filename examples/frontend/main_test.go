package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/soapserver"
)

// domain starts a KDC with alice, the front end and the ledger. Only a front
// end that may delegate can act for others.
func domain(t *testing.T, mayDelegate bool) (k *kdc.KDC, krb5Conf string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	front := kdc.Account{Name: "svc-frontend", Password: "front's own", SPNs: []string{"HTTP/localhost"}}
	if mayDelegate {
		front.DelegateTo = []string{"HTTP/127.0.0.1"}
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "correct horse"},
		front,
		{Name: "svc-ledger", Password: "ledger's own", SPNs: []string{"HTTP/127.0.0.1"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	krb5Conf = filepath.Join(t.TempDir(), "krb5.conf")
	if err := k.WriteKrb5Conf(krb5Conf); err != nil {
		t.Fatal(err)
	}
	return k, krb5Conf
}

func keytab(t *testing.T, k *kdc.KDC, principals ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keytab")
	if err := k.WriteKeytab(name, principals...); err != nil {
		t.Fatal(err)
	}
	return name
}

// books is a ledger that tells who it was called by.
type books struct{ ledger.UnimplementedLedger }

func (books) Post(ctx context.Context, _ *ledger.Post) (*ledger.PostResponse, error) {
	return &ledger.PostResponse{Number: 7, PostedBy: authn.FromContext(ctx).String()}, nil
}

// startLedger serves behind Kerberos and returns the address.
func startLedger(t *testing.T, k *kdc.KDC) string {
	t.Helper()
	keys, err := kerberos.LoadKeytab(keytab(t, k, "HTTP/127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := &soapserver.Service{Logger: quiet}
	ledger.RegisterLedger(s, books{})
	guard := &authn.Middleware{Logger: quiet, Authenticators: []authn.Authenticator{
		&iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keys, Logger: quiet}},
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := iwa.Server(guard.Wrap(s))
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String() + "/ledger"
}

// start runs the program and returns its port.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, w)
		_ = w.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("frontend: %v", err)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.Trim(strings.TrimPrefix(line, "listening on http://"), "/\n"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// submit hands in an expense as alice.
func submit(t *testing.T, krb5Conf, port string) (*expenses.SubmitExpenseResponse, error) {
	t.Helper()
	config, err := kerberos.LoadConfig(krb5Conf)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := kerberos.NewPasswordClient(*config, "alice", authn.NewSecret("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &authclient.Transport{
		Source: authclient.Static(&authclient.Kerberos{Client: alice}),
		Base: &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp4", addr) // localhost may have another address too
		}},
	}
	t.Cleanup(tr.CloseIdleConnections)
	c := expenses.NewExpensesClient(&soapclient.Client{URL: "http://localhost:" + port + "/", HTTP: &http.Client{Transport: tr}})
	day, err := xsd.ParseDate("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	return c.SubmitExpense(t.Context(), &expenses.SubmitExpense{Expense: expenses.Expense{
		Description: "Train", Category: expenses.CategoryTravel, SpentOn: day,
		Amount: expenses.Money{Value: xsd.DecimalOf(60), Currency: "EUR"},
	}})
}

func TestFrontend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		mayDelegate bool
		err         string
	}{
		{"as the caller", true, ""},
		{"without the right to", false, "NotDelegated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, krb5Conf := domain(t, tt.mayDelegate)
			port := start(t, "-addr", "127.0.0.1:0", "-krb5", krb5Conf, "-ledger", startLedger(t, k),
				"-keytab", keytab(t, k, "HTTP/localhost", "svc-frontend"))
			res, err := submit(t, krb5Conf, port)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %+v, %v, want %q", res, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if res.ID != "E0007" || res.SubmittedBy != `CORP\alice` || res.BookedBy == nil || *res.BookedBy != `CORP\alice` {
				t.Errorf("got %+v, want E0007 submitted and booked by CORP\\alice", res)
			}
		})
	}
}

func TestFrontendRefusesToStart(t *testing.T) {
	t.Parallel()
	k, krb5Conf := domain(t, true)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no keytab", nil, "no -keytab"},
		{"no such keytab", []string{"-krb5", krb5Conf, "-keytab", "gone"}, "gone"},
		{"no service", []string{"-krb5", krb5Conf, "-keytab", keytab(t, k, "svc-frontend")}, "HTTP"},
		{"no account", []string{"-krb5", krb5Conf, "-keytab", keytab(t, k, "HTTP/localhost")}, "service names only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append(tt.args, "-addr", "127.0.0.1:0"), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard); err != nil {
		t.Errorf("-h: %v", err)
	}
}
