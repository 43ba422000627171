package kerberos

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

func computerKeys(kvno uint32, password string) AccountKeys {
	return AccountKeys{
		Realm: "CORP.TEST", Salt: ComputerSalt("CORP.TEST", "GW01$"), KVNO: kvno, Password: authn.NewSecret(password),
		Principals: []string{"HTTP/gw01.corp.test", "GW01$"},
	}
}

func updateKeytab(t *testing.T, path string, keys AccountKeys) {
	t.Helper()
	if changed, err := WriteKeytab(path, keys); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
}

// slots lists what a keytab file has, in the order of our reader.
func slots(t *testing.T, path string) []string {
	t.Helper()
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range k.current().entries {
		out = append(out, fmt.Sprintf("%s@%s %d %v", e.principal, e.realm, e.kvno, e.key.EType()))
	}
	return out
}

func TestComputerSalt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"GW01", "gw01", "GW01$"} {
		if got := ComputerSalt("corp.TEST", name); got != "CORP.TESThostgw01.corp.test" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestWriteKeytab(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gw01.keytab")
	updateKeytab(t, path, computerKeys(300, "first")) // more than a byte
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	want := []string{
		"HTTP/gw01.corp.test@CORP.TEST 300 aes256-cts-hmac-sha1-96",
		"GW01$@CORP.TEST 300 aes256-cts-hmac-sha1-96",
		"HTTP/gw01.corp.test@CORP.TEST 300 aes128-cts-hmac-sha1-96",
		"GW01$@CORP.TEST 300 aes128-cts-hmac-sha1-96",
	}
	if got := slots(t, path); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := krb5.StringToKey(krb5.AES256SHA1, "first", "CORP.TESThostgw01.corp.test", nil)
	if err != nil || !k.current().entries[0].key.Equal(key) {
		t.Errorf("the key is not that of the password and salt (%v)", err)
	}
	if changed, err := WriteKeytab(path, computerKeys(300, "first")); changed || err != nil {
		t.Errorf("the same again: changed %v, %v", changed, err)
	}

	t.Run("others read it", func(t *testing.T) {
		t.Parallel()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := keytab.New().Unmarshal(b); err != nil {
			t.Errorf("gokrb5: %v", err)
		}
		out := testenv.Run(t, nil, "", testenv.Need(t, "klist"), "-k", "-e", path)
		for _, line := range []string{"300 HTTP/gw01.corp.test@CORP.TEST (aes256", "300 GW01$@CORP.TEST (aes128"} {
			if !strings.Contains(out, line) {
				t.Errorf("klist does not show %s:\n%s", line, out)
			}
		}
	})
}

// Tickets that are in use must open after a rotation.
func TestWriteKeytabVersions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gw01.keytab")
	other := computerKeys(1, "other")
	other.Principals, other.Salt = []string{"HTTP/other.corp.test"}, "salt"
	updateKeytab(t, path, other)
	for v := uint32(3); v <= 7; v++ {
		updateKeytab(t, path, computerKeys(v, fmt.Sprint("password ", v)))
	}
	versions := func() []string {
		var out []string
		for _, s := range slots(t, path) {
			if strings.HasSuffix(s, "aes256-cts-hmac-sha1-96") {
				f := strings.Fields(s)
				out = append(out, f[0][:2]+f[1])
			}
		}
		return out
	}
	if got := fmt.Sprint(versions()); got != "[HT7 GW7 HT6 GW6 HT5 GW5 HT1]" {
		t.Errorf("versions %s", got)
	}

	// A rotation that was given up leaves the keys of a version that never came
	// into force, perhaps under service names only.
	next := computerKeys(8, "given up")
	next.Principals = next.Principals[:1]
	updateKeytab(t, path, next)
	if got := fmt.Sprint(versions()); got != "[HT8 HT7 GW7 HT6 GW6 GW5 HT1]" {
		t.Errorf("announced: %s", got)
	}
	updateKeytab(t, path, computerKeys(7, "password 7"))
	if got := fmt.Sprint(versions()); got != "[HT7 GW7 HT6 GW6 GW5 HT1]" {
		t.Errorf("given up: %s", got)
	}
	updateKeytab(t, path, next)
	updateKeytab(t, path, computerKeys(8, "password 8"))
	// A controller that has not heard of the change tells the number before.
	if changed, err := WriteKeytab(path, computerKeys(7, "password 8")); changed || err != nil {
		t.Errorf("told by a slow controller: changed %v, %v", changed, err)
	}
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := krb5.StringToKey(krb5.AES256SHA1, "password 8", ComputerSalt("CORP.TEST", "GW01"), nil)
	for _, e := range k.current().entries {
		if e.kvno == 8 && e.key.EType() == krb5.AES256SHA1 && !e.key.Equal(want) {
			t.Errorf("%s has the key that was given up", e.principal)
		}
	}
}

func TestWriteKeytabRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := filepath.Join(dir, "open.keytab")
	updateKeytab(t, open, computerKeys(1, "first"))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := computerKeys(2, "x")
	long.Principals = []string{strings.Repeat("x", 40000)}
	for _, tt := range []struct {
		name, path string
		keys       AccountKeys
		want       string
	}{
		{"others can read it", open, computerKeys(2, "second"), "chmod 0640 " + open},
		{"no keytab", garbage, computerKeys(2, "second"), "malformed"},
		{"no directory", filepath.Join(dir, "absent", "x"), computerKeys(2, "second"), "no such file"},
		{"nothing set", filepath.Join(dir, "new"), AccountKeys{}, "not set"},
		{"no version", filepath.Join(dir, "new"), computerKeys(0, "x"), "not set"},
		{"long name", filepath.Join(dir, "new"), long, "does not fit"},
	} {
		changed, err := WriteKeytab(tt.path, tt.keys)
		if changed || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: changed %v, %v, want %q", tt.name, changed, err, tt.want)
		}
	}
	if b, _ := os.ReadFile(garbage); string(b) != "precious" {
		t.Error("a file that is no keytab was overwritten")
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made")
	}
}

// TestAttackPlantedKeytab: in a directory like /tmp, somebody made the keytab
// before us, with keys that are his. He would own what we write, and have
// tickets of his own taken.
func TestAttackPlantedKeytab(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gw01.keytab")
	updateKeytab(t, path, computerKeys(1, "known to somebody else"))
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if changed, err := WriteKeytab(path, computerKeys(2, "secret")); changed || err == nil || !strings.Contains(err.Error(), "everybody") {
		t.Errorf("changed %v, %v; want refused", changed, err)
	}
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range k.keys.Load().entries {
		if e.kvno != 1 {
			t.Errorf("has a key of version %d of %s", e.kvno, e.principal)
		}
	}
}

func TestAccountKeysAreRedacted(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, computerKeys(1, "m4rked")); strings.Contains(s, "m4rked") {
			t.Errorf("%s: %s", verb, s)
		}
	}
}
