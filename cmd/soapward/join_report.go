package main

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/directory/computer"
)

// joinReport is what soapward join tells: as text, or as JSON.
type joinReport struct {
	Action       string     `json:"action"` // "create", "reset" or "rotate"
	DryRun       bool       `json:"dry_run"`
	Account      string     `json:"account"` // GW01$
	Domain       string     `json:"domain"`
	NetBIOS      string     `json:"netbios"`
	Realm        string     `json:"realm"`
	Controller   string     `json:"controller"`
	DN           string     `json:"dn"`
	Host         string     `json:"host"`
	ServiceNames []string   `json:"service_names"`
	Secret       string     `json:"secret"` // the file
	Keytab       string     `json:"keytab,omitempty"`
	KeyVersion   uint32     `json:"key_version,omitempty"`
	Changed      bool       `json:"changed"` // the password is a new one
	Resumed      bool       `json:"resumed"` // an interrupted run was finished
	Due          *time.Time `json:"due,omitempty"`

	KeytabChanged bool `json:"keytab_changed"`

	Checks []joinCheck `json:"checks"`
	Left   []joinLeft  `json:"left"`

	again       string // flags that the timer's command needs as well
	controllers string // what netlogon.Config has to say of them
}

// joinCheck is something that was found out.
type joinCheck struct {
	Name  string `json:"name"`
	State string `json:"state"` // "ok", "warning" or "failed"
	Text  string `json:"text"`
}

// joinLeft is something that an administrator has to do.
type joinLeft struct {
	What    string `json:"what"`
	Why     string `json:"why"`
	Windows string `json:"windows"`
	Samba   string `json:"samba"`
}

func (r *joinReport) begin(f *joinFlags, d *computer.Domain) {
	r.Action = "create"
	switch {
	case f.rotate:
		r.Action = "rotate"
	case f.reset:
		r.Action = "reset"
	}
	a := f.account
	r.DryRun, r.Account, r.Domain, r.Realm, r.Host = f.dryRun, a.SAM(), strings.ToLower(a.Domain), a.Realm(), a.Host()
	r.NetBIOS, r.Secret, r.Keytab = d.NetBIOS, f.secret, f.keytab
	r.Checks, r.Left = []joinCheck{}, []joinLeft{}
	if f.controller != "" { // DNS may name none here
		host := f.controller
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h // a port would be taken for Netlogon's
		}
		r.controllers = fmt.Sprintf("\n\t\tControllers: []string{%q},", host)
	}
	for _, flag := range [][2]string{{"controller", f.controller}, {"ca-file", f.caFile}, {"keytab", f.keytab}} {
		if flag[1] != "" {
			r.again += " --" + flag[0] + " " + flag[1]
		}
	}
}

func (r *joinReport) check(name, text string, err error, warning bool) {
	c := joinCheck{Name: name, State: "ok", Text: text}
	if err != nil {
		c.State, c.Text = "failed", strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if warning {
		c.State = "warning"
	}
	r.Checks = append(r.Checks, c)
}

func (r *joinReport) due(t time.Time) {
	if !t.IsZero() {
		t = t.Truncate(time.Second)
		r.Due = &t
	}
}

func (r *joinReport) made(m *computer.Made) {
	r.Changed, r.Resumed = true, m.Resumed
	r.DN, r.ServiceNames = m.Entry.DN, m.Entry.SPNs
	for _, l := range m.Left {
		r.Left = append(r.Left, joinLeft{l.What, l.Why.Error(), l.Windows, l.Samba})
	}
}

// failure is the error of a run whose report has something in it that failed.
func (r *joinReport) failure() error {
	for _, c := range r.Checks {
		if c.State == "failed" {
			return withRemedy(fmt.Errorf("%s: the %s check failed", r.Account, c.Name), r.remedy(c.Name))
		}
	}
	if len(r.Left) > 0 {
		left := "1 thing about it is"
		if n := len(r.Left); n > 1 {
			left = fmt.Sprintf("%d things about it are", n)
		}
		return withRemedy(fmt.Errorf("%s works, but %s left for an administrator", r.Account, left),
			"give the commands above to an administrator")
	}
	return nil
}

// remedy is what to do about a check that failed.
func (r *joinReport) remedy(check string) string {
	switch {
	case check == "keytab":
		return "mend that, then soapward join --rotate with the same files writes the keytab"
	case len(r.Left) > 0: // which may be why: a disabled account can do nothing
		return "give the commands above to an administrator; soapward join --rotate with the same files tells then whether it works"
	case check == "Kerberos":
		return "look at the clock, and whether the account has AES keys; soapward join --reset makes new ones"
	}
	return "soapward join --reset sets a new password"
}

func (r *joinReport) print(cmd *cobra.Command) error {
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), r)
	}
	var b strings.Builder
	r.text(&b)
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// outcome says in one line what was done.
func (r *joinReport) outcome() string {
	would := ""
	if r.DryRun {
		would = "would be "
	}
	switch {
	case r.Action == "create":
		return "account " + would + "made" + r.resumed()
	case r.Action == "reset":
		return "password " + would + "set anew" + r.resumed()
	case r.DryRun && r.Due != nil && r.Due.After(time.Now()):
		return "password would stay"
	case r.DryRun:
		return "password would be changed"
	case r.Changed:
		return "password changed" + r.resumed()
	}
	return "password not due yet, nothing was changed"
}

func (r *joinReport) resumed() string {
	if r.Resumed {
		return " (finishing a run that was interrupted)"
	}
	return ""
}

func (r *joinReport) text(w io.Writer) {
	fmt.Fprintf(w, "%s in %s: %s\n\n", r.Account, r.Domain, r.outcome())
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(tw, "  %s\t%s\n", name, oneLine(value)) }
	row("account", r.DN)
	row("domain", fmt.Sprintf("%s, Kerberos realm %s", r.NetBIOS, r.Realm))
	row("controller", r.Controller)
	row("service names", strings.Join(r.ServiceNames, " "))
	row("password file", r.Secret)
	if r.Keytab != "" {
		row("keytab", r.keytabText())
	}
	if r.Due != nil {
		row("due", r.Due.Format(time.DateTime))
	}
	for _, c := range r.Checks {
		mark := map[string]string{"ok": "✓", "warning": "!", "failed": "✗"}[c.State]
		row(mark+" "+c.Name, c.Text)
	}
	_ = tw.Flush() // w is in memory
	if len(r.Left) > 0 {
		fmt.Fprintf(w, "\nLeft for an administrator, because neither the user nor the account may do it:\n")
	}
	for _, l := range r.Left {
		fmt.Fprintf(w, "  %s\n    %s\n    on Windows: %s\n    on Samba:   %s\n", oneLine(l.What), oneLine(l.Why), oneLine(l.Windows), oneLine(l.Samba))
	}
	if r.Action == "create" && !r.DryRun {
		r.next(w)
	}
}

func (r *joinReport) keytabText() string {
	switch {
	case r.DryRun || r.KeyVersion == 0:
		return r.Keytab
	case r.KeytabChanged:
		return fmt.Sprintf("%s, written with key version %d", r.Keytab, r.KeyVersion)
	}
	return fmt.Sprintf("%s, up to date with key version %d", r.Keytab, r.KeyVersion)
}

// next says how the account is used.
func (r *joinReport) next(w io.Writer) {
	ntlm := fmt.Sprintf("ntlm: {verifier: netlogon, computer: %s, secret: {file: %s}, domain: %s}", yamlText(r.Account), yamlText(r.Secret), yamlText(r.NetBIOS))
	url, kdc := "", ""
	if r.controllers != "" { // DNS does not name them
		url, kdc = fmt.Sprintf("url: %q, ", "ldaps://"+r.Controller), fmt.Sprintf("kdc: [%q], ", r.Controller)
	}
	other := fmt.Sprintf("ad: {%sdomain: %s, default_domain: %s}", url, yamlText(r.Domain), yamlText(r.NetBIOS))
	if r.Keytab != "" {
		other = fmt.Sprintf("kerberos: {realm: %s, %skeytab: %s}", yamlText(r.Realm), kdc, yamlText(r.Keytab))
	}
	fmt.Fprintf(w, `
Next, in the configuration of the gateway (soapward serve):

	realms:
	  %s:
	    %s
	    %s

Or in a program of yours:

	verifier, err := netlogon.New(netlogon.Config{
		Account: %q,
		Secrets: computer.SecretFile(%q).Secrets,
		Domain:  %q, DNSDomain: %q,%s
	})
	login.NTLM = &ntlm.Mechanism{
		Verifier: verifier, Names: verifier.Names(),
	}
`, strings.ToLower(r.NetBIOS), other, ntlm, r.Account, r.Secret, r.NetBIOS, r.Domain, r.controllers)
	if r.Keytab != "" {
		fmt.Fprintf(w, `
	keys, err := kerberos.LoadKeytab(%q)
	login.Kerberos = &kerberos.Mechanism{Keytab: keys}
`, r.Keytab)
	}
	fmt.Fprintf(w, `
where login is an iwa.Authenticator; examples/domain is such a program. And once
a day, by a timer:

	soapward join --computer %s --domain %s --secret %s%s --rotate
`, strings.TrimSuffix(r.Account, "$"), r.Domain, r.Secret, r.again)
}

// yamlText is a value of the configuration, in quotes if it needs them.
func yamlText(s string) string {
	if plainYAML.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

var plainYAML = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./$-]*$`)
