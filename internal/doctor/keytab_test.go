package doctor_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/doctor"
)

// raw is an entry of a keytab.
type raw struct {
	name  string
	realm string // CORP.TEST if empty
	kvno  uint32
	etype uint16
	key   []byte // of the type's length, if nil
}

// keytab encodes entries, whatever is in them.
func keytab(entries ...raw) []byte {
	out := []byte{5, 2}
	str := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	for _, e := range entries {
		if e.realm == "" {
			e.realm = "CORP.TEST"
		}
		if e.key == nil {
			size := map[uint16]int{17: 16, 18: 32, 23: 16, 3: 8}[e.etype]
			e.key = bytes.Repeat([]byte{byte(e.etype)}, size)
		}
		parts := strings.Split(e.name, "/")
		b := str(binary.BigEndian.AppendUint16(nil, uint16(len(parts))), e.realm)
		for _, p := range parts {
			b = str(b, p)
		}
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, 1700000000)
		b = append(b, byte(e.kvno))
		b = binary.BigEndian.AppendUint16(b, e.etype)
		b = str(b, string(e.key))
		b = binary.BigEndian.AppendUint32(b, e.kvno)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
	}
	return out
}

func write(t *testing.T, mode os.FileMode, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.keytab")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeytabContent(t *testing.T) {
	t.Parallel()
	account, spn := raw{name: "svc-app", kvno: 3, etype: 18}, raw{name: appSPN, kvno: 3, etype: 18}
	with := func(e raw, change func(*raw)) raw { change(&e); return e }
	tests := []struct {
		name    string
		mode    os.FileMode
		entries []raw
		want    []string // notes too
	}{
		{"good", 0o600, []raw{account, spn}, nil},
		{"its group reads", 0o640, []raw{account, spn}, nil},
		{"all read", 0o644, []raw{account, spn}, []string{"keytab.mode"}},
		{"its group writes", 0o660, []raw{account, spn}, []string{"keytab.mode"}},
		{"names only", 0o600, []raw{spn}, []string{"keytab.no-account"}},
		{"account only", 0o600, []raw{account}, []string{"keytab.no-service"}},
		{"HOST only", 0o600, []raw{account, with(spn, func(e *raw) { e.name = "HOST/app.corp.test" })}, []string{"keytab.no-http"}},
		{"HTTPS", 0o600, []raw{account, spn, with(spn, func(e *raw) { e.name = "https/app.corp.test" })}, []string{"name.https"}},
		{"case", 0o600, []raw{account, with(spn, func(e *raw) { e.name = "http/App.corp.test" })}, []string{"name.case"}},
		{"short name in capitals", 0o600, []raw{account, spn, with(spn, func(e *raw) { e.name = "HTTP/GW01" })}, nil},
		{"realm in small letters", 0o600, []raw{with(account, func(e *raw) { e.realm = "corp.test" }), with(spn, func(e *raw) { e.realm = "corp.test" })}, []string{"realm.case"}},
		{"RC4 beside AES", 0o600, []raw{account, spn, with(spn, func(e *raw) { e.etype = 23 })}, []string{"keytab.rc4-too"}},
		{"RC4 only", 0o600, []raw{with(account, func(e *raw) { e.etype = 23 }), with(spn, func(e *raw) { e.etype = 23 })}, []string{"keytab.rc4-only"}},
		{"AES in an old version only", 0o600, []raw{account, spn, with(account, func(e *raw) { e.etype, e.kvno = 23, 4 })}, []string{"keytab.rc4-only"}},
		{"RC4 in an old version only", 0o600, []raw{account, spn, with(account, func(e *raw) { e.etype, e.kvno = 23, 2 })}, nil},
		{"DES only", 0o600, []raw{with(account, func(e *raw) { e.etype = 3 }), with(spn, func(e *raw) { e.etype = 3 })}, []string{"keytab.no-usable-keys"}},
		{"twice", 0o600, []raw{account, spn, spn}, []string{"keytab.repeated"}},
		{"two keys", 0o600, []raw{account, spn, with(spn, func(e *raw) { e.key = make([]byte, 32) })}, []string{"keytab.two-keys"}},
		{"two accounts", 0o600, []raw{account, spn, {name: "other", kvno: 1, etype: 17}}, []string{"keytab.several-accounts"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, doctor.Config{Keytab: write(t, tt.mode, keytab(tt.entries...)), Offline: true})
			var got []string
			for _, f := range r.Findings {
				got = append(got, f.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(r.Keytab.Keys) == 0 || r.Keytab.Keys[0].Written == nil || r.Keytab.Mode != fmt.Sprintf("%04o", tt.mode) || !r.Offline {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestOfflineAsksNobody(t *testing.T) {
	t.Parallel()
	k, cfg := startRealm(t)
	cfg.Offline, cfg.Names, cfg.Resolver = true, []string{"app.corp.test"}, noDNS{}
	wantIDs(t, run(t, cfg))
	if s := k.Stats(); s.AS+s.TGS+s.Errors != 0 {
		t.Errorf("%+v", s)
	}
}

// Files that are no keytabs, or were made by somebody who means ill, are an
// error that says so: no panic, no much of memory, no time, no secret.
func TestAttackHostileKeytab(t *testing.T) {
	t.Parallel()
	good := keytab(raw{name: "svc-app", kvno: 3, etype: 18}, raw{name: appSPN, kvno: 3, etype: 18})
	var many, https, types []raw
	for i := range 13000 {
		many = append(many, raw{name: fmt.Sprintf("HTTP/h%d.corp.test", i), kvno: 1, etype: 17})
		https = append(https, raw{name: fmt.Sprintf("HTTPS/h%d.corp.test", i), kvno: 1, etype: 17})
		types = append(types, raw{name: fmt.Sprintf("a%d", i), kvno: 1, etype: uint16(1000 + i), key: []byte{1}})
	}
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "keytab.empty"},
		{"text", []byte("-----BEGIN CERTIFICATE-----\n"), "keytab.malformed"},
		{"another version", append([]byte{5, 9}, good[2:]...), "keytab.malformed"},
		{"head only", good[:2], "keytab.malformed"},
		{"cut", good[:len(good)-7], "keytab.malformed"},
		{"length of 2 GiB", []byte{5, 2, 0x7f, 0xff, 0xff, 0xff}, "keytab.malformed"},
		{"hole of 2 GiB", append([]byte{5, 2, 0x80, 0, 0, 0}, good...), "keytab.empty"},
		{"key of another length", keytab(raw{name: "x", kvno: 1, etype: 18, key: []byte{1}}), "keytab.malformed"},
		{"longer than a keytab is", bytes.Repeat(good, 1+(1<<20)/len(good)), "keytab.malformed"},
		{"names that steer terminals and shells", keytab(raw{name: "\x1b[2J$(reboot)`reboot`\n;'\"", kvno: 3, etype: 23}, raw{name: "HTTP/\x1b]0;x\x07$(reboot)", realm: "$(reboot)", kvno: 3, etype: 23}), "keytab.rc4-only"},
		{"very many names", keytab(many...), "keytab.no-account"},
		{"very many names of HTTPS", keytab(https...), "name.https"},
		{"very many types", keytab(types...), "keytab.no-usable-keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			r := run(t, doctor.Config{Keytab: write(t, 0o600, tt.file), Offline: true, Names: []string{"www.corp.test"}})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if find(r, tt.want).ID == "" {
				t.Errorf("%+v", r.Findings)
			}
			if len(r.Findings) > 20 {
				t.Errorf("%d findings", len(r.Findings))
			}
			for _, f := range r.Findings {
				if len(f.Subjects) > 20 || len(f.Samba) > 100 {
					t.Errorf("%s has %d subjects, %d commands", f.ID, len(f.Subjects), len(f.Samba))
				}
				for _, c := range append(f.Windows, f.Samba...) {
					if strings.Contains(c, "reboot") || strings.ContainsAny(c, "\n\x1b") {
						t.Errorf("a command to paste: %q", c)
					}
				}
			}
			b, err := json.Marshal(r)
			if err != nil || bytes.ContainsAny(b, "\x1b\n\x07") {
				t.Errorf("%v in %s", err, b)
			}
		})
	}
}

func TestUnreadableKeytab(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "directory": t.TempDir()} {
		r := run(t, doctor.Config{Keytab: path, Offline: true})
		wantIDs(t, r, "keytab.unreadable")
		if r.OK || find(r, "keytab.unreadable").Subjects[0] != path {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := doctor.Run(t.Context(), doctor.Config{}); err == nil {
		t.Error("no file, and no error")
	}
}

// Nothing of a key is in a report.
func TestAttackKeysInReport(t *testing.T) {
	t.Parallel()
	key := []byte("m4rked-m4rked-m4rked-m4rked-m4rk")
	cfg := doctor.Config{Keytab: write(t, 0o644, keytab(raw{name: "svc-app", kvno: 3, etype: 18, key: key}, raw{name: appSPN, kvno: 3, etype: 18, key: key})), Offline: true}
	r := run(t, cfg)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{string(b), fmt.Sprintf("%v %+v %#v", r, r, r)} {
		if strings.Contains(out, "m4rked") || strings.Contains(out, fmt.Sprintf("%x", key[:6])) {
			t.Errorf("a key is in %s", out)
		}
	}
	if len(r.Keytab.Keys) != 2 {
		t.Errorf("%+v", r)
	}
}
