package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresDialect = dialect{
	name: "postgres",
	groupsOf: `(SELECT COALESCE(json_agg(json_build_array(g.sid, g.name)), '[]')::text
		FROM user_groups m JOIN group_names g ON g.id = m.group_id WHERE m.user_id = u.id)`,
	rolesOf:  `(SELECT COALESCE(json_agg(r.role), '[]')::text FROM user_roles r WHERE r.user_id = u.id)`,
	pairs:    `SELECT e ->> 0 AS sid, e ->> 1 AS name FROM json_array_elements($1::json) e`,
	names:    `SELECT e AS name FROM json_array_elements_text($1::json) e`,
	domainOf: `substr(name_fold, 1, strpos(name_fold, '\'))`,
	noLimit:  "ALL",
	taken: func(err error) bool {
		var e *pgconn.PgError
		return errors.As(err, &e) && e.Code == "23505" // unique_violation
	},
	broken: postgresBroken,
	again:  postgresAgain,
}

// postgresBroken reports whether another connection may do better.
func postgresBroken(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return strings.HasPrefix(e.Code, "57P") || strings.HasPrefix(e.Code, "08") // shutdown, connection exception
	}
	var ne net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &ne) || pgconn.SafeToRetry(err)
}

// postgresAgain reports whether the server undid something for others who did
// the same at that moment.
func postgresAgain(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40P01" || e.Code == "40001") // deadlock_detected, serialization_failure
}

// dialTimeout bounds one try to connect, where the DSN says nothing.
const dialTimeout = 3 * time.Second

func (s *Store) openPostgres(c Config) error {
	cfg, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return dsnError(err)
	}
	if err := checkTLS(cfg, c.DSN); err != nil {
		return err
	}
	if !c.Password.IsEmpty() {
		cfg.Password = c.Password.Reveal()
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "soapward"
	}
	s.d = postgresDialect
	s.listener = cfg.Copy()
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(c.MaxConns)
	db.SetMaxIdleConns(c.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute) // so that a new address in DNS is found
	s.read, s.write, s.soft = db, db, db
	return nil
}

var saysSSLMode = regexp.MustCompile(`(?:^|[\s?&])sslmode\s*=`)

// checkTLS refuses to go to another machine without somebody having said how:
// the default of libpq is TLS if the server has it, whoever that is.
func checkTLS(cfg *pgx.ConnConfig, dsn string) error {
	if saysSSLMode.MatchString(dsn) || os.Getenv("PGSSLMODE") != "" {
		return nil
	}
	hosts := []string{cfg.Host}
	for _, f := range cfg.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); strings.HasPrefix(h, "/") || h == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		return fmt.Errorf("the database is at %s, and the dsn does not say whether it must prove itself: add sslmode=verify-full", h)
	}
	return nil
}

// dsnError is what pgx says is wrong with a DSN, without the DSN: pgx leaves
// passwords out of that, but not out of each way to write them.
func dsnError(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "`: "); i >= 0 {
		text = text[i+len("`: "):]
	}
	return fmt.Errorf("dsn: %s", text)
}
