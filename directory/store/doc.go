// Package store keeps users, their groups and roles, sessions, failed logins,
// blocks, the history of logins and used Kerberos authenticators in SQLite or
// PostgreSQL.
//
//   - [Store] has them all. Packages that log users in declare the few methods
//     that they need, and a Store is each of those interfaces.
//   - [Config] says which database. SQLite is one file for one machine and needs
//     nothing installed; several nodes share a PostgreSQL.
//   - [Replays] is the kerberos.ReplayCache of all nodes.
//
// A store is opened once and shared:
//
//	s, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: "/var/lib/soapward/soapward.db"})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	u, err := s.User(ctx, `CORP\alice`)
//
// Open makes the tables, and alters those of an older version. Call Prune every
// few minutes, at one node or at all.
//
// Errors are directory.ErrNotFound, ErrExists, ErrConflict and ErrInvalid.
// Every other error, also the end of ctx, wraps authn.ErrUnavailable: nothing is
// known then, and a change may have been made or not. Each call ends after
// Config.Timeout, five seconds by default.
//
// What one node or process has changed, all others see with their next call.
// Times are kept to the microsecond and come back in UTC. Groups come back in
// the order of their names, roles as well.
//
// The package links both drivers. Compatibility: exported names keep their
// meaning within a major version, structs may gain fields whose zero value keeps
// today's behaviour, and tables of an older version are altered by Open.
package store
