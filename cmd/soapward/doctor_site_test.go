package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
	"github.com/soapward/soapward/internal/terminal"
	"github.com/soapward/soapward/internal/tokentext"
)

// hostileReport has in each text what a terminal would act on, and each finding
// that there is.
func hostileReport() *site.Report {
	const esc = "\x1b[2J\u202e\x9b"
	r := &site.Report{URL: "https://app.corp.test/" + esc, Logins: []site.Login{{Mechanism: "NTLM", Binding: "right"}}}
	for _, e := range site.Catalog() {
		r.Findings = append(r.Findings, doctor.Finding{
			ID: e.ID, Severity: e.Severity, What: e.What, Why: strings.Repeat("word "+esc, 40), Remedy: e.Remedy, Subjects: []string{"HTTP/" + esc}, Samba: []string{"samba-tool " + esc},
		})
	}
	r.Tokens = []site.Token{{Step: "answer" + esc, Text: &tokentext.Report{Tokens: []*tokentext.Token{{Scheme: "NTLM", Parts: []*tokentext.Node{{Name: "x", Value: esc}}}}}}}
	return r
}

// What is printed fits a terminal, has each finding in a section, and does not
// steer the terminal.
func TestAttackDoctorSitePrinted(t *testing.T) {
	t.Parallel()
	for _, width := range []int{60, 80, 120} {
		var b strings.Builder
		r := hostileReport()
		if err := printSite(&b, terminal.Style{Width: width}, r); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		for _, c := range out {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("width %d: %q is printed", width, c)
			}
		}
		for l := range strings.Lines(out) {
			if n := len([]rune(strings.TrimSuffix(l, "\n"))); n > width && !strings.Contains(l, "samba-tool") && !strings.HasPrefix(l, "Service") {
				t.Errorf("width %d: line of %d: %s", width, n, l)
			}
		}
		for _, f := range r.Findings {
			if f.Severity != doctor.Good && !strings.Contains(out, " "+f.ID+"\n") {
				t.Errorf("no %s", f.ID)
			}
			if sectionOf(f.ID) == "" {
				t.Errorf("%s is in no section", f.ID)
			}
		}
		for _, s := range sections {
			if !strings.Contains(out, "\n"+s.name+"\n") {
				t.Errorf("no section %q", s.name)
			}
		}
	}
	var b strings.Builder
	if err := printJSON(&b, hostileReport()); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.String() {
		if c != '\n' && !unicode.IsPrint(c) {
			t.Fatalf("%q is in the JSON", c)
		}
	}
}

func TestSiteJSONNames(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&site.Report{TLS: &site.TLS{}, HTTP: &site.Answer{}, NTLM: &site.Challenge{}, Kerberos: &site.Kerberos{}, Logins: []site.Login{{}}, Findings: []doctor.Finding{{ID: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ok", "url", "host", "addresses", "tls", "http", "ntlm", "kerberos", "logins", "server_tokens", "findings", "schemes", "spn", "mechanism", "binding", "severity"} {
		if !strings.Contains(string(b), `"`+name+`":`) {
			t.Errorf("no %q in %s", name, b)
		}
	}
}
