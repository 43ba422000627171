package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
)

// do runs one request with the connection's bounds. After a request that did
// not end in time the connection is closed.
func (c *Conn) do(ctx context.Context, op, dn string, request func() error) (err error) {
	ctx, end := authn.StartSpan(ctx, authn.SpanLDAP, slog.String("operation", op), slog.String("server", c.host))
	defer func() { end(err) }()
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %v", c.timeout))
	defer cancel()
	c.wire.left.Store(maxAnswer)
	stop := context.AfterFunc(limited, func() { _ = c.wire.Close() })
	err = request()
	if !stop() {
		c.broken = true
		return wrap(op, dn, context.Cause(limited))
	}
	if c.ldap.IsClosing() {
		c.broken = true
	}
	if err != nil && c.wire.left.Load() <= 0 {
		c.broken = true
		return wrap(op, dn, errTooLong)
	}
	err = plainError(op, dn, err)
	var answered *Error
	if err != nil && !errors.As(err, &answered) {
		c.broken = true // or a filter that is none, after which nothing is lost but a connection
	}
	return err
}

// Bind logs in by a password (RFC 4513 5.1.3). user is user@domain or a DN;
// Active Directory takes DOMAIN\user too. An empty user or password is refused
// before anything is sent: for LDAP that is an anonymous login that succeeds.
// A login that the server refuses is an *authn.RefusedError.
func (c *Conn) Bind(ctx context.Context, user string, password authn.Secret) error {
	if user == "" || password.IsEmpty() {
		return errors.New("ldap: bind: the user or the password is empty")
	}
	return refusal(user, c.bind(ctx, user, password))
}

// bind is Bind whose error is the server's. It asks for the state of the
// password (draft-behera-ldap-password-policy-10), which servers without such a
// policy leave out.
func (c *Conn) bind(ctx context.Context, user string, password authn.Secret) error {
	if !c.passwords && !c.layer.sealed() {
		return errors.New("ldap: bind: no password is sent without TLS: use ldaps://, StartTLS or Kerberos")
	}
	var policy *goldap.ControlBeheraPasswordPolicy
	err := c.do(ctx, "bind", user, func() error {
		req := goldap.NewSimpleBindRequest(user, password.Reveal(), []goldap.Control{goldap.NewControlBeheraPasswordPolicy()})
		result, err := c.ldap.SimpleBind(req)
		if result != nil {
			policy, _ = goldap.FindControl(result.Controls, goldap.ControlTypeBeheraPasswordPolicy).(*goldap.ControlBeheraPasswordPolicy)
		}
		return err
	})
	return policyError(user, policy, err)
}

// whoAmI asks who is logged in (RFC 4532): "dn:..." or "u:...", and "" where
// the server does not say.
func (c *Conn) whoAmI(ctx context.Context) (string, error) {
	var who string
	err := c.do(ctx, "who am I", "", func() error {
		result, err := c.ldap.WhoAmI(nil)
		if result != nil {
			who = result.AuthzID
		}
		return err
	})
	var answered *Error
	if errors.As(err, &answered) { // the server does not know the question
		return "", nil
	}
	return who, err
}

// Scope says how far below its base a search goes.
type Scope int

// Scopes (RFC 4511 4.5.1.2).
const (
	Subtree Scope = iota
	BaseObject
	SingleLevel
)

func (s Scope) code() int {
	switch s {
	case BaseObject:
		return goldap.ScopeBaseObject
	case SingleLevel:
		return goldap.ScopeSingleLevel
	}
	return goldap.ScopeWholeSubtree
}

const defaultLimit = 1000

// A Search says what to look for.
type Search struct {
	Base       string   // DN; empty means the root DSE, with BaseObject
	Scope      Scope    // zero means Subtree
	Filter     string   // empty means everything; Equal and And make it
	Attributes []string // nil means all that are not operational
	Limit      int      // more entries than that are an error; zero means 1000
}

// Search returns the entries that are found. A base that does not exist is an
// error that is ErrNotFound; no entries are none. Referrals and references to
// other servers are left out.
func (c *Conn) Search(ctx context.Context, s Search) ([]Entry, error) {
	limit := s.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	req := s.request(limit)
	req.EnforceSizeLimit = true // the server need not
	var found *goldap.SearchResult
	err := c.do(ctx, "search", s.Base, func() (err error) {
		found, err = c.ldap.Search(req)
		return err
	})
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(found.Entries))
	for i, e := range found.Entries {
		entries[i] = newEntry(e)
	}
	return entries, nil
}

func (s Search) request(limit int) *goldap.SearchRequest {
	filter := s.Filter
	if filter == "" {
		filter = "(objectClass=*)"
	}
	return goldap.NewSearchRequest(s.Base, s.Scope.code(), goldap.NeverDerefAliases, limit, 0, false, filter, s.Attributes, nil)
}

const pageSize = 500 // the servers' own limit is 1000 and 500 (MaxPageSize, sizelimit)

// SearchPages calls found for each entry, however many there are, as they come
// in pages (RFC 2696): it keeps one page in memory. Limit bounds all pages
// together, zero means no bound. An error of found ends the search and is
// returned as it is.
func (c *Conn) SearchPages(ctx context.Context, s Search, found func(Entry) error) error {
	paging := goldap.NewControlPaging(pageSize)
	for n := 0; ; {
		req := s.request(0)
		req.Controls = []goldap.Control{paging}
		req.EnforceSizeLimit = true
		var page *goldap.SearchResult
		err := c.do(ctx, "search", s.Base, func() (err error) {
			page, err = c.ldap.Search(req)
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if n++; s.Limit > 0 && n > s.Limit {
				return wrap("search", s.Base, ErrTooMany)
			}
			if err := found(newEntry(e)); err != nil {
				return err
			}
		}
		next, _ := goldap.FindControl(page.Controls, goldap.ControlTypePaging).(*goldap.ControlPaging)
		if next == nil || len(next.Cookie) == 0 {
			return nil
		}
		paging.SetCookie(next.Cookie)
	}
}

// An Attribute is a name with the values it has or shall have. It does not
// print values: one may be a password.
type Attribute struct {
	Name   string
	Values []string
}

// String implements fmt.Stringer.
func (a Attribute) String() string { return fmt.Sprintf("%s (%d values)", a.Name, len(a.Values)) }

// GoString implements fmt.GoStringer.
func (a Attribute) GoString() string { return a.String() }

// MarshalText implements encoding.TextMarshaler, which slog and encoding/json
// use as well.
func (a Attribute) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Add makes an entry. One that is there is an error that is ErrExists.
func (c *Conn) Add(ctx context.Context, dn string, attributes ...Attribute) error {
	req := goldap.NewAddRequest(dn, nil)
	for _, a := range attributes {
		req.Attribute(a.Name, a.Values)
	}
	return c.do(ctx, "add", dn, func() error { return c.ldap.Add(req) })
}

// A Change is one of a Modify. Replace and Insert make it.
type Change struct {
	attribute Attribute
	insert    bool
}

// Replace gives an attribute these values and no others.
func Replace(name string, values ...string) Change { return Change{attribute: Attribute{name, values}} }

// Insert adds values to those that an attribute has.
func Insert(name string, values ...string) Change { return Change{Attribute{name, values}, true} }

// String implements fmt.Stringer. Like an Attribute, a Change does not print
// values.
func (c Change) String() string { return c.attribute.String() }

// GoString implements fmt.GoStringer.
func (c Change) GoString() string { return c.String() }

// Attribute returns the attribute, and whether the values are added to those
// that are there.
func (c Change) Attribute() (a Attribute, insert bool) { return c.attribute, c.insert }

// Modify makes all of the changes to an entry, or none.
func (c *Conn) Modify(ctx context.Context, dn string, changes ...Change) error {
	req := goldap.NewModifyRequest(dn, nil)
	for _, ch := range changes {
		if ch.insert {
			req.Add(ch.attribute.Name, ch.attribute.Values)
		} else {
			req.Replace(ch.attribute.Name, ch.attribute.Values)
		}
	}
	return c.do(ctx, "modify", dn, func() error { return c.ldap.Modify(req) })
}

// Delete removes an entry that has none below it.
func (c *Conn) Delete(ctx context.Context, dn string) error {
	return c.do(ctx, "delete", dn, func() error { return c.ldap.Del(goldap.NewDelRequest(dn, nil)) })
}
