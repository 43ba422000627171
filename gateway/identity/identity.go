// Package identity tells backends who a caller is, by a signed token (RFC 7519),
// and knows the caller again when a backend calls out in his name.
//
//   - Issuer makes tokens, and knows them again.
//   - Keys serves the public keys with which backends verify tokens.
//
// A token says who the caller is and nothing that could be shown to a second
// server. What the login left for that stays in the memory of this process, found
// by the token, until the token expires.
package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// ErrNoToken means that a service gets no tokens, or that there is no caller whom
// one could be about.
var ErrNoToken = errors.New("identity: no token for this")

// An Issuer signs tokens and knows them again. It is safe for concurrent use. A
// nil Issuer is that of a gateway whose services get no tokens.
type Issuer struct {
	name     string
	services map[string]*service
	keys     map[string]*publicKey // by identifier
	longest  time.Duration         // lifetime of a token
	known    *memory

	now func() time.Time
}

// service is how tokens for one service are made.
type service struct {
	audience string
	lifetime time.Duration
	groups   config.TokenGroups
	signer   jose.Signer
	room     int // for the claims, in bytes
}

// New makes the Issuer of the services that get tokens, nil if there are none. It
// reads their keys. previous, which may be nil, is the one in force until now: its
// tokens are known until they expire, and its keys are served until then.
func New(c *config.Config, previous *Issuer) (*Issuer, error) {
	return newIssuer(c, previous, time.Now)
}

func newIssuer(c *config.Config, previous *Issuer, now func() time.Time) (*Issuer, error) {
	i := &Issuer{name: c.Tokens.Issuer, services: make(map[string]*service), keys: make(map[string]*publicKey), now: now}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		u := c.Services[name].Upstream
		if u == nil || u.Identity == nil || u.Identity.JWT == nil {
			continue
		}
		j := u.Identity.JWT
		k, err := loadKey(j.Key)
		if err != nil {
			return nil, fmt.Errorf("identity: services.%s.upstream.identity.jwt.key: %w", name, err)
		}
		if j.Audience == "" {
			i.add(name, k, j, name)
		} else {
			i.add(name, k, j, j.Audience)
		}
	}
	if previous != nil {
		i.retire(previous)
	}
	if len(i.services) == 0 && len(i.keys) == 0 {
		return nil, nil
	}
	if previous != nil {
		i.known = previous.known
	} else {
		i.known = newMemory(maxKnown, now)
	}
	return i, nil
}

func (i *Issuer) add(name string, k *privateKey, j *config.JWT, audience string) {
	s := &service{audience: audience, lifetime: j.Lifetime.Std(), groups: j.Groups, signer: k.signer, room: k.room()}
	i.services[name] = s
	i.longest = max(i.longest, s.lifetime)
	p := i.keys[k.id]
	if p == nil {
		p = &publicKey{jwk: k.public, issuer: i.name}
		i.keys[k.id] = p
	}
	p.audiences = append(p.audiences, audience)
}

// retire takes over what previous's tokens are verified with. A key that is still
// in force goes on for the audiences that it has no more, too.
func (i *Issuer) retire(previous *Issuer) {
	now := i.now()
	for id, old := range previous.keys {
		until := old.until
		if until.IsZero() {
			until = now.Add(previous.longest)
		}
		if !now.Before(until) {
			continue
		}
		switch k := i.keys[id]; {
		case k == nil:
			o := *old
			o.until = until
			i.keys[id] = &o
		case k.issuer == old.issuer:
			for _, a := range old.audiences {
				if !slices.Contains(k.audiences, a) && !slices.ContainsFunc(k.former, func(f former) bool { return f.audience == a }) {
					k.former = append(k.former, former{a, until})
				}
			}
			for _, f := range old.former {
				if now.Before(f.until) && !slices.Contains(k.audiences, f.audience) {
					k.former = append(k.former, f)
				}
			}
		}
	}
}

// Format implements fmt.Formatter: every verb prints the type alone.
func (i *Issuer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("identity.Issuer")) }

// Token returns a token about id for a service. One that was made before about
// the same login is returned again while more than half of its lifetime is left.
func (i *Issuer) Token(_ context.Context, id *authn.Identity, name string) (string, error) {
	if i == nil || id == nil {
		return "", ErrNoToken
	}
	s := i.services[name]
	if s == nil {
		return "", ErrNoToken
	}
	now := i.now()
	if !id.Expires.IsZero() && !now.Before(id.Expires) {
		return "", errors.New("identity: the caller's login has ended")
	}
	if t, ok := i.known.find(s, id, now); ok {
		return t, nil
	}
	e := &entry{service: s, id: id, expires: now.Add(s.lifetime).Truncate(time.Second)}
	if !id.Expires.IsZero() && id.Expires.Before(e.expires) {
		e.expires = id.Expires
	}
	e.again = now.Add(e.expires.Sub(now) / 2)
	payload, err := s.claims(i.name, id, rand.Text(), now, e.expires)
	if err != nil {
		return "", err
	}
	jws, err := s.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("identity: sign: %w", err)
	}
	if e.token, err = jws.CompactSerialize(); err != nil {
		return "", fmt.Errorf("identity: sign: %w", err)
	}
	i.known.add(e)
	return e.token, nil
}
