package realm

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/gateway/config"
)

// Each key of a directory gets to where it is used.
func TestDirectoryKeys(t *testing.T) {
	t.Setenv("READER", "pw")
	r := parse(t, `{ldap: {url: ["ldap://a.test:1389/dc=x", "ldaps://b.test/dc=x"], base: "dc=x", filter: "(uid={user})", default_domain: CORP,
  bind_user: "cn=reader", bind_password: {env: READER}, groups: member_of, group_base: "ou=g,dc=x", group_filter: "(c=g)", timeout: 7s,
  attributes: {name: an, display_name: ad, email: ae, phone: ap, upn: au, group: ag}}}`)
	got, err := ldapConfig(r.LDAP)
	if err != nil {
		t.Fatal(err)
	}
	want := ldap.Attributes{Name: "an", DisplayName: "ad", Email: "ae", Phone: "ap", UPN: "au", Group: "ag"}
	if got.Attributes != want || got.BaseDN != "dc=x" || got.Filter != "(uid={user})" || got.DefaultDomain != "CORP" || got.BindUser != "cn=reader" ||
		got.BindPassword.Reveal() != "pw" || got.Groups != ldap.GroupsByMemberOf || got.GroupBase != "ou=g,dc=x" || got.GroupFilter != "(c=g)" ||
		got.Timeout != 7*time.Second || got.AllowInsecurePlain || len(got.URLs) != 2 || got.Kind != ldap.Standard {
		t.Errorf("LDAP: %+v", got)
	}
	for text, bind := range map[string]string{
		`{ldap: {url: "ldap://a.test/dc=x", style: ad, default_domain: corp.test, allow_insecure_plain: true}}`:                        "{user}@corp.test",
		`{ldap: {url: "ldap://a.test/dc=x", style: ad, default_domain: corp.test, bind_name: "{user}@x", allow_insecure_plain: true}}`: "{user}@x",
		`{ldap: {url: "ldap://a.test/dc=x", default_domain: corp.test, allow_insecure_plain: true}}`:                                   "",
	} {
		if got, err := ldapConfig(parse(t, text).LDAP); err != nil || got.BindName != bind || !got.AllowInsecurePlain {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	r = parse(t, `{kerberos: {realm: CORP.TEST, keytab: k}, ad: {url: "ldap://dc.test", domain: corp.test, default_domain: CORP, base: "dc=y",
  bind_user: reader, bind_password: {env: READER}, groups: chain, timeout: 8s, sealed: true, sync: {allow_many_gone: true}}}`)
	if got, err = adConfig(r); err != nil {
		t.Fatal(err)
	}
	if got.Kind != ldap.ActiveDirectory || got.Domain != "corp.test" || got.DefaultDomain != "CORP" || got.BaseDN != "dc=y" || got.BindUser != "reader" ||
		got.BindPassword.Reveal() != "pw" || got.Groups != ldap.GroupsByChain || got.Timeout != 8*time.Second ||
		got.Kerberos == nil || got.Kerberos.DefaultRealm != "CORP.TEST" {
		t.Errorf("AD: %+v", got)
	}
	if job, err := Sync("r", r, nil, nil, slog.New(slog.DiscardHandler)); err != nil || !job.AllowManyGone {
		t.Errorf("sync: %+v, %v", job, err)
	}
}

// The history of logins is kept for keep_logins.
func TestKeepLogins(t *testing.T) {
	t.Parallel()
	for keep, want := range map[string]int{"1h": 1, "3h": 2} {
		dir := t.TempDir()
		c, err := config.Parse(filepath.Join(dir, "gw.yaml"), []byte("store: {driver: sqlite, dsn: s.db, keep_logins: "+keep+"}"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenStore(t.Context(), &c.Store, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for _, age := range []time.Duration{time.Minute, 2 * time.Hour} {
			if err := s.AddLogin(context.Background(), &directory.Login{Time: now.Add(-age), User: "x", Mechanism: "form", Outcome: directory.Accepted}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Prune(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if l, err := s.Logins(t.Context(), directory.LoginQuery{Limit: 9}); err != nil || len(l) != want {
			t.Errorf("%s: %d logins, %v, want %d", keep, len(l), err, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
