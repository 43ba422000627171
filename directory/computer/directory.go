package computer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/ldap"
)

// A Directory is a connection to Active Directory that somebody is logged in
// on. *ldap.Conn is one.
type Directory interface {
	Search(ctx context.Context, s ldap.Search) ([]ldap.Entry, error)
	Add(ctx context.Context, dn string, attributes ...ldap.Attribute) error
	Modify(ctx context.Context, dn string, changes ...ldap.Change) error
	Delete(ctx context.Context, dn string) error
	Close() error
}

var _ Directory = (*ldap.Conn)(nil)

// Attributes of a computer account (MS-ADA1 to MS-ADA3).
const (
	attrClass    = "objectClass"
	attrSAM      = "sAMAccountName"
	attrControl  = "userAccountControl"
	attrPassword = "unicodePwd"
	attrHost     = "dNSHostName"
	attrSPN      = "servicePrincipalName"
	attrEncTypes = "msDS-SupportedEncryptionTypes"
	attrKVNO     = "msDS-KeyVersionNumber"
	attrCreator  = "mS-DS-CreatorSID"

	attrTokenGroups = "tokenGroups" // of the root DSE
)

// Bits of userAccountControl (MS-ADTS 2.2.16) and of
// msDS-SupportedEncryptionTypes (MS-KILE 2.2.7).
const (
	controlDisabled    = 0x2
	controlWorkstation = 0x1000
	encAES             = 0x8 | 0x10
)

// An Entry is a computer account as the directory has it.
type Entry struct {
	DN       string
	Host     string // dNSHostName
	SPNs     []string
	EncTypes uint32 // msDS-SupportedEncryptionTypes; zero if it is not set
	KVNO     uint32 // number of the password, which the keys in a keytab have
	Disabled bool

	// creator is the SID, in its binary form, of a user who made the account not
	// by a right to do so, but because a Windows domain lets everybody make some
	// (ms-DS-MachineAccountQuota).
	creator string
}

// ErrNoAccount means that the directory does not have the account.
var ErrNoAccount = errors.New("computer: no such account")

// Domain is what the directory says of itself.
type Domain struct {
	DN      string // DC=corp,DC=test
	NetBIOS string // CORP
	Host    string // of the controller: dc1.corp.test
}

// LookUpDomain asks a controller which domain it has. It refuses one of another
// domain than DNS name domain.
func LookUpDomain(ctx context.Context, dir Directory, domain string) (*Domain, error) {
	root, err := one(ctx, dir, ldap.Search{Scope: ldap.BaseObject, Attributes: []string{"defaultNamingContext", "configurationNamingContext", "dnsHostName"}})
	if err != nil {
		return nil, err
	}
	d := &Domain{DN: root.Value("defaultNamingContext"), Host: root.Value("dnsHostName")}
	if want := "DC=" + strings.ReplaceAll(domain, ".", ",DC="); !ldap.IsUnder(d.DN, want) || !ldap.IsUnder(want, d.DN) {
		return nil, fmt.Errorf("computer: the controller is one of %q, not of %s", d.DN, domain)
	}
	ref, err := one(ctx, dir, ldap.Search{
		Base: "CN=Partitions," + root.Value("configurationNamingContext"), Scope: ldap.SingleLevel,
		Filter: ldap.Equal("nCName", d.DN), Attributes: []string{"nETBIOSName"},
	})
	if err != nil {
		return nil, err
	}
	if d.NetBIOS = ref.Value("nETBIOSName"); d.NetBIOS == "" {
		return nil, fmt.Errorf("computer: the directory does not tell the NetBIOS name of %s", d.DN)
	}
	return d, nil
}

// one is a search for exactly one entry.
func one(ctx context.Context, dir Directory, s ldap.Search) (ldap.Entry, error) {
	found, err := dir.Search(ctx, s)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("computer: %d entries below %q for %s, want one", len(found), s.Base, s.Filter)
	}
	if err != nil {
		return ldap.Entry{}, err
	}
	return found[0], nil
}

// Find returns the account as the directory has it. The error wraps
// ErrNoAccount if it does not, or does not let us see it.
func (d *Domain) Find(ctx context.Context, dir Directory, a Account) (*Entry, error) {
	found, err := dir.Search(ctx, ldap.Search{
		Base: d.DN, Filter: ldap.Equal(attrSAM, a.SAM()),
		Attributes: []string{attrHost, attrSPN, attrEncTypes, attrKVNO, attrControl, attrCreator},
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s in %s", ErrNoAccount, a.SAM(), d.DN)
	}
	e := found[0]
	return &Entry{
		DN: e.DN, Host: e.Value(attrHost), SPNs: e.Values(attrSPN), EncTypes: number(e, attrEncTypes),
		KVNO: number(e, attrKVNO), Disabled: number(e, attrControl)&controlDisabled != 0,
		creator: e.Value(attrCreator),
	}, nil
}

// number is an integer of 32 bits, zero if there is none. The directory writes
// them with a sign.
func number(e ldap.Entry, attribute string) uint32 {
	n, _ := strconv.ParseInt(e.Value(attribute), 10, 64)
	return uint32(n)
}

// Announce adds to a keytab the keys that follow from the next password, which
// is not in force yet, for tickets that come in with it as soon as it is.
// Rotation.Prepare is the place to call it.
func (e *Entry) Announce(keytab string, a Account, next authn.Secret) (changed bool, err error) {
	if err := e.checkVersion(); err != nil {
		return false, err
	}
	return kerberos.WriteKeytab(keytab, a.keys(next, e.KVNO+1, e.SPNs, true))
}

// WriteKeytab adds to a keytab the keys that follow from the password in force:
// of the account itself, of each service name that the directory has for it,
// and of HTTP and HOST of its own names. It reports whether the file had to be
// changed.
func (e *Entry) WriteKeytab(keytab string, a Account, password authn.Secret) (changed bool, err error) {
	if err := e.checkVersion(); err != nil {
		return false, err
	}
	return kerberos.WriteKeytab(keytab, a.keys(password, e.KVNO, e.SPNs, false))
}

func (e *Entry) checkVersion() error {
	if e.KVNO == 0 {
		return fmt.Errorf("computer: the directory does not tell %s of %s, which a keytab needs", attrKVNO, e.DN)
	}
	return nil
}
