//go:build unix

package kerberos

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The default cache is in /tmp, where anybody could put one of theirs, or a
// pipe that nobody writes to.
func TestAttackCacheOfAnotherUser(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	tgt, err := r.client(t, "alice").c.tgt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cc")
	f := newCacheFile(4, tgt.client, tgt.crealm)
	f.ticket(4, tgt)
	f.write(t, path)
	if _, err := NewCacheClient(r.config(), path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(os.Geteuid())
	for owner, ok := range map[uint32]bool{uid: true, 0: true, uid + 1: false} {
		if err := checkOwner(path, fileOf{info, owner}); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "belongs to user") {
			t.Errorf("file of user %d, we are %d: %v", owner, uid, err)
		}
	}
	if uid == 0 { // only root can give files away
		if err := os.Chown(path, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := NewCacheClient(r.config(), path); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
			t.Errorf("got %v", err)
		}
	}

	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := NewCacheClient(r.config(), pipe)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a pipe blocks us")
	}
}

// TestAttackKeytabIsPipe: a server that finds a pipe in the place of its keytab
// says so, and goes on with the keys it has.
func TestAttackKeytabIsPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gw01.keytab")
	updateKeytab(t, path, computerKeys(1, "first"))
	k, err := LoadKeytab(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() { k.refresh(); done <- k.Err() }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") || len(k.Principals()) != 2 {
			t.Errorf("got %v and %q", err, k.Principals())
		}
	case <-time.After(10 * time.Second):
		t.Error("a pipe blocks us")
	}
}

// fileOf is a file of another owner.
type fileOf struct {
	os.FileInfo
	uid uint32
}

func (f fileOf) Sys() any { return &syscall.Stat_t{Uid: f.uid} }
