package ldap

import (
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	password := authn.NewSecret(marked)
	ad := DirectoryConfig{URLs: []string{"ldaps://dc1.corp.test"}, Domain: "corp.test", DefaultDomain: "CORP"}
	other := DirectoryConfig{Kind: Standard, URLs: []string{"ldaps://ldap.corp.test"}, BaseDN: people, Filter: "(uid={user})"}
	change := func(c DirectoryConfig, f func(*DirectoryConfig)) DirectoryConfig { f(&c); return c }
	for _, tt := range []struct {
		name string
		cfg  DirectoryConfig
		want string // in the error; empty: none
	}{
		{"AD", ad, ""},
		{"AD by DNS", DirectoryConfig{Domain: "corp.test"}, ""},
		{"AD, reader", change(ad, func(c *DirectoryConfig) { c.BindUser, c.BindPassword = "svc@corp.test", password }), ""},
		{"AD, Kerberos", change(ad, func(c *DirectoryConfig) { c.Kerberos = &kerberos.Config{} }), ""},
		{"standard", other, ""},
		{"standard, as typed", change(other, func(c *DirectoryConfig) { c.Filter = "" }), ""},
		{"standard, template", change(other, func(c *DirectoryConfig) { c.Filter, c.BindName = "", "{user}@corp.test" }), ""},
		{"nothing", DirectoryConfig{}, "name the domain"},
		{"standard, nothing", DirectoryConfig{Kind: Standard}, "name it by URL"},
		{"kind", change(ad, func(c *DirectoryConfig) { c.Kind = 7 }), "kind 7"},
		{"URL", change(ad, func(c *DirectoryConfig) { c.URLs = append(c.URLs, "dc2.corp.test") }), "ldaps://HOST"},
		{"no base", change(other, func(c *DirectoryConfig) { c.BaseDN = "" }), "ou=people"},
		{"base", change(other, func(c *DirectoryConfig) { c.BaseDN = "corp.test" }), "want a DN"},
		{"group base", change(other, func(c *DirectoryConfig) { c.GroupBase = "groups" }), "group base"},
		{"NetBIOS name as domain", change(ad, func(c *DirectoryConfig) { c.Domain = "CORP" }), "DNS name"},
		{"address as domain", change(ad, func(c *DirectoryConfig) { c.Domain = "10.0.0.1" }), "DNS name"},
		{"DNS name as default domain", change(ad, func(c *DirectoryConfig) { c.DefaultDomain = "corp.test" }), "short name"},
		{"no default domain", change(ad, func(c *DirectoryConfig) { c.DefaultDomain, c.Domain = "", "" }), "default domain"},
		{"user without password", change(ad, func(c *DirectoryConfig) { c.BindUser = "svc" }), "set both"},
		{"password without user", change(ad, func(c *DirectoryConfig) { c.BindPassword = password }), "set both"},
		{"filter for AD", change(ad, func(c *DirectoryConfig) { c.Filter = "(uid={user})" }), "standard"},
		{"filter and template", change(other, func(c *DirectoryConfig) { c.BindName = "{user}" }), "exclude"},
		{"same filter for all", change(other, func(c *DirectoryConfig) { c.Filter = "(uid=*)" }), "{user}"},
		{"same name for all", change(other, func(c *DirectoryConfig) { c.Filter, c.BindName = "", "cn=admin" }), "{user}"},
		{"broken filter", change(other, func(c *DirectoryConfig) { c.Filter = "uid={user}" }), "parentheses"},
		{"broken group filter", change(other, func(c *DirectoryConfig) { c.GroupFilter = "(a" }), "group filter"},
		{"chain", change(other, func(c *DirectoryConfig) { c.Groups = GroupsByChain }), "memberOf"},
		{"domain of standard", change(other, func(c *DirectoryConfig) { c.Domain = "corp.test" }), "default domain"},
		{"Kerberos of standard", change(other, func(c *DirectoryConfig) { c.Kerberos = &kerberos.Config{} }), "Kerberos"},
		{"Kerberos by address", change(ad, func(c *DirectoryConfig) { c.Kerberos, c.URLs = &kerberos.Config{}, []string{"ldap://10.0.0.1"} }), "by name"},
		{"Kerberos without domain", change(ad, func(c *DirectoryConfig) { c.Kerberos, c.Domain = &kerberos.Config{}, "" }), "DNS name"},
		{"Kerberos and plain", change(ad, func(c *DirectoryConfig) { c.Kerberos, c.AllowInsecurePlain = &kerberos.Config{}, true }), "sealed"},
		{"Kerberos, DN as user", change(ad, func(c *DirectoryConfig) {
			c.Kerberos, c.BindUser, c.BindPassword = &kerberos.Config{}, "CN=svc,DC=corp,DC=test", password
		}), "user@domain"},
		{"AD, keytab", change(ad, func(c *DirectoryConfig) { c.Kerberos, c.BindClient = &kerberos.Config{}, &kerberos.Client{} }), ""},
		{"client without Kerberos", change(ad, func(c *DirectoryConfig) { c.BindClient = &kerberos.Client{} }), "set Kerberos"},
		{"negative", change(ad, func(c *DirectoryConfig) { c.Timeout = -time.Second }), "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.cfg.Check()
			if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), marked)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
