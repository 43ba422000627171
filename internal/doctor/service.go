package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn/kerberos"
)

// maxServices bounds how many tickets are asked for.
const maxServices = 64

// askTickets gets a ticket for each service and looks whether the file opens it.
func (d *doctor) askTickets(ctx context.Context) {
	if len(d.report.Services) == 0 {
		return
	}
	if d.asker == nil {
		d.report.add(Finding{
			ID: "services.not-checked", Severity: Note, What: "no tickets were asked for",
			Why:    "nobody could log in to ask; so it is not known which keys the KDC uses for the services, and whether they are registered",
			Remedy: "name a user: -u USER",
		})
		return
	}
	for i := range d.report.Services {
		if i == maxServices {
			d.report.add(Finding{
				ID: "services.too-many", Severity: Note, What: fmt.Sprintf("only the first %d services were asked for", maxServices),
				Why: "the file has more", Remedy: "give each program a file of its own",
			})
			return
		}
		s := &d.report.Services[i]
		d.cfg.progress("asking for a ticket for %s", s.Name)
		d.askTicket(ctx, s)
		if ctx.Err() != nil {
			return
		}
	}
}

func (d *doctor) askTicket(ctx context.Context, s *Service) {
	t, err := d.asker.Ticket(ctx, s.Name+"@"+s.Realm)
	asked := ""
	var refused *kerberos.KDCError
	if usual := canonical(s.Name); errors.As(err, &refused) && refused.Code == codeNoService && usual != s.Name {
		if other, err2 := d.asker.Ticket(ctx, usual+"@"+s.Realm); err2 == nil {
			t, err, asked = other, nil, usual
			d.report.add(Finding{
				ID: "name.unknown-spelling", Severity: Risk, Subjects: []string{s.Name}, What: "the KDC knows the name as " + usual + " only",
				Why:    "it tells capital and small letters apart, as clients and programs with its library do; soapward does not",
				Remedy: "export the keytab for " + usual,
			})
		}
	}
	if errors.As(err, &refused) && refused.Code == codeNoEType && d.own != nil && d.own != d.asker {
		// The user does not take RC4, see logInUser.
		if own, err2 := d.own.Ticket(ctx, s.Name+"@"+s.Realm); err2 == nil {
			t, err = own, nil
		}
	}
	if err != nil {
		d.noTicket(s, err)
		return
	}
	s.Ticket = &Ticket{KVNO: t.KeyVersion(), EType: t.EType(), SessionEType: t.SessionEType(), AskedFor: asked}
	s.Ticket.OpenedBy, s.Ticket.Opens = d.keytab.Opens(t)
	switch {
	case s.Ticket.EType == rc4:
		d.rc4Account(s.Name, "the KDC seals tickets for "+s.Name+" with it")
	case s.Ticket.SessionEType == rc4:
		d.rc4Account(s.Name, "session keys for "+s.Name+" are of that type")
	}
	if len(s.Versions) == 0 {
		return // not in the file, which was said already
	}
	if !s.Ticket.Opens {
		d.notOpened(s)
	} else if v := s.Ticket.KVNO; v != 0 && v != s.Ticket.OpenedBy {
		d.report.add(Finding{
			ID: "kvno.differs", Severity: Risk, Subjects: []string{s.Name},
			What:   fmt.Sprintf("the key is right, but has version %d in the file and %d at the KDC", s.Ticket.OpenedBy, v),
			Why:    "soapward opens tickets all the same; programs with MIT's library refuse them",
			Remedy: "export the keytab again",
		})
	}
}

// noTicket explains why there is no ticket.
func (d *doctor) noTicket(s *Service, err error) {
	s.Error = strings.TrimPrefix(err.Error(), "kerberos: ")
	f := Finding{Severity: Broken, Subjects: []string{s.Name}}
	account := d.ownerInFile(s)
	var refused *kerberos.KDCError
	if !errors.As(err, &refused) {
		f.ID, f.What, f.Why, f.Remedy = "service.no-ticket", "the KDC gives no ticket for the service", s.Error, "look at the KDC's log"
		d.report.add(f)
		return
	}
	s.Code, s.Error = refused.Code, codeText(refused)
	f.Why = "the KDC says " + codeText(refused)
	switch refused.Code {
	case codeNoService:
		f.ID, f.What = "spn.not-registered", "no account has this service name"
		f.Why += "; clients get no ticket, and fall back to NTLM or fail"
		f.Remedy = "register the name for the account that the keytab is of, or take it out of the keytab if nobody calls by it"
		f.Windows, f.Samba = registerCommands(s.Name, account)
	case codeNotUnique:
		f.ID, f.What = "spn.duplicate", "several accounts have this service name"
		f.Why += ", and issues no ticket for any of them"
		f.Remedy = "find the accounts, and remove the name from those that do not run the service"
		f.Windows = []string{"setspn -X", "setspn -D " + spnWord(s.Name) + " OTHER-ACCOUNT"}
		_, f.Samba = lookCommands(s.Name)
		f.Samba = append(f.Samba, "samba-tool spn delete "+spnWord(s.Name)+" OTHER-ACCOUNT")
	case codeServiceOff:
		f.ID, f.What = "service.disabled", "the account that has the service name is disabled or locked out"
		f.Remedy = "enable it"
		f.Windows, f.Samba = []string{"Enable-ADAccount " + accountWord(account)}, []string{"samba-tool user enable " + accountWord(account)}
	case codeNoEType:
		f.ID, f.What = "service.no-common-type", "the account of the service has no key of a type that is used"
		f.Remedy = "have it use AES (msDS-SupportedEncryptionTypes 24), set its password again, which makes the keys, then export the keytab again"
		f.Windows, f.Samba = aesCommands(account, s.Realm, []string{s.Name})
	default:
		f.ID, f.What, f.Why = "service.no-ticket", "the KDC gives no ticket for the service", strings.TrimPrefix(refused.Error(), "kerberos: ")
		f.Remedy = "look at the KDC's log"
		if refused.Hint != "" {
			f.Remedy = refused.Hint
		}
	}
	d.report.add(f)
}

// ownerInFile names the account that a service belongs to, as far as the file
// tells.
func (d *doctor) ownerInFile(s *Service) string {
	for _, k := range d.report.Keytab.Keys {
		if k.name == s.Name && k.realm == s.Realm {
			return d.accountOf(k)
		}
	}
	return d.mainAccount()
}

// notOpened explains why no key opens a ticket.
func (d *doctor) notOpened(s *Service) {
	t := s.Ticket
	var types []string
	var versions []uint32
	for _, k := range d.report.Keytab.Keys {
		if k.name != s.Name || k.realm != s.Realm {
			continue
		}
		types = appendNew(types, k.usable)
		if slices.Contains(k.usable, t.EType) {
			versions = append(versions, k.KVNO)
		}
	}
	slices.SortFunc(versions, func(a, b uint32) int { return int(int64(b) - int64(a)) })
	account := d.ownerInFile(s)
	f := Finding{Severity: Broken, Subjects: []string{s.Name}, Remedy: "export the keytab again"}
	f.Windows, f.Samba = exportCommands(account, s.Realm, []string{s.Name})
	const fails = "; no key in the file opens the tickets of clients"
	switch {
	case len(versions) == 0:
		f.ID, f.What = "etype.missing", "the KDC seals tickets with "+t.EType+", and the file has no such key"
		f.Why = "it has " + strings.Join(types, ", ") + " only" + fails
		f.Remedy = "export the keytab again with all types; on Windows, ktpass with /crypto All"
	case t.KVNO > versions[0]:
		f.ID, f.What = "kvno.old", fmt.Sprintf("the KDC uses key version %d, and the newest in the file is %d", t.KVNO, versions[0])
		f.Why = "the account's password was changed after the file was written" + fails
		f.Remedy = "export the keytab again; clients with older tickets need klist purge or a new login"
	case t.KVNO != 0 && t.KVNO < versions[len(versions)-1]:
		f.ID, f.What = "kvno.ahead", fmt.Sprintf("the KDC uses key version %d, and the file has newer ones only, from %d", t.KVNO, versions[len(versions)-1])
		f.Why = "the KDC that was asked has not heard of the last change of the password yet, the account was made anew, or the domain was restored" + fails
		f.Remedy = "wait for replication, and ask again; if that does not help, export the keytab again"
	default:
		f.ID, f.What = "key.wrong", fmt.Sprintf("the file has version %d, with another key than the KDC", t.KVNO)
		f.Why = "the name belongs to another account than the file is of, or the file was made from another password or salt" + fails
		f.Remedy = "look who has the name; if that is the right account, export the keytab again"
		w, l := lookCommands(s.Name)
		f.Windows, f.Samba = append(w, f.Windows...), append(l, f.Samba...)
	}
	d.report.add(f)
}
