package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
)

const password = "correct horse"

// start runs the program and returns its address.
func start(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("SOAPWARD_PASSWORD", password)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		_ = w.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

func client(t *testing.T, url, pw string) *expenses.ExpensesClient {
	t.Helper()
	return clientOver(t, nil, url, pw)
}

// clientOver has base for its connections.
func clientOver(t *testing.T, base *http.Transport, url, pw string) *expenses.ExpensesClient {
	t.Helper()
	tr := &authclient.Transport{Base: base, Source: authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(pw)})}
	t.Cleanup(tr.CloseIdleConnections)
	return expenses.NewExpensesClient(&soapclient.Client{URL: url, HTTP: &http.Client{Transport: tr}})
}

func expense(t *testing.T, amount, date string) expenses.Expense {
	t.Helper()
	v, err := xsd.ParseDecimal(amount)
	if err != nil {
		t.Fatal(err)
	}
	d, err := xsd.ParseDate(date)
	if err != nil {
		t.Fatal(err)
	}
	return expenses.Expense{
		Description: "Train", Category: expenses.CategoryTravel, SpentOn: d,
		Amount: expenses.Money{Value: v, Currency: "EUR"},
	}
}

func TestServer(t *testing.T) {
	url := start(t)
	c := client(t, url, password)
	ctx := t.Context()

	for _, e := range []expenses.Expense{expense(t, "59.90", "2026-03-01"), expense(t, "12.00", "2026-03-09")} {
		res, err := c.SubmitExpense(ctx, &expenses.SubmitExpense{Expense: e})
		if err != nil {
			t.Fatal(err)
		}
		if res.SubmittedBy != `CORP\alice` {
			t.Errorf("submitted by %q, want CORP\\alice", res.SubmittedBy)
		}
	}
	list, err := c.ListExpenses(ctx, &expenses.ListExpenses{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Expense) != 2 || list.Expense[0].Expense.Amount.Value.String() != "12.00" {
		t.Errorf("got %+v, want the newer of two first", list.Expense)
	}
	list, err = c.ListExpenses(ctx, &expenses.ListExpenses{Status: []expenses.Status{expenses.StatusPaid}})
	if err != nil || len(list.Expense) != 0 {
		t.Errorf("paid: got %+v, %v, want none", list, err)
	}

	var violation *expenses.PolicyViolation
	_, err = c.SubmitExpense(ctx, &expenses.SubmitExpense{Expense: expense(t, "1000.01", "2026-03-01")})
	if !errors.As(err, &violation) || violation.Rule != "limit" || violation.Limit.Value.Cmp(limit.Value) != 0 {
		t.Errorf("over the limit: got %v", err)
	}
}

func TestServerTLS(t *testing.T) {
	// The certificate that httptest has is for the loopback address too.
	like := httptest.NewTLSServer(nil)
	defer like.Close()
	key, err := x509.MarshalPKCS8PrivateKey(like.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: like.Certificate().Raw},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := start(t, "-cert", certFile, "-key", keyFile)
	base := like.Client().Transport.(*http.Transport) // trusts it
	if _, err := clientOver(t, base, url, password).ListExpenses(t.Context(), &expenses.ListExpenses{}); err != nil {
		t.Errorf("%s: %v", url, err)
	}
	t.Setenv("SOAPWARD_PASSWORD", password)
	if err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-cert", certFile}, io.Discard); err == nil {
		t.Error("a certificate without a key: no error")
	}
}

func TestServerRefuses(t *testing.T) {
	url := start(t)
	var refused *authclient.RefusedError
	_, err := client(t, url, "wrong").ListExpenses(t.Context(), &expenses.ListExpenses{})
	if !errors.As(err, &refused) {
		t.Errorf("wrong password: got %v, want a refusal", err)
	}
	resp, err := http.Post(url, "text/xml", strings.NewReader("<x/>"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "Fault") {
		t.Errorf("no login: got %d %s", resp.StatusCode, body)
	}
}

func TestServerNeedsPassword(t *testing.T) {
	t.Setenv("SOAPWARD_PASSWORD", "")
	if err := run(t.Context(), nil, io.Discard); err == nil || !strings.Contains(err.Error(), "SOAPWARD_PASSWORD") {
		t.Errorf("got %v, want a hint at SOAPWARD_PASSWORD", err)
	}
}

// A keytab without services was noticed at the first login only.
func TestServerKeytabWithoutService(t *testing.T) {
	t.Parallel()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Add(kdc.Account{Name: "alice", Password: password}); err != nil {
		t.Fatal(err)
	}
	keytab := filepath.Join(t.TempDir(), "keytab")
	if err := k.WriteKeytab(keytab, "alice"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := run(ctx, []string{"-addr", "127.0.0.1:0", "-keytab", keytab}, io.Discard); err == nil || !strings.Contains(err.Error(), "kerberos: ") {
		t.Errorf("got %v, want an error about the keytab", err)
	}
}

// Asking for help was answered with an error as well.
func TestHelp(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-h"}, io.Discard); err != nil {
		t.Error(err)
	}
}
