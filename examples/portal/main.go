// Command portal is an intranet page, and a SOAP service beside it, for everybody
// whom a company knows: members of a Windows domain, entries of an LDAP server,
// and users who have a password with us.
//
//	portal -db portal.db
//	soapward user add --store sqlite:portal.db --role payroll carol
//
// README.md shows it with a domain. The order in which the parts of the login are
// put together is in login.go, and is the one to copy.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "portal:", err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	addr, cert, key, db string
	domain, short, url  string
	people, reader, ca  string
	keytab              string
	insecure            bool // plain HTTP
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var s settings
	flags := flag.NewFlagSet("portal", flag.ContinueOnError)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8443", "`address` to listen on")
	flags.StringVar(&s.cert, "cert", "", "PEM `file` with the certificate for TLS; without it, plain HTTP on this machine")
	flags.StringVar(&s.key, "key", "", "PEM `file` with its private key")
	flags.StringVar(&s.db, "db", "portal.db", "SQLite `file`")
	flags.StringVar(&s.domain, "domain", "", "DNS `name` of the Windows domain, corp.test")
	flags.StringVar(&s.short, "short", "CORP", "short `name` of the domain")
	flags.StringVar(&s.url, "ldap", "", "`URL` of a domain controller or LDAP server, ldaps://...; without it DNS names the controllers")
	flags.StringVar(&s.people, "people", "", "`DN` below which users are, for an LDAP server that is no domain controller")
	flags.StringVar(&s.reader, "reader", "", "`account` that reads the directory; its password is in PORTAL_READER_PASSWORD")
	flags.StringVar(&s.ca, "ca", "", "PEM `file` with the authority of the directory's certificate")
	flags.StringVar(&s.keytab, "keytab", "", "`file` with the service's Kerberos keys")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp): // it was printed
		return nil
	case err != nil:
		return err
	}

	users, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: s.db})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	l, scheme, err := listen(&s)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // by the server as well
	login, err := newLogin(s, users)
	if err != nil {
		return err
	}
	defer login.close()
	site, err := newSite(login)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(ctx)
	defer stop()
	go prune(background, users)
	if login.sync != nil {
		go daily(background, login.sync)
	}
	fmt.Fprintf(out, "listening on %s://%s/\n", scheme, l.Addr())
	return serve(ctx, iwa.Server(site), l)
}

// listen is TLS, to whose certificate logins are bound, or plain HTTP on this
// machine.
func listen(s *settings) (net.Listener, string, error) {
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return nil, "", err
	}
	if s.cert == "" {
		if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
			_ = l.Close()
			return nil, "", fmt.Errorf("%s is reached by others: passwords need TLS, name a certificate with -cert and -key", s.addr)
		}
		s.insecure = true
		return l, "http", nil
	}
	cert, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		_ = l.Close()
		return nil, "", err
	}
	return iwa.NewTLSListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}), "https", nil
}

// prune removes what is over, every few minutes.
func prune(ctx context.Context, users *store.Store) {
	for tick := time.NewTicker(5 * time.Minute); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if _, err := users.Prune(ctx, now); err != nil && ctx.Err() == nil {
				slog.Warn("what is over stays in the store", slog.String("cause", err.Error()))
			}
		}
	}
}

// daily refreshes all users of the domain at night, and at once if that was
// missed. "soapward sync" does it by hand.
func daily(ctx context.Context, job *provision.Sync) {
	last, err := job.Finished(ctx)
	if err != nil {
		slog.Warn("nobody knows when the daily job was done", slog.String("cause", err.Error()))
	}
	_ = provision.Daily{Hour: 3}.Run(ctx, last, func(ctx context.Context, due time.Time) { // until ctx ends
		switch sum, err := job.RunDue(ctx, due); {
		case err == nil:
			slog.Info("daily job", slog.Any("summary", sum))
		case !errors.Is(err, provision.ErrDone) && !errors.Is(err, provision.ErrRunning):
			slog.Error("daily job", slog.String("cause", err.Error()))
		}
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
