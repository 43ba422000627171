package doctor

import (
	"context"
	"net"
	"slices"
	"strings"
)

// isService reports whether a principal without realm is a service name.
func isService(principal string) bool { return strings.Contains(principal, "/") }

// owned is what the file has of one account. A file may be a megabyte of names,
// so that nothing looks through all of them for each.
type owned struct {
	name string   // of the account itself, the first; "" if it is not there
	spns []string // in the order of the file
	has  map[string]bool
}

// index finds out what belongs to which account.
func (d *doctor) index() {
	d.owned = map[int]*owned{}
	seen := map[string]bool{}
	for _, k := range d.report.Keytab.Keys {
		o := d.owned[k.account]
		if o == nil {
			o = &owned{has: map[string]bool{}}
			d.owned[k.account] = o
		}
		switch {
		case isService(k.name) && !o.has[k.name]:
			o.has[k.name] = true
			o.spns = append(o.spns, k.name)
		case !isService(k.name):
			if o.name == "" {
				o.name = k.name
			}
			if !seen[k.name] {
				seen[k.name] = true
				d.accountNames = append(d.accountNames, k.name)
			}
		}
	}
}

// accountOf names the account that a key is of, "" if the file does not tell.
func (d *doctor) accountOf(k Key) string {
	o := d.owned[k.account]
	switch {
	case !isService(k.name):
		return k.name
	case o != nil && o.name != "":
		return o.name
	case len(d.accountNames) == 1:
		return d.accountNames[0]
	}
	return ""
}

// spnsOf lists the service names of an account, in the order of the file.
func (d *doctor) spnsOf(account int) []string {
	if o := d.owned[account]; o != nil {
		return o.spns
	}
	return nil
}

// checkNames looks at the principals as they are spelled.
func (d *doctor) checkNames() {
	var accounts []string
	numbers := map[int]bool{}
	services, http := 0, false
	for _, k := range d.newest() {
		if k.realm != strings.ToUpper(k.realm) {
			d.report.add(Finding{
				ID: "realm.case", Severity: Risk, Subjects: []string{k.Principal}, What: "the realm is not in capital letters",
				Why:    "a realm of Active Directory is its domain in capital letters, and Kerberos tells capital and small letters apart",
				Remedy: "export the keytab again with the realm in capital letters",
			})
		}
		if !isService(k.name) {
			accounts = append(accounts, k.Principal)
			numbers[k.account] = true
			continue
		}
		services++
		http = http || strings.EqualFold(class(k.name), "HTTP")
		d.checkForm(k)
	}
	switch {
	case services == 0:
		d.report.add(Finding{
			ID: "keytab.no-service", Severity: Risk, Subjects: accounts, What: "there is no service name in the file",
			Why:    "clients ask for a ticket by a service name, such as HTTP/app.corp.test; a service that is to find its names in the file has none, and refuses all logins",
			Remedy: "add the service names to the file, or list them where the service is configured (kerberos.Mechanism.SPNs)",
		})
	case !http:
		d.report.add(Finding{
			ID: "keytab.no-http", Severity: Risk, What: "there is no HTTP service name in the file",
			Why:    "HTTP clients ask for HTTP/ followed by the host in the URL, for https as well",
			Remedy: "export the keytab for HTTP/HOST too; Active Directory lets a HOST/ name stand for it, keytabs do not",
		})
	}
	if len(accounts) == 0 {
		d.report.add(Finding{
			ID: "keytab.no-account", Severity: Risk, What: "there are service names only, and no account",
			Why:    "callers can log in, but the service itself cannot: calling on as the caller (S4U) or as the service needs the keys under the account's own name",
			Remedy: "export the keytab for the account too, to the same file",
			Samba:  []string{"samba-tool domain exportkeytab " + quote(d.cfg.Keytab) + " --principal=ACCOUNT"},
		})
	}
	if len(numbers) > 1 {
		d.report.add(Finding{
			ID: "keytab.several-accounts", Severity: Note, Subjects: accounts, What: "the file has keys of several accounts",
			Why:    "a program that reads it can act for all of them",
			Remedy: "give each program a file of its own",
		})
	}
}

// class is the part of a service name before the host.
func class(spn string) string {
	c, _, _ := strings.Cut(spn, "/")
	return c
}

// canonical is a service name as clients spell it: HTTP in capitals, the host
// not.
func canonical(spn string) string {
	c, host, _ := strings.Cut(spn, "/")
	if strings.EqualFold(c, "HTTP") {
		c = "HTTP"
	}
	return c + "/" + strings.ToLower(host)
}

// checkForm looks at one service name.
func (d *doctor) checkForm(k Key) {
	f := Finding{Severity: Note, Subjects: []string{k.name}}
	_, host, _ := strings.Cut(k.name, "/")
	switch {
	case strings.EqualFold(class(k.name), "HTTPS"):
		f.ID, f.Severity, f.What = "name.https", Risk, "no client asks for a name that begins with HTTPS/"
		f.Why, f.Remedy = "the class is HTTP for https too", "use HTTP/ with the same host"
	case strings.EqualFold(class(k.name), "HTTP") && strings.Contains(host, ".") && k.name != canonical(k.name):
		f.ID, f.What = "name.case", "clients spell the name otherwise: HTTP in capital letters, the host in small ones"
		f.Why = "Active Directory and soapward do not care; MIT's KDC and programs with its library do"
		f.Remedy = "export the keytab with the usual spelling"
	default:
		return
	}
	d.report.add(f)
}

// A Resolver finds the name that an alias stands for. *net.Resolver is one.
type Resolver interface {
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// checkWanted looks at the names by which clients call, and adds them to the
// services to be asked for.
func (d *doctor) checkWanted(ctx context.Context) {
	for _, host := range d.cfg.Names {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		spn := "HTTP/" + host
		if net.ParseIP(strings.Trim(host, "[]")) != nil {
			d.report.add(Finding{
				ID: "name.address", Severity: Broken, Subjects: []string{host}, What: "clients that call by an address do not use Kerberos",
				Why: "there are no service names for addresses unless a client is set up for them", Remedy: "have clients call by a host name",
			})
			continue
		}
		d.want(spn, "the keytab has no key for it")
		if d.cfg.Offline {
			continue
		}
		d.cfg.progress("asking DNS for %s", host)
		target, err := d.cfg.resolver().LookupCNAME(ctx, host)
		target = strings.ToLower(strings.TrimSuffix(target, "."))
		switch {
		case err != nil:
			d.report.add(Finding{
				ID: "name.unresolved", Severity: Risk, Subjects: []string{host}, What: "this machine's DNS does not know the name",
				Why: err.Error(), Remedy: "check the spelling; if clients ask another DNS server, ask that: nslookup HOST SERVER",
			})
		case target != host && target != "":
			other := "HTTP/" + target
			if d.service(other) >= 0 {
				continue
			}
			windows, samba := registerCommands(other, d.mainAccount())
			d.report.add(Finding{
				ID: "name.alias", Severity: Risk, Subjects: []string{host}, What: "the name is an alias (CNAME) of " + target,
				Why:    "browsers and MIT's library ask for a ticket of the name that the alias stands for, " + other + ", and the keytab has no key for that",
				Remedy: "give the name an address (A record) of its own; or register the other name too and add it to the keytab", Windows: windows, Samba: samba,
			})
		}
	}
}

// want makes sure that a service name is looked at.
func (d *doctor) want(spn, missing string) {
	if i := d.service(spn); i >= 0 {
		d.report.Services[i].Wanted = true
		return
	}
	account := d.mainAccount()
	windows, samba := registerCommands(spn, account)
	w, s := exportCommands(account, d.report.Realm, []string{spn})
	d.report.Services = append(d.report.Services, Service{Name: spn, Realm: d.report.Realm, Wanted: true, Versions: []uint32{}})
	d.report.add(Finding{
		ID: "name.not-in-keytab", Severity: Broken, Subjects: []string{spn}, What: missing,
		Why:     "a service that finds its names in the file answers to no other, and refuses the login",
		Remedy:  "register the name for the account, unless it is, and export the keytab for it too",
		Windows: append(windows, w...), Samba: append(samba, s...),
	})
}

// service returns the place of a service name in the report, or -1.
func (d *doctor) service(spn string) int {
	return slices.IndexFunc(d.report.Services, func(s Service) bool { return strings.EqualFold(s.Name, spn) })
}

// mainAccount is the first account of the file, "" if it has none.
func (d *doctor) mainAccount() string {
	if len(d.accountNames) == 0 {
		return ""
	}
	return d.accountNames[0]
}
