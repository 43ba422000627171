package kerberos

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// cacheFile writes a credential cache (MIT, "Credential cache file format").
type cacheFile struct{ b []byte }

func (f *cacheFile) u16(v uint16)  { f.b = binary.BigEndian.AppendUint16(f.b, v) }
func (f *cacheFile) u32(v uint32)  { f.b = binary.BigEndian.AppendUint32(f.b, v) }
func (f *cacheFile) data(d []byte) { f.u32(uint32(len(d))); f.b = append(f.b, d...) }

func (f *cacheFile) principal(p krb5.PrincipalName, realm string) {
	f.u32(uint32(p.Type))
	f.u32(uint32(len(p.Components)))
	f.data([]byte(realm))
	for _, c := range p.Components {
		f.data([]byte(c))
	}
}

func newCacheFile(version byte, p krb5.PrincipalName, realm string) *cacheFile {
	f := &cacheFile{b: []byte{5, version}}
	if version == 4 {
		f.u16(12) // the clock offset
		f.u16(1)
		f.u16(8)
		f.u32(0)
		f.u32(0)
	}
	f.principal(p, realm)
	return f
}

func (f *cacheFile) ticket(version byte, t *ticket) {
	f.principal(t.client, t.crealm)
	f.principal(t.SName, t.Realm)
	f.u16(uint16(t.key.EType()))
	if version == 3 {
		f.u16(uint16(t.key.EType()))
	}
	f.data(t.key.Bytes())
	for _, at := range []time.Time{t.start, t.start, t.end, t.renew} {
		if at.IsZero() {
			f.u32(0)
		} else {
			f.u32(uint32(at.Unix()))
		}
	}
	f.b = append(f.b, 0)
	f.u32(uint32(t.flags))
	f.u32(1) // an address
	f.u16(2)
	f.data([]byte{127, 0, 0, 1})
	f.u32(0)
	f.data(t.Raw)
	f.data(nil)
}

// config adds an entry that is none, as MIT keeps settings in a cache.
func (f *cacheFile) config(client krb5.PrincipalName, realm string) {
	f.principal(client, realm)
	f.principal(krb5.PrincipalName{Components: []string{"krb5_ccache_conf_data", "pa_type"}}, "X-CACHECONF:")
	f.u16(0)
	f.data(nil)
	f.b = append(f.b, make([]byte, 4*4+1+4+4+4)...)
	f.data([]byte("2"))
	f.data(nil)
}

func (f *cacheFile) write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, f.b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCacheClient(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "tktX")
	tgt, err := r.client(t, "alice").c.tgt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := newCacheFile(4, tgt.client, tgt.crealm)
	f.config(tgt.client, tgt.crealm)
	f.ticket(4, tgt)
	f.write(t, path)
	if err := os.WriteFile(filepath.Join(dir, "primary"), []byte("tktX\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, "FILE:" + path, "DIR:" + dir, "DIR::" + path} { // FILE: fails in gokrb5
		c, err := NewCacheClient(r.config(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c.c.testOnlyNow = r.clock.now
		if c.Principal() != "alice@CORP.TEST" {
			t.Errorf("%s: %v", name, c)
		}
		if _, err := c.Ticket(t.Context(), appSPN); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := NewCacheClient(r.config(), path)
	if err != nil {
		t.Fatal(err)
	}
	c.c.testOnlyNow = r.clock.now
	if err := c.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.clock.add(11 * time.Hour)
	if _, err := c.Ticket(t.Context(), appSPN); err == nil || !strings.Contains(err.Error(), "run kinit") {
		t.Errorf("after the TGT's end: %v", err)
	}
	// Somebody ran kinit.
	if tgt, err = r.client(t, "alice").c.tgt(t.Context()); err != nil {
		t.Fatal(err)
	}
	f = newCacheFile(3, tgt.client, tgt.crealm)
	f.ticket(3, tgt)
	f.write(t, path)
	if _, err := c.Ticket(t.Context(), appSPN); err != nil {
		t.Errorf("after kinit: %v", err)
	}
	// Somebody else ran kinit.
	bob, err := r.client(t, "bob").c.tgt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f = newCacheFile(4, bob.client, bob.crealm)
	f.ticket(4, bob)
	f.write(t, path)
	r.clock.add(11 * time.Hour)
	if _, err := c.Ticket(t.Context(), appSPN); err == nil || !strings.Contains(err.Error(), "is now of bob@CORP.TEST") {
		t.Errorf("after another user's kinit: %v", err)
	}
}

// A service ticket in the cache is used without asking a KDC.
func TestCacheClientServiceTicket(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	path := filepath.Join(t.TempDir(), "cc")
	tkt, err := r.client(t, "alice").c.service(t.Context(), appSPN)
	if err != nil {
		t.Fatal(err)
	}
	f := newCacheFile(4, tkt.client, tkt.crealm)
	f.ticket(4, tkt)
	f.write(t, path)
	before := r.Stats()
	cfg := r.config()
	mapped := cfg // a realm for the service's host once kept the ticket from being found
	mapped.DomainRealm = map[string]string{".corp.test": tkt.Realm}
	for _, cfg := range []Config{cfg, mapped} {
		c, err := NewCacheClient(cfg, path)
		if err != nil {
			t.Fatal(err)
		}
		c.c.testOnlyNow = r.clock.now
		if _, err := runExchange(t, c.NewInitiator(appSPN, InitiatorConfig{}), r.mechanism(t, "svc-app", appSPN), authn.Exchange{}); err != nil {
			t.Fatal(err)
		}
		if r.Stats() != before {
			t.Error("a KDC was asked")
		}
		if _, err := c.Ticket(t.Context(), backSPN); err == nil || !strings.Contains(err.Error(), "no ticket-granting ticket") {
			t.Errorf("another service: %v", err)
		}
	}
}

// renewableTGT logs in as kinit -r does; a Client does not ask for that.
func renewableTGT(t *testing.T, c *client) *ticket {
	t.Helper()
	l := c.source.(*keyLogin)
	now := c.now()
	a := &asExchange{c: c, secret: l.secret, body: &krb5.KDCReqBody{
		Options: krb5.FlagForwardable | krb5.FlagRenewable, CName: c.name, Realm: c.realm, SName: krb5.TGSName(c.realm),
		Till: now.Add(time.Hour), RTime: now.Add(3 * time.Hour), ETypes: c.etypes,
	}}
	_, m, err := a.send(t.Context(), nil)
	if err != nil || m == nil {
		t.Fatalf("%v, %v", m, err)
	}
	proof, err := a.prove(m)
	if err != nil {
		t.Fatal(err)
	}
	rep, m, err := a.send(t.Context(), []krb5.PAData{proof})
	if err != nil || m != nil {
		t.Fatalf("%v, %v", m, err)
	}
	tgt, err := a.finish(rep)
	if err != nil {
		t.Fatal(err)
	}
	return tgt
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	tgt := renewableTGT(t, r.client(t, "alice").c)
	path := filepath.Join(t.TempDir(), "cc")
	f := newCacheFile(4, tgt.client, tgt.crealm)
	f.ticket(4, tgt)
	f.write(t, path)
	c, err := NewCacheClient(r.config(), path)
	if err != nil {
		t.Fatal(err)
	}
	c.c.testOnlyNow = r.clock.now
	for range 3 { // hours
		if _, err := c.Ticket(t.Context(), appSPN); err != nil {
			t.Fatal(err)
		}
		r.clock.add(58 * time.Minute)
	}
	if n := r.Stats().Renew; n != 2 {
		t.Errorf("renewed %d times, want 2", n)
	}
	r.clock.add(time.Hour)
	if _, err := c.Ticket(t.Context(), appSPN); err == nil || !strings.Contains(err.Error(), "run kinit") {
		t.Errorf("past the renewable life: %v", err)
	}
}

func TestRenewRefusals(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.client(t, "alice")
	tgt, err := c.c.tgt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claimed := &ticket{ // inside, where the KDC looks, it is not renewable
		Ticket: tgt.Ticket, key: tgt.key, client: tgt.client, crealm: tgt.crealm, flags: tgt.flags | krb5.FlagRenewable,
		start: tgt.start, end: tgt.end, renew: tgt.end.Add(time.Hour),
	}
	for _, tc := range []struct {
		name string
		t    *ticket
		left time.Duration
		says string // "" means that t is returned
	}{
		{"not renewable", tgt, time.Minute, ""},
		{"KDC does not renew", claimed, time.Minute, "KDC_ERR_BADOPTION"},
		{"ended", claimed, -time.Minute, "log in again"},
	} {
		r.clock.add(tc.t.end.Add(-tc.left).Sub(r.clock.now()))
		got, err := c.c.renew(t.Context(), tc.t, "log in again")
		if tc.says == "" && (err != nil || got != tc.t) || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
	}
}

func TestCachePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "primary"), []byte("../../etc/passwd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/tmp/cc":              "/tmp/cc",
		"cc":                   "cc",
		"FILE:/tmp/cc":         "/tmp/cc",
		"DIR:" + dir:           filepath.Join(dir, "tkt"),
		"DIR::/x/tktABC":       "/x/tktABC",
		`C:\Users\a\cc`:        `C:\Users\a\cc`,
		"DIR:" + bad:           "",
		"KCM:":                 "",
		"KEYRING:persistent:0": "",
		"MEMORY:x":             "",
		"WHAT:x":               "",
	} {
		got, err := cachePath(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
		kind, _, _ := strings.Cut(name, ":")
		if err != nil && kind != "DIR" && !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v: does not name the kind", name, err)
		}
	}
}

func TestCacheFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("access lists, not modes")
	}
	path := filepath.Join(t.TempDir(), "cc")
	f := newCacheFile(4, krb5.NewPrincipalName(krb5.NamePrincipal, "alice"), "CORP.TEST")
	f.write(t, path)
	if _, err := loadCache(path); err != nil {
		t.Errorf("mode 0600: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCache(path); err == nil || !strings.Contains(err.Error(), "run chmod 0640 "+path) {
		t.Errorf("mode 0644: %v", err)
	}
	if _, err := loadCache(filepath.Dir(path)); err == nil {
		t.Error("a directory was read")
	}
}

func TestParseCacheRefuses(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	tgt, err := r.client(t, "alice").c.tgt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := newCacheFile(4, tgt.client, tgt.crealm)
	head := len(f.b)
	f.ticket(4, tgt)
	if cc, err := parseCache(f.b); err != nil || len(cc.tickets) != 1 || !cc.tickets[0].key.Equal(tgt.key) {
		t.Fatalf("%v, %v", cc, err)
	}
	for n := range f.b {
		if _, err := parseCache(f.b[:n]); err == nil && n != head {
			t.Errorf("%d of %d bytes were taken", n, len(f.b))
		}
	}
	for _, b := range []string{"", "\x05\x02", "\x05\x05", "\x04\x04", "\x05\x04\xff\xff", "\x05\x03\x00\x00\x00\x00\xff\xff\xff\xff"} {
		if _, err := parseCache([]byte(b)); err == nil {
			t.Errorf("%q was taken", b)
		}
	}
}

func FuzzParseCache(f *testing.F) {
	alice := krb5.PrincipalName{Type: 1, Components: []string{"alice"}}
	key, err := krb5.RandomKey(krb5.AES128SHA1)
	if err != nil {
		f.Fatal(err)
	}
	tkt := krb5.Ticket{Realm: "R", SName: krb5.TGSName("R"), EncPart: krb5.EncryptedData{EType: 18, Cipher: []byte("x")}}
	if tkt.Raw, err = tkt.Marshal(); err != nil {
		f.Fatal(err)
	}
	for _, v := range []byte{3, 4} {
		c := newCacheFile(v, alice, "R")
		c.ticket(v, &ticket{Ticket: tkt, key: key, client: alice, crealm: "R", end: time.Unix(1e9, 0)})
		c.config(alice, "R")
		f.Add(c.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cc, err := parseCache(b)
		if (cc == nil) == (err == nil) {
			t.Errorf("%v, %v", cc, err)
		}
	})
}
