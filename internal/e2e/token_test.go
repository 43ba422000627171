package e2e

import (
	"bytes"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/tokentext"
)

var updateToken = flag.Bool("update-token", false, "record the tokens in internal/tokentext/testdata/samba anew")

// TestTokenOfActiveDirectory reads tokens that Samba's KDC made: a service acts
// for a user who did not log in by Kerberos (S4U2Self, then S4U2Proxy), and the
// user's own ticket. The first has all kinds of buffers in its PAC, the
// delegation information among them.
func TestTokenOfActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	web, err := keytabClient(t, dc, adtest.Web)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := web.S4U2Self(t.Context(), adtest.Alice)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := web.S4U2Proxy(t.Context(), ev, adtest.BackendSPN)
	if err != nil {
		t.Fatal(err)
	}
	alice, err := kerberos.NewCacheClient(krbConfig(t, dc), dc.Kinit(t, adtest.Alice))
	if err != nil {
		t.Fatal(err)
	}
	for name, i := range map[string]*kerberos.Initiator{
		"delegated": ticket.NewInitiator(kerberos.InitiatorConfig{}),
		"direct":    alice.NewInitiator(adtest.BackendSPN, kerberos.InitiatorConfig{}),
	} {
		token, _, err := i.Step(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		file := dc.Keytab(adtest.Backend)
		keys, err := kerberos.LoadKeytab(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tokentext.Inspect(token, tokentext.Options{Keytab: keys})
		if err != nil || r.Damaged {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		var text bytes.Buffer
		if err := r.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"sname: " + adtest.BackendSPN, "EffectiveName: alice", "LogonDomainName: CORP", "(" + dc.SID(t, adtest.Alice) + ")",
			"Sid: " + dc.SID(t, adtest.Payroll) + " (mandatory", "verified: yes", "DnsDomainName: CORP.TEST",
		}
		if name == "delegated" {
			want = append(want, "S4U2proxyTarget: "+adtest.BackendSPN, "S4UTransitedService: "+adtest.Web+"@"+adtest.Realm, "S-1-18-2")
		}
		words := strings.Join(strings.Fields(text.String()), " ") // lines are broken
		for _, w := range want {
			if !strings.Contains(words, w) {
				t.Errorf("%s: the text lacks %q:\n%s", name, w, text.String())
			}
		}
		if *updateToken {
			dir := filepath.Join("..", "tokentext", "testdata", "samba")
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for to, b := range map[string][]byte{
				name + ".txt": []byte("Authorization: Negotiate " + base64.StdEncoding.EncodeToString(token) + "\n"), "backend.keytab": b,
			} {
				if err := os.WriteFile(filepath.Join(dir, to), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
