package ldap

import (
	"errors"
	"fmt"
	"net"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// Check returns what does not fit in the configuration, each with its remedy,
// or nil. It asks no server.
func (c DirectoryConfig) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("ldap: "+format, args...)) }
	if c.Kind != ActiveDirectory && c.Kind != Standard {
		wrong("kind %d: want ActiveDirectory or Standard", c.Kind)
	}
	for _, u := range c.URLs {
		if _, err := parseURL(u); err != nil {
			errs = append(errs, err)
		}
	}
	switch {
	case c.Kind == Standard && len(c.URLs) == 0:
		wrong("no server: name it by URL, such as ldaps://ldap.corp.test")
	case c.Kind == ActiveDirectory && len(c.URLs) == 0 && c.Domain == "":
		wrong("no server: name the domain, such as corp.test, or controllers by URL")
	case c.Kind == Standard && c.BaseDN == "":
		wrong("no base DN: say where the users are, such as ou=people,dc=corp,dc=test")
	}
	if c.Domain != "" && (!strings.Contains(c.Domain, ".") || strings.ContainsAny(c.Domain, `\/@: `) || net.ParseIP(c.Domain) != nil) {
		wrong("domain %q: want its DNS name, such as corp.test", c.Domain)
	}
	if strings.ContainsAny(c.DefaultDomain, `\/@. `) {
		wrong("default domain %q: want the short name, such as CORP", c.DefaultDomain)
	}
	for _, dn := range []struct{ what, dn string }{{"base DN", c.BaseDN}, {"group base", c.GroupBase}} {
		if dn.dn != "" && CheckDN(dn.dn) != nil {
			wrong("%s %q: want a DN, such as ou=people,dc=corp,dc=test", dn.what, dn.dn)
		}
	}
	if (c.BindUser == "") != c.BindPassword.IsEmpty() {
		wrong("bind user without a password, or the other way round: set both, or neither")
	}
	if c.BindClient != nil && (c.Kerberos == nil || c.BindUser != "") {
		wrong("bind client: set Kerberos as well, and no bind user")
	}
	c.checkKind(wrong)
	for _, f := range []struct{ what, filter string }{{"filter", strings.ReplaceAll(c.Filter, userMark, "x")}, {"group filter", c.GroupFilter}} {
		if f.filter == "" {
			continue
		}
		if _, err := goldap.CompileFilter(f.filter); err != nil {
			wrong("%s %q: want a filter of RFC 4515 in parentheses, such as (uid={user}): %w", f.what, f.filter, err)
		}
	}
	if c.Timeout < 0 || c.MaxConns < 0 || c.CacheTime < 0 {
		wrong("a time or number is negative: leave it out for the usual one")
	}
	return errors.Join(errs...)
}

// checkKind checks what is for one kind of server only.
func (c DirectoryConfig) checkKind(wrong func(string, ...any)) {
	switch c.Kind {
	case ActiveDirectory:
		c.checkKerberos(wrong)
		if c.Filter != "" || c.BindName != "" {
			wrong("filter and bind name are for the standard kind: leave them out for Active Directory, or set the kind to standard")
		}
		if c.DefaultDomain == "" && !c.reads() && c.Domain == "" {
			wrong("users without a domain cannot log in: set the default domain, such as CORP")
		}
	case Standard:
		switch {
		case c.Filter != "" && c.BindName != "":
			wrong("filter and bind name exclude each other: with a filter, users bind as the entry that is found")
		case c.Filter != "" && !strings.Contains(c.Filter, userMark):
			wrong("filter %q finds the same for everybody: write {user} where the name belongs, as in (uid={user})", c.Filter)
		case c.BindName != "" && !strings.Contains(c.BindName, userMark):
			wrong("bind name %q is the same for everybody: write {user} where the name belongs", c.BindName)
		}
		if c.Groups == GroupsByChain {
			wrong("groups by chain are for Active Directory: leave it out, or use memberOf")
		}
		if c.Kerberos != nil {
			wrong("Kerberos is for Active Directory: leave it out, and use ldaps:// or StartTLS")
		}
		if c.Domain != "" {
			wrong("a domain is for Active Directory: set the default domain if names shall have one")
		}
	}
}

func (c DirectoryConfig) checkKerberos(wrong func(string, ...any)) {
	if c.Kerberos == nil {
		return
	}
	if c.Domain == "" {
		wrong("Kerberos without a domain: set its DNS name, such as corp.test")
	}
	if c.AllowInsecurePlain {
		wrong("Kerberos and AllowInsecurePlain exclude each other: ldap:// is sealed by Kerberos")
	}
	for _, u := range c.URLs {
		if t, err := parseURL(u); err == nil && net.ParseIP(t.host) != nil {
			wrong("URL %q: Kerberos knows servers by name: write the controller's, such as dc1.corp.test", u)
		}
	}
	if _, err := c.kerberosClient(c.BindUser, c.BindPassword); err != nil {
		wrong("bind user for Kerberos: %w", err)
	}
}

// kerberosClient returns a client that logs in with a password, nil if there is
// no user or no Kerberos.
func (c *DirectoryConfig) kerberosClient(user string, password authn.Secret) (*kerberos.Client, error) {
	if c.Kerberos == nil || user == "" {
		return nil, nil
	}
	k := *c.Kerberos
	if k.DefaultRealm == "" {
		k.DefaultRealm = strings.ToUpper(c.Domain)
	}
	if len(k.Realms) == 0 {
		k.LookupKDC = true
	}
	if domain, name, ok := strings.Cut(user, `\`); ok {
		if !strings.EqualFold(domain, c.DefaultDomain) && !strings.EqualFold(domain, c.Domain) {
			return nil, fmt.Errorf("ldap: %q is of another domain: write user@domain", printable(user))
		}
		user = name
	}
	// What users type must not choose the realm, and so the host that is asked: a
	// UPN of another suffix is for our KDC to place (RFC 6806 5).
	if i := strings.LastIndexByte(user, '@'); i >= 0 && !strings.EqualFold(user[i+1:], c.Domain) {
		user += "@" + k.DefaultRealm
	}
	if strings.ContainsAny(user, "/\\=,") { // names of services, and DNs
		return nil, fmt.Errorf("ldap: %q is no name of a user: write user@domain", printable(user))
	}
	return kerberos.NewPasswordClient(k, user, password)
}
