package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// TestDomain runs the program with a computer account of a real domain, one of
// whose controllers is down.
func TestDomain(t *testing.T) {
	dc := adtest.Start(t)
	secret := filepath.Join(t.TempDir(), "gw01.secret")
	if err := os.WriteFile(secret, []byte(adtest.Password(t, adtest.GW01)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-addr", "127.0.0.1:0", "-computer", "GW01$", "-secret", secret, "-domain", adtest.NetBIOS,
		"-dns", "corp.test", "-controllers", net.JoinHostPort(dc.IP, "1") + "," + dc.IP,
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, args, w)
		_ = w.CloseWithError(err)
		done <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	tr := &authclient.Transport{Source: authclient.Static(&authclient.NTLM{
		User: `CORP\alice`, Password: authn.NewSecret(adtest.Password(t, adtest.Alice)),
	})}
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var me struct {
		User   string
		Groups []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&me); err != nil {
		t.Fatal(err)
	}
	if me.User != `CORP\alice` || !slices.Contains(me.Groups, `CORP\Payroll`) {
		t.Errorf("caller %+v", me)
	}
	tr.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("domain: %v", err)
	}

	// A wrong password of the computer account shows at the start.
	if err := os.WriteFile(secret, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), args, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "soapward join") {
		t.Errorf("with a wrong password: %v, want the remedy", err)
	}
}
