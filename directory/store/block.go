package store

import (
	"context"
	"database/sql"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// maxKeys bounds how many keys a call may name.
const maxKeys = 16

// keyList returns keys as they are kept, each once, and a list of as many
// parameters from $first on.
func keyList(keys []string, first int) (kept []string, list string, err error) {
	if len(keys) > maxKeys {
		return nil, "", invalid("%d keys, at most %d may be", len(keys), maxKeys)
	}
	for _, k := range keys {
		kept = append(kept, keyText(k))
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)
	params := make([]string, len(kept))
	for i := range params {
		params[i] = "$" + strconv.Itoa(first+i)
	}
	return kept, strings.Join(params, ", "), nil
}

func anys(first []any, more []string) []any {
	for _, m := range more {
		first = append(first, m)
	}
	return first
}

// AddFailure counts one failed login for each key, and returns how many each has
// since then, this one included. Those at since and before are forgotten. Calls
// at the same time, at whichever node, count one after the other: of n, one is
// told n at least. Those whose clock is ahead count as well, so that nobody
// guesses unseen between the clocks of two nodes.
func (s *Store) AddFailure(ctx context.Context, at, since time.Time, keys ...string) (counts []int, err error) {
	kept, list, err := keyList(keys, 2)
	if err != nil {
		return nil, s.fail("add failure", err)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	of := make(map[string]int, len(kept))
	err = s.inTx(ctx, "add failure", mayUndo, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockKeys(ctx, tx, kept); err != nil {
			return err
		}
		args := anys([]any{micros(since)}, kept)
		if _, err := tx.ExecContext(ctx, "DELETE FROM failures WHERE at <= $1 AND who IN ("+list+")", args...); err != nil {
			return err
		}
		rows := make([]string, len(kept))
		for i := range rows {
			rows[i] = "($" + strconv.Itoa(i+2) + ", $1)"
		}
		args[0] = micros(at)
		if _, err := tx.ExecContext(ctx, "INSERT INTO failures (who, at) VALUES "+strings.Join(rows, ", "), args...); err != nil {
			return err
		}
		args[0] = micros(since)
		return eachRow(ctx, tx, func(scan func(...any) error) error {
			var who string
			var n int
			err := scan(&who, &n)
			of[who] = n
			return err
		}, "SELECT who, COUNT(*) FROM failures WHERE at > $1 AND who IN ("+list+") GROUP BY who", args...)
	})
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		counts = append(counts, of[keyText(k)])
	}
	return counts, nil
}

// lockKeys makes transactions with the same keys wait for each other, where
// several can be: otherwise none would see the rows of the others.
func (s *Store) lockKeys(ctx context.Context, tx *sql.Tx, keys []string) error {
	if s.turn != nil {
		return nil
	}
	locks := make([]int64, len(keys))
	for i, k := range keys {
		h := fnv.New64a()
		_, _ = h.Write([]byte(k)) // does not fail
		locks[i] = int64(h.Sum64())
	}
	slices.Sort(locks) // all in the same order, so that none wait crosswise
	for _, l := range locks {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", l); err != nil {
			return err
		}
	}
	return nil
}

// ForgetFailures forgets the failures of a key, as after a success.
func (s *Store) ForgetFailures(ctx context.Context, key string) error {
	_, err := s.exec(ctx, "forget failures", mayUndo, "DELETE FROM failures WHERE who = $1", keyText(key))
	return err
}

// SetBlock blocks a key. A block that lasts longer stays as it is.
func (s *Store) SetBlock(ctx context.Context, b directory.Block) error {
	_, err := s.telling(ctx, "set block", Blocks, `INSERT INTO blocks (who, failures, begun, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (who) DO UPDATE SET failures = excluded.failures, begun = excluded.begun, until = excluded.until
		WHERE blocks.until < excluded.until`, keyText(b.Key), b.Failures, micros(b.From), micros(b.Until))
	return err
}

const blockColumns = "who, failures, begun, until"

func scanBlock(scan func(...any) error) (*directory.Block, error) {
	var b directory.Block
	var begun, until int64
	if err := scan(&b.Key, &b.Failures, &begun, &until); err != nil {
		return nil, err
	}
	b.From, b.Until = timeOf(begun), timeOf(until)
	return &b, nil
}

// BlockOf returns the block of any of the keys that lasts longest, nil if none
// is in force at the time.
func (s *Store) BlockOf(ctx context.Context, at time.Time, keys ...string) (b *directory.Block, err error) {
	kept, list, err := keyList(keys, 2)
	if err != nil {
		return nil, s.fail("block", err)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	err = s.reading(ctx, "block", func(ctx context.Context) error {
		b = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) (err error) {
			b, err = scanBlock(scan)
			return err
		}, "SELECT "+blockColumns+" FROM blocks WHERE until > $1 AND who IN ("+list+") ORDER BY until DESC LIMIT 1",
			anys([]any{micros(at)}, kept)...)
	})
	return b, err
}

// Blocks returns up to 10,000 blocks that are in force at a time, the one that
// lasts longest first.
func (s *Store) Blocks(ctx context.Context, at time.Time) ([]directory.Block, error) {
	var all []directory.Block
	err := s.reading(ctx, "blocks", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			b, err := scanBlock(scan)
			if err == nil {
				all = append(all, *b)
			}
			return err
		}, "SELECT "+blockColumns+" FROM blocks WHERE until > $1 ORDER BY until DESC, who LIMIT $2", micros(at), maxPage)
	})
	return all, err
}

// Unblock lifts the block of a key and forgets its failures. It reports whether
// there was a block.
func (s *Store) Unblock(ctx context.Context, key string) (bool, error) {
	var n int
	defer s.changed(ctx, Blocks)
	err := s.inTx(ctx, "unblock", lasts, func(ctx context.Context, tx *sql.Tx) (err error) {
		if n, err = affected(tx.ExecContext(ctx, "DELETE FROM blocks WHERE who = $1", keyText(key))); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "DELETE FROM failures WHERE who = $1", keyText(key)); err != nil {
			return err
		}
		return s.tell(ctx, tx, Blocks)
	})
	return n > 0, err
}
