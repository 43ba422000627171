package kerberos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// A Client is one principal towards the KDCs: it logs in when it has to, gets
// tickets for services, keeps them until they expire, and makes initiators.
// Nothing is sent before the first ticket is wanted. NewPasswordClient,
// NewKeytabClient, NewCacheClient and NewForwardedClient make it. It is safe
// for concurrent use and does not print secrets.
type Client struct {
	c *client // a pointer, so that fmt prints nothing of it
}

type client struct {
	cfg    Config
	etypes []krb5.EType
	kdc    *transport
	source tgtSource
	cache  *cache

	testOnlyNow func() time.Time // time.Now

	asName  krb5.PrincipalName // to log in with
	asRealm string

	mu    sync.Mutex
	name  krb5.PrincipalName // as the KDC wrote it, once it answered
	realm string
	keys  map[krb5.EType]krb5.Key // long-term keys that are known to be right
}

// A tgtSource gets a client its ticket-granting ticket.
type tgtSource interface {
	// tgt returns a TGT for the client's own realm. old is the one used so
	// far, which is about to end or did not work, and may be nil.
	tgt(ctx context.Context, c *client, old *ticket) (*ticket, error)
}

// NewPasswordClient returns a client that logs in with a password. principal
// is a name, name@REALM or a UPN.
func NewPasswordClient(cfg Config, principal string, password authn.Secret) (*Client, error) {
	if password.IsEmpty() {
		return nil, errors.New("kerberos: empty password")
	}
	return newClient(cfg, principal, &keyLogin{secret: &passwordSecret{password: password}})
}

// NewKeytabClient returns a client that logs in with a key. The keytab must
// hold keys of the principal itself: an account can log in by its own name,
// not by a service name it has. An empty principal means the first in the
// keytab that is not a service name.
func NewKeytabClient(cfg Config, principal string, keytab *Keytab) (*Client, error) {
	if principal == "" {
		for _, p := range keytab.Principals() {
			if !strings.Contains(p, "/") {
				principal = p
				break
			}
		}
		if principal == "" {
			return nil, errors.New("kerberos: the keytab has keys of service names only; name the account to log in as")
		}
	}
	return newClient(cfg, principal, &keyLogin{secret: &keytabSecret{keytab: keytab}})
}

// NewCacheClient returns a client that uses the tickets in a credential cache,
// as kinit makes it: a path, FILE:path or DIR:path. The cache is read again
// when the ticket-granting ticket ends. The empty name means that of the
// environment variable KRB5CCNAME, or /tmp/krb5cc_UID. The file must belong to
// the process's user or root.
func NewCacheClient(cfg Config, name string) (*Client, error) {
	path, err := cachePath(name)
	if err != nil {
		return nil, err
	}
	cc, err := loadCache(path)
	if err != nil {
		return nil, err
	}
	c, err := newClientFor(cfg, cc.client, cc.realm, &cacheLogin{path: path})
	if err != nil {
		return nil, err
	}
	for _, t := range cc.tickets { // service tickets that are there already
		if _, isTGS := t.SName.IsTGS(); !isTGS {
			for _, realm := range []string{"", t.Realm} { // whether DomainRealm tells it or not
				c.c.cache.put(serviceKey(t.SName, realm), t, c.c.now())
			}
		}
	}
	return c, nil
}

// NewForwardedClient returns a client that acts as the caller who forwarded
// the ticket-granting ticket in ev. It works until that ends, or longer if the
// ticket is renewable.
func NewForwardedClient(cfg Config, ev *Evidence) (*Client, error) {
	f := ev.open().forwarded
	if f == nil {
		return nil, errors.New("kerberos: the caller forwarded no ticket-granting ticket")
	}
	return newClientFor(cfg, f.client, f.crealm, &ticketLogin{first: f})
}

func newClient(cfg Config, principal string, s tgtSource) (*Client, error) {
	name, realm, err := cfg.parsePrincipal(principal)
	if err != nil {
		return nil, err
	}
	return newClientFor(cfg, name, realm, s)
}

func newClientFor(cfg Config, name krb5.PrincipalName, realm string, s tgtSource) (*Client, error) {
	etypes, err := cfg.etypes()
	if err != nil {
		return nil, err
	}
	c := &client{
		cfg: cfg, etypes: etypes, source: s, cache: newCache(), testOnlyNow: time.Now,
		asName: name, asRealm: realm, name: name, realm: realm, keys: map[krb5.EType]krb5.Key{},
	}
	c.kdc = newTransport(&c.cfg)
	return &Client{c}, nil
}

// Principal returns the client's name with realm.
func (c *Client) Principal() string {
	if c == nil || c.c == nil {
		return "nobody"
	}
	name, realm := c.c.who()
	return name.String() + "@" + realm
}

// String implements fmt.Stringer.
func (c *Client) String() string { return "Kerberos client " + c.Principal() }

// LogValue implements slog.LogValuer.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.Principal()) }

// Login makes sure that there is a ticket-granting ticket. It need not be
// called; it tells early whether password and KDC are right.
func (c *Client) Login(ctx context.Context) error {
	_, err := c.c.tgt(ctx)
	return err
}

// Ticket returns a ticket for a service, "HTTP/app.corp.test" with or without
// "@REALM", from the cache or from a KDC. Concurrent calls for the same ticket
// make one request.
func (c *Client) Ticket(ctx context.Context, spn string) (*Ticket, error) {
	t, err := c.c.service(ctx, spn)
	if err != nil {
		return nil, err
	}
	return newTicket(t), nil
}

// Forget drops a ticket that its service refused without a reason, as one whose
// password was changed often does, and reports whether a new login would be
// made with another ticket. One that is younger than a minute stays: the reason
// must be another, and each refusal would cost the KDC a request. Initiators of
// the client have Refused for the same.
func (c *Client) Forget(t *Ticket) bool { return c.c.cache.refused(t.open(), c.c.now()) }

func (c *client) now() time.Time { return c.testOnlyNow() }

// who returns the client's name and realm.
func (c *client) who() (krb5.PrincipalName, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name, c.realm
}

func (c *client) setWho(name krb5.PrincipalName, realm string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.realm = name, realm
}

const tgtKey = "tgt"

// tgt returns the ticket-granting ticket of the client's realm.
func (c *client) tgt(ctx context.Context) (*ticket, error) {
	return c.cache.get(ctx, tgtKey, c.now, func(ctx context.Context, old *ticket) (*ticket, error) {
		return c.source.tgt(ctx, c, old)
	})
}

func serviceKey(name krb5.PrincipalName, realm string) string {
	return "service " + strings.ToLower(name.String()) + "@" + strings.ToUpper(realm)
}

func (c *client) service(ctx context.Context, spn string) (*ticket, error) {
	name, realm, err := c.cfg.parseSPN(spn)
	if err != nil {
		return nil, err
	}
	return c.cache.get(ctx, serviceKey(name, realm), c.now, func(ctx context.Context, _ *ticket) (*ticket, error) {
		return c.withTGT(ctx, func(tgt *ticket) (*ticket, error) { return c.fetchService(ctx, tgt, name, realm) })
	})
}

// withTGT calls f with the TGT. If the KDC does not take that one any more,
// which is so after its key was changed or an account was restored, f is
// called once more with a new one.
func (c *client) withTGT(ctx context.Context, f func(tgt *ticket) (*ticket, error)) (*ticket, error) {
	tgt, err := c.tgt(ctx)
	if err != nil {
		return nil, err
	}
	t, err := f(tgt)
	if !isStale(err) {
		return t, err
	}
	c.cache.drop(tgtKey, tgt)
	again, err2 := c.tgt(ctx)
	if err2 != nil {
		return nil, err2
	}
	if again == tgt {
		return nil, err
	}
	return f(again)
}

// maxHops bounds how many realms a ticket is looked for in.
const maxHops = 8

// fetchService gets a ticket for a service, in realm if it is not empty, and
// otherwise wherever the KDCs refer to (RFC 6806 8).
func (c *client) fetchService(ctx context.Context, home *ticket, name krb5.PrincipalName, realm string) (*ticket, error) {
	if realm == "" || strings.EqualFold(realm, home.serves()) {
		return c.walk(ctx, home, name)
	}
	key := "krbtgt " + strings.ToUpper(realm)
	tgt, err := c.cache.get(ctx, key, c.now, func(ctx context.Context, _ *ticket) (*ticket, error) {
		return c.cross(ctx, home, realm)
	})
	if err != nil {
		return nil, err
	}
	t, err := c.walk(ctx, tgt, name)
	if isStale(err) {
		c.cache.drop(key, tgt)
	}
	return t, err
}

// cross gets the ticket-granting ticket of another realm, on the configured
// path if there is one. Each realm on it may refer to others.
func (c *client) cross(ctx context.Context, home *ticket, realm string) (*ticket, error) {
	way := c.cfg.path(home.serves(), realm)
	if len(way) >= maxHops {
		return nil, fmt.Errorf("kerberos: more than %d realms between %s and %s", maxHops-1, home.serves(), realm)
	}
	tgt := home
	for _, next := range append(slices.Clone(way), realm) {
		if strings.EqualFold(next, tgt.serves()) {
			continue
		}
		var err error
		if tgt, err = c.walk(ctx, tgt, krb5.TGSName(next)); err != nil {
			return nil, err
		}
	}
	return tgt, nil
}

// walk asks for a ticket and follows referrals until it has it.
func (c *client) walk(ctx context.Context, tgt *ticket, name krb5.PrincipalName) (*ticket, error) {
	path := []string{tgt.serves()}
	for range maxHops {
		t, err := c.tgs(ctx, tgt, &tgsRequest{op: opTicket, service: name, options: krb5.OptionCanonical})
		if err != nil {
			return nil, err
		}
		if t.SName.EqualFold(name) {
			return t, nil
		}
		next, ok := t.SName.IsTGS()
		if !ok {
			return nil, fmt.Errorf("kerberos: KDC of %s answered with a ticket for %v instead of %v", tgt.serves(), t.SName, name)
		}
		for _, r := range path {
			if strings.EqualFold(r, next) {
				return nil, fmt.Errorf("kerberos: KDCs refer %v in a circle: %s, then %s again", name, strings.Join(path, " to "), next)
			}
		}
		path, tgt = append(path, next), t
	}
	return nil, fmt.Errorf("kerberos: no ticket for %v after %d referrals: %s", name, maxHops, strings.Join(path, " to "))
}

// serves returns the realm whose KDC takes the TGT t.
func (t *ticket) serves() string {
	realm, _ := t.SName.IsTGS()
	return realm
}

// forgetService drops a service ticket that the service did not take.
func (c *client) forgetService(spn string, t *ticket) {
	if name, realm, err := c.cfg.parseSPN(spn); err == nil {
		c.cache.drop(serviceKey(name, realm), t)
	}
}
