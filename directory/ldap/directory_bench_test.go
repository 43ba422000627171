package ldap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/slapdtest"
)

func BenchmarkVerifyPassword(b *testing.B) {
	s := slapdtest.Start(b, slapdtest.Config{LDIF: unit(people) + unit(staff) + person(people, "alice", "alice-s3cret") +
		ldif("cn=g,"+staff, "objectClass: groupOfNames", "cn: g", "member: uid=alice,"+people)})
	d := NewDirectory(DirectoryConfig{Kind: Standard, URLs: []string{s.URL}, Roots: s.Roots(), BaseDN: people, GroupBase: staff, Filter: "(uid={user})"})
	defer func() { _ = d.Close() }()
	for b.Loop() {
		if _, err := d.VerifyPassword(b.Context(), "alice", "alice-s3cret"); err != nil {
			b.Fatal(err)
		}
	}
}

// 500 accounts of Active Directory with their nested groups, as the daily job
// asks for them.
func BenchmarkAccounts(b *testing.B) {
	dc := adtest.Start(b)
	users := make([]adtest.User, MaxAccounts)
	refs := make([]directory.AccountRef, MaxAccounts)
	for i := range users {
		name := fmt.Sprintf("bench%d", i)
		users[i] = adtest.User{Name: name, Password: "bench-s3cret", GivenName: strings.ToUpper(name)}
		refs[i] = directory.AccountRef{Name: name}
	}
	dc.Add(b, users, nil)
	for i := range refs {
		refs[i].SID = authn.SID(dc.SID(b, refs[i].Name))
	}
	d := NewDirectory(DirectoryConfig{
		URLs: []string{"ldaps://" + dc.IP}, Domain: "corp.test", Roots: dc.Roots(b),
		BindUser: adtest.Jill + "@corp.test", BindPassword: authn.NewSecret(adtest.Password(b, adtest.Jill)),
	})
	defer func() { _ = d.Close() }()
	for b.Loop() {
		accounts, err := d.Accounts(b.Context(), refs)
		if err != nil || accounts[MaxAccounts-1] == nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/MaxAccounts, "µs/account")
}
