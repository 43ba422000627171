package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/atomicfile"
	"github.com/soapward/soapward/internal/krb5"
)

// keptVersions is how many versions of an account's keys a keytab has: the one
// in force, and two for tickets that were issued before.
const keptVersions = 3

// AccountKeys are the keys that follow from the password of one account, AES256
// and AES128. All fields must be set.
type AccountKeys struct {
	Realm      string   // CORP.TEST
	Principals []string // without realm: "HTTP/app.corp.test", "GW01$"
	Salt       string   // as the KDC makes it; see ComputerSalt
	KVNO       uint32   // version number of the password
	Password   authn.Secret
}

// ComputerSalt returns the salt of a computer account's keys in Active
// Directory (MS-KILE 3.1.1.2): that of the name the account had when its
// password was set. computer is GW01 or GW01$.
func ComputerSalt(realm, computer string) string {
	name := strings.ToLower(strings.TrimSuffix(computer, "$"))
	return strings.ToUpper(realm) + "host" + name + "." + strings.ToLower(realm)
}

// WriteKeytab adds the keys to a keytab file, or makes the file, readable by
// its owner only. Keys of the same principal and version are replaced; older
// versions stay for the tickets that are in use, two of them; other accounts'
// keys stay. A directory where everybody can make files is refused: the keys in
// it could be anybody's. Readers find the file as it was or as it is then, never half of
// it. It reports whether the file had to be changed.
func WriteKeytab(path string, keys AccountKeys) (changed bool, err error) {
	made, err := keys.make()
	if err != nil {
		return false, err
	}
	old, err := loadKeySet(path)
	if err != nil {
		return false, err
	}
	if old.has(made) {
		return false, nil
	}
	b, err := encodeKeytab(old.with(made), time.Now())
	if err != nil {
		return false, err
	}
	if err := atomicfile.Write(path, b); err != nil {
		return false, fmt.Errorf("kerberos: write keytab: %w", err)
	}
	return true, nil
}

// make derives the keys.
func (a *AccountKeys) make() ([]keytabEntry, error) {
	if a.Realm == "" || a.Salt == "" || len(a.Principals) == 0 || a.KVNO == 0 || a.Password.IsEmpty() {
		return nil, errors.New("kerberos: a field of AccountKeys is not set")
	}
	var out []keytabEntry
	for _, e := range []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1} {
		key, err := krb5.StringToKey(e, a.Password.Reveal(), a.Salt, nil)
		if err != nil {
			return nil, fmt.Errorf("kerberos: key of a password: %w", err)
		}
		for _, p := range a.Principals {
			out = append(out, keytabEntry{principal: p, realm: a.Realm, kvno: a.KVNO, key: key})
		}
	}
	return out, nil
}

// loadKeySet reads a keytab, with no keys if the file is not there.
func loadKeySet(path string) (*keySet, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return &keySet{}, nil
	}
	k, err := LoadKeytab(path)
	if err != nil {
		return nil, err
	}
	return k.keys.Load(), nil
}

func sameSlot(a, b keytabEntry) bool {
	return samePrincipal(a, b) && a.kvno == b.kvno && a.key.EType() == b.key.EType()
}

// has reports whether all keys are there already, and none that supersedes
// finds. A higher version number of the same key will do: the controller that
// told the number may be one that has not heard of the last change.
func (s *keySet) has(entries []keytabEntry) bool {
	for _, e := range entries {
		if !slices.ContainsFunc(s.entries, func(o keytabEntry) bool { return samePrincipal(e, o) && o.kvno >= e.kvno && o.key.Equal(e.key) }) {
			return false
		}
	}
	return !slices.ContainsFunc(s.entries, func(o keytabEntry) bool { return supersedes(entries, o) })
}

func samePrincipal(a, b keytabEntry) bool { return a.principal == b.principal && a.realm == b.realm }

// supersedes reports whether an entry is another key of a version that is not
// in force yet: of a password that was given up before it came to that.
func supersedes(entries []keytabEntry, o keytabEntry) bool {
	return slices.ContainsFunc(entries, func(e keytabEntry) bool {
		return samePrincipal(e, o) && e.key.EType() == o.key.EType() && o.kvno > e.kvno && !o.key.Equal(e.key)
	})
}

// with returns the entries together with new ones, newest version first.
func (s *keySet) with(entries []keytabEntry) []keytabEntry {
	out := slices.Clone(entries)
	for _, o := range s.entries {
		if supersedes(entries, o) || slices.ContainsFunc(entries, func(e keytabEntry) bool { return sameSlot(e, o) }) {
			continue
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b keytabEntry) int { return int(int64(b.kvno) - int64(a.kvno)) })
	versions := map[string][]uint32{} // of each principal, those kept
	return slices.DeleteFunc(out, func(e keytabEntry) bool {
		name := e.principal + "@" + e.realm
		kept := versions[name]
		if slices.Contains(kept, e.kvno) {
			return false
		}
		versions[name] = append(kept, e.kvno)
		return len(kept) >= keptVersions
	})
}

// encodeKeytab writes the file format of MIT Kerberos, version 5.2: a length
// before each entry, all numbers with the most significant byte first.
func encodeKeytab(entries []keytabEntry, now time.Time) ([]byte, error) {
	const nameTypePrincipal = 1 // KRB5_NT_PRINCIPAL
	out := []byte{5, 2}
	for _, e := range entries {
		parts := strings.Split(e.principal, "/")
		b := binary.BigEndian.AppendUint16(nil, uint16(len(parts)))
		for _, s := range append([]string{e.realm}, parts...) {
			if len(s) > math.MaxInt16 || strings.ContainsRune(s, 0) {
				return nil, fmt.Errorf("kerberos: principal %.100q does not fit into a keytab", e.principal)
			}
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
		}
		b = binary.BigEndian.AppendUint32(b, nameTypePrincipal)
		b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
		b = append(b, byte(e.kvno)) // the whole number is at the end
		key := e.key.Bytes()
		b = binary.BigEndian.AppendUint16(b, uint16(e.key.EType()))
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
		b = binary.BigEndian.AppendUint32(b, e.kvno)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
	}
	if len(out) > maxKeytabSize {
		return nil, fmt.Errorf("kerberos: keytab is longer than %d bytes", maxKeytabSize)
	}
	return out, nil
}
