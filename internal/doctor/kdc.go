package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Bounds of the clock's error: Kerberos refuses from one on (RFC 4120 5.5.1, and
// the default of Active Directory), and from the other on it will come to that.
const (
	maxSkew  = 5 * time.Minute
	warnSkew = 2 * time.Minute
)

// maxAccounts bounds how many accounts are logged in with.
const maxAccounts = 4

// Codes of a KDC (RFC 4120 7.5.9).
const (
	codeClientExpired = 1
	codeUnknown       = 6
	codeNoService     = 7
	codeNotUnique     = 8
	codePolicy        = 12
	codeNoEType       = 14
	codeRevoked       = 18
	codeServiceOff    = 19
	codeNotYet        = 21
	codeKeyExpired    = 23
	codeWrongKey      = 24
	codeSkew          = 37
)

// principals lists who can log in with the file: its accounts, or without one
// its first service name, which MIT's KDC and an account that ktpass made take.
func (d *doctor) principals() (names []string, service bool) {
	for _, k := range d.report.Keytab.Keys {
		if !isService(k.name) && len(k.usable) > 0 && len(names) < maxAccounts {
			names = appendNew(names, []string{k.Principal})
		}
	}
	if len(names) > 0 {
		return names, false
	}
	for _, k := range d.report.Keytab.Keys {
		if len(k.usable) > 0 {
			return []string{k.Principal}, true
		}
	}
	return nil, false
}

// probe finds the KDCs, and reports whether one answers.
func (d *doctor) probe(ctx context.Context) bool {
	r := d.report
	names, service := d.principals()
	d.cfg.progress("looking for the KDCs of %s", r.Realm)
	probes, err := kerberos.ProbeKDCs(ctx, d.krb, names[0])
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		r.add(Finding{
			ID: "kdc.not-found", Severity: Broken, Subjects: []string{r.Realm}, What: "no KDC of the realm is known here",
			Why:    strings.TrimPrefix(err.Error(), "kerberos: "),
			Remedy: "name one: --kdc HOST; or --krb5conf FILE with the realm in it; or have this machine ask the domain's DNS (nslookup -type=SRV _kerberos._tcp.DOMAIN)",
		})
		return false
	}
	reached := false
	for _, p := range probes {
		k := KDC{Addr: p.Addr, Network: p.Network, Milliseconds: math.Round(p.Took.Seconds()*1e5) / 1e2}
		if p.Err != nil {
			k.Error = shortError(p.Err)
		}
		if p.HasOffset {
			s := p.Offset.Seconds()
			k.ClockOffset = &s
		}
		r.KDCs = append(r.KDCs, k)
		reached = reached || p.Err == nil
	}
	if !reached {
		d.unreachable()
		return false
	}
	d.checkReached()
	d.checkClock(probes)
	d.checkProbe(names[0], service, probes)
	return true
}

// shortError leaves out the addresses, which stand beside it.
func shortError(err error) string {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err.Error()
	}
	return err.Error()
}

func (d *doctor) unreachable() {
	var tried []string
	for _, k := range d.report.KDCs {
		tried = append(tried, fmt.Sprintf("%s over %s: %s (%.1f s)", k.Addr, k.Network, k.Error, k.Milliseconds/1e3))
	}
	d.report.add(Finding{
		ID: "kdc.unreachable", Severity: Broken, Subjects: []string{d.report.Realm}, What: "no KDC of the realm answers this machine",
		Why:    strings.Join(tried, "; "),
		Remedy: "is it up, and is port 88 open from here, TCP and UDP? Another one is named by --kdc HOST. Callers log in without this machine asking a KDC, so that their logins may work all the same",
	})
}

// checkReached looks for KDCs that do not answer, though another one does.
func (d *doctor) checkReached() {
	answered, errs := map[string]bool{}, map[string]string{}
	for _, k := range d.report.KDCs {
		if k.Error == "" {
			answered[k.Addr] = true
			continue
		}
		if errs[k.Addr] != "" {
			errs[k.Addr] += "; "
		}
		errs[k.Addr] += k.Network + ": " + k.Error
	}
	told := map[string]bool{}
	for _, k := range d.report.KDCs {
		f := Finding{Subjects: []string{k.Addr}}
		switch {
		case k.Error == "" || told[k.Addr]:
			continue
		case answered[k.Addr] && k.Network == "tcp":
			f.ID, f.Severity, f.What = "kdc.no-tcp", Risk, "the KDC answers over UDP only"
			f.Why, f.Remedy = "a ticket with many groups is too long for UDP ("+k.Error+")", "open port 88 of TCP"
		case answered[k.Addr]:
			f.ID, f.Severity, f.What = "kdc.no-udp", Note, "the KDC answers over TCP only"
			f.Why, f.Remedy = "each login waits for UDP first ("+k.Error+")", "open port 88 of UDP, or set udp_preference_limit = 1 in krb5.conf"
		default:
			f.ID, f.Severity, f.What = "kdc.down", Risk, "this KDC does not answer, another one does"
			f.Why, f.Remedy = "logins wait for it ("+errs[k.Addr]+")", "start it, or take it out of krb5.conf or DNS"
		}
		told[k.Addr] = true
		d.report.add(f)
	}
}

func (d *doctor) checkClock(probes []kerberos.KDCProbe) {
	for _, p := range probes {
		if !p.HasOffset || p.Offset.Abs() < warnSkew {
			continue
		}
		d.report.add(clockFinding(p.Addr, p.Offset))
	}
}

// clockFinding is for a KDC whose clock differs from ours by off.
func clockFinding(addr string, off time.Duration) Finding {
	who := "behind"
	if off < 0 {
		who = "ahead of"
	}
	f := Finding{
		ID: "clock.skew", Severity: Broken, Subjects: []string{addr},
		What:    fmt.Sprintf("this machine's clock is %v %s the KDC's", off.Abs().Round(time.Second), who),
		Why:     fmt.Sprintf("more than %v apart, every ticket is refused", maxSkew),
		Remedy:  "set the clock that is wrong, and keep both with NTP; on Linux: timedatectl set-ntp true",
		Windows: []string{"w32tm /resync"},
	}
	if off.Abs() < maxSkew {
		f.ID, f.Severity = "clock.drift", Risk
	}
	return f
}

// checkProbe looks at what the KDCs say of the account before it logs in.
func (d *doctor) checkProbe(principal string, service bool, probes []kerberos.KDCProbe) {
	a := Account{Principal: principal}
	for _, p := range probes {
		a.ETypes = appendNew(a.ETypes, p.ETypes)
		if p.NoPreauth {
			account := nameOf(principal)
			d.report.add(Finding{
				ID: "account.no-preauth", Severity: Risk, Subjects: []string{principal}, What: "the KDC gives out tickets of the account without proof of its password",
				Why:     "anybody on the network can ask for one, and guess the password from it at leisure",
				Remedy:  `have the account prove its password ("do not require Kerberos preauthentication" off; with MIT's KDC: modprinc +requires_preauth)`,
				Windows: []string{"Set-ADAccountControl " + accountWord(account) + " -DoesNotRequirePreAuth $false"},
			})
		}
	}
	if len(a.ETypes) > 0 && !slices.ContainsFunc(a.ETypes, func(e string) bool { return e != rc4 }) {
		d.rc4Account(principal, "the KDC has RC4 keys of it only")
	}
	if !service {
		d.report.Accounts = append(d.report.Accounts, a)
	}
}

func nameOf(principal string) string {
	name, _, _ := strings.Cut(principal, "@")
	return name
}

// rc4Account says that the KDC uses RC4 with an account.
func (d *doctor) rc4Account(principal, why string) {
	name := nameOf(principal)
	k := Key{name: name}
	for _, o := range d.report.Keytab.Keys {
		if strings.EqualFold(o.name, name) {
			k = o
		}
	}
	account := d.accountOf(k)
	windows, samba := aesCommands(account, d.report.Realm, d.spnsOf(k.account))
	f := Finding{
		ID: "account.rc4", Severity: Broken, What: "the account is not set up for AES in its domain",
		Why: "its tickets are sealed with RC4, which soapward refuses unless that is allowed (" + why + ")",
		Remedy: "have it use AES (msDS-SupportedEncryptionTypes 24), set its password again, which makes the keys, then export the keytab again; " +
			"for as long as that cannot be, kerberos.Mechanism.AllowRC4",
		Windows: windows, Samba: samba, Subjects: []string{principal},
	}
	if account != "" {
		f.Subjects = []string{account}
	}
	for i := range d.report.Findings { // told once, with the first reason
		if o := &d.report.Findings[i]; o.ID == f.ID {
			o.Subjects = appendNew(o.Subjects, f.Subjects)
			return
		}
	}
	d.report.add(f)
}

// logIn logs in with the keytab, and chooses who asks for tickets.
func (d *doctor) logIn(ctx context.Context) {
	names, service := d.principals()
	for _, principal := range names {
		d.cfg.progress("logging in as %s", principal)
		c, err := kerberos.NewKeytabClient(d.krb, principal, d.keytab)
		if err == nil {
			err = c.Login(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil && d.own == nil {
			d.own, d.asker = c, c
			d.report.AskedAs = c.Principal()
		}
		if !service {
			d.loggedIn(principal, err)
		}
	}
	if d.cfg.User != "" {
		d.logInUser(ctx)
	}
}

// badUser are refusals that the directory would repeat.
var badUser = []int32{codeClientExpired, codeUnknown, codePolicy, codeRevoked, codeKeyExpired, codeWrongKey}

// logInUser has the user ask for tickets. Other than for the keytab's account,
// RC4 is not allowed: whoever answers in a KDC's place could ask for a proof made
// with it, and the proof gives the password away to somebody who guesses.
func (d *doctor) logInUser(ctx context.Context) {
	d.cfg.progress("logging in as %s", d.cfg.User)
	krb := d.krb
	krb.AllowRC4 = d.cfg.Kerberos.AllowRC4
	c, err := kerberos.NewPasswordClient(krb, d.cfg.User, d.cfg.Password)
	if err == nil {
		err = c.Login(ctx)
	}
	if err == nil {
		d.asker, d.report.AskedAs = c, c.Principal()
		return
	}
	f := Finding{
		ID: "user.refused", Severity: Broken, Subjects: []string{d.cfg.User}, What: "the user that was to ask for tickets cannot log in",
		Why: strings.TrimPrefix(err.Error(), "kerberos: "), Remedy: "check name and password, or name another user",
	}
	var refused *kerberos.KDCError
	if errors.As(err, &refused) && refused.Code == codeNoEType {
		f.Why = "the KDC says " + codeText(refused) + "; RC4 is not used for a user's password here"
		f.Remedy = "name a user who has AES keys"
	}
	d.userRefused = refused != nil && slices.Contains(badUser, refused.Code)
	d.report.add(f)
}

// loggedIn puts the outcome of an account's login into the report.
func (d *doctor) loggedIn(principal string, err error) {
	i := slices.IndexFunc(d.report.Accounts, func(a Account) bool { return a.Principal == principal })
	if i < 0 {
		i = len(d.report.Accounts)
		d.report.Accounts = append(d.report.Accounts, Account{Principal: principal})
	}
	a := &d.report.Accounts[i]
	if err == nil {
		a.LoggedIn = true
		return
	}
	a.Error = strings.TrimPrefix(err.Error(), "kerberos: ")
	var refused *kerberos.KDCError
	f := Finding{Severity: Broken, Subjects: []string{principal}}
	if !errors.As(err, &refused) {
		f.ID, f.What = "account.login-failed", "the account cannot log in with the file"
		f.Why, f.Remedy = a.Error, "ask again; if that does not help, look at the KDC's log"
		if errors.Is(err, authn.ErrBadCredentials) {
			d.wrongKey(&f)
		}
		d.report.add(f)
		return
	}
	a.Code, a.Error = refused.Code, codeText(refused)
	if refused.Code == codeSkew && slices.ContainsFunc(d.report.Findings, func(o Finding) bool { return o.ID == "clock.skew" }) {
		return
	}
	d.refused(&f, refused)
	d.report.add(f)
}

// codeText says in short why a KDC refuses.
func codeText(e *kerberos.KDCError) string {
	if e.Name == "" {
		return fmt.Sprintf("the KDC's error %d", e.Code)
	}
	return e.Name
}

// refused explains why a KDC refuses an account's login.
func (d *doctor) refused(f *Finding, e *kerberos.KDCError) {
	account := nameOf(f.Subjects[0])
	name := accountWord(account)
	f.Why = "the KDC says " + codeText(e)
	switch e.Code {
	case codeUnknown:
		f.ID, f.What = "account.unknown", "the realm has no such account"
		f.Why += "; it was deleted or renamed, or the keytab is of another domain"
		f.Remedy = "look the account up, and export the keytab for the name it has now"
	case codeWrongKey:
		d.wrongKey(f)
	case codeRevoked:
		f.ID, f.What = "account.disabled", "the account is disabled or locked out"
		f.Why += "; once it is disabled, clients may get no tickets for its services either (Samba's KDC still gives them)"
		f.Remedy = "enable or unlock it"
		f.Windows = []string{"Enable-ADAccount " + name, "Unlock-ADAccount " + name}
		f.Samba = []string{"samba-tool user enable " + name, "samba-tool user unlock " + name}
	case codeClientExpired, codeNotYet:
		f.ID, f.What, f.Remedy = "account.expired", "the account has expired", "set another date, or none"
		f.Windows = []string{"Clear-ADAccountExpiration " + name}
		f.Samba = []string{"samba-tool user setexpiry " + name + " --noexpiry"}
	case codeKeyExpired:
		f.ID, f.What, f.Remedy = "account.password-expired", "the account's password has expired", "set it again, without an expiry for accounts of services, and export the keytab again"
		f.Windows, f.Samba = exportCommands(account, d.report.Realm, d.allSPNs(account))
		f.Windows = append([]string{"Set-ADUser " + name + " -PasswordNeverExpires $true"}, f.Windows...)
		f.Samba = append([]string{"samba-tool user setexpiry " + name + " --noexpiry"}, f.Samba...)
	case codePolicy:
		f.ID, f.What, f.Remedy = "account.restricted", "a policy forbids the account to log in", "look at its logon hours, workstations and authentication policy"
	case codeNoEType:
		f.ID, f.What = "account.no-common-type", "the account has no key of a type that the keytab has"
		f.Remedy = "have it use AES (msDS-SupportedEncryptionTypes 24), set its password again, which makes the keys, then export the keytab again"
		f.Windows, f.Samba = aesCommands(account, d.report.Realm, d.allSPNs(account))
	case codeSkew:
		f.ID, f.What, f.Remedy = "clock.skew", "this machine's clock and the KDC's are too far apart", "set the clock that is wrong, and keep both with NTP"
	default:
		f.ID, f.What = "account.login-failed", "the account cannot log in with the file"
		f.Why = strings.TrimPrefix(e.Error(), "kerberos: ")
		f.Remedy = "look at the KDC's log"
		if e.Hint != "" {
			f.Remedy = e.Hint
		}
	}
}

// wrongKey is for a key that the KDC found wrong.
func (d *doctor) wrongKey(f *Finding) {
	account := nameOf(f.Subjects[0])
	f.ID, f.What = "account.wrong-key", "the KDC does not take the newest key in the file for the account's"
	f.Why = "the password was changed since the file was written, or the file was made from another password; clients then get tickets that no key in it opens"
	f.Remedy = "export the keytab again; a program that changes the password by itself, such as soapward join --rotate, must be told of the file"
	f.Windows, f.Samba = exportCommands(account, d.report.Realm, d.allSPNs(account))
}

// allSPNs lists the service names that are likely the account's.
func (d *doctor) allSPNs(account string) []string {
	for _, k := range d.report.Keytab.Keys {
		if k.name == account {
			if spns := d.spnsOf(k.account); len(spns) > 0 {
				return spns
			}
		}
	}
	var out []string
	for _, s := range d.report.Services {
		out = append(out, s.Name)
	}
	return out
}
