// Command login puts a page to log in at in front of a service. Its users have a
// password in a store, as soapward user makes them, or are those of an LDAP
// server. It limits guessing, keeps the history of logins, and ends the sessions
// of users who are disabled:
//
//	soapward user add carol --store sqlite:users.db
//	login -store users.db -insecure-http
//
// With -ldap and -base the users of an LDAP server log in as well:
//
//	login -store users.db -cert cert.pem -key key.pem -ldap ldaps://ldap.example.com -base dc=example,dc=com
//
// Then soapward user list, sessions, logins, disable and unblock tell and change
// what the program does, while it runs.
package main

import (
	"context"
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

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/audit"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/directory/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "login:", err)
		os.Exit(1)
	}
}

type options struct {
	addr, store, cert, key string
	insecure               bool
	ldap, base, groups     string
	filter                 string
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("login", flag.ContinueOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(&o.store, "store", "users.db", "`file` of the users, their sessions and logins")
	flags.StringVar(&o.cert, "cert", "", "PEM `file` with the certificate for TLS")
	flags.StringVar(&o.key, "key", "", "PEM `file` with its private key")
	flags.BoolVar(&o.insecure, "insecure-http", false, "take passwords without TLS, where everybody on the way reads them")
	flags.StringVar(&o.ldap, "ldap", "", "`URL` of an LDAP server whose users log in as well")
	flags.StringVar(&o.base, "base", "", "`DN` that they are below")
	flags.StringVar(&o.groups, "group-base", "", "`DN` that their groups are below, if it is another one")
	flags.StringVar(&o.filter, "filter", "(uid={user})", "`filter` that finds them")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp): // it was printed
		return nil
	case err != nil:
		return err
	}
	if o.cert == "" && !o.insecure {
		return errors.New("no passwords are taken without TLS: give -cert and -key, or -insecure-http to try it")
	}
	db, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: o.store})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	history := audit.New(audit.Config{Store: db})
	defer func() { // before the store is closed
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, history.Close(grace))
	}()
	handler, err := site(db, history, &o)
	if err != nil {
		return err
	}
	go prune(ctx, db)

	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n", l.Addr())
	return serve(ctx, &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}, l, &o)
}

// site is the service with the login in front of it.
func site(db *store.Store, history *audit.Recorder, o *options) (http.Handler, error) {
	// A password in the store comes first, then that of the server.
	users := &password.Chain{Internal: &password.Internal{Users: db}}
	if o.ldap != "" {
		cfg := ldap.DirectoryConfig{
			Kind: ldap.Standard, URLs: []string{o.ldap}, BaseDN: o.base, GroupBase: o.groups, Filter: o.filter,
			DefaultDomain: "LDAP", // so that nobody there passes for a user of the store
		}
		if err := cfg.Check(); err != nil {
			return nil, err
		}
		directory := ldap.NewDirectory(cfg)
		staff := &provision.Provisioner{Realm: "ldap", Store: db, Source: directory}
		users.Next = staff.Verifier(directory)
	}
	limit := &throttle.Limiter{Store: db}
	login, err := form.New(form.Config{
		Service:  "Example",
		Verifier: limit.Password(users),
		Sessions: &session.Manager{Store: db, Check: session.CheckUser(db), AllowInsecureHTTP: o.insecure},
		Observe:  history.Observe,
	})
	if err != nil {
		return nil, err
	}
	roles, err := authz.NewRoles(authz.Config{Roles: map[string]authz.Role{
		"staff": {Groups: []string{`LDAP\staff`}, Users: []string{"carol"}},
	}})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/.soapward/", integrated.NewHandler(integrated.Options{Roles: roles}))
	mux.HandleFunc("GET /{$}", hello)
	return login.Wrap(roles.Wrap(mux)), nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	staff, err := authz.IsInRole(r.Context(), "staff")
	if err != nil { // neither yes nor no
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "hello %v, staff: %t\n", authn.FromContext(r.Context()), staff)
}

// prune takes out of the store what is over, until ctx ends.
func prune(ctx context.Context, db *store.Store) {
	for tick := time.NewTicker(5 * time.Minute); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case now := <-tick.C:
			if _, err := db.Prune(ctx, now); err != nil && ctx.Err() == nil {
				slog.Warn("the store was not pruned", slog.Any("cause", err))
			}
		}
	}
}

// serve runs until ctx ends, and lets requests finish then.
func serve(ctx context.Context, s *http.Server, l net.Listener, o *options) error {
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- s.Shutdown(grace)
	}()
	var err error
	if o.cert != "" {
		err = s.ServeTLS(l, o.cert, o.key)
	} else {
		err = s.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}
