package ldap_test

import (
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/ldap"
)

// Connections are sealed by Kerberos, and need no certificates.
func ExampleDirectory_kerberos() {
	cfg := ldap.DirectoryConfig{
		Domain: "corp.test", DefaultDomain: "CORP",
		BindUser: "svc-soapward@corp.test", BindPassword: authn.NewSecret("correct horse"),
		Kerberos: &kerberos.Config{}, // KDCs by DNS
	}
	fmt.Println(cfg.Check())
	// Output: <nil>
}
