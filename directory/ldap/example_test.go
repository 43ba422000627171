package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
)

// Users of an Active Directory domain log in by HTTP Basic.
func ExampleDirectory_activeDirectory() {
	users := ldap.NewDirectory(ldap.DirectoryConfig{
		Domain:        "corp.test", // its controllers are found by DNS
		DefaultDomain: "CORP",      // of users who type none
		BindUser:      "svc-soapward@corp.test",
		BindPassword:  authn.NewSecret(os.Getenv("SOAPWARD_LDAP_PASSWORD")),
	})
	defer func() { _ = users.Close() }()
	login := &authn.Middleware{Authenticators: []authn.Authenticator{&password.Basic{Verifier: users, Realm: "corp"}}}
	http.Handle("/", login.Wrap(http.DefaultServeMux))
}

// Users of an OpenLDAP server, found by their uid or their mail address.
func ExampleDirectory_openLDAP() {
	users := ldap.NewDirectory(ldap.DirectoryConfig{
		Kind:         ldap.Standard,
		URLs:         []string{"ldaps://ldap1.corp.test", "ldaps://ldap2.corp.test"},
		BaseDN:       "ou=people,dc=corp,dc=test",
		GroupBase:    "ou=groups,dc=corp,dc=test",
		Filter:       "(&(objectClass=person)(|(uid={user})(mail={user})))",
		BindUser:     "cn=soapward,ou=services,dc=corp,dc=test",
		BindPassword: authn.NewSecret(os.Getenv("SOAPWARD_LDAP_PASSWORD")),
	})
	defer func() { _ = users.Close() }()
	account, err := users.Account(context.Background(), directory.AccountRef{Name: "alice"})
	switch {
	case errors.Is(err, directory.ErrNotFound):
		fmt.Println("there is no alice")
	case err != nil:
		fmt.Println("nobody can say:", err)
	default:
		fmt.Println(account.DisplayName, account.Groups)
	}
}

// A configuration tells what does not fit, and what to write instead.
func ExampleDirectoryConfig_Check() {
	cfg := ldap.DirectoryConfig{Kind: ldap.Standard, URLs: []string{"ldap.corp.test"}, BaseDN: "ou=people,dc=corp,dc=test", Filter: "(uid=*)"}
	fmt.Println(cfg.Check())
	// Output:
	// ldap: URL "ldap.corp.test": want ldaps://HOST or ldaps://HOST:PORT
	// ldap: filter "(uid=*)" finds the same for everybody: write {user} where the name belongs, as in (uid={user})
}
