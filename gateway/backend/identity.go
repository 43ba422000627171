package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// maxIdentity bounds one header about the caller: what Apache and IIS take of a
// line, which others only exceed. Who has more groups than that needs the token
// or the SIDs of fewer; without some of them he would be somebody else.
const maxIdentity = 8 << 10

var errIdentityTooLarge = fmt.Errorf("a header about the caller is larger than %d KiB", maxIdentity>>10)

// tokens makes tokens about callers. *identity.Issuer does.
type tokens interface {
	Token(ctx context.Context, id *authn.Identity, service string) (string, error)
}

// A teller writes headers about callers.
type teller struct {
	names   []string                                                // of the headers
	values  []func(context.Context, *authn.Identity, []byte) []byte // in the same order
	token   string                                                  // header of the token
	issuer  tokens
	roles   func(context.Context, *authn.Identity) []string // that the token tells; nil: those of the identity
	service string
}

func newTeller(c *config.Identity, o Options, issuer tokens) (*teller, error) {
	t := &teller{service: o.Service}
	if c == nil {
		return t, nil
	}
	one := func(name string, value func(*authn.Identity) string) {
		t.add(name, func(_ context.Context, id *authn.Identity, b []byte) []byte { return appendValue(b, value(id), false) })
	}
	one(c.Header, (*authn.Identity).String)
	if h := c.Headers; h != nil {
		one(h.SID, func(id *authn.Identity) string { return string(id.SID) })
		one(h.UPN, func(id *authn.Identity) string { return id.UPN })
		one(h.DisplayName, func(id *authn.Identity) string { return id.DisplayName })
		one(h.Email, email)
		one(h.Mechanism, func(id *authn.Identity) string { return id.Mechanism })
		t.add(h.Groups, func(_ context.Context, id *authn.Identity, b []byte) []byte {
			for i, g := range id.Groups {
				b = appendItem(b, i, g.String())
			}
			return b
		})
		roles := o.Roles
		if roles == nil {
			roles = func(_ context.Context, id *authn.Identity) []string { return id.Roles }
		}
		t.add(h.Roles, func(ctx context.Context, id *authn.Identity, b []byte) []byte {
			for i, r := range roles(ctx, id) {
				b = appendItem(b, i, r)
			}
			return b
		})
	}
	if c.JWT != nil {
		if issuer == nil {
			return nil, errors.New("backend: a token about the caller is configured, and nobody makes it")
		}
		t.token, t.issuer, t.roles = c.JWT.Header, issuer, o.Roles
	}
	return t, nil
}

func (t *teller) add(name string, value func(context.Context, *authn.Identity, []byte) []byte) {
	if name != "" {
		t.names, t.values = append(t.names, name), append(t.values, value)
	}
}

// appendHeaders writes the headers about a caller. What is not known of him is
// left out.
func (t *teller) appendHeaders(ctx context.Context, b []byte, id *authn.Identity) ([]byte, error) {
	for i, name := range t.names {
		start := len(b)
		b = append(append(b, name...), ": "...)
		before := len(b)
		if b = t.values[i](ctx, id, b); len(b) == before {
			b = b[:start]
			continue
		}
		if len(b)-before > maxIdentity {
			return nil, errIdentityTooLarge
		}
		b = append(b, "\r\n"...)
	}
	if t.issuer == nil {
		return b, nil
	}
	if t.roles != nil {
		c := *id
		c.Roles = t.roles(ctx, id)
		id = &c
	}
	token, err := t.issuer.Token(ctx, id, t.service)
	switch {
	case err != nil:
		return nil, err
	case len(token) > maxIdentity:
		return nil, errIdentityTooLarge
	case !validValue(token):
		return nil, errors.New("the token has a control character")
	}
	b = append(append(b, t.token...), ": "...)
	return append(append(b, token...), "\r\n"...), nil
}

func email(id *authn.Identity) string {
	if v := id.Claims["email"]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func appendItem(b []byte, i int, s string) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return appendValue(b, s, true)
}

// extended begins a value that is written as in RFC 8187 3.2.1.
const extended = "UTF-8''"

// appendValue writes a value of a header, or an item of a list. Printable ASCII
// stands as it is; anything else, and what could be taken for another notation
// or for two items, is an ext-value, such as UTF-8”J%C3%BCrgen.
func appendValue(b []byte, s string, item bool) []byte {
	plain := !hasPrefixFold(s, extended)
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || item && c == ',' || c == ' ' && (i == 0 || i+1 == len(s)) {
			plain = false
			break
		}
	}
	if plain {
		return append(b, s...)
	}
	b = append(b, extended...)
	for i := range len(s) {
		c := s[i]
		if isAlnum(c) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 { // attr-char
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func isAlnum(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
