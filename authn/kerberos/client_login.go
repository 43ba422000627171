package kerberos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// A secret gives the long-term keys of a principal.
type secret interface {
	// etypes picks those of l for which there can be a key.
	etypes(l []krb5.EType, name krb5.PrincipalName, realm string) []krb5.EType

	// key returns the key of one type. salt and params are what the KDC says
	// of it.
	key(e krb5.EType, name krb5.PrincipalName, realm, salt string, params []byte) (krb5.Key, error)
}

// passwordSecret makes keys from a password. It keeps the one it made last,
// which takes some milliseconds to make.
type passwordSecret struct {
	password authn.Secret

	mu     sync.Mutex
	salt   string
	params string
	last   krb5.Key
}

func (*passwordSecret) etypes(l []krb5.EType, _ krb5.PrincipalName, _ string) []krb5.EType { return l }

func (p *passwordSecret) key(e krb5.EType, _ krb5.PrincipalName, _, salt string, params []byte) (krb5.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.EType() == e && p.salt == salt && p.params == string(params) {
		return p.last, nil
	}
	k, err := krb5.StringToKey(e, p.password.Reveal(), salt, params)
	if err != nil {
		return krb5.Key{}, err
	}
	p.last, p.salt, p.params = k, salt, string(params)
	return k, nil
}

// other makes a key of another type than that of a login, with the same salt:
// Windows has one for all AES keys of an account, and rc4-hmac has none. It
// reports false before the first login.
func (p *passwordSecret) other(e krb5.EType) (krb5.Key, bool) {
	p.mu.Lock()
	salt, ok := p.salt, !p.last.IsZero()
	p.mu.Unlock()
	if !ok {
		return krb5.Key{}, false
	}
	k, err := krb5.StringToKey(e, p.password.Reveal(), salt, nil)
	return k, err == nil
}

// keytabSecret takes keys from a keytab, the newest version of each.
type keytabSecret struct{ keytab *Keytab }

// find returns all keys of one type, the newest first.
func (s *keytabSecret) find(e krb5.EType, name krb5.PrincipalName, realm string) []krb5.Key {
	principal := name.String()
	var keys []krb5.Key
	for _, k := range s.keytab.current().entries {
		same := strings.EqualFold(k.principal, principal) && strings.EqualFold(k.realm, realm)
		if same && k.key.EType() == e {
			keys = append(keys, k.key)
		}
	}
	return keys
}

func (s *keytabSecret) etypes(l []krb5.EType, name krb5.PrincipalName, realm string) []krb5.EType {
	var out []krb5.EType
	for _, e := range l {
		if len(s.find(e, name, realm)) > 0 {
			out = append(out, e)
		}
	}
	return out
}

func (s *keytabSecret) key(e krb5.EType, name krb5.PrincipalName, realm, _ string, _ []byte) (krb5.Key, error) {
	keys := s.find(e, name, realm)
	if len(keys) == 0 {
		return krb5.Key{}, fmt.Errorf("kerberos: %v has no key of type %v for %v@%s", s.keytab, e, name, realm)
	}
	return keys[0], nil
}

// keyLogin logs in with a long-term key. It makes a new login instead of
// renewing a ticket, so that changes of groups take effect.
type keyLogin struct {
	secret secret

	mu       sync.Mutex
	rejected krb5.Key // the last one a KDC found wrong
	refusal  error
	until    time.Time // when to try it again
}

// wrongKeyPause is how long a wrong password is not tried again: a service
// that tries it for each of its requests locks the account. The KDC's word for
// it is not protected, so that somebody who can answer in its place keeps us
// from logging in for as long; who can do that can keep us from it anyway.
const wrongKeyPause = 5 * time.Minute

// lastRefusal returns the KDC's answer to the same key a short time ago.
func (l *keyLogin) lastRefusal(k krb5.Key, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil && now.Before(l.until) && l.rejected.Equal(k) {
		return l.refusal
	}
	return nil
}

func (l *keyLogin) reject(k krb5.Key, err error, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rejected, l.refusal, l.until = k, err, now.Add(wrongKeyPause)
}

func (l *keyLogin) tgt(ctx context.Context, c *client, _ *ticket) (*ticket, error) {
	name, realm := c.asName, c.asRealm
	for range maxHops {
		t, err := c.as(ctx, l, name, realm)
		var ke *KDCError
		if errors.As(err, &ke) && krb5.ErrorCode(ke.Code) == krb5.CodeWrongRealm &&
			name.Type == krb5.NameEnterprise && ke.clientRealm != "" && !strings.EqualFold(ke.clientRealm, realm) {
			realm = ke.clientRealm // RFC 6806 7
			continue
		}
		if err != nil {
			return nil, err
		}
		c.setWho(t.client, t.crealm)
		return t, nil
	}
	return nil, fmt.Errorf("kerberos: log in as %v: KDCs refer the client from realm to realm", name)
}

// as does the AS exchange (RFC 4120 3.1): a first request, to which the KDC
// says how the key is made, and a second with a proof that we have it.
func (c *client) as(ctx context.Context, l *keyLogin, name krb5.PrincipalName, realm string) (*ticket, error) {
	body := krb5.KDCReqBody{
		Options: krb5.FlagForwardable, CName: name, Realm: realm, SName: krb5.TGSName(realm),
		Till: c.now().Add(c.cfg.lifetime()), ETypes: l.secret.etypes(c.etypes, name, realm),
	}
	if len(body.ETypes) == 0 {
		return nil, fmt.Errorf("kerberos: no key to log in as %v@%s with; a keytab must hold keys of the account itself", name, realm)
	}
	if name.Type == krb5.NameEnterprise {
		body.Options |= krb5.OptionCanonical // RFC 6806 5
	}
	pac, err := krb5.MarshalPACRequest(true)
	if err != nil {
		return nil, err
	}
	padata := []krb5.PAData{{Type: krb5.PAPACRequest, Value: pac}}
	a := &asExchange{c: c, secret: l.secret, body: &body}
	rep, m, err := a.send(ctx, padata)
	if err != nil {
		return nil, err
	}
	if m != nil && m.Code == krb5.CodePreauthRequired {
		proof, err := a.prove(m)
		if err == nil {
			err = l.lastRefusal(a.key, c.now())
		}
		if err != nil {
			return nil, err
		}
		if rep, m, err = a.send(ctx, append(padata, proof)); err != nil {
			return nil, err
		}
	}
	if m != nil {
		err := newKDCError(opLogin, realm, &body, name.String()+"@"+realm, m, c.now())
		if m.Code == krb5.CodePreauthFailed {
			l.reject(a.key, err, c.now())
		}
		return nil, err
	}
	return a.finish(rep)
}

// asExchange is one login.
type asExchange struct {
	c      *client
	secret secret
	body   *krb5.KDCReqBody
	key    krb5.Key // the proof was made with; zero before
}

// send sends the request once and returns the reply or the refusal.
func (a *asExchange) send(ctx context.Context, padata []krb5.PAData) (*krb5.KDCRep, *krb5.ErrorMessage, error) {
	a.body.Nonce = nonce()
	req := krb5.KDCReq{Type: krb5.MsgASReq, PAData: padata, Body: *a.body}
	b, err := req.Marshal()
	if err != nil {
		return nil, nil, err
	}
	reply, err := a.c.kdc.exchange(ctx, a.body.Realm, b)
	if err != nil {
		return nil, nil, err
	}
	if t, _ := krb5.TypeOf(reply); t == krb5.MsgError {
		m, err := krb5.ParseErrorMessage(reply)
		return nil, m, err
	}
	rep, err := krb5.ParseKDCRep(reply)
	if err != nil {
		return nil, nil, err
	}
	if rep.Type != krb5.MsgASRep {
		return nil, nil, errors.New("kerberos: KDC answered an AS-REQ with a TGS-REP")
	}
	return rep, nil, nil
}

// prove makes PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2).
func (a *asExchange) prove(m *krb5.ErrorMessage) (krb5.PAData, error) {
	methods, err := krb5.ParseMethodData(m.Data)
	if err != nil {
		return krb5.PAData{}, err
	}
	if a.key, err = a.chooseKey(methods); err != nil {
		return krb5.PAData{}, err
	}
	ts := krb5.EncTimestamp{}
	ts.Time, ts.USec = splitTime(a.c.now())
	plain, err := ts.Marshal()
	if err != nil {
		return krb5.PAData{}, err
	}
	sealed, err := krb5.Seal(a.key, krb5.UsageASReqTimestamp, 0, plain)
	if err != nil {
		return krb5.PAData{}, err
	}
	b, err := sealed.Marshal()
	return krb5.PAData{Type: krb5.PAEncTimestamp, Value: b}, err
}

// chooseKey makes the key of the best encryption type that ETYPE-INFO2 lists
// (RFC 4120 5.2.7.5).
func (a *asExchange) chooseKey(methods []krb5.PAData) (krb5.Key, error) {
	v, ok := krb5.FindPAData(methods, krb5.PAETypeInfo2)
	if !ok {
		return krb5.Key{}, errors.New("kerberos: KDC does not say which keys it takes (no ETYPE-INFO2)")
	}
	infos, err := krb5.ParseETypeInfo2(v)
	if err != nil {
		return krb5.Key{}, err
	}
	for _, e := range a.body.ETypes {
		for _, info := range infos {
			if info.EType == e {
				return a.makeKey(info)
			}
		}
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.EType.String())
	}
	return krb5.Key{}, fmt.Errorf("kerberos: the account %v@%s has keys of type %s only, none of which is allowed here; "+
		"give it AES keys (set msDS-SupportedEncryptionTypes to 24, then its password anew)", a.body.CName, a.body.Realm, strings.Join(names, ", "))
}

func (a *asExchange) makeKey(info krb5.ETypeInfo2Entry) (krb5.Key, error) {
	salt := info.Salt
	if !info.HasSalt { // RFC 4120 4
		salt = a.body.Realm + strings.Join(a.body.CName.Components, "")
	}
	return a.secret.key(info.EType, a.body.CName, a.body.Realm, salt, info.Params)
}

// finish opens the AS-REP and checks it.
func (a *asExchange) finish(rep *krb5.KDCRep) (*ticket, error) {
	key := a.key
	if key.EType() != rep.EncPart.EType { // a KDC that wanted no proof
		info := krb5.ETypeInfo2Entry{EType: rep.EncPart.EType}
		if v, ok := krb5.FindPAData(rep.PAData, krb5.PAETypeInfo2); ok {
			infos, err := krb5.ParseETypeInfo2(v)
			if err != nil {
				return nil, err
			}
			for _, i := range infos {
				if i.EType == info.EType {
					info = i
					break
				}
			}
		}
		if !a.c.allowed(info.EType) {
			return nil, fmt.Errorf("kerberos: AS-REP is sealed with %v, which is not allowed", info.EType)
		}
		var err error
		if key, err = a.makeKey(info); err != nil {
			return nil, err
		}
	}
	plain, err := rep.EncPart.Open(key, krb5.UsageASRepPart)
	if errors.Is(err, krb5.ErrIntegrity) && a.key.IsZero() {
		return nil, fmt.Errorf("kerberos: open AS-REP: wrong password or key: %w", authn.ErrBadCredentials)
	}
	if err != nil {
		return nil, fmt.Errorf("kerberos: open AS-REP: %w", err)
	}
	// A name of which only the KDC knows what it stands for may come back as
	// another one (RFC 6806 5).
	if a.body.CName.Type != krb5.NameEnterprise && !rep.CName.EqualFold(a.body.CName) || !strings.EqualFold(rep.CRealm, a.body.Realm) {
		return nil, fmt.Errorf("kerberos: KDC of %s answered %v with a ticket for %v@%s", a.body.Realm, a.body.CName, rep.CName, rep.CRealm)
	}
	t, err := a.c.accept(rep, plain, a.body, a.c.now())
	if err != nil {
		return nil, err
	}
	if !t.SName.EqualFold(a.body.SName) {
		return nil, fmt.Errorf("kerberos: KDC of %s answered a login with a ticket for %v", a.body.Realm, t.SName)
	}
	a.c.keepKey(key)
	return t, nil
}

func (c *client) keepKey(k krb5.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[k.EType()] = k
}

// ownKeys returns what is known of the client's own long-term keys of one type.
// A keytab may have been read again since the login, and a key made from the
// password is a guess if no login was made with one of its type: whoever opened
// something calls keepKey.
func (c *client) ownKeys(e krb5.EType) []krb5.Key {
	var keys []krb5.Key
	c.mu.Lock()
	if k, ok := c.keys[e]; ok {
		keys = append(keys, k)
	}
	c.mu.Unlock()
	if l, ok := c.source.(*keyLogin); ok {
		switch s := l.secret.(type) {
		case *keytabSecret:
			keys = append(keys, s.find(e, c.asName, c.asRealm)...)
		case *passwordSecret:
			if len(keys) > 0 {
				break
			}
			if k, ok := s.other(e); ok {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// ticketLogin starts from a TGT that somebody else got, and renews it for as
// long as that goes.
type ticketLogin struct{ first *ticket }

func (l *ticketLogin) tgt(ctx context.Context, c *client, old *ticket) (*ticket, error) {
	if old == nil {
		old = l.first
		if old.end.Sub(c.now()) > maxEarly {
			return old, nil
		}
	}
	return c.renew(ctx, old, "the caller has to log in again")
}

// renew returns a renewed TGT, or t itself if that cannot be renewed but has
// not ended.
func (c *client) renew(ctx context.Context, t *ticket, remedy string) (*ticket, error) {
	now := c.now()
	if !now.Before(t.end) {
		return nil, fmt.Errorf("kerberos: ticket-granting ticket of %v@%s expired at %s: %s",
			t.client, t.crealm, t.end.Format(time.RFC3339), remedy)
	}
	if !t.flags.Has(krb5.FlagRenewable) || t.renew.Sub(now) <= t.end.Sub(now) {
		return t, nil
	}
	r, err := c.tgs(ctx, t, &tgsRequest{op: opRenew, service: t.SName, options: krb5.OptionRenew | krb5.FlagRenewable})
	if err != nil {
		return nil, err
	}
	if !r.SName.EqualFold(t.SName) {
		return nil, fmt.Errorf("kerberos: KDC renewed a ticket for %v as one for %v", t.SName, r.SName)
	}
	return r, nil
}
