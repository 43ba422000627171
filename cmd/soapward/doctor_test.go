package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/terminal"
)

// TestDoctorScripts runs the command lines in testdata/doctor against a domain
// controller: $DC is its address, $CA its certificate. The file bob has that
// user's password, the keytabs are those of the fixture.
func TestDoctorScripts(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/doctor",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DC", dc.IP)
			e.Setenv("CA", dc.CAFile)
			e.Setenv("KRB5_CONFIG", dc.Krb5Conf)
			for _, service := range []string{adtest.Web, adtest.Legacy} {
				b, err := os.ReadFile(dc.Keytab(service))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(e.WorkDir, service+".keytab"), b, 0o600); err != nil {
					return err
				}
			}
			return writePasswords(t, e.WorkDir)
		},
	})
}

// What is printed fits a terminal, but for the commands, which are to be pasted.
func TestDoctorFitsWidth(t *testing.T) {
	t.Parallel()
	offset := -421.0
	long := strings.Repeat("word ", 40)
	r := &doctor.Report{
		Realm: "CORP.TEST",
		Keytab: doctor.Keytab{File: "/etc/" + strings.Repeat("x", 90), Mode: "0600", Owner: "root", Keys: []doctor.Key{
			{Principal: "HTTP/" + strings.Repeat("y", 90) + "@CORP.TEST", KVNO: 4000000000, ETypes: []string{"aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96", "rc4-hmac"}},
		}},
		KDCs:     []doctor.KDC{{Addr: "192.0.2.1:88", Network: "udp", Error: long}, {Addr: "192.0.2.1:88", Network: "tcp", ClockOffset: &offset}},
		Accounts: []doctor.Account{{Principal: "svc@CORP.TEST", Error: long}},
		Services: []doctor.Service{
			{Name: "HTTP/app.corp.test", Error: long}, {Name: "HTTP/b.corp.test", Versions: []uint32{2}, Ticket: &doctor.Ticket{KVNO: 3, EType: "rc4-hmac", SessionEType: "rc4-hmac"}},
		},
		Findings: []doctor.Finding{{
			ID: "kvno.old", Severity: doctor.Broken, Subjects: []string{"HTTP/app.corp.test\x1b[2J"}, More: 3, What: long, Why: long, Remedy: long,
			Samba: []string{"samba-tool \x1b[2J" + long},
		}},
	}
	for _, width := range []int{60, 80, 100} {
		for _, color := range []bool{false, true} {
			var b strings.Builder
			if err := printDoctor(&b, terminal.Style{Width: width, Color: color}, r); err != nil {
				t.Fatal(err)
			}
			out := b.String()
			if strings.Contains(out, "\x1b[2J") || strings.Contains(out, "\x1b[31m✗\x1b[0m") != color {
				t.Errorf("width %d, colour %v: %q", width, color, out)
			}
			for l := range strings.Lines(out) {
				l = strings.TrimSuffix(l, "\n")
				for _, code := range []string{terminal.Red, terminal.Green, terminal.Bold, terminal.Dim, "0"} {
					l = strings.ReplaceAll(l, "\x1b["+code+"m", "")
				}
				if n := len([]rune(l)); n > width && !strings.Contains(l, "samba-tool") {
					t.Errorf("width %d: line of %d: %s", width, n, l)
				}
			}
			for _, want := range []string{"opens it", "and 3 more", "-421 s", "1 error"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in %s", want, out)
				}
			}
		}
	}
}

// A report that found nothing says what it did not ask.
func TestDoctorVerdict(t *testing.T) {
	t.Parallel()
	unasked := []doctor.Finding{{ID: "services.not-checked", Severity: doctor.Note}}
	for _, test := range []struct {
		name string
		r    *doctor.Report
		want string
	}{
		{"all asked", &doctor.Report{}, "Nothing was found that breaks logins."},
		{"no tickets", &doctor.Report{Findings: unasked}, "Nothing was found that breaks logins; no tickets were asked for."},
		{"offline", &doctor.Report{Offline: true}, "The file has nothing in it that breaks logins; nobody was asked (--offline)."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := printDoctor(&b, terminal.Style{Width: 100}, test.r); err != nil {
				t.Fatal(err)
			}
			if got := b.String(); !strings.HasSuffix(got, "\n"+test.want+"\n") {
				t.Errorf("got %q, want at its end %q", got, test.want)
			}
		})
	}
}

// A keytab of another realm does not get a user's password sent there.
func TestAttackDoctorForeignRealm(t *testing.T) {
	t.Parallel()
	f := doctorFlags{user: "alice@corp.test", network: joinNetwork{resolver: srvAnswer("dc1.evil.example."), dialer: dialFunc(nil)}}
	cmd := newDoctorCommand(f.network)
	cmd.SetContext(t.Context())
	conn, err := f.directory(cmd, "EVIL.EXAMPLE", &doctor.Config{})
	if err == nil || conn != nil || !strings.Contains(err.Error(), "not of the keytab's realm") {
		t.Errorf("%v, %v", conn, err)
	}
	// Of the user's own domain only controllers in it are believed.
	if _, err = f.directory(cmd, "CORP.TEST", &doctor.Config{}); err == nil || !strings.Contains(err.Error(), "evil.example") {
		t.Errorf("%v", err)
	}
}

func TestDoctorJSONNames(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&doctor.Report{
		Services:  []doctor.Service{{Name: "HTTP/a", Ticket: &doctor.Ticket{}}},
		Directory: &doctor.Directory{Accounts: []doctor.Entry{{}}}, Findings: []doctor.Finding{{ID: "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"ok", "offline", "keytab", "kdcs", "accounts", "services", "directory", "findings", "keytab_versions", "ticket", "session_etype",
		"opens", "severity", "what", "why", "remedy", "enc_types", "service_names",
	} {
		if !strings.Contains(string(b), `"`+name+`":`) {
			t.Errorf("no %q in %s", name, b)
		}
	}
}
