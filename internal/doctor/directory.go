package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/directory/ldap"
)

// A Searcher is a connection to a directory that somebody is logged in on.
// *ldap.Conn is one.
type Searcher interface {
	Search(ctx context.Context, s ldap.Search) ([]ldap.Entry, error)
	Close() error
}

var _ Searcher = (*ldap.Conn)(nil)

// Attributes of an account (MS-ADA1 to MS-ADA3).
const (
	attrSAM      = "sAMAccountName"
	attrSPN      = "servicePrincipalName"
	attrControl  = "userAccountControl"
	attrEncTypes = "msDS-SupportedEncryptionTypes"
	attrKVNO     = "msDS-KeyVersionNumber"
)

// Bits of userAccountControl (MS-ADTS 2.2.16) and of
// msDS-SupportedEncryptionTypes (MS-KILE 2.2.7).
const (
	controlDisabled = 0x2
	controlDESOnly  = 0x200000
	encAES          = 0x8 | 0x10
)

// maxOwners bounds how many accounts with one name are looked at.
const maxOwners = 50

// askDirectory looks who has the service names, and how the accounts are set up.
func (d *doctor) askDirectory(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	const unknown = "it tells who has a service name, whether another account has it too, and which encryption types an account is set up for"
	if d.cfg.Directory == nil {
		d.report.add(Finding{
			ID: "directory.not-asked", Severity: Note, What: "the directory was not asked",
			Why: unknown, Remedy: "with Active Directory: -u USER, who needs no rights in particular, and --controller HOST if DNS names none",
		})
		return
	}
	if d.userRefused { // another try would count as one more failed login
		d.report.add(Finding{
			ID: "directory.not-asked", Severity: Note, What: "the directory was not asked",
			Why:    "the KDC refused the user who was to ask; " + unknown,
			Remedy: "see what stands under user.refused",
		})
		return
	}
	d.cfg.progress("asking the directory")
	out := &Directory{}
	d.report.Directory = out
	conn, err := d.cfg.Directory(ctx, d.report.Realm)
	if err == nil {
		defer func() { _ = conn.Close() }()
		err = d.searchAll(ctx, conn)
	}
	if err != nil && ctx.Err() == nil {
		out.Error = err.Error()
		d.report.add(Finding{
			ID: "directory.no-answer", Severity: Risk, What: "the directory could not be asked",
			Why: err.Error() + "; " + unknown, Remedy: "name a domain controller, --controller HOST, and its authority, --ca-file FILE",
		})
	}
}

func (d *doctor) searchAll(ctx context.Context, conn Searcher) error {
	root, err := conn.Search(ctx, ldap.Search{Scope: ldap.BaseObject, Attributes: []string{"defaultNamingContext"}})
	if err != nil {
		return err
	}
	if len(root) != 1 || root[0].Value("defaultNamingContext") == "" {
		return errors.New("it is none of Active Directory")
	}
	d.report.Directory.Base = root[0].Value("defaultNamingContext")
	for i := range d.report.Services {
		if i == maxServices {
			break
		}
		s := &d.report.Services[i]
		owners, err := d.search(ctx, conn, ldap.Equal(attrSPN, s.Name))
		if err != nil {
			return err
		}
		for _, o := range owners {
			s.Owners = append(s.Owners, o.Name)
		}
		d.checkOwners(s, owners)
	}
	names, service := d.principals()
	for _, p := range names {
		if service {
			break
		}
		found, err := d.search(ctx, conn, ldap.Equal(attrSAM, nameOf(p)))
		if err != nil {
			return err
		}
		if len(found) == 1 {
			d.checkVersion(p, found[0])
		}
	}
	for _, e := range d.report.Directory.Accounts {
		d.checkEntry(e)
	}
	return nil
}

// search finds accounts, and keeps them for the report.
func (d *doctor) search(ctx context.Context, conn Searcher, filter string) ([]Entry, error) {
	dir := d.report.Directory
	found, err := conn.Search(ctx, ldap.Search{
		Base: dir.Base, Filter: filter, Limit: maxOwners, Attributes: []string{attrSAM, attrSPN, attrControl, attrEncTypes, attrKVNO},
	})
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, f := range found {
		e := Entry{
			Name: f.Value(attrSAM), DN: f.DN, SPNs: f.Values(attrSPN),
			KVNO: number(f, attrKVNO), EncTypes: number(f, attrEncTypes), Control: number(f, attrControl),
		}
		out = append(out, e)
		if !slices.ContainsFunc(dir.Accounts, func(o Entry) bool { return o.DN == e.DN }) {
			dir.Accounts = append(dir.Accounts, e)
		}
	}
	return out, nil
}

// number is an integer of 32 bits, zero if there is none. The directory writes
// them with a sign.
func number(e ldap.Entry, attribute string) uint32 {
	n, err := strconv.ParseInt(e.Value(attribute), 10, 64)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// checkOwners looks at the accounts that have a service name.
func (d *doctor) checkOwners(s *Service, owners []Entry) {
	if len(owners) > 1 {
		f := Finding{
			ID: "spn.duplicate", Severity: Broken, Subjects: []string{s.Name}, What: "several accounts have this service name",
			Why:    "they are " + strings.Join(s.Owners, ", ") + "; a KDC issues no ticket for any, or one that the wrong key opens",
			Remedy: "remove the name from those that do not run the service",
		}
		for _, o := range owners {
			f.Windows = append(f.Windows, "setspn -D "+spnWord(s.Name)+" "+accountWord(o.Name))
			f.Samba = append(f.Samba, "samba-tool spn delete "+spnWord(s.Name)+" "+accountWord(o.Name))
		}
		d.report.Findings = slices.DeleteFunc(d.report.Findings, func(o Finding) bool { // what the KDC said tells less
			return o.ID == f.ID && len(o.Subjects) == 1 && o.Subjects[0] == s.Name
		})
		d.report.add(f)
		return
	}
	if len(owners) == 0 {
		return // a HOST name may stand for it; the KDC knows
	}
	o := owners[0]
	inFile := d.ownerInFile(s)
	if inFile != "" && !strings.EqualFold(inFile, o.Name) && (s.Ticket == nil || !s.Ticket.Opens) {
		d.report.add(Finding{
			ID: "spn.other-account", Severity: Broken, Subjects: []string{s.Name},
			What:    fmt.Sprintf("the name belongs to %s, and the file is of %s", o.Name, inFile),
			Why:     "the KDC seals tickets with the key of " + o.Name,
			Remedy:  "give the name to the account that the file is of, or export the keytab of the other account",
			Windows: []string{"setspn -D " + spnWord(s.Name) + " " + accountWord(o.Name), "setspn -S " + spnWord(s.Name) + " " + accountWord(inFile)},
			Samba:   []string{"samba-tool spn delete " + spnWord(s.Name) + " " + accountWord(o.Name), "samba-tool spn add " + spnWord(s.Name) + " " + accountWord(inFile)},
		})
	}
	if !slices.Contains(o.SPNs, s.Name) {
		i := slices.IndexFunc(o.SPNs, func(n string) bool { return strings.EqualFold(n, s.Name) })
		if i < 0 {
			return
		}
		d.report.add(Finding{
			ID: "name.spelling", Severity: Note, Subjects: []string{s.Name}, What: "the directory spells the name " + o.SPNs[i],
			Why:    "Active Directory and soapward do not care; programs with MIT's library take the spelling of the client, and find no key",
			Remedy: "export the keytab with the spelling that clients use, which is that of the URL",
		})
	}
}

// checkVersion compares the version of the account's password with the file's.
func (d *doctor) checkVersion(principal string, e Entry) {
	newest := uint32(0)
	for _, k := range d.report.Keytab.Keys {
		if k.Principal == principal {
			newest = max(newest, k.KVNO)
		}
	}
	if e.KVNO == 0 || e.KVNO <= newest || slices.ContainsFunc(d.report.Findings, func(f Finding) bool { return f.ID == "kvno.old" }) {
		return
	}
	f := Finding{
		ID: "kvno.old", Severity: Broken, Subjects: []string{principal},
		What:   fmt.Sprintf("the directory has key version %d, and the newest in the file is %d", e.KVNO, newest),
		Why:    "the account's password was changed after the file was written; no key in the file opens the tickets of clients",
		Remedy: "export the keytab again; clients with older tickets need klist purge or a new login",
	}
	f.Windows, f.Samba = exportCommands(nameOf(principal), d.report.Realm, d.allSPNs(nameOf(principal)))
	d.report.add(f)
}

// checkEntry looks at how an account is set up.
func (d *doctor) checkEntry(e Entry) {
	name := accountWord(e.Name)
	switch {
	case e.Control&controlDESOnly != 0:
		f := Finding{
			ID: "account.des-only", Severity: Broken, Subjects: []string{e.Name}, What: "the account is set to use DES only (userAccountControl)",
			Why: "nobody takes DES any more", Remedy: "switch that off, set the password again, which makes AES keys, then export the keytab again",
		}
		f.Windows, f.Samba = aesCommands(e.Name, d.report.Realm, e.SPNs)
		f.Windows = append([]string{"Set-ADAccountControl " + name + " -UseDESKeyOnly $false"}, f.Windows...)
		d.report.add(f)
	case e.EncTypes != 0 && e.EncTypes&encAES == 0:
		d.rc4Account(e.Name, fmt.Sprintf("msDS-SupportedEncryptionTypes is %d", e.EncTypes))
	}
	off := slices.ContainsFunc(d.report.Findings, func(f Finding) bool {
		return f.ID == "account.disabled" && len(f.Subjects) > 0 && strings.EqualFold(nameOf(f.Subjects[0]), e.Name)
	})
	if e.Control&controlDisabled != 0 && !off {
		d.report.add(Finding{
			ID: "account.disabled", Severity: Broken, Subjects: []string{e.Name}, What: "the account is disabled",
			Why: "clients may get no tickets for its services (Samba's KDC still gives them)", Remedy: "enable it",
			Windows: []string{"Enable-ADAccount " + name}, Samba: []string{"samba-tool user enable " + name},
		})
	}
}
