package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

func start(t *testing.T, c Config) *Demo {
	t.Helper()
	d, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func failed(r *Report) []string {
	var names []string
	for _, s := range r.Steps {
		if !s.OK {
			names = append(names, s.Name)
		}
	}
	return names
}

func TestDemo(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	r := start(t, Config{}).Run(t.Context())
	for _, s := range r.Steps {
		if !s.OK {
			t.Errorf("%s: expected %s; %s", s.Name, s.Expected, s.Happened)
		}
	}
	if err := r.Err(); err != nil || !r.OK || len(r.Steps) != 11 {
		t.Errorf("ok %v, %d steps, %v", r.OK, len(r.Steps), err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// Demos run side by side.
func TestTwoDemos(t *testing.T) {
	t.Parallel()
	for _, d := range []*Demo{start(t, Config{}), start(t, Config{})} {
		if err := d.Run(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	}
}

// Each step that is spoiled is reported, and no other one: what the report says
// is what the services saw.
func TestBrokenDemo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(d *Demo) error
		want  []string
	}{
		{
			"expenses may not delegate",
			func(d *Demo) error {
				return d.kdc.Update(expensesAccount, func(a *kdc.Account) { a.DelegateTo = nil })
			},
			[]string{"Kerberos, passed on", "NTLM, protocol transition"},
		},
		{
			"expenses may not transition",
			func(d *Demo) error {
				return d.kdc.Update(expensesAccount, func(a *kdc.Account) { a.TrustedToAuth = false })
			},
			[]string{"NTLM, protocol transition"},
		},
		{
			"alice is sensitive",
			func(d *Demo) error {
				return d.kdc.Update(user, func(a *kdc.Account) { a.Sensitive = true })
			},
			[]string{"Kerberos, passed on", "NTLM, protocol transition"},
		},
		{
			"alice lost a group",
			func(d *Demo) error {
				return d.kdc.Update(user, func(a *kdc.Account) { a.Groups = nil })
			},
			[]string{"Kerberos", "Kerberos, passed on", "Basic, passed on", "NTLM, protocol transition"},
		},
		{
			"ledger has a new password, and not the keytab",
			func(d *Demo) error { return d.kdc.SetPassword(ledgerAccount, "new") },
			[]string{"Kerberos", "Kerberos, passed on", "Basic, passed on", "NTLM, protocol transition"},
		},
		{
			"no KDC",
			func(d *Demo) error {
				d.kdc.SetFault(kdc.Fault{Error: krb5.CodeServiceUnavailable})
				return nil
			},
			[]string{
				"Kerberos", "Kerberos to an impostor", "Kerberos, passed on", "Basic, passed on", "NTLM, protocol transition",
				"NTLM, alice marked sensitive",
			},
		},
		{
			"alice is unknown to NTLM and Basic",
			func(d *Demo) error { d.accounts.Remove(user); return nil },
			[]string{
				"NTLM, wrong password", "NTLM", "Basic", "Basic, passed on", "NTLM, passed on", "NTLM, protocol transition",
				"NTLM, alice marked sensitive",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := start(t, Config{})
			if err := tt.spoil(d); err != nil {
				t.Fatal(err)
			}
			r := d.Run(t.Context())
			if got := failed(r); !slices.Equal(got, tt.want) {
				t.Errorf("failed steps: got %q, want %q", got, tt.want)
			}
			if r.OK || r.Err() == nil || !strings.Contains(r.Err().Error(), fmt.Sprintf("%q", tt.want[0])) {
				t.Errorf("report: ok %v, %v", r.OK, r.Err())
			}
			var out bytes.Buffer
			if err := r.Write(&out, Style{}); err != nil || strings.Count(out.String(), "✗") != len(tt.want) {
				t.Errorf("%v, table:\n%s", err, &out)
			}
		})
	}
}

func TestBrokenStart(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	d, err := Start(t.Context(), Config{TestOnlyBreak: func(*kdc.KDC) error { return broken }})
	if !errors.Is(err, broken) || d != nil {
		t.Errorf("got %v, %v", d, err)
	}
}

// Comments were printed with "#", which zsh takes for a command when pasted.
func TestWriteCommands(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteCommands(&b, Style{}, []Command{{"whom does it's server see?", "curl -u :\n"}}); err != nil {
		t.Fatal(err)
	}
	const want = "\n: 'whom does it'\\''s server see?'\ncurl -u :\n\n"
	if got := b.String(); !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

// The lines printed for curl work as they are, and nothing is left behind.
func TestCommands(t *testing.T) {
	t.Parallel()
	sh := testenv.Need(t, "sh")
	for _, p := range []string{"curl", "kinit"} {
		testenv.Need(t, p)
	}
	d := start(t, Config{})
	cs, err := d.Commands()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(between(cs[4].Script, "KRB5_CONFIG=", "\n"))
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), fi.Mode(), err)
		}
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", fi, err)
	}
	sees := func(mechanism string) []string {
		return []string{`>CORP\alice</`, `>` + mechanism + `</`, `>CORP\Finance</`}
	}
	want := [][]string{
		sees("NTLM"), sees("Basic"),
		{"DoubleHop</faultcode>", "(reference "},
		{`bookedBy>CORP\alice</`},
		{},
		sees("Kerberos"),
		{`bookedBy>CORP\alice</`},
	}
	var script strings.Builder
	for i, c := range cs {
		script.WriteString(comment(c.Title) + "\n" + c.Script + "\n")
		if i == 4 {
			continue // kinit is for the shell that the next lines run in
		}
		out := testenv.Run(t, nil, script.String(), sh, "-e")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		for _, w := range want[i] {
			if last := lines[len(lines)-1]; !strings.Contains(last, w) {
				t.Errorf("%s: no %q in %s", c.Title, w, last)
			}
		}
		if i < 4 {
			script.Reset()
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func between(s, a, b string) string {
	_, s, _ = strings.Cut(s, a)
	s, _, _ = strings.Cut(s, b)
	return s
}

func TestReportFitsWidth(t *testing.T) {
	t.Parallel()
	d := start(t, Config{})
	r := d.Run(t.Context())
	for _, width := range []int{0, 20, 60, 80, 100, 120, 300} {
		var plain, colored bytes.Buffer
		st := Style{Width: width}
		if err := r.Write(&plain, st); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(plain.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > st.Columns() {
				t.Errorf("width %d: line of %d: %s", width, n, l)
			}
		}
		st.Color = true
		if err := r.Write(&colored, st); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colored.String(), "\x1b[32m✓\x1b[0m") {
			t.Errorf("width %d: colour where none is wanted, or none where it is", width)
		}
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(start(t, Config{}).Run(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ok":true`, `"name":"Kerberos, passed on"`, `"remedy":"accept Kerberos only`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

// Neither the services' log nor the report has a password or a token in it.
func TestNoSecretInOutput(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	d := start(t, Config{Log: &log})
	r := d.Run(t.Context())
	if err := d.Close(); err != nil { // nothing logs after it
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := r.Write(&table, Style{}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "msg=login"); n < 8 {
		t.Errorf("the log has %d logins: %s", n, &log)
	}
	for _, out := range []string{log.String(), table.String(), string(b)} {
		for _, secret := range []string{userPassword, "TlRMTVNT", "YII"} { // base64 of NTLM and of SPNEGO tokens
			if strings.Contains(out, secret) {
				t.Errorf("%s in %s", secret, out)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/tmp/a-1.xml": "/tmp/a-1.xml", "/tmp/a b": "'/tmp/a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'"} {
		if got := quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
