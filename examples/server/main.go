// Command server exposes a SOAP service to callers who log in with Windows
// credentials.
//
// With a keytab it accepts Kerberos, as members of a domain use it:
//
//	server -keytab app.keytab
//
// Without one it knows a single local user, who logs in by NTLM:
//
//	SOAPWARD_PASSWORD=secret server -user alice
//	curl --ntlm -u alice:secret 'http://127.0.0.1:8080/?wsdl'
//
// With -cert and -key it speaks TLS, and logins are bound to the certificate.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soapserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	user := flags.String("user", "alice", "local `user` who may log in; the password is in SOAPWARD_PASSWORD")
	certFile := flags.String("cert", "", "PEM `file` with the certificate for TLS")
	keyFile := flags.String("key", "", "PEM `file` with its private key")
	keytab := flags.String("keytab", "", "`file` with the service's Kerberos keys")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp): // it was printed
		return nil
	case err != nil:
		return err
	}
	login, err := authenticator(*user, *keytab)
	if err != nil {
		return err
	}
	// Tell what cannot work now, not at the first login.
	if m, ok := login.Kerberos.(*kerberos.Mechanism); ok {
		if err := m.Check(); err != nil {
			return err
		}
	}

	// This is all it takes: the service, the login in front of it, a server.
	service := &soapserver.Service{}
	expenses.RegisterExpenses(service, &book{})
	guard := &authn.Middleware{Authenticators: []authn.Authenticator{login}, Deny: soapserver.Deny}
	server := iwa.Server(guard.Wrap(service))

	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	scheme := "http"
	if *certFile != "" || *keyFile != "" {
		cert, err := tls.LoadX509KeyPair(*certFile, *keyFile)
		if err != nil {
			_ = l.Close()
			return err
		}
		scheme, l = "https", iwa.NewTLSListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	fmt.Fprintf(out, "listening on %s://%s/\n", scheme, l.Addr())
	return serve(ctx, server, l)
}

// authenticator accepts Kerberos with the keys of a keytab, or NTLM from one
// local user.
func authenticator(user, keytab string) (*iwa.Authenticator, error) {
	if keytab != "" {
		keys, err := kerberos.LoadKeytab(keytab)
		if err != nil {
			return nil, err
		}
		return &iwa.Authenticator{Kerberos: &kerberos.Mechanism{Keytab: keys}}, nil
	}
	password := os.Getenv("SOAPWARD_PASSWORD")
	if password == "" {
		return nil, errors.New("SOAPWARD_PASSWORD is not set, and there is no -keytab")
	}
	accounts, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: user, Password: authn.NewSecret(password)})
	if err != nil {
		return nil, err
	}
	return &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "EXAMPLE"}}}, nil
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
