package kdc

import (
	"fmt"
	"strings"

	"github.com/soapward/soapward/internal/krb5"
)

// trust is the relation with another realm. in and out have the keys of the
// ticket-granting tickets from there to here and from here to there.
type trust struct {
	realm   string
	domains []string // DNS domains whose hosts are in the realm
	in, out *account
}

// Trust makes two realms trust each other. Each refers its clients to the
// other for services on hosts in the other's DNS domain, which is its realm
// name in lower case, and in the domains given for b.
func Trust(a, b *KDC, domainsOfB ...string) error {
	if a.cfg.Realm == b.cfg.Realm {
		return fmt.Errorf("kdc: realm %s cannot trust itself", a.cfg.Realm)
	}
	ab, err := newServiceOfKDC("krbtgt/"+b.cfg.Realm, krb5.AES256SHA1)
	if err != nil {
		return err
	}
	ba, err := newServiceOfKDC("krbtgt/"+a.cfg.Realm, krb5.AES256SHA1)
	if err != nil {
		return err
	}
	a.addTrust(&trust{realm: b.cfg.Realm, domains: append(domainsOfB, b.cfg.Realm), in: ba, out: ab})
	b.addTrust(&trust{realm: a.cfg.Realm, domains: []string{a.cfg.Realm}, in: ab, out: ba})
	return nil
}

// Route has the KDC refer its clients to the trusted realm via for services in
// another DNS domain, such as one that only via trusts.
func (k *KDC) Route(via, domain string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.trusts[via]
	if t == nil {
		return fmt.Errorf("kdc: no trust with %s", via)
	}
	c := *t
	c.domains = append(append([]string(nil), t.domains...), domain)
	k.trusts[via] = &c
	return nil
}

func (k *KDC) addTrust(t *trust) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trusts[t.realm] = t
}

func (k *KDC) trust(realm string) *trust {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.trusts[realm]
}

// referral returns the trust that leads to a service's host, or nil.
func (k *KDC) referral(n krb5.PrincipalName) *trust {
	if len(n.Components) < 2 {
		return nil
	}
	host := strings.ToLower(n.Components[1])
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, t := range k.trusts {
		for _, d := range t.domains {
			d = strings.ToLower(d)
			if host == d || strings.HasSuffix(host, "."+d) {
				return t
			}
		}
	}
	return nil
}

// transited returns the realms between the client and us: a realm that is
// neither the client's nor ours and issued the ticket is one more (RFC 4120
// 3.3.3.2).
func (k *KDC) transited(t *presented) []byte {
	l := t.part.Transited.Contents
	if t.issuer == k.cfg.Realm || t.issuer == t.part.CRealm {
		return l
	}
	if len(l) > 0 {
		l = append(append([]byte(nil), l...), ',')
	}
	return append(l[:len(l):len(l)], t.issuer...)
}
