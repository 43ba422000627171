package store

import "github.com/jackc/pgx/v5"

// ListenAt has a store listen in another database than it writes to.
func ListenAt(s *Store, dsn string) bool {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil || cfg.Database == s.listener.Database {
		return false
	}
	s.listener = cfg
	return true
}
