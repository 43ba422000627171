package computer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/directory/ldap"
)

// A Plan is what is to be made, and what was found out about it without writing
// anything.
type Plan struct {
	Account   Account
	Domain    *Domain
	Container string // DN of the entry it goes into
	DN        string // of the account
	Existing  *Entry // nil: the name is free
	Foreign   bool   // another user made Existing, by the right of everybody to make some

	MayCreate bool // the directory says that we may create computers in Container
	Quota     int  // ms-DS-MachineAccountQuota: how many everybody may create on Windows; -1 if it is not told
}

// Errors of a plan, which a caller has a remedy for.
var (
	ErrTaken       = errors.New("computer: the account exists")
	ErrNoContainer = errors.New("computer: no such organizational unit")
	ErrSPNTaken    = errors.New("computer: another account has the service name")

	// ErrCreator is for an account that is Foreign. Whoever waits for a name to
	// be taken into service could make it first; he keeps rights over it, and by
	// them is let in by the gateway as anybody.
	ErrCreator = errors.New("computer: another user made the account, and keeps rights over it")
)

// wellKnownComputers names the container that new computers go into (MS-ADTS
// 6.1.1.4.2).
const wellKnownComputers = "AA312825768811D1ADED00C04FD8D5CD"

// NewPlan finds out what it takes to make the account. ou is the DN of the
// organizational unit it goes into; empty means the domain's default container
// for computers. It changes nothing in the directory. An account that exists is
// no error here.
func NewPlan(ctx context.Context, dir Directory, a Account, ou string) (*Plan, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	domain, err := LookUpDomain(ctx, dir, a.Domain)
	if err != nil {
		return nil, err
	}
	p := &Plan{Account: a, Domain: domain, Quota: -1}
	if p.Existing, err = domain.Find(ctx, dir, a); err != nil && !errors.Is(err, ErrNoAccount) {
		return nil, err
	}
	if err := p.findContainer(ctx, dir, ou); err != nil {
		return nil, err
	}
	p.DN = ldap.Child("CN", strings.TrimSuffix(a.SAM(), "$"), p.Container)
	if p.Existing != nil {
		p.DN = p.Existing.DN
		if err := p.findCreator(ctx, dir); err != nil {
			return nil, err
		}
	} else if err := p.checkFree(ctx, dir); err != nil {
		return nil, err
	}
	if err := p.checkSPNs(ctx, dir); err != nil {
		return nil, err
	}
	root, err := one(ctx, dir, ldap.Search{Base: domain.DN, Scope: ldap.BaseObject, Attributes: []string{"ms-DS-MachineAccountQuota"}})
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(root.Value("ms-DS-MachineAccountQuota")); err == nil {
		p.Quota = n
	}
	return p, nil
}

// findCreator finds out whether somebody else than the one logged in made the
// account.
func (p *Plan) findCreator(ctx context.Context, dir Directory) error {
	if p.Existing.creator == "" {
		return nil
	}
	// MS-ADTS 3.1.1.3.2.28: the SIDs of who is logged in, and of the groups.
	root, err := one(ctx, dir, ldap.Search{Scope: ldap.BaseObject, Attributes: []string{attrTokenGroups}})
	if err == nil {
		p.Foreign = !slices.Contains(root.Values(attrTokenGroups), p.Existing.creator)
	}
	return err
}

// findContainer looks for the container, and what we may create there.
func (p *Plan) findContainer(ctx context.Context, dir Directory, ou string) error {
	base := "<WKGUID=" + wellKnownComputers + "," + p.Domain.DN + ">" // MS-ADTS 3.1.1.3.1.2.4
	if ou != "" {
		if err := ldap.CheckDN(ou); err != nil {
			return fmt.Errorf("%w: %q is not a name such as OU=Gateways,%s: %w", ErrNoContainer, ou, p.Domain.DN, err)
		}
		if !ldap.IsUnder(ou, p.Domain.DN) {
			return fmt.Errorf("%w: %s is not in %s", ErrNoContainer, ou, p.Domain.DN)
		}
		base = ou
	}
	e, err := one(ctx, dir, ldap.Search{Base: base, Scope: ldap.BaseObject, Attributes: []string{attrClass, "allowedChildClassesEffective"}})
	switch {
	case errors.Is(err, ldap.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrNoContainer, err)
	case err != nil:
		return err
	case !slices.ContainsFunc(e.Values(attrClass), func(c string) bool {
		return strings.EqualFold(c, "organizationalUnit") || strings.EqualFold(c, "container")
	}):
		return fmt.Errorf("%w: %s is a %s", ErrNoContainer, e.DN, strings.Join(e.Values(attrClass), ", "))
	}
	p.Container = e.DN
	p.MayCreate = slices.ContainsFunc(e.Values("allowedChildClassesEffective"), func(c string) bool { return strings.EqualFold(c, "computer") })
	return nil
}

// checkFree refuses a name that something else has in the container.
func (p *Plan) checkFree(ctx context.Context, dir Directory) error {
	_, err := dir.Search(ctx, ldap.Search{Base: p.DN, Scope: ldap.BaseObject, Attributes: []string{attrClass}})
	if errors.Is(err, ldap.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s, which is not account %s", ErrTaken, p.DN, p.Account.SAM())
}

// checkSPNs refuses service names of other accounts: with two accounts for one
// name the KDC gives no tickets for it.
func (p *Plan) checkSPNs(ctx context.Context, dir Directory) error {
	var filters []string
	for _, s := range p.Account.ServiceNames() {
		filters = append(filters, ldap.Equal(attrSPN, s))
	}
	found, err := dir.Search(ctx, ldap.Search{Base: p.Domain.DN, Filter: ldap.Or(filters...), Attributes: []string{attrSPN, attrSAM}})
	if err != nil {
		return err
	}
	for _, e := range found {
		if strings.EqualFold(e.Value(attrSAM), p.Account.SAM()) {
			continue
		}
		for _, s := range p.Account.ServiceNames() {
			if slices.ContainsFunc(e.Values(attrSPN), func(o string) bool { return strings.EqualFold(o, s) }) {
				return fmt.Errorf("%w: %s belongs to %s (%s)", ErrSPNTaken, s, e.Value(attrSAM), e.DN)
			}
		}
	}
	return nil
}
