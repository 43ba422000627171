package kerberos

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

func writeKeytab(t testing.TB, path string, mode os.FileMode, b []byte) {
	t.Helper()
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, mode); err != nil { // the umask does not count
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// Threat 36. A keytab that others can read or replace is refused, with the
// command that mends it.
func TestAttackKeytabMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("access lists, not modes")
	}
	b := keytabBytes(t, testEntry{"HTTP/app", 1, randomKey(t, krb5.AES256SHA1)})
	for _, tc := range []struct {
		mode  os.FileMode
		chmod string // "" means accepted
	}{
		{0o600, ""}, {0o400, ""}, {0o640, ""}, {0o440, ""},
		{0o644, "chmod 0640"}, {0o660, "chmod 0640"}, {0o604, "chmod 0600"}, {0o602, "chmod 0600"}, {0o777, "chmod 0640"},
	} {
		path := filepath.Join(t.TempDir(), "app.keytab")
		writeKeytab(t, path, tc.mode, b)
		_, err := LoadKeytab(path)
		switch {
		case tc.chmod == "" && err != nil:
			t.Errorf("%#o: %v", tc.mode, err)
		case tc.chmod != "" && (err == nil || !strings.Contains(err.Error(), tc.chmod+" "+path)):
			t.Errorf("%#o: %v, want %q", tc.mode, err, tc.chmod)
		}
	}
}

func TestLoadKeytabErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := []byte("MARKEDsecretKEY!MARKEDsecretKEY!")
	key, err := krb5.NewKey(krb5.AES256SHA1, secret)
	if err != nil {
		t.Fatal(err)
	}
	good := keytabBytes(t, testEntry{"HTTP/app", 1, key})
	des := bytes.Clone(good)
	i := bytes.Index(des, []byte{0, 18, 0, 32})
	des[i+1] = 3
	for name, b := range map[string][]byte{
		"empty":     {},
		"header":    {5, 2},
		"not one":   []byte("-----BEGIN CERTIFICATE-----"),
		"cut":       good[:len(good)-9],
		"DES only":  des,
		"very long": append(bytes.Clone(good), make([]byte, maxKeytabSize)...),
		"key size":  bytes.Replace(good, []byte{0, 18, 0, 32}, []byte{0, 17, 0, 32}, 1),
	} {
		path := filepath.Join(dir, "x")
		writeKeytab(t, path, 0o600, b)
		_, err := LoadKeytab(path)
		if err == nil || !strings.HasPrefix(err.Error(), "kerberos: ") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// gokrb5's errors quote the file.
		if s := err.Error(); strings.Contains(s, "MARKED") || strings.Contains(s, hex.EncodeToString(secret[:6])) {
			t.Errorf("%s: the error shows the key: %s", name, s)
		}
	}
	for _, path := range []string{filepath.Join(dir, "absent"), dir} {
		if _, err := LoadKeytab(path); err == nil || !strings.HasPrefix(err.Error(), "kerberos: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A new password takes effect without a restart, and a keytab that cannot be
// read leaves the old keys in force.
func TestKeytabReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.keytab")
	o := newOrder(t, krb5.AES256SHA1)
	old := o.key
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 3, old}))
	kt, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	now := fixedNow
	kt.now = func() time.Time { return now }
	m := &Mechanism{Keytab: kt, Now: func() time.Time { return fixedNow }}
	try := func() error {
		t.Helper()
		_, _, err := login1(m, authn.Exchange{}, o.token(t))
		return err
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}

	// At once, not after the second between two looks.
	o.key, o.kvno = randomKey(t, krb5.AES256SHA1), 4
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 4, o.key}, testEntry{"HTTP/app.corp.test", 3, old}))
	if err := try(); err != nil {
		t.Errorf("after the change: %v", err)
	}
	o.key, o.kvno = old, 3
	if err := try(); err != nil {
		t.Errorf("ticket from before the change: %v", err)
	}

	// A name that was taken out is out within a second.
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/new.corp.test", 1, randomKey(t, krb5.AES256SHA1)}))
	now = now.Add(keytabRecheck)
	_, id, err := login1(m, authn.Exchange{}, o.token(t))
	wantRefused(t, id, err, authn.ReasonWrongTarget, "HTTP/new.corp.test")

	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 3, old}))
	now = now.Add(keytabRecheck)
	if err := try(); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		mode os.FileMode
		b    []byte
		want string
	}{{0o600, []byte{5, 2, 0, 0, 0}, "malformed"}, {0o600, nil, "keytab is empty (file "}, {0o644, keytabBytes(t, testEntry{"HTTP/app.corp.test", 3, old}), "chmod"}} {
		writeKeytab(t, path, bad.mode, bad.b)
		now = now.Add(keytabRecheck)
		if err := try(); err != nil {
			t.Errorf("%s: the old keys are gone: %v", bad.want, err)
		}
		if err := kt.Err(); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("Err %v, want %q", err, bad.want)
		}
		good := o.key
		o.key = randomKey(t, krb5.AES256SHA1)
		_, id, err := login1(m, authn.Exchange{}, o.token(t))
		wantRefused(t, id, err, authn.ReasonWrongKey, bad.want)
		o.key = good
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(keytabRecheck)
	if err := try(); err != nil || kt.Err() != nil {
		t.Errorf("mended: %v, %v", err, kt.Err())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(keytabRecheck)
	if err := try(); err != nil || kt.Err() == nil {
		t.Errorf("removed: %v, %v", err, kt.Err())
	}
}

// A keytab that is read and does not have what the configuration names leaves
// the old keys in force as well.
func TestKeytabReloadOfNoUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.keytab")
	o := newOrder(t, krb5.AES256SHA1)
	good := keytabBytes(t, testEntry{"HTTP/app.corp.test", 3, o.key})
	writeKeytab(t, path, 0o600, good)
	kt, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	now := fixedNow
	kt.now = func() time.Time { return now }
	var log bytes.Buffer
	m := &Mechanism{Keytab: kt, SPNs: []string{"HTTP/app.corp.test"}, Now: func() time.Time { return fixedNow },
		Logger: slog.New(slog.NewTextHandler(&log, nil))}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/x", 1, randomKey(t, krb5.AES256SHA1)}, testEntry{"HTTP/y", 1, randomKey(t, krb5.AES256SHA1)}))
	now = now.Add(keytabRecheck)
	for range 3 {
		if _, _, err := login1(m, authn.Exchange{}, o.token(t)); err != nil {
			t.Errorf("the old keys are gone: %v", err)
		}
	}
	if err := m.Check(); err == nil || !strings.Contains(err.Error(), "several accounts") {
		t.Errorf("Check: %v", err)
	}
	if n := strings.Count(log.String(), "changed keytab is of no use"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
	writeKeytab(t, path, 0o600, good)
	now = now.Add(keytabRecheck)
	if err := m.Check(); err != nil {
		t.Errorf("mended: %v", err)
	}
}

// Of several logins that waited for a changed keytab only the one that read it
// got in; the others were refused with the keys of before.
func TestKeytabReloadRace(t *testing.T) {
	t.Parallel()
	old := make([]testEntry, 300) // so many that trying them takes a while
	for i := range old {
		old[i] = testEntry{"HTTP/app.corp.test", 3, randomKey(t, krb5.AES256SHA1)}
	}
	for range 10 {
		path := filepath.Join(t.TempDir(), "app.keytab")
		writeKeytab(t, path, 0o600, keytabBytes(t, old...))
		k, err := LoadKeytab(path)
		if err != nil {
			t.Fatal(err)
		}
		m := &Mechanism{Keytab: k, Now: func() time.Time { return fixedNow }}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		o := newOrder(t, krb5.AES256SHA1)
		o.kvno = 4
		m.Keytab.replay.MaxPerClient = 100
		tokens := make([][]byte, 32)
		for i := range tokens {
			tokens[i] = o.token(t)
		}
		writeKeytab(t, path, 0o600, keytabBytes(t, testEntry{"HTTP/app.corp.test", 4, o.key}))
		var wg sync.WaitGroup
		for _, token := range tokens {
			wg.Go(func() {
				if _, _, err := login1(m, authn.Exchange{}, token); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func TestKeytabPrincipals(t *testing.T) {
	t.Parallel()
	k := randomKey(t, krb5.AES256SHA1)
	kt := testKeytab(t, testEntry{"svc-app", 1, k}, testEntry{"HTTP/app", 1, k}, testEntry{"HTTP/app", 2, k}, testEntry{"HTTP/app@OTHER.TEST", 2, k})
	want := []string{"HTTP/app@CORP.TEST", "HTTP/app@OTHER.TEST", "svc-app@CORP.TEST"}
	if got := kt.Principals(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestKeytabIsRedacted(t *testing.T) {
	t.Parallel()
	secret := []byte("MARKEDsecretKEY!MARKEDsecretKEY!")
	key, err := krb5.NewKey(krb5.AES256SHA1, secret)
	if err != nil {
		t.Fatal(err)
	}
	kt := testKeytab(t, testEntry{"HTTP/app", 1, key})
	m := &Mechanism{Keytab: kt}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	set := kt.current()
	var out string
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, v := range []any{kt, set, *set, m.services.Load(), set.entries[0]} {
			out += fmt.Sprintf(f, v)
		}
	}
	for _, s := range []string{"MARKED", hex.EncodeToString(secret[:6]), strings.Trim(fmt.Sprint(secret[:4]), "[]")} {
		if strings.Contains(out, s) {
			t.Errorf("the keytab shows as %q in %s", s, out)
		}
	}
}

func TestFindAccounts(t *testing.T) {
	t.Parallel()
	a1, a2, b1 := randomKey(t, krb5.AES256SHA1), randomKey(t, krb5.AES256SHA1), randomKey(t, krb5.AES256SHA1)
	set := testKeytab(t,
		testEntry{"HTTP/a", 2, a2}, testEntry{"svc-a", 2, a2}, testEntry{"svc-a", 1, a1}, testEntry{"HTTP/old-a", 1, a1},
		testEntry{"svc-b", 2, b1}, testEntry{"HTTP/b", 2, b1}, testEntry{"http/B", 1, randomKey(t, krb5.AES128SHA1)}).current()
	accounts := map[string]int{}
	for i, e := range set.entries {
		if was, ok := accounts[e.principal]; ok && was != set.account[i] {
			t.Errorf("%s belongs to two accounts", e.principal)
		}
		accounts[e.principal] = set.account[i]
	}
	if accounts["HTTP/a"] != accounts["svc-a"] || accounts["svc-a"] != accounts["HTTP/old-a"] {
		t.Errorf("names of account a: %v", accounts)
	}
	if accounts["svc-b"] != accounts["HTTP/b"] || accounts["HTTP/b"] != accounts["http/B"] {
		t.Errorf("names of account b: %v", accounts)
	}
	if accounts["svc-a"] == accounts["svc-b"] {
		t.Error("two accounts taken for one")
	}
}
