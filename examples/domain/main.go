// Command domain tells callers who they are: users of a Windows domain, who log
// in by NTLM, or by Kerberos where there is a keytab. The machine is not joined
// to the domain. It takes a computer account, which soapward join makes:
//
//	soapward join --computer GW01 --domain corp.test -u Administrator --keytab gw01.keytab
//	domain -computer GW01 -domain CORP -dns corp.test -secret gw01.secret -keytab gw01.keytab
//	curl --ntlm -u 'CORP\alice' http://127.0.0.1:8080/
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/directory/computer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "domain:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("domain", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	account := flags.String("computer", "", "`name` of the computer account; no other program may use it")
	secret := flags.String("secret", "", "`file` with its password")
	domain := flags.String("domain", "", "NetBIOS `name` of the domain, CORP")
	dns := flags.String("dns", "", "DNS `name` of the domain, corp.test")
	hosts := flags.String("controllers", "", "`names` of domain controllers, separated by commas; DNS is asked without")
	keytab := flags.String("keytab", "", "`file` with Kerberos keys of the account")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp): // it was printed
		return nil
	case err != nil:
		return err
	}
	var controllers []string
	if *hosts != "" {
		controllers = strings.Split(*hosts, ",")
	}

	verifier, err := netlogon.New(netlogon.Config{
		Account: *account, Secrets: computer.SecretFile(*secret).Secrets,
		Domain: *domain, DNSDomain: *dns, Controllers: controllers,
	})
	if err != nil {
		return err
	}
	defer func() { _ = verifier.Close() }()
	// Tell what cannot work now, not at the first login. One controller will do;
	// the log has what is wrong with the others.
	up := func(h netlogon.Health) bool { return h.Up }
	if err := verifier.Check(ctx); err != nil && !slices.ContainsFunc(verifier.Health(), up) {
		return err
	}
	login := &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: verifier, Names: verifier.Names()}}
	if *keytab != "" {
		keys, err := kerberos.LoadKeytab(*keytab)
		if err != nil {
			return err
		}
		login.Kerberos = &kerberos.Mechanism{Keytab: keys}
	}

	guard := &authn.Middleware{Authenticators: []authn.Authenticator{login}}
	server := iwa.Server(guard.Wrap(http.HandlerFunc(whoami)))
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on http://%s/\n", l.Addr())
	return serve(ctx, server, l)
}

// whoami is the service: it tells callers what is known of them.
func whoami(w http.ResponseWriter, r *http.Request) {
	id := authn.FromContext(r.Context())
	groups := make([]string, len(id.Groups))
	for i, g := range id.Groups {
		groups[i] = g.String()
	}
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{ // an error means that the caller went away
		"user": id.String(), "name": id.DisplayName, "upn": id.UPN, "sid": id.SID,
		"login": id.Mechanism, "groups": groups,
	})
}

// serve runs until ctx ends, and lets calls finish then.
func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- s.Shutdown(grace)
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
