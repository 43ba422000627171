package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Note returns a text that a job keeps, such as when it last ran; empty if there
// is none.
func (s *Store) Note(ctx context.Context, key string) (value string, err error) {
	if err := checkText("key of a note", key, maxKey); err != nil {
		return "", s.fail("note", err)
	}
	err = s.reading(ctx, "note", func(ctx context.Context) error {
		return s.reader(ctx).QueryRowContext(ctx, "SELECT value FROM notes WHERE name = $1", key).Scan(&value)
	})
	if errors.Is(err, directory.ErrNotFound) {
		return "", nil
	}
	return value, err
}

// SetNote keeps a text of up to 1 MiB. An empty one takes the note away.
func (s *Store) SetNote(ctx context.Context, key, value string) error {
	if err := checkText("key of a note", key, maxKey); err != nil {
		return s.fail("set note", err)
	}
	if err := checkText("note", value, maxNote); err != nil {
		return s.fail("set note", err)
	}
	text := "INSERT INTO notes (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	args := []any{key, value}
	if value == "" {
		text, args = "DELETE FROM notes WHERE name = $1", args[:1]
	}
	_, err := s.exec(ctx, "set note", lasts, text, args...)
	return err
}

// SharedKey returns 32 random bytes that all nodes know by the key of a note. The
// first that asks makes them. Of nodes that do so at the same time, one's are
// overwritten: it finds that out when it asks again.
func (s *Store) SharedKey(ctx context.Context, note string) (*[32]byte, error) {
	k := new([32]byte)
	for range 2 {
		text, err := s.Note(ctx, note)
		if err != nil {
			return nil, err
		}
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) == len(k) {
			copy(k[:], b)
			return k, nil
		}
		_, _ = rand.Read(k[:]) // never fails (crypto/rand)
		if err := s.SetNote(ctx, note, base64.StdEncoding.EncodeToString(k[:])); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("store: %s is not kept: %w", note, authn.ErrUnavailable)
}
