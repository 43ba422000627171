package authclient_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// TestNTLMByHash: the NT hash logs in where the password does, and a wrong one,
// none, or both are errors.
func TestNTLMByHash(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, tt := range []struct {
		name     string
		password authn.Secret
		hash     ntlm.NTHash
		want     string // in the error
	}{
		{"hash", authn.Secret{}, ntlm.HashPassword("a"), ""},
		{"password", authn.NewSecret("a"), ntlm.NTHash{}, ""},
		{"wrong hash", authn.Secret{}, ntlm.HashPassword("A"), "refused the NTLM login"},
		{"neither", authn.Secret{}, ntlm.NTHash{}, "no password"},
		{"both", authn.NewSecret("a"), ntlm.HashPassword("a"), "set one of them"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, &authclient.NTLM{User: `CORP\alice`, Password: tt.password, Hash: tt.hash})
			status, body, err := do(c, "POST", s.URL, strings.NewReader("x"))
			if tt.want == "" && (err != nil || status != 200 || body != `CORP\alice body=1 err=<nil>`) {
				t.Errorf("%d %q, %v; want a login", status, body, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%d %q, %v; want an error with %q", status, body, err, tt.want)
			}
		})
	}
}

// TestAttackWrongHashRidesOnLogin: two hashes of one user are two credentials,
// and neither is the password's.
func TestAttackWrongHashRidesOnLogin(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range []*authclient.NTLM{
		{User: `CORP\alice`, Hash: ntlm.HashPassword("a")},
		{User: `CORP\alice`, Hash: ntlm.HashPassword("b")},
		{User: `CORP\alice`, Password: authn.NewSecret("a")},
		{User: `CORP\alice`, Password: authn.NewSecret(string(ntlm.HashPassword("a").Reveal()))},
	} {
		if seen[c.Key()] {
			t.Errorf("key %q twice", c.Key())
		}
		seen[c.Key()] = true
	}
}

// TestAttackHashPrints: no way to print the credential shows its secret.
func TestAttackHashPrints(t *testing.T) {
	t.Parallel()
	hash := ntlm.HashPassword("a")
	c := &authclient.NTLM{User: `CORP\alice`, Hash: hash}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "c", c)
	for _, v := range []any{c, c.Key(), c.Hash} {
		for _, verb := range []string{"%v", "%+v", "%s", "%x", "%d", "%#v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, form := range []string{string(hash.Reveal()), hex.EncodeToString(hash.Reveal()), strings.Trim(fmt.Sprint(hash.Reveal()), "[]")} {
		if strings.Contains(out.String(), form) {
			t.Errorf("hash printed: %s", out.String())
		}
	}
}
