package kerberos

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// rc4WarningEvery is how often the log says that a service still gets RC4
// tickets.
const rc4WarningEvery = time.Hour

// serviceKeys is what a Mechanism makes of a keytab: the names it answers to
// and the keys that open tickets for them. It never changes, but for opened.
type serviceKeys struct {
	set   *keySet
	stale error                  // why set is of no use, so that names and keys are those of the one before
	names map[string]serviceName // by the name in lower case
	keys  []keytabEntry          // newest version first

	opened openedTickets // with keys
}

// serviceName is a name that a Mechanism answers to.
type serviceName struct {
	spelled string // as in the configuration or the keytab
	realm   string // that the ticket must be of, or ""
}

// serviceKeys returns the keys of the keytab as it is now.
func (m *Mechanism) serviceKeys() (*serviceKeys, error) {
	if m.Keytab == nil {
		return nil, errors.New("kerberos: Mechanism has no Keytab")
	}
	set := m.Keytab.current()
	old := m.services.Load()
	if old != nil && old.set == set {
		return old, nil
	}
	s, err := newServiceKeys(set, m.SPNs)
	if err != nil {
		err = fmt.Errorf("%w (%v)", err, m.Keytab)
		if old == nil {
			return nil, err
		}
		s = &serviceKeys{set: set, stale: err, names: old.names, keys: old.keys}
	}
	if m.services.CompareAndSwap(old, s) && err != nil {
		m.logger().Error("changed keytab is of no use, the old keys stay in force", slog.Any("cause", err))
	}
	return s, nil
}

// newServiceKeys chooses names and keys. The name on a ticket is not protected:
// whoever has a ticket for another service of the same keytab could write ours
// on it. So only keys of accounts that own an accepted name count.
func newServiceKeys(set *keySet, spns []string) (*serviceKeys, error) {
	s := &serviceKeys{set: set, names: map[string]serviceName{}}
	for _, spn := range spns {
		name, realm, _ := strings.Cut(spn, "@")
		if name == "" {
			return nil, errors.New("kerberos: empty SPN")
		}
		s.names[strings.ToLower(name)] = serviceName{name, realm}
	}
	if len(spns) == 0 {
		for _, e := range set.entries {
			if strings.Contains(e.principal, "/") && !strings.HasPrefix(e.principal, "krbtgt/") {
				s.names[strings.ToLower(e.principal)] = serviceName{spelled: e.principal}
			}
		}
		if len(s.names) == 0 {
			return nil, errors.New("kerberos: the keytab names accounts but no service: set the SPNs, such as HTTP/app.corp.test")
		}
	}
	owners, accounts := map[int]bool{}, map[int]bool{}
	for i, e := range set.entries {
		accounts[set.account[i]] = true
		if _, ok := s.names[strings.ToLower(e.principal)]; ok {
			owners[set.account[i]] = true
		}
	}
	if len(owners) == 0 {
		if len(accounts) > 1 {
			return nil, errors.New("kerberos: the keytab has keys of several accounts and none of the SPNs, so it does not tell whose keys count: export it for the SPN")
		}
		owners = accounts // an alias of the one account
	}
	for i, e := range set.entries {
		if owners[set.account[i]] && !s.has(e) {
			s.keys = append(s.keys, e)
		}
	}
	return s, nil
}

// has reports whether the same key and version is there under another name.
func (s *serviceKeys) has(e keytabEntry) bool {
	return slices.ContainsFunc(s.keys, func(k keytabEntry) bool { return k.kvno == e.kvno && k.key.Equal(e.key) })
}

// open decrypts a ticket: first with keys of the version it names, then with
// all others, because KDCs and exported keytabs count versions differently.
func (s *serviceKeys) open(d krb5.EncryptedData) ([]byte, krb5.Key, bool) {
	for _, sameVersion := range [...]bool{true, false} {
		for i := range s.keys {
			e := &s.keys[i]
			if e.key.EType() != d.EType || (e.kvno == d.KVNO) != sameVersion {
				continue
			}
			if b, err := e.key.Decrypt(krb5.UsageTicket, d.Cipher); err == nil {
				return b, e.key, true
			}
		}
	}
	return nil, krb5.Key{}, false
}

// account returns the name to tell an administrator whose keys these are.
func (s *serviceKeys) account() string {
	for _, e := range s.keys {
		if !strings.Contains(e.principal, "/") {
			return e.principal
		}
	}
	return "that owns " + s.keys[0].principal
}

// openTicket decrypts the ticket with a key of the service it was issued for.
func (l *login) openTicket() error {
	keys, err := l.m.serviceKeys()
	if err != nil {
		return fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
	}
	t := &l.req.Ticket
	if err := l.checkTarget(keys, t); err != nil {
		return err
	}
	if !t.EncPart.EType.Supported() {
		return l.refuse(authn.ReasonWeak, aesRemedy(keys), fmt.Errorf("kerberos: ticket encrypted with %v", t.EncPart.EType))
	}
	if t.EncPart.EType == krb5.RC4HMAC && !l.m.AllowRC4 {
		return l.refuse(authn.ReasonWeak, aesRemedy(keys), errors.New("kerberos: ticket encrypted with rc4-hmac"))
	}
	known := openedIDOf(t.EncPart)
	if l.opened = keys.opened.get(known); l.opened == nil {
		if keys, err = l.decryptTicket(keys); err != nil {
			return err
		}
		keys.opened.put(known, l.opened)
	}
	l.key, l.ticket = l.opened.key, l.opened.part
	l.user = l.ticket.CName.String() + "@" + l.ticket.CRealm
	if l.key.EType() == krb5.RC4HMAC {
		l.m.warnRC4(t.SName.String(), aesRemedy(keys), l.now)
	}
	return nil
}

// decryptTicket sets opened, and returns the keys that opened it.
func (l *login) decryptTicket(keys *serviceKeys) (_ *serviceKeys, err error) {
	t := &l.req.Ticket
	b, key, ok := keys.open(t.EncPart)
	if !ok {
		// The password may have been changed within the second since the file
		// was looked at. Another login may read it before us.
		l.m.Keytab.refresh()
		used := keys.set
		if keys, err = l.m.serviceKeys(); err != nil {
			return nil, fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
		}
		if keys.set != used {
			b, key, ok = keys.open(t.EncPart)
		}
	}
	if !ok {
		return nil, l.refuse(authn.ReasonWrongKey, keys.wrongKeyHint(t, l.m.Keytab), fmt.Errorf(
			"kerberos: no key opens the ticket for %s (%v, version %d)", t.SName, t.EncPart.EType, t.EncPart.KVNO))
	}
	part, err := krb5.ParseEncTicketPart(b)
	if err != nil {
		return nil, l.malformed(err)
	}
	l.opened = &openedTicket{key: key, part: part, size: len(t.EncPart.Cipher)}
	return keys, nil
}

// checkTarget refuses tickets for names that are not ours.
func (l *login) checkTarget(keys *serviceKeys, t *krb5.Ticket) error {
	name := t.SName.String()
	our, ok := keys.names[strings.ToLower(name)]
	if ok && (our.realm == "" || strings.EqualFold(our.realm, t.Realm)) {
		return nil
	}
	ours := make([]string, 0, len(keys.names))
	for _, our := range keys.names {
		n := our.spelled
		if our.realm != "" {
			n += "@" + our.realm
		}
		ours = append(ours, n)
	}
	sort.Strings(ours)
	return l.refuse(authn.ReasonWrongTarget,
		fmt.Sprintf("the client asked for %s@%s and we answer to %s: have it use one of these names, or add the name to the SPNs and to the account (setspn -S)",
			name, t.Realm, strings.Join(ours, ", ")),
		fmt.Errorf("kerberos: ticket for %s", name))
}

// aesRemedy says how to get an account off RC4 and DES.
func aesRemedy(keys *serviceKeys) string {
	account := keys.account()
	name := account
	if strings.HasPrefix(account, "that owns ") {
		name = "ACCOUNT"
	}
	return fmt.Sprintf("account %s has no AES keys in its domain: run Set-ADUser %s -KerberosEncryptionType AES128,AES256 "+
		"(Samba: net ads enctypes set %s 24), set its password again, export the keytab again", account, name, name)
}

// wrongKeyHint says why no key opens a ticket, as far as the versions tell.
func (s *serviceKeys) wrongKeyHint(t *krb5.Ticket, kt *Keytab) string {
	var types, versions, realms []string
	same, ofRealm := false, false
	for _, e := range s.keys {
		if !slices.Contains(realms, e.realm) {
			realms = append(realms, e.realm)
		}
		ofRealm = ofRealm || strings.EqualFold(e.realm, t.Realm)
		if name := e.key.EType().String(); !slices.Contains(types, name) {
			types = append(types, name)
		}
		if e.key.EType() != t.EncPart.EType {
			continue
		}
		if v := fmt.Sprint(e.kvno); !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
		same = same || e.kvno == t.EncPart.KVNO
	}
	var hint string
	switch {
	case !ofRealm:
		hint = fmt.Sprintf("the ticket is of realm %s, the keytab has keys of %s only: export the keytab in the realm of the ticket, or have the client ask the other realm ([domain_realm] in its krb5.conf)",
			t.Realm, strings.Join(realms, ", "))
	case len(versions) == 0:
		hint = fmt.Sprintf("the ticket is encrypted with %v, the keytab has %s only: export the keytab again with all encryption types",
			t.EncPart.EType, strings.Join(types, ", "))
	case same:
		hint = fmt.Sprintf("the keytab has version %d with another key: the name belongs to another account (setspn -Q %s), or the keytab was made from another password or salt: export it again",
			t.EncPart.KVNO, t.SName)
	default:
		hint = fmt.Sprintf("the ticket has key version %d, the keytab %s: the account's password was changed after the keytab was exported, export it again; a client with an old ticket needs klist purge",
			t.EncPart.KVNO, strings.Join(versions, " and "))
	}
	if err := kt.Err(); err != nil {
		hint += " (the changed keytab could not be read: " + err.Error() + ")"
	}
	return hint
}

// warnRC4 says once in a while that a service depends on RC4.
func (m *Mechanism) warnRC4(service, remedy string, now time.Time) {
	service = strings.ToLower(service)
	if last, ok := m.warnings.Load(service); ok && now.Sub(last.(time.Time)) < rc4WarningEvery {
		return
	}
	m.warnings.Store(service, now) // checkTarget bounds the names
	m.logger().Warn("kerberos ticket encrypted with RC4", slog.String("service", service), slog.String("hint", remedy))
}

// checkTicket checks what the KDC says about the ticket.
func (l *login) checkTicket() error {
	t, skew := l.ticket, l.m.skew()
	start := t.StartTime
	if start.IsZero() {
		start = t.AuthTime
	}
	switch {
	case t.Flags.Has(krb5.FlagInvalid):
		return l.refuse(authn.ReasonExpired, "the ticket is postdated and was not validated", errors.New("kerberos: invalid ticket"))
	case start.Sub(l.now) > skew:
		return l.refuse(authn.ReasonClockSkew,
			fmt.Sprintf("the ticket is good from %v, which is %v ahead of our clock: set the clock", start, start.Sub(l.now).Round(time.Second)),
			errors.New("kerberos: ticket not yet valid"))
	case l.now.Sub(t.EndTime) > skew:
		return l.refuse(authn.ReasonExpired,
			fmt.Sprintf("the ticket ended %v ago: the client needs a new one (klist purge, kinit), or our clock is ahead", l.now.Sub(t.EndTime).Round(time.Second)),
			errors.New("kerberos: ticket expired"))
	case t.Flags.Has(krb5.FlagAnonymous), len(t.CName.Components) == 2 && t.CName.Components[0] == "WELLKNOWN" && t.CName.Components[1] == "ANONYMOUS":
		return l.refuse(authn.ReasonAnonymous, "", errors.New("kerberos: anonymous ticket"))
	case t.Key.EType() == krb5.RC4HMAC && !l.m.AllowRC4:
		return l.refuse(authn.ReasonWeak, "client, KDC and service agreed on an RC4 session key: allow AES for the client and for the service's account",
			errors.New("kerberos: session key of type rc4-hmac"))
	case len(l.m.Realms) > 0 && !containsFold(l.m.Realms, t.CRealm):
		return l.refuse(authn.ReasonPolicy, "the client's realm is not among those allowed here: "+strings.Join(l.m.Realms, ", "),
			fmt.Errorf("kerberos: client of realm %s", t.CRealm))
	}
	for _, d := range t.AuthorizationData {
		switch d.Type {
		case krb5.ADIfRelevant, krb5.ADKDCIssued, krb5.ADMandatoryForKDC, krb5.ADPAC:
		default:
			// RFC 4120 5.2.6: a restriction that is not understood is not met.
			return l.refuse(authn.ReasonRestricted, "the KDC put a restriction on the ticket that is not known here",
				fmt.Errorf("kerberos: authorization data of type %d", d.Type))
		}
	}
	return nil
}
