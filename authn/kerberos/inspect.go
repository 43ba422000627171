package kerberos

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/soapward/soapward/internal/krb5"
)

// A KeytabEntry tells of one key in a keytab, and not the key itself. Only
// programs that diagnose need it; see InspectKeytab.
type KeytabEntry struct {
	Principal string // without realm: "svc-app", "HTTP/app.corp.test"
	Realm     string
	KVNO      uint32
	EType     string    // "aes256-cts-hmac-sha1-96"; also of keys that are never used
	Written   time.Time // as the keytab says; zero if it does not
	Usable    bool      // false: a type that is not supported, such as DES
	Weak      bool      // RC4, and whatever is not supported

	// Account is the same for entries that belong to one account: principals
	// that have a key in common, directly or through a third.
	Account int
	// Key is the same for entries that have the same key.
	Key int
}

// InspectKeytab lists the content of a keytab file in its order. Other than
// ParseKeytab it tells of all keys, and takes a keytab that has none which can
// be used.
func InspectKeytab(b []byte) ([]KeytabEntry, error) {
	kt, err := decodeKeytab(b)
	if err != nil {
		return nil, err
	}
	var out []KeytabEntry
	keys, accounts := groups{}, groups{}
	for i := range kt.Entries {
		e := &kt.Entries[i]
		if len(e.Principal.Components) == 0 {
			return nil, errMalformedKeytab
		}
		t := krb5.EType(e.Key.KeyType)
		if t.Supported() && len(e.Key.KeyValue) != t.KeySize() {
			return nil, errMalformedKeytab
		}
		k := KeytabEntry{
			Principal: strings.Join(e.Principal.Components, "/"), Realm: e.Principal.Realm, KVNO: e.KVNO,
			EType: t.String(), Usable: t.Supported(), Weak: !t.Supported() || t == krb5.RC4HMAC,
		}
		if e.Timestamp.Unix() > 0 {
			k.Written = e.Timestamp.UTC()
		}
		key := keyGroup(t, e.Key.KeyValue)
		accounts.join(principalGroup(k.Principal, k.Realm), key)
		k.Key = keys.number(key)
		out = append(out, k)
	}
	for i := range out {
		out[i].Account = accounts.number(principalGroup(out[i].Principal, out[i].Realm))
	}
	return out, nil
}

// groups puts names into groups, which are joined as it turns out that they
// belong together.
type groups map[string]*group

type group struct {
	number int
	in     *group // that this one was joined to
}

// principalGroup and keyGroup are names for groups. Names of principals are
// compared as Active Directory does, keys with their type.
func principalGroup(name, realm string) string { return "name " + strings.ToLower(name) + "@" + realm }
func keyGroup(t krb5.EType, key []byte) string { return fmt.Sprintf("key %d %s", t, key) }

// find returns the group that a name is in, a new one at first.
func (g groups) find(name string) *group {
	r := g[name]
	if r == nil {
		r = &group{number: len(g)}
		g[name] = r
	}
	for r.in != nil {
		if r.in.in != nil {
			r.in = r.in.in // shorter next time
		}
		r = r.in
	}
	return r
}

func (g groups) number(name string) int { return g.find(name).number }

func (g groups) join(a, b string) {
	if x, y := g.find(a), g.find(b); x != y {
		y.in = x
	}
}

var errMalformedKeytab = errors.New("kerberos: malformed keytab")

// decodeKeytab reads a keytab. The library's errors are not passed on: they
// quote the bytes of the file, keys included.
func decodeKeytab(b []byte) (*keytab.Keytab, error) {
	if len(b) > maxKeytabSize {
		return nil, fmt.Errorf("kerberos: keytab is longer than %d bytes", maxKeytabSize)
	}
	if len(b) == 0 {
		return nil, errors.New("kerberos: keytab is empty")
	}
	kt := keytab.New()
	if err := kt.Unmarshal(b); err != nil {
		return nil, errMalformedKeytab
	}
	return kt, nil
}

// KeyVersion returns the version of the service's key that the ticket is sealed
// with, as the KDC says.
func (t *Ticket) KeyVersion() uint32 { return t.open().EncPart.KVNO }

// EType returns the encryption type that the ticket is sealed with, such as
// "aes256-cts-hmac-sha1-96".
func (t *Ticket) EType() string { return t.open().EncPart.EType.String() }

// SessionEType returns the encryption type of the session key.
func (t *Ticket) SessionEType() string { return t.open().key.EType().String() }

// Opens reports whether a key in the keytab opens the ticket, and of which
// version that key is there. Whoever accepts logins uses a Mechanism; this is
// for programs that diagnose.
func (k *Keytab) Opens(t *Ticket) (kvno uint32, ok bool) {
	opened, _, err := k.InspectTicket(&t.open().Ticket)
	if err != nil {
		return 0, false
	}
	return opened.KVNO, true
}
