package kerberos

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

func TestInspectKeytab(t *testing.T) {
	t.Parallel()
	des := []byte{5, 2, 0, 0, 0, 44, 0, 1, 0, 9, 'C', 'O', 'R', 'P', '.', 'T', 'E', 'S', 'T', 0, 3, 'o', 'l', 'd',
		0, 0, 0, 1, 0, 0, 0, 0, 7, 0, 3, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 7}
	des[5] = byte(len(des) - 6)
	entries, err := InspectKeytab(des)
	want := KeytabEntry{Principal: "old", Realm: "CORP.TEST", KVNO: 7, EType: "des-cbc-md5", Weak: true}
	if err != nil || len(entries) != 1 || entries[0] != want {
		t.Errorf("DES: %+v, %v", entries, err)
	}
	r := startRealm(t)
	b, err := r.Keytab("svc-app", appSPN, "svc-back", "frank")
	if err != nil {
		t.Fatal(err)
	}
	if entries, err = InspectKeytab(b); err != nil {
		t.Fatal(err)
	}
	var got []string
	accounts := map[string]int{}
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %d %s %v", e.Principal, e.KVNO, e.EType, e.Weak))
		accounts[e.Principal] = e.Account
		if !e.Usable || e.Written.IsZero() || e.Realm != "CORP.TEST" {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{
		"svc-app 1 aes256-cts-hmac-sha1-96 false", "svc-app 1 aes128-cts-hmac-sha1-96 false",
		"HTTP/app.corp.test 1 aes256-cts-hmac-sha1-96 false", "HTTP/app.corp.test 1 aes128-cts-hmac-sha1-96 false",
		"svc-back 1 aes256-cts-hmac-sha1-96 false", "svc-back 1 aes128-cts-hmac-sha1-96 false",
		"frank 1 rc4-hmac true",
	}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if accounts["svc-app"] != accounts[appSPN] || accounts["svc-app"] == accounts["svc-back"] || accounts["frank"] == accounts["svc-app"] {
		t.Errorf("accounts %v", accounts)
	}
	if entries[0].Key != entries[2].Key || entries[0].Key == entries[1].Key {
		t.Errorf("keys %+v", entries)
	}
	for name, bad := range map[string][]byte{"empty": nil, "not a keytab": []byte("-----BEGIN"), "cut": b[:len(b)-9], "long": make([]byte, maxKeytabSize+1)} {
		if e, err := InspectKeytab(bad); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestTicketFacts(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	old, err := r.Keytab(appSPN)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetPassword("svc-app", "another"); err != nil {
		t.Fatal(err)
	}
	both, err := r.Keytab(appSPN)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := r.client(t, "alice").Ticket(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	const aes = "aes256-cts-hmac-sha1-96"
	if ticket.KeyVersion() != 2 || ticket.EType() != aes || ticket.SessionEType() != aes {
		t.Errorf("version %d, %s, session %s", ticket.KeyVersion(), ticket.EType(), ticket.SessionEType())
	}
	for name, tt := range map[string]struct {
		keytab []byte
		kvno   uint32
	}{"old": {old, 0}, "both": {both, 2}} {
		kt, err := ParseKeytab(tt.keytab)
		if err != nil {
			t.Fatal(err)
		}
		if kvno, ok := kt.Opens(ticket); kvno != tt.kvno || ok != (tt.kvno != 0) {
			t.Errorf("%s: version %d, %v", name, kvno, ok)
		}
	}
	if (*Ticket)(nil).KeyVersion() != 0 {
		t.Error("nil ticket has a version")
	}
}

func TestProbeKDCs(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	cfg := r.config()
	cfg.AllowRC4, cfg.UDPLimit = true, 0
	tests := []struct {
		user    string
		etypes  string
		open    bool
		refusal krb5.ErrorCode
	}{
		{"alice", "aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96", false, 0},
		{"frank", "rc4-hmac", false, 0},
		{"grace", "aes256-cts-hmac-sha1-96", true, 0},
		{"dave", "", false, krb5.CodeClientRevoked},
		{"nobody", "", false, krb5.CodeClientUnknown},
	}
	r.SetFault(kdc.Fault{Skew: 90 * time.Second})
	for _, tt := range tests {
		asked := time.Now()
		got, err := ProbeKDCs(t.Context(), cfg, tt.user)
		if err != nil || len(got) != 2 {
			t.Fatalf("%s: %v, %v", tt.user, got, err)
		}
		for i, p := range got {
			if p.Network != []string{"udp", "tcp"}[i] || p.Addr != r.Addr() || p.Err != nil || p.Took <= 0 {
				t.Errorf("%s: %+v", tt.user, p)
			}
			// The KDC's clock stands still; the answer came between asked and now.
			late, early := 92*time.Second-asked.Sub(r.clock.now()), 88*time.Second-time.Since(r.clock.now())
			if !p.HasOffset || p.Offset < early || p.Offset > late {
				t.Errorf("%s: offset %v", tt.user, p.Offset)
			}
			if types := strings.Join(p.ETypes, " "); !strings.HasPrefix(types, tt.etypes) || types != "" && tt.etypes == "" {
				t.Errorf("%s: types %q", tt.user, types)
			}
			code := krb5.ErrorCode(0)
			if p.Refusal != nil {
				code = krb5.ErrorCode(p.Refusal.Code)
			}
			if p.NoPreauth != tt.open || code != tt.refusal {
				t.Errorf("%s: %+v", tt.user, p)
			}
		}
	}
	cfg.Realms = map[string]Realm{"CORP.TEST": {KDCs: []string{silent.LocalAddr().String()}}}
	got, err := ProbeKDCs(t.Context(), cfg, "alice")
	if err != nil || len(got) != 2 || got[0].Err == nil || got[1].Err == nil || got[0].HasOffset {
		t.Errorf("silent: %+v, %v", got, err)
	}
	if _, err := ProbeKDCs(t.Context(), Config{DefaultRealm: "CORP.TEST"}, "alice"); err == nil {
		t.Error("no KDC, and no error")
	}
}

// Opens reads the file again, as a Mechanism does.
func TestOpensFile(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	path := filepath.Join(t.TempDir(), "keytab")
	if err := r.WriteKeytab(path, appSPN); err != nil {
		t.Fatal(err)
	}
	kt, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := r.client(t, "alice").Ticket(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	if kvno, ok := kt.Opens(ticket); !ok || kvno != 1 {
		t.Errorf("%d, %v", kvno, ok)
	}
}
