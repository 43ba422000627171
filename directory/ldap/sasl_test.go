package ldap

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/adtest"
)

// tap is somebody on the way to a server: it hears what goes by, and may change
// what the server says.
type tap struct {
	Dialer
	mu     sync.Mutex
	heard  bytes.Buffer
	change func(b []byte) // may be nil
}

func (p *tap) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := p.Dialer.DialContext(ctx, network, address)
	return &tapped{c, p}, err
}

type tapped struct {
	net.Conn
	p *tap
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.heard.Write(b[:n])
	if c.p.change != nil {
		c.p.change(b[:n])
	}
	return n, err
}

func (c *tapped) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	c.p.heard.Write(b)
	c.p.mu.Unlock()
	return c.Conn.Write(b)
}

// Who listens on a sealed connection learns no passwords, and nothing of what
// is asked and answered.
func TestAttackSealedIsRead(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	cfg := sealedConfig(t, dc, "ldap")
	p := &tap{Dialer: cfg.Dialer}
	cfg.Dialer = p
	d := newDirectory(t, cfg)
	if _, err := d.VerifyPassword(t.Context(), adtest.Alice, adtest.Password(t, adtest.Alice)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Accounts(t.Context(), []directory.AccountRef{{Name: adtest.Bob}}); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !bytes.Contains(p.heard.Bytes(), []byte("GSSAPI")) {
		t.Fatal("the tap hears nothing")
	}
	for _, secret := range []string{adtest.Password(t, adtest.Alice), adtest.Password(t, adtest.Jill), "sAMAccountName", "tokenGroups", "CN=", "Liddell"} {
		if bytes.Contains(p.heard.Bytes(), []byte(secret)) {
			t.Errorf("%q went by in the clear", secret)
		}
	}
}

// Who changes what the server says, at any time, changes no decision.
func TestAttackSealedIsChanged(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	for at := int32(1); ; at++ {
		cfg := sealedConfig(t, dc, "ldap")
		cfg.BindUser, cfg.BindPassword = "", authn.Secret{}
		cfg.Timeout = 2 * time.Second // a length that was changed has us wait for the rest
		var reads atomic.Int32
		var changed atomic.Bool
		cfg.Dialer = &tap{Dialer: cfg.Dialer, change: func(b []byte) {
			if len(b) > 0 && reads.Add(1) == at {
				b[len(b)-1] ^= 1
				changed.Store(true)
			}
		}}
		d := newDirectory(t, cfg)
		id, err := d.VerifyPassword(t.Context(), adtest.Alice, adtest.Password(t, adtest.Alice))
		if !changed.Load() {
			if at < 6 || err != nil {
				t.Errorf("a login takes %d reads, %v", at, err)
			}
			return
		}
		if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("read %d was changed: %v, %v, want that the directory is not available", at, id, err)
		}
		if at > 50 {
			t.Fatal("no end")
		}
	}
}

// A server that is not the one that the ticket is for, or no Kerberos server at
// all, lets everybody in.
func TestAttackKerberosServerIsFalse(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	for _, tt := range []struct {
		name  string
		serve func(id int64, op ber.Tag) []byte
	}{
		{"success at once", func(id int64, op ber.Tag) []byte { return result(id, op+1, 0, "") }},
		{"go on, and no proof", func(id int64, op ber.Tag) []byte { return result(id, op+1, 14, "") }},
		{"a false proof", func(id int64, op ber.Tag) []byte {
			creds := ber.NewString(ber.ClassContext, ber.TypePrimitive, 7, "proof", "")
			return result(id, op+1, 14, "", creds)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, false, answer(tt.serve))
			cfg := sealedConfig(t, dc, "ldap")
			cfg.BindUser, cfg.BindPassword = "", authn.Secret{}
			_, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				t.Fatal(err)
			}
			cfg.URLs = []string{"ldap://" + dc.Host + ":" + port}
			cfg.Dialer = dialerTo{"127.0.0.1"}
			id, err := newDirectory(t, cfg).VerifyPassword(t.Context(), adtest.Alice, adtest.Password(t, adtest.Alice))
			if id != nil || !errors.Is(err, authn.ErrUnavailable) {
				t.Errorf("got %v, %v, want that the directory is not available", id, err)
			}
			if s.heard(adtest.Password(t, adtest.Alice)) {
				t.Error("the password was sent")
			}
		})
	}
}

// A connection that Kerberos is to seal takes no password before.
func TestAttackPasswordBeforeSeal(t *testing.T) {
	t.Parallel()
	s := listen(t, false, answer(func(id int64, op ber.Tag) []byte { return result(id, op+1, 0, "") }))
	c, err := Dial(t.Context(), Config{URL: "ldap://" + s.addr, Sealed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Bind(t.Context(), "alice", authn.NewSecret(marked)); err == nil || !strings.Contains(err.Error(), "ldaps://") {
		t.Errorf("got %v", err)
	}
	if s.heard("alice") || s.heard(marked) {
		t.Error("the password was sent in the clear")
	}
}

// What a user types after the @ must not have us ask the KDCs, or the DNS
// server, of a realm of his own.
func TestAttackRealmOfUser(t *testing.T) {
	t.Parallel()
	cfg := sealedConfig(t, domainWithContent(t), "ldap")
	cfg.Kerberos.LookupKDC = true
	d := newDirectory(t, cfg)
	for _, user := range []string{"alice@evil.test", "alice@corp.test@evil.test", "alice@EVIL"} {
		_, err := d.VerifyPassword(t.Context(), user, adtest.Password(t, adtest.Alice))
		wantRefused(t, err, authn.ReasonUnknownUser)
	}
}

// The account that reads has a keytab and no password.
func TestKeytabReads(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	cfg := sealedConfig(t, dc, "ldap")
	keytab, err := kerberos.LoadKeytab(dc.Keytab(adtest.Web))
	if err != nil {
		t.Fatal(err)
	}
	k := *cfg.Kerberos
	k.DefaultRealm = adtest.Realm
	cfg.BindUser, cfg.BindPassword = "", authn.Secret{}
	if cfg.BindClient, err = kerberos.NewKeytabClient(k, adtest.Web, keytab); err != nil {
		t.Fatal(err)
	}
	d := newDirectory(t, cfg)
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if a, err := d.Account(t.Context(), directory.AccountRef{Name: adtest.Bob}); err != nil || a.Name != `CORP\bob` {
		t.Errorf("bob: %v, %v", a, err)
	}
	if id, err := d.VerifyPassword(t.Context(), adtest.Alice, adtest.Password(t, adtest.Alice)); err != nil || id.String() != `CORP\alice` {
		t.Errorf("alice: %v, %v", id, err)
	}
}

// Whose login it is counts, and not whose account the KDC would rather name.
func TestKerberosWrongUser(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	d := newDirectory(t, sealedConfig(t, dc, "ldap"))
	for _, user := range []string{"ldap/dc1.corp.test", `OTHER\alice`, "CN=alice,CN=Users,DC=corp,DC=test", "alice@OTHER.TEST"} {
		id, err := d.VerifyPassword(t.Context(), user, adtest.Password(t, adtest.Alice))
		if id != nil || err == nil {
			t.Errorf("%s: %v, %v", user, id, err)
		}
	}
	wrong := sealedConfig(t, dc, "ldap")
	wrong.BindPassword = authn.NewSecret(marked)
	_, err := newDirectory(t, wrong).Account(t.Context(), directory.AccountRef{Name: adtest.Alice})
	if !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) || !strings.Contains(err.Error(), "bind user") {
		t.Errorf("wrong password of the reader: %v", err)
	}
	none := sealedConfig(t, dc, "ldap")
	none.BindUser, none.BindPassword = "", authn.Secret{}
	if _, err := newDirectory(t, none).Account(t.Context(), directory.AccountRef{Name: adtest.Alice}); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("no reader: %v", err)
	}
	none.Kerberos = &kerberos.Config{Realms: map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{"127.0.0.1:1"}}}}
	if _, err := newDirectory(t, none).VerifyPassword(t.Context(), adtest.Alice, "x"); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("no KDC: %v", err)
	}
}
