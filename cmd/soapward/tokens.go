package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/internal/atomicfile"
)

// A tokenFile keeps the logins of a user to gateways, in a file that nobody else
// can read. Commands that run at once change it one after the other.
type tokenFile struct{ path string }

// tokenSet is what is in the file.
type tokenSet struct {
	Servers map[string]*serverLogin `json:"servers"` // by URL
	Last    string                  `json:"last,omitempty"`
}

// A serverLogin is one to a gateway. Its secrets do not print.
type serverLogin struct {
	Token   wire.Password `json:"token"`
	Expires time.Time     `json:"expires"`
	Name    string        `json:"name"`
	Role    string        `json:"role"`
	Local   bool          `json:"local,omitempty"`
	CAFile  string        `json:"ca_file,omitempty"`

	// Of the provider, for a new token when this one is over.
	Provider *wire.Provider `json:"provider,omitempty"`
	Refresh  wire.Password  `json:"refresh,omitzero"`
	Subject  string         `json:"subject,omitempty"`
}

const (
	maxTokenFile = 1 << 20 // bytes
	lockPause    = 20 * time.Millisecond
	lockPatience = time.Minute // a provider that is slow holds it
)

// ownTokens is the file of whoever runs this: soapward/tokens.json in
// XDG_CONFIG_HOME or what takes its place.
func ownTokens() (*tokenFile, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, withRemedy(fmt.Errorf("no place for the logins: %w", err), "set XDG_CONFIG_HOME or HOME")
	}
	return &tokenFile{filepath.Join(dir, "soapward", "tokens.json")}, nil
}

// sharing returns the other gateways for which a login at a provider is good. An ID
// token says for which client it is, and not for which gateway: who is given it can
// pass it on.
func (s *tokenSet) sharing(server string, p *wire.Provider) (others []string) {
	for _, other := range slices.Sorted(maps.Keys(s.Servers)) {
		if l := s.Servers[other]; other != server && l.Provider != nil && l.Provider.Issuer == p.Issuer && l.Provider.ClientID == p.ClientID {
			others = append(others, other)
		}
	}
	return others
}

// read returns what is in the file; without one, nothing. A file that others can
// read or write is refused.
func (t *tokenFile) read() (*tokenSet, error) {
	all := &tokenSet{Servers: map[string]*serverLogin{}}
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", t.path)
	case !isOurs(info):
		return nil, withRemedy(fmt.Errorf("%s belongs to another user", t.path), "remove it, and log in again")
	case openMode(info, 0o077) != 0:
		return nil, withRemedy(fmt.Errorf("%s can be read by others (mode %04o): they may have the tokens in it", t.path, info.Mode().Perm()),
			"chmod 600 "+shellWord(t.path)+", and soapward logout")
	}
	if err := t.checkDir(); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTokenFile || json.Unmarshal(b, all) != nil { // the error would show what is in it
		return nil, withRemedy(fmt.Errorf("%s is damaged", t.path), "remove it, and log in again")
	}
	if all.Servers == nil {
		all.Servers = map[string]*serverLogin{}
	}
	for server, l := range all.Servers {
		if l == nil {
			delete(all.Servers, server)
		}
	}
	return all, nil
}

// checkDir refuses a directory in which others can put another file in the place
// of ours.
func (t *tokenFile) checkDir() error {
	dir := filepath.Dir(t.path)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !isOurs(info):
		return withRemedy(fmt.Errorf("%s belongs to another user", dir), "set XDG_CONFIG_HOME to a directory of yours")
	case openMode(info, 0o022) != 0:
		return withRemedy(fmt.Errorf("others can put files into %s (mode %04o)", dir, info.Mode().Perm()), "chmod 700 "+shellWord(dir))
	}
	return nil
}

// change reads, changes and writes the file, while no other command does. change
// may write in between with save, and returns an error to leave the file as it
// is.
func (t *tokenFile) change(ctx context.Context, change func(all *tokenSet, save func() error) error) error {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o700); err != nil {
		return err
	}
	if err := t.checkDir(); err != nil {
		return err
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := t.read()
	if err != nil {
		return err
	}
	save := func() error {
		b, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		return atomicfile.Write(t.path, append(b, '\n'))
	}
	if err := change(all, save); err != nil {
		return err
	}
	return save()
}

// lock waits until no other command changes the file. The lock is on a file
// beside it, for it is replaced.
func (t *tokenFile) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		f, ours, err := lockFile(t.path + ".lock")
		if err != nil {
			return nil, err
		}
		if ours {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, withRemedy(fmt.Errorf("another soapward holds %s.lock", t.path), "wait for it, or end it")
		case <-time.After(lockPause):
		}
	}
}
