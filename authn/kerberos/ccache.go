package kerberos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/soapward/soapward/internal/krb5"
)

const maxCacheSize = 16 << 20

// cachePath finds the file that a credential cache name stands for.
func cachePath(name string) (string, error) {
	if name == "" {
		name = os.Getenv("KRB5CCNAME")
	}
	if name == "" {
		name = "/tmp/krb5cc_" + strconv.Itoa(os.Getuid())
	}
	kind, path, ok := strings.Cut(name, ":")
	switch {
	case !ok || strings.ContainsAny(kind, `/\`) || len(kind) == 1: // a path, also C:\...
		return name, nil
	case kind == "FILE":
		return path, nil
	case kind == "DIR":
		if sub, ok := strings.CutPrefix(path, ":"); ok { // DIR::/path/tktXYZ
			return sub, nil
		}
		primary := "tkt"
		b, err := os.ReadFile(filepath.Join(path, "primary"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("kerberos: credential cache %s: %w", name, err)
		}
		if err == nil {
			primary = strings.TrimSpace(string(b))
		}
		if !strings.HasPrefix(primary, "tkt") || strings.ContainsAny(primary, `/\`) {
			return "", fmt.Errorf("kerberos: credential cache %s: its file primary does not name a cache", name)
		}
		return filepath.Join(path, primary), nil
	case kind == "KCM" || kind == "KEYRING" || kind == "MEMORY" || kind == "API" || kind == "MSLSA":
		return "", fmt.Errorf("kerberos: credential cache %s: tickets of kind %s are kept where only their own library can read them; "+
			"use a file: kinit -c FILE:/path", name, kind)
	}
	return "", fmt.Errorf("kerberos: credential cache %s: kind %s is not known; give a path, FILE:path or DIR:path", name, kind)
}

// ccache is the content of a credential cache.
type ccache struct {
	client  krb5.PrincipalName
	realm   string
	tickets []*ticket
}

func loadCache(path string) (*ccache, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("kerberos: open credential cache: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("kerberos: credential cache: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("kerberos: credential cache %s is not a regular file", path)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	if perm := info.Mode().Perm(); perm&0o027 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("kerberos: credential cache %s has mode %#o, so others could use its tickets: run chmod %#o %s",
			path, perm, perm&0o640, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCacheSize+1))
	if err != nil {
		return nil, fmt.Errorf("kerberos: read credential cache %s: %w", path, err)
	}
	cc, err := parseCache(b)
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return cc, nil
}

// parseCache reads versions 3 and 4 of the file format that MIT documents
// ("Credential cache file format"). Tickets of encryption types we do not
// have, and entries that are no tickets, are left out.
func parseCache(b []byte) (*ccache, error) {
	bad := errors.New("kerberos: malformed credential cache")
	if len(b) > maxCacheSize {
		return nil, fmt.Errorf("kerberos: credential cache is longer than %d bytes", maxCacheSize)
	}
	r := cacheReader{s: b}
	magic, version := r.uint8(), r.uint8()
	if magic != 5 {
		return nil, errors.New("kerberos: not a credential cache")
	}
	switch version {
	case 3:
	case 4:
		r.bytes(int(r.uint16())) // header fields: clock offset of the KDC
	default:
		return nil, fmt.Errorf("kerberos: credential cache of version %d; 3 and 4 can be read", version)
	}
	cc := &ccache{}
	cc.client, cc.realm = r.principal()
	for !r.bad && !r.s.Empty() {
		t, err := r.credential(version)
		if err != nil {
			return nil, err
		}
		if t != nil {
			cc.tickets = append(cc.tickets, t)
		}
	}
	if r.bad || cc.client.IsZero() {
		return nil, bad
	}
	return cc, nil
}

// cacheReader reads a credential cache. The first failure sticks.
type cacheReader struct {
	s   cryptobyte.String
	bad bool
}

func (r *cacheReader) ok(ok bool) {
	if !ok {
		r.bad, r.s = true, nil
	}
}

func (r *cacheReader) uint8() (v uint8)   { r.ok(r.s.ReadUint8(&v)); return v }
func (r *cacheReader) uint16() (v uint16) { r.ok(r.s.ReadUint16(&v)); return v }
func (r *cacheReader) uint32() (v uint32) { r.ok(r.s.ReadUint32(&v)); return v }

func (r *cacheReader) bytes(n int) (v []byte) { r.ok(r.s.ReadBytes(&v, n)); return v }

func (r *cacheReader) data() []byte {
	n := r.uint32()
	if uint64(n) > uint64(len(r.s)) {
		r.ok(false)
		return nil
	}
	return r.bytes(int(n))
}

func (r *cacheReader) time() time.Time {
	v := r.uint32()
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(int64(v), 0).UTC()
}

func (r *cacheReader) principal() (krb5.PrincipalName, string) {
	p := krb5.PrincipalName{Type: krb5.NameType(int32(r.uint32()))}
	n := r.uint32()
	realm := string(r.data())
	for range n {
		if r.bad {
			break
		}
		p.Components = append(p.Components, string(r.data()))
	}
	return p, realm
}

// pairs skips addresses or authorization data.
func (r *cacheReader) pairs() {
	for range r.uint32() {
		if r.bad {
			return
		}
		r.uint16()
		r.data()
	}
}

// credential reads one entry. It returns nil for one that is to be left out.
func (r *cacheReader) credential(version uint8) (*ticket, error) {
	t := &ticket{}
	t.client, t.crealm = r.principal()
	_, srealm := r.principal()
	etype := krb5.EType(int16(r.uint16()))
	if version == 3 {
		r.uint16() // the same again
	}
	keyBytes := r.data()
	auth := r.time()
	t.start, t.end, t.renew = r.time(), r.time(), r.time()
	if t.start.IsZero() {
		t.start = auth
	}
	userToUser := r.uint8() != 0
	t.flags = krb5.Flags(r.uint32())
	r.pairs()
	r.pairs()
	der := r.data()
	r.data() // second ticket
	if r.bad || userToUser || srealm == "X-CACHECONF:" || !etype.Supported() {
		return nil, nil
	}
	key, err := krb5.NewKey(etype, keyBytes)
	if err != nil {
		return nil, err
	}
	tkt, err := krb5.ParseTicket(der)
	if err != nil {
		return nil, err
	}
	t.key, t.Ticket = key, *tkt
	return t, nil
}

// cacheLogin takes the TGT from a credential cache, and renews it if
// there is nothing better.
type cacheLogin struct{ path string }

const kinit = "run kinit, or use a keytab, which needs no attention"

func (l *cacheLogin) tgt(ctx context.Context, c *client, old *ticket) (*ticket, error) {
	cc, err := loadCache(l.path)
	if err != nil {
		return nil, err
	}
	name, realm := c.who()
	if !cc.client.Equal(name) || cc.realm != realm {
		return nil, fmt.Errorf("kerberos: credential cache %s is now of %v@%s, and was of %v@%s", l.path, cc.client, cc.realm, name, realm)
	}
	for _, t := range cc.tickets {
		isOwn := t.SName.Equal(krb5.TGSName(realm)) && t.client.Equal(name) && t.crealm == realm
		if isOwn && (old == nil || t.end.After(old.end)) {
			old = t
		}
	}
	if old == nil {
		return nil, fmt.Errorf("kerberos: credential cache %s has no ticket-granting ticket of %v@%s that can be used: %s", l.path, name, realm, kinit)
	}
	if old.end.Sub(c.now()) > maxEarly {
		return old, nil
	}
	return c.renew(ctx, old, kinit)
}
