package computer

import (
	"errors"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
)

// TestAttackSquattedAccount: everybody in a Windows domain may make a few
// computers. Who made GW01 before us may set its password, and have others
// delegated to it, also after we reset it.
func TestAttackSquattedAccount(t *testing.T) {
	t.Parallel()
	const mallory, jill, staff = "\x01\x05mallory", "\x01\x05jill", "\x01\x05staff"
	for creator, want := range map[string]error{mallory: ErrCreator, jill: nil, "": nil} {
		d, f := newFakeDirectory(), newSecretPath(t)
		if _, err := joiner(t, d, newSecretPath(t)).Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.entries[""][attrTokenGroups] = []string{jill, staff}
		if creator != "" {
			d.account()[attrCreator] = []string{creator}
		}
		before := d.password()
		_, err := joiner(t, d, f).Reset(t.Context())
		if !errors.Is(err, want) || (d.password() == before) != (want != nil) {
			t.Errorf("made by %q: %v, want %v", creator, err, want)
		}
	}
}

// The same in a domain of Samba's, which tells who is logged in as Windows does.
func TestAttackSquattedAccountActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	root := admin(t, dc)
	bob, err := one(t.Context(), root, ldap.Search{Base: "DC=corp,DC=test", Filter: ldap.Equal(attrSAM, adtest.Bob), Attributes: []string{"objectSid"}})
	if err != nil {
		t.Fatal(err)
	}
	const dn = "CN=JOIN77," + adtest.GatewaysDN
	if err := root.Add(t.Context(), dn,
		ldap.Attribute{Name: attrClass, Values: []string{"computer"}},
		ldap.Attribute{Name: attrSAM, Values: []string{"JOIN77$"}},
		ldap.Attribute{Name: attrControl, Values: []string{"4096"}},
		ldap.Attribute{Name: attrPassword, Values: []string{quoted(authn.NewSecret("join77-Mach1ne"))}},
		ldap.Attribute{Name: attrCreator, Values: []string{bob.Value("objectSid")}},
	); err != nil {
		t.Fatal(err)
	}
	a := Account{Name: "JOIN77", Domain: "corp.test"}
	f := newSecretPath(t)
	if _, err := adJoiner(t, dc, root, a, "", f).Reset(t.Context()); !errors.Is(err, ErrCreator) {
		t.Errorf("by an administrator: %v, want %v", err, ErrCreator)
	}
	asBob := mustLogIn(t, dc, adtest.Bob+"@corp.test", adtest.Password(t, adtest.Bob))
	if _, err := adJoiner(t, dc, asBob, a, "", f).Reset(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("by who made it: %v, want %v, as that gives no right here", err, ErrDenied)
	}
}
