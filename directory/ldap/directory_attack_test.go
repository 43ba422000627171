package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/slapdtest"
)

// hostileNames must not find anybody.
func hostileNames() []string {
	return []string{
		"*", "al*", "*)(uid=*", "alice)(|(uid=*", "alice)(userPassword=*", `\2a`, `a\6cice`, "alice\x00", "\x00", "alice)",
		"(&(uid=alice)", "uid=alice," + people, "alice,ou=people", `alice\`, `\alice`, "ali\u00adce", "alice\n", "\xff",
		strings.Repeat("a", 10_000), strings.Repeat("(", 1000),
	}
}

// What LDAP takes for an anonymous login is refused before anything is sent.
func TestAttackDirectoryEmptyPassword(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := listen(t, true, answer(func(id int64, op ber.Tag) []byte { asked.Add(1); return result(id, op+1, 0, "") }))
	for _, cfg := range []DirectoryConfig{
		{URLs: []string{s.url()}, DefaultDomain: "CORP", Roots: s.roots},
		{Kind: Standard, URLs: []string{s.url()}, BaseDN: people, Filter: "(uid={user})", Roots: s.roots},
		{Kind: Standard, URLs: []string{s.url()}, BaseDN: people, Roots: s.roots},
	} {
		d := newDirectory(t, cfg)
		for _, tt := range []struct{ user, password string }{
			{"alice", ""}, {"", ""}, {"", marked}, {"alice", "\x00"}, {"alice", "x\x00"}, {"al\x00ice", marked}, {strings.Repeat("a", 10_000), marked},
		} {
			id, err := d.VerifyPassword(t.Context(), tt.user, tt.password)
			if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%.20q: %v, %v", tt.user, id, err)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestAttackDirectoryInjection(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	filter := newDirectory(t, slapdConfig(s))
	template := slapdConfig(s)
	template.Filter, template.BindName = "", "uid={user},"+people
	for name, d := range map[string]*Directory{"filter": filter, "template": newDirectory(t, template)} {
		if _, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret"); err != nil {
			t.Fatalf("%s, control: %v", name, err)
		}
		for _, user := range hostileNames() {
			id, err := d.VerifyPassword(t.Context(), user, "alice-s3cret")
			if id != nil || !errors.Is(err, authn.ErrBadCredentials) || len(err.Error()) > 2000 {
				t.Errorf("%s, %.30q: %v, %.300v", name, user, id, err)
			}
			if a, err := d.Account(t.Context(), directory.AccountRef{Name: user}); a != nil || !errors.Is(err, directory.ErrNotFound) {
				t.Errorf("%s, %.30q: account %v, %.300v", name, user, a, err)
			}
		}
	}
}

func TestAttackDomainInjection(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, domainConfig(t, domainWithContent(t)))
	for _, user := range hostileNames() {
		id, err := d.VerifyPassword(t.Context(), user, "alice-s3cret")
		if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%.30q: %v, %.300v", user, id, err)
		}
		if a, err := d.Account(t.Context(), directory.AccountRef{Name: user}); a != nil || !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%.30q: account %v, %.300v", user, a, err)
		}
	}
}

// Whoever may write a UPN gives an account one that looks like another account. The
// domain then lets him in, as himself.
func TestAttackUPNOfAnother(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, domainConfig(t, domainWithContent(t)))
	id, err := d.VerifyPassword(t.Context(), victim+"@partners.test", malloryPass)
	if err != nil || id.String() != `CORP\`+mallory {
		t.Errorf("logged in as %v, %v, want mallory", id, err)
	}
	if id, err := d.VerifyPassword(t.Context(), `CORP\`+victim, malloryPass); err == nil {
		t.Errorf("logged in as %v", id)
	}
}

// An entry whose name looks like one of a domain, in a directory without one.
func TestAttackNameOfAnotherDomain(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{LDIF: unit(people) + unit(staff) +
		person(people, `CORP\alice`, "mallory-s3cret", "mail: x@corp.test") + person(people, "bob", "bob-s3cret")})
	s.Add(t, ldif(Child("cn", `CORP\Domain Admins`, staff), "objectClass: groupOfNames", `cn: CORP\Domain Admins`, "member: uid=bob,"+people)+
		ldif(Child("cn", "cn=Domain Admins,dc=corp,dc=test", staff), "objectClass: groupOfNames", "cn: cn=Domain Admins,dc=corp,dc=test", "member: uid=bob,"+people)+
		ldif("cn=S-1-5-32-544,"+staff, "objectClass: groupOfNames", "cn: S-1-5-32-544", "member: uid=bob,"+people)+
		ldif("cn=good,"+staff, "objectClass: groupOfNames", "cn: good", "member: uid=bob,"+people))
	d := newDirectory(t, DirectoryConfig{Kind: Standard, URLs: []string{s.URL}, Roots: s.Roots(), BaseDN: slapdtest.BaseDN, Filter: "(mail={user})"})
	id, err := d.VerifyPassword(t.Context(), "x@corp.test", "mallory-s3cret")
	if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("logged in as %v, %v", id, err)
	}
	a, err := d.Account(t.Context(), directory.AccountRef{Name: "bob"})
	if err != nil || fmt.Sprint(names(a.Groups)) != "[good]" {
		t.Errorf("account %+v, %v, want the good group only", a, err)
	}
}

// A user's bind is made once, and on no connection that others use. While many
// log in, each pooled connection stays the reader's.
func TestAttackDirectoryMixesUsers(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	cfg := slapdConfig(s)
	cfg.MaxConns = 3
	d := newDirectory(t, cfg)
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for range 20 {
				if i%2 == 0 {
					if id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret"); err != nil || id.Account != "alice" {
						t.Errorf("alice: %v, %v", id, err)
					}
					continue
				}
				err := d.pool.run(t.Context(), func(ctx context.Context, c *Conn) error {
					who, err := c.whoAmI(ctx)
					if err == nil && who != "dn:uid=reader,"+people {
						t.Errorf("a connection is %q's", who)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}

// counter counts connections and writes. Each request is one write.
type counter struct{ conns, writes atomic.Int32 }

func (c *counter) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c.conns.Add(1)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &counted{conn, c}, err
}

type counted struct {
	net.Conn
	c *counter
}

func (c *counted) Write(b []byte) (int, error) {
	c.c.writes.Add(1)
	return c.Conn.Write(b)
}

// Unknown users cost the server and the client the same as known ones.
func TestAttackDirectoryEnumerate(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	cfg := slapdConfig(s)
	cfg.URLs, cfg.AllowInsecurePlain = []string{s.Plain}, true
	count := &counter{}
	cfg.Dialer = count
	d := newDirectory(t, cfg)
	if _, err := d.VerifyPassword(t.Context(), "alice", "wrong"); err == nil { // opens the connection of the reader
		t.Fatal("logged in")
	}
	cost := func(user string) [2]int32 {
		conns, writes := count.conns.Load(), count.writes.Load()
		if _, err := d.VerifyPassword(t.Context(), user, "wrong"); !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v", user, err)
		}
		return [2]int32{count.conns.Load() - conns, count.writes.Load() - writes}
	}
	known := cost("alice")
	if known[1] < 2 {
		t.Fatalf("a login takes %d requests: the test does not count", known[1])
	}
	for _, user := range []string{"nobody", `OTHER\alice`, "twin", "dave", "bare"} {
		if got := cost(user); got != known {
			t.Errorf("%s: %v connections and requests, alice %v", user, got, known)
		}
	}
}

// A wrong password in the configuration must not lock the account that reads,
// and is no fault of the user.
func TestAttackReaderLockedOut(t *testing.T) {
	t.Parallel()
	var binds atomic.Int32
	serve := answer(func(id int64, op ber.Tag) []byte {
		if op == 0 {
			binds.Add(1)
		}
		return result(id, op+1, 49, "")
	})
	a, b := listen(t, true, serve), listen(t, true, serve)
	a.roots.AddCert(b.cert)
	d := newDirectory(t, DirectoryConfig{
		Kind: Standard, URLs: []string{a.url(), b.url()}, Roots: a.roots, BaseDN: people, Filter: "(uid={user})",
		BindUser: "cn=reader", BindPassword: authn.NewSecret(marked),
	})
	for range 10 {
		id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret")
		if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) || strings.Contains(err.Error(), marked) {
			t.Errorf("got %v, %v, want that the directory is not available", id, err)
		}
	}
	if n := binds.Load(); n != 1 {
		t.Errorf("the reader logged in %d times, want 1", n)
	}
}

// A user's bind is sent once even if servers break off.
func TestAttackOneBindForEachLogin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		code int64 // -1: the connection ends; -2: nothing is said
	}{{"wrong password", 49}, {"busy", 51}, {"unavailable", 52}, {"other", 80}, {"referral", 10}, {"end", -1}, {"silence", -2}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var binds atomic.Int32
			serve := func(c net.Conn) {
				answer(func(id int64, op ber.Tag) []byte {
					if op == 0 {
						binds.Add(1)
					}
					switch tt.code {
					case -1:
						_ = c.Close()
						return nil
					case -2:
						return nil
					}
					return result(id, op+1, tt.code, "")
				})(c)
			}
			a, b := listen(t, true, serve), listen(t, true, serve)
			a.roots.AddCert(b.cert)
			timeout := 10 * time.Second
			if tt.code == -2 {
				timeout = 500 * time.Millisecond
			}
			d := newDirectory(t, DirectoryConfig{URLs: []string{a.url(), b.url()}, DefaultDomain: "CORP", Roots: a.roots, Timeout: timeout})
			id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret")
			if id != nil || err == nil || errors.Is(err, authn.ErrUnavailable) != (tt.code != 49) {
				t.Errorf("got %v, %v", id, err)
			}
			if n := binds.Load(); n != 1 {
				t.Errorf("%d binds, want 1", n)
			}
		})
	}
}

// Somebody between who takes StartTLS away gets no password, of nobody.
func TestAttackDirectoryPlain(t *testing.T) {
	t.Parallel()
	s := listen(t, false, answer(func(id int64, op ber.Tag) []byte {
		if op == 23 { // extended request
			return result(id, 24, 2, "no TLS here")
		}
		return result(id, op+1, 0, "")
	}))
	cfg := DirectoryConfig{Kind: Standard, URLs: []string{"ldap://" + s.addr}, BaseDN: people, Roots: s.roots}
	reader := cfg
	reader.Filter, reader.BindUser, reader.BindPassword = "(uid={user})", "cn=reader", authn.NewSecret(marked)
	for _, cfg := range []DirectoryConfig{cfg, reader} {
		id, err := newDirectory(t, cfg).VerifyPassword(t.Context(), "uid=alice,"+people, marked)
		if id != nil || !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("got %v, %v, want that the directory is not available", id, err)
		}
	}
	if s.heard(marked) {
		t.Error("a password was sent in the clear")
	}
}

type fixedDNS []*net.SRV

func (f fixedDNS) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "ldap" || proto != "tcp" || name != "dc._msdcs.corp.test" {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return "", f, nil
}

type noDialer struct {
	mu    sync.Mutex
	asked []string
}

func (d *noDialer) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, address)
	return nil, errors.New("no network")
}

// Whoever answers for DNS does not get users' passwords at a host of his own,
// for which he may well have a certificate.
func TestAttackDirectoryFromDNS(t *testing.T) {
	t.Parallel()
	dialer := &noDialer{}
	d := newDirectory(t, DirectoryConfig{Domain: "corp.test", DefaultDomain: "CORP", Dialer: dialer, Resolver: fixedDNS{
		{Target: "dc2.corp.test.", Port: 389, Priority: 10}, {Target: "evil.test.", Port: 389}, {Target: "evilcorp.test.", Port: 389},
		{Target: "DC1.corp.test.", Port: 389, Priority: 5}, {Target: "", Port: 389}, {Target: "corp.test.evil.test", Port: 389},
	}})
	id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret")
	if id != nil || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("got %v, %v", id, err)
	}
	if got, want := fmt.Sprint(dialer.asked), "[dc1.corp.test:636 dc2.corp.test:636]"; got != want {
		t.Errorf("connected to %s, want %s", got, want)
	}
	d = newDirectory(t, DirectoryConfig{Domain: "corp.test", Dialer: dialer, Resolver: fixedDNS{{Target: "evil.test."}}})
	if _, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret"); !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "name them by URL") {
		t.Errorf("got %v", err)
	}
}

// A configuration that does not fit is no reason to let anybody in, or to tell
// a password.
func TestDirectoryWrongConfig(t *testing.T) {
	t.Parallel()
	d := NewDirectory(DirectoryConfig{BindUser: "x", BindPassword: authn.NewSecret(marked), URLs: []string{"http://x"}, Timeout: -time.Second})
	_, err1 := d.VerifyPassword(t.Context(), "alice", "x")
	_, err2 := d.Account(t.Context(), directory.AccountRef{Name: "alice"})
	_, err3 := d.Accounts(t.Context(), []directory.AccountRef{{Name: "alice"}})
	_, err4 := d.Group(t.Context(), "x")
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "http://x") || strings.Contains(err.Error(), marked) {
			t.Errorf("got %v", err)
		}
	}
	if out := fmt.Sprintf("%v %+v %#v", d.cfg, d.cfg, d.cfg); strings.Contains(out, marked) {
		t.Error("the configuration prints the password")
	}
}
