package ldap

import (
	"context"
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
)

// A domain is what Active Directory says of itself. It never changes.
type domain struct {
	dn      string // DC=corp,DC=test
	dns     string // corp.test
	netbios string // CORP
	sid     authn.SID
}

// learnDomain asks which domain the server has, the first time.
func (d *Directory) learnDomain(ctx context.Context, c *Conn) (*domain, error) {
	d.mu.Lock()
	known := d.domain
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	root, err := c.only(ctx, Search{Scope: BaseObject, Attributes: []string{"defaultNamingContext", "configurationNamingContext"}})
	if err != nil {
		return nil, err
	}
	dom := &domain{dn: root.Value("defaultNamingContext")}
	if dom.dn == "" {
		return nil, fmt.Errorf("ldap: %s is no domain controller: set the kind of the directory to standard", c.Host())
	}
	dom.dns = dnsName(dom.dn)
	if want := d.cfg.Domain; want != "" && !strings.EqualFold(dom.dns, want) {
		return nil, fmt.Errorf("ldap: %s is a controller of %s, not of %s: correct the URL or the domain", c.Host(), printable(dom.dns), want)
	}
	head, err := c.only(ctx, Search{Base: dom.dn, Scope: BaseObject, Attributes: []string{attrSID}})
	if err != nil {
		return nil, err
	}
	ref, err := c.only(ctx, Search{
		Base: "CN=Partitions," + root.Value("configurationNamingContext"), Scope: SingleLevel,
		Filter: Equal("nCName", dom.dn), Attributes: []string{"nETBIOSName"},
	})
	if err != nil {
		return nil, err
	}
	dom.sid, dom.netbios = decodeSID(head.Value(attrSID)), ref.Value("nETBIOSName")
	if dom.sid == "" || dom.netbios == "" {
		return nil, fmt.Errorf("ldap: %s does not tell the SID and the short name of %s: bind as an account that may read them", c.Host(), printable(dom.dn))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.domain = dom
	return dom, nil
}

// only is a search for exactly one entry.
func (c *Conn) only(ctx context.Context, s Search) (Entry, error) {
	found, err := c.Search(ctx, s)
	if err != nil {
		return Entry{}, err
	}
	if len(found) != 1 {
		return Entry{}, fmt.Errorf("ldap: %d entries at %q for %s, want one: the account that reads may lack the right", len(found), s.Base, s.Filter)
	}
	return found[0], nil
}

// dnsName returns the DNS name of a domain by its DN (RFC 2247).
func dnsName(dn string) string {
	parsed, err := goldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	labels := make([]string, 0, len(parsed.RDNs))
	for _, rdn := range parsed.RDNs {
		if len(rdn.Attributes) == 1 && strings.EqualFold(rdn.Attributes[0].Type, "DC") {
			labels = append(labels, rdn.Attributes[0].Value)
		}
	}
	return strings.Join(labels, ".")
}
