package store

import (
	"context"
	"database/sql"

	"github.com/soapward/soapward/directory"
)

// maxFiles bounds ConfigVersion.Files.
const maxFiles = 16 << 20

// AddConfig keeps a configuration, and sets its ID, and Time unless it is set.
func (s *Store) AddConfig(ctx context.Context, v *directory.ConfigVersion) error {
	for _, f := range []struct {
		what, text string
		most       int
	}{
		{"actor of a configuration", v.Actor, maxText},
		{"comment of a configuration", v.Comment, maxDN},
		{"node of a configuration", v.Node, maxText},
		{"digest of a configuration", v.Digest, maxName},
		{"configuration", v.Files, maxFiles},
	} {
		if err := checkText(f.what, f.text, f.most); err != nil {
			return s.fail("add configuration", err)
		}
	}
	at := v.Time
	if at.IsZero() {
		at = s.now()
	}
	var id int64
	if err := s.inTx(ctx, "add configuration", lasts, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO configs (at, actor, comment, node, digest, files)
			VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`, micros(at), v.Actor, v.Comment, v.Node, v.Digest, v.Files).Scan(&id)
	}); err != nil {
		return err
	}
	before := *v
	v.ID, v.Time = id, timeOf(micros(at))
	s.ifUndone(ctx, func() { v.ID, v.Time = before.ID, before.Time })
	return nil
}

const configColumns = "id, at, actor, comment, node, digest"

func scanConfig(v *directory.ConfigVersion, scan func(...any) error, more ...any) error {
	var at int64
	err := scan(append([]any{&v.ID, &at, &v.Actor, &v.Comment, &v.Node, &v.Digest}, more...)...)
	v.Time = timeOf(at)
	return err
}

// Configs returns those before an ID, or the newest if it is zero, without their
// files, the newest first. A limit of zero means 100.
func (s *Store) Configs(ctx context.Context, before int64, limit int) ([]directory.ConfigVersion, error) {
	var c conditions
	if before > 0 {
		c.add("id < %s", before)
	}
	text := "SELECT " + configColumns + " FROM configs" + c.where() + " ORDER BY id DESC LIMIT " + c.limit(limit)
	var all []directory.ConfigVersion
	err := s.reading(ctx, "configurations", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			var v directory.ConfigVersion
			err := scanConfig(&v, scan)
			all = append(all, v)
			return err
		}, text, c.args...)
	})
	return all, err
}

// Config returns one with its files, or directory.ErrNotFound.
func (s *Store) Config(ctx context.Context, id int64) (*directory.ConfigVersion, error) {
	var v directory.ConfigVersion
	if err := s.reading(ctx, "configuration", func(ctx context.Context) error {
		return scanConfig(&v, s.reader(ctx).QueryRowContext(ctx, "SELECT "+configColumns+", files FROM configs WHERE id = $1", id).Scan, &v.Files)
	}); err != nil {
		return nil, err
	}
	return &v, nil
}
