// Package bigstore fills a store as a large company has filled it after three
// months, for measurements of what works on one. Load does it once for a database:
// one that is kept is as good the next time.
//
// Only tests import this package.
package bigstore

import (
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// Days is over how many days logins, changes and counts are spread evenly.
const Days = 90

const span = Days * 24 * time.Hour

// Data is what a large store has: with a scale of 1, a million logins and the rest
// in proportion.
type Data struct {
	Users, Logins, Changes, Sessions int

	// Begin is that of logins, changes and counts. Counts go on until now.
	Begin time.Time
}

// Who attacks, and whom: a twentieth of all logins. Each hundred-thousandth login is
// one of Attacked that is accepted.
const (
	Attacker = "203.0.113.66"
	Attacked = "administrator"
)

// Frequent is who logged in thousands of times more than others, by a program. As
// Attacked, it is no user until somebody makes it one.
const Frequent = `corp\batch`

// noteKey is of the note that a store is full: its scale, and Begin in microseconds.
const noteKey = "bigstore"

// Load fills a store that was opened with c, unless it did so before.
func Load(b testing.TB, s *store.Store, c store.Config, scale int) *Data {
	b.Helper()
	d := &Data{Users: 100_000 * scale, Logins: 1_000_000 * scale, Changes: 20_000 * scale, Sessions: 10_000 * scale}
	db, err := sql.Open(map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[c.Driver], c.DSN)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }() // nothing is written by then
	note, err := s.Note(b.Context(), noteKey)
	if err != nil {
		b.Fatal(err)
	}
	var has int
	var begin int64
	if note == "" {
		users, err := s.CountUsers(b.Context())
		if err != nil || users > 0 {
			b.Fatalf("%d users, %v: the store is not empty, and not whole", users, err)
		}
		d.Begin = time.Now().UTC().Truncate(24 * time.Hour).Add(-span)
		d.load(b, s, c, db)
		if err := s.SetNote(b.Context(), noteKey, fmt.Sprint(scale, " ", d.Begin.UnixMicro())); err != nil {
			b.Fatal(err)
		}
	} else if _, err := fmt.Sscan(note, &has, &begin); err != nil || has != scale {
		b.Fatalf("the store was filled otherwise: %q, want a scale of %d", note, scale)
	} else {
		d.Begin = time.UnixMicro(begin).UTC()
	}
	d.count(b, s, db)
	return d
}

func (d *Data) load(b testing.TB, s *store.Store, c store.Config, db *sql.DB) {
	b.Helper()
	began := time.Now()
	lap := func(what string) {
		b.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	if done, err := s.Import(b.Context(), d.manyUsers(), nil); err != nil || done.Created+done.Existed != d.Users {
		b.Fatalf("%+v, %v", done, err)
	}
	lap("users")
	hex, series := "lpad(to_hex(%s), 10, '0')", "SELECT i::bigint AS i FROM generate_series(1, %d) AS i"
	if c.Driver == "sqlite" {
		hex = "printf('%%010x', %s)"
		series = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c"
	}
	us := d.Begin.UnixMicro()
	step := span.Microseconds()
	exec := func(what, text string) {
		b.Helper()
		if _, err := db.ExecContext(b.Context(), text); err != nil {
			b.Fatalf("%s: %v", what, err)
		}
		lap(what)
	}
	indexes := dropIndexes(b, c, db)
	// A tenth is refused, half of that an attack on one name from one address. Few
	// are blocked, few are by some mechanisms and for some reasons.
	exec("logins", `INSERT INTO logins (at, ref, realm, user_name, user_fold, sid, mechanism, peer, user_agent, outcome, reason, detail)
		SELECT at, `+fmt.Sprintf(hex, "(i * 2654435761) % 1099511627776")+`, 'corp', who, who, '', mech,
		CASE WHEN attack THEN '`+Attacker+`' ELSE '10.0.' || (i * 31 % 200) || '.' || (i * 37 % 250) END, 'Mozilla/5.0 (X11; Linux x86_64)', outcome,
		CASE outcome WHEN 'refused' THEN CASE WHEN i % 333333 = 3 THEN 'replay' WHEN i % 10 = 1 THEN 'unknown-user' ELSE 'wrong-password' END ELSE '' END, ''
		FROM (SELECT i, at, mech, outcome, outcome = 'refused' AND i % 2 = 0 AS attack,
			CASE WHEN i % 100000 = 7 OR outcome = 'refused' AND i % 2 = 0 THEN '`+Attacked+`' WHEN i % 100 = 50 AND outcome = 'accepted' THEN '`+Frequent+`' ELSE 'corp\user' || (i * 7919 % `+fmt.Sprint(d.Users)+`) END AS who
			FROM (SELECT i, `+fmt.Sprintf("%d + i * %d", us, step/int64(d.Logins))+` AS at,
				CASE WHEN i * 104729 % 1000 < 800 THEN 'Kerberos' WHEN i * 104729 % 1000 < 950 THEN 'NTLM' WHEN i * 104729 % 1000 < 990 THEN 'Basic' WHEN i * 104729 % 10000 <> 9990 THEN 'form' ELSE 'Bearer' END AS mech,
				CASE WHEN i % 100000 = 7 THEN 'accepted' WHEN i % 10000 = 4321 THEN 'blocked' WHEN i % 50000 = 11 THEN 'unavailable' WHEN i * 7919 % 1000 < 100 THEN 'refused' ELSE 'accepted' END AS outcome
				FROM (`+fmt.Sprintf(series, d.Logins)+`) AS a) AS b) AS c`)
	for _, text := range indexes {
		exec("indexes of logins", text)
	}
	exec("changes", `INSERT INTO changes (at, ref, actor, actor_fold, peer, action, area, target, target_fold, before, after)
		SELECT `+fmt.Sprintf("%d + i * %d", us, step/int64(d.Changes))+`, '', 'it\admin' || (i % 50), 'it\admin' || (i % 50), '10.0.0.1',
		CASE WHEN i % 1000 = 1 THEN 'config.apply' WHEN i % 2 = 0 THEN 'user.disable' ELSE 'user.change' END, CASE WHEN i % 1000 = 1 THEN 'config' ELSE 'user' END,
		'corp\user' || (i * 7919 % `+fmt.Sprint(d.Users)+`), 'corp\user' || (i * 7919 % `+fmt.Sprint(d.Users)+`), '{"state":"active"}', '{"state":"disabled"}'
		FROM (`+fmt.Sprintf(series, d.Changes)+`) AS a`)
	sealed := "decode(" + fmt.Sprintf(hex, "i") + " || repeat('00', 27), 'hex')"
	if c.Driver == "sqlite" {
		sealed = "CAST(" + fmt.Sprintf(hex, "i") + " || '0000000000000000000000' AS BLOB)"
	}
	exec("sessions", `INSERT INTO sessions (id, user_name, user_fold, data, created, seen, expires, idle, remember, peer, user_agent)
		SELECT `+sealed+`, 'corp\user' || (i % 5000), 'corp\user' || (i % 5000), CAST('' AS `+map[string]string{"sqlite": "BLOB", "postgres": "BYTEA"}[c.Driver]+`),
		`+fmt.Sprint(us)+` + i, `+fmt.Sprint(us)+` + i, `+fmt.Sprint(us+40*step)+`, 0, false, '10.0.0.1', 'Mozilla/5.0' FROM (`+fmt.Sprintf(series, d.Sessions)+`) AS a`)
	exec("statistics", map[string]string{"postgres": "VACUUM ANALYZE", "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)"}[c.Driver])
}

// count adds counts up to now.
func (d *Data) count(b testing.TB, s *store.Store, db *sql.DB) {
	b.Helper()
	at := d.Begin
	var last sql.NullInt64
	if err := db.QueryRowContext(b.Context(), "SELECT MAX(at) FROM counts WHERE span = 300").Scan(&last); err != nil {
		b.Fatal(err)
	}
	if last.Valid {
		at = time.UnixMicro(last.Int64).UTC().Add(directory.CountStep)
	}
	var counts []directory.Count
	for end := time.Now().Add(-directory.CountStep); at.Before(end); at = at.Add(directory.CountStep) {
		for _, m := range []string{"Kerberos", "NTLM", "Basic", "form"} {
			for _, o := range []directory.Outcome{directory.Accepted, directory.Refused, directory.Blocked} {
				counts = append(counts, directory.Count{Time: at, Kind: directory.CountLogin, Mechanism: m, Outcome: o, N: 7})
			}
		}
	}
	for part := range slices.Chunk(counts, 10_000) {
		if err := s.AddCounts(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
}

// dropIndexes drops those of logins, which are made faster when the rows are there,
// and returns how.
func dropIndexes(b testing.TB, c store.Config, db *sql.DB) (texts []string) {
	b.Helper()
	list := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'logins'"
	if c.Driver == "postgres" {
		list = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'logins' AND indexname <> 'logins_pkey'"
	}
	rows, err := db.QueryContext(b.Context(), list)
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			b.Fatal(err)
		}
		names, texts = append(names, name), append(texts, text)
	}
	if err := rows.Close(); err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		if _, err := db.ExecContext(b.Context(), "DROP INDEX "+name); err != nil {
			b.Fatal(err)
		}
	}
	return texts
}

// manyUsers are of two domains and none. What they have in common by how it begins
// is sometimes spread over their names, sometimes at the end of them.
func (d *Data) manyUsers() iter.Seq2[*directory.User, error] {
	first := []string{"Anna", "Boris", "Chloé", "Dora", "Emil", "Frieda", "Zoë"}
	return func(yield func(*directory.User, error) bool) {
		for i := range d.Users {
			u := &directory.User{Realm: "corp", SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 3_000_000+i)), UPN: fmt.Sprintf("user%07d@corp.test", i)}
			switch i % 10 {
			case 0, 1, 2:
				u.Name, u.Realm = fmt.Sprintf(`ZURICH\person%07d`, i), "zurich"
				u.DisplayName, u.Email = fmt.Sprintf("Person Number %d", i), fmt.Sprintf("p%d@zurich.test", i)
			case 3:
				u.Name, u.Realm = fmt.Sprintf("guest%d", i), "guests"
				u.DisplayName, u.Email = fmt.Sprintf("Guest %d", i), fmt.Sprintf("guest%d@example.com", i)
			default:
				u.Name = fmt.Sprintf(`CORP\user%07d`, i)
				u.DisplayName = fmt.Sprintf("%s %d Müller", first[i/10%len(first)], i)
				u.Email = strings.ToLower(u.DisplayName[:1]) + fmt.Sprintf("%d@corp.test", i)
			}
			switch {
			case i%100 == 7:
				u.State = directory.DisabledByOperator
			case i%50 == 8:
				u.State = directory.DisabledByDirectory
			}
			if i%10 == 4 {
				u.Roles = []string{fmt.Sprintf("role%d", i/10%5)}
			}
			if i >= d.Users-50 {
				u.Roles = append(u.Roles, "rare")
			}
			if i%(d.Users/1000) == 17 {
				u.Realm = "lab"
			}
			u.LocalAdmin = i%(d.Users/5) == 5
			for g := range 3 {
				n := (i*31 + g*977) % 2000
				u.Groups = append(u.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 2_000_000+n)), Name: fmt.Sprintf(`CORP\Group %d`, n)})
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}
