package bench

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
)

// BenchmarkKerberosCall measures what Kerberos costs when each request is
// checked, with mutual authentication: a ticket and an authenticator in each
// request, an AP-REP in each answer.
func BenchmarkKerberosCall(b *testing.B) {
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range []kdc.Account{{Name: "alice", Password: "alice"}, {Name: "front", Password: "front", SPNs: []string{"HTTP/127.0.0.1"}}} {
		if err := k.Add(a); err != nil {
			b.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = k.Close() })
	file, err := k.Keytab("HTTP/127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	keytab, err := kerberos.ParseKeytab(file)
	if err != nil {
		b.Fatal(err)
	}
	config, err := kerberos.ParseConfig(k.Krb5Conf())
	if err != nil {
		b.Fatal(err)
	}
	client, err := kerberos.NewPasswordClient(*config, "alice", authn.NewSecret("alice"))
	if err != nil {
		b.Fatal(err)
	}
	open := startEcho(b, nil)
	perRequest := startEcho(b, &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keytab}})
	perConnection := startEcho(b, &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keytab}, KerberosPerConnection: true})
	plain := &http.Client{Transport: &http.Transport{}}
	ours := &http.Client{Transport: &authclient.Transport{Source: byUser{"alice": &authclient.Kerberos{Client: client}}}}
	cs := []*contestant{
		{name: "no login (net/http)", call: func() error { return post(plain, open, "") }},
		{name: "Kerberos, each request", call: caller(ours, perRequest)},
		{name: "Kerberos, per connection", call: caller(ours, perConnection)},
	}
	race(b, cs, 21, 200)
	fmt.Printf("\nKerberos with mutual authentication, soapward at both ends, median of 21 rounds of 200 calls\n")
	for _, c := range cs {
		fmt.Printf("  %-26s %7.1f us  %5.2f x\n", c.name, median(c.took, nil)/1e3, median(c.took, cs[0].took))
	}
	fmt.Println()
}
