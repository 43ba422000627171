package kerberos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

const (
	maxKeytabSize = 1 << 20
	keytabRecheck = time.Second // how often the file is looked at
)

// A Keytab holds the keys of a service. One that LoadKeytab read is read again
// when its file changes, so that a new password takes effect without a
// restart. It is safe for concurrent use, must not be copied, and does not
// print its keys.
type Keytab struct {
	path string // empty: not from a file
	now  func() time.Time

	keys    atomic.Pointer[keySet]
	checked atomic.Int64 // when the file was looked at last, Unix nanoseconds

	mu   sync.Mutex  // held while the file is read
	info os.FileInfo // of the file looked at last
	err  error       // why that could not be read

	replay MemoryReplayCache // of Mechanisms that have no other
}

// keySet is the content of a keytab. It never changes.
type keySet struct {
	entries []keytabEntry // newest key version first
	account []int         // for each entry, the account it belongs to
}

// keytabEntry is one key of one principal.
type keytabEntry struct {
	principal string // without realm: "svc-app", "HTTP/app.corp.test"
	realm     string
	kvno      uint32
	key       krb5.Key
}

// LoadKeytab reads a keytab file. It refuses one that users outside its owner
// and group can read, or that its group can write.
func LoadKeytab(path string) (*Keytab, error) {
	k := &Keytab{path: path, now: time.Now}
	if err := k.reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// ParseKeytab reads a keytab from memory.
func ParseKeytab(b []byte) (*Keytab, error) {
	set, err := parseKeySet(b)
	if err != nil {
		return nil, err
	}
	k := &Keytab{now: time.Now}
	k.keys.Store(set)
	return k, nil
}

// Err returns why the file could not be read again after it changed, or nil.
// The keys read before stay in force.
func (k *Keytab) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Principals returns the names in the keytab with their realms, sorted.
func (k *Keytab) Principals() []string {
	seen := map[string]bool{}
	var names []string
	for _, e := range k.current().entries {
		if n := e.principal + "@" + e.realm; !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

// String implements fmt.Stringer.
func (k *Keytab) String() string {
	if k.path == "" {
		return "keytab in memory"
	}
	return "keytab " + k.path
}

// current returns the keys, read again from the file if that changed.
func (k *Keytab) current() *keySet {
	if k.path != "" {
		now, last := k.now().UnixNano(), k.checked.Load()
		if now-last >= int64(keytabRecheck) && k.checked.CompareAndSwap(last, now) {
			k.refresh()
		}
	}
	return k.keys.Load()
}

// refresh reads the file again if it changed.
func (k *Keytab) refresh() {
	if k.path == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = k.reload()
}

// reload reads the file if it is not the one looked at last. The caller holds
// k.mu or is alone.
func (k *Keytab) reload() error {
	f, err := openFile(k.path)
	if err != nil {
		return fmt.Errorf("kerberos: open keytab: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("kerberos: keytab: %w", err)
	}
	if old := k.info; old != nil && os.SameFile(info, old) && info.ModTime().Equal(old.ModTime()) &&
		info.Size() == old.Size() && info.Mode() == old.Mode() {
		return k.err
	}
	k.info = info
	if err := checkMode(k.path, info); err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeytabSize+1))
	if err != nil {
		return fmt.Errorf("kerberos: read keytab %s: %w", k.path, err)
	}
	set, err := parseKeySet(b)
	if err != nil {
		return fmt.Errorf("%w (file %s)", err, k.path)
	}
	k.keys.Store(set)
	return nil
}

// checkMode refuses a file whose content others may know or replace.
func checkMode(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("kerberos: keytab %s is not a regular file", path)
	}
	if runtime.GOOS == "windows" {
		return nil // access lists, not modes
	}
	if perm := info.Mode().Perm(); perm&0o027 != 0 {
		return fmt.Errorf("kerberos: keytab %s has mode %#o, so others could use its keys: run chmod %#o %s",
			path, perm, perm&0o640, path)
	}
	return nil
}

// parseKeySet reads the keys that can be used.
func parseKeySet(b []byte) (*keySet, error) {
	kt, err := decodeKeytab(b)
	if err != nil {
		return nil, err
	}
	set := &keySet{}
	for i := range kt.Entries {
		e := &kt.Entries[i]
		key, err := krb5.NewKey(krb5.EType(e.Key.KeyType), e.Key.KeyValue)
		if errors.Is(err, krb5.ErrUnsupported) {
			continue // DES, Camellia: never used
		}
		if err != nil || len(e.Principal.Components) == 0 {
			return nil, errMalformedKeytab
		}
		set.entries = append(set.entries, keytabEntry{
			principal: strings.Join(e.Principal.Components, "/"),
			realm:     e.Principal.Realm,
			kvno:      e.KVNO,
			key:       key,
		})
	}
	if len(set.entries) == 0 {
		return nil, errors.New("kerberos: keytab has no usable keys")
	}
	sort.SliceStable(set.entries, func(i, j int) bool { return set.entries[i].kvno > set.entries[j].kvno })
	set.findAccounts()
	return set, nil
}

// findAccounts finds out which names belong to one account: those that have a
// key in common, directly or through a third name.
func (s *keySet) findAccounts() {
	all := groups{}
	for i := range s.entries {
		e := &s.entries[i]
		all.join(principalGroup(e.principal, e.realm), keyGroup(e.key.EType(), e.key.Bytes()))
	}
	s.account = make([]int, len(s.entries))
	for i := range s.entries {
		s.account[i] = all.number(principalGroup(s.entries[i].principal, s.entries[i].realm))
	}
}
