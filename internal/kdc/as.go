package kdc

import (
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// unsupported are the options that no request may carry: postdated tickets,
// user-to-user and validation are not implemented.
const unsupported = krb5.FlagMayPostdate | krb5.FlagPostdated | krb5.OptionSessionKey | krb5.OptionValidate

// as answers an AS-REQ (RFC 4120 3.1).
func (k *KDC) as(x *exchange) ([]byte, error) {
	q := &x.req.Body
	if q.Options&unsupported != 0 {
		return nil, refuse(krb5.CodeBadOption, "option not supported")
	}
	a := k.client(q.CName)
	switch {
	case a == nil:
		return nil, refuse(krb5.CodeClientUnknown, "no such account")
	case a.Disabled:
		return nil, refuse(krb5.CodeClientRevoked, "account is disabled")
	}
	sv, err := k.asServer(q.SName)
	if err != nil {
		return nil, err
	}
	replyKey, err := k.replyKey(a, q.ETypes)
	if err != nil {
		return nil, err
	}
	fl := krb5.FlagInitial
	if !a.NoPreauth {
		if err := k.preauth(x, a); err != nil {
			return nil, err
		}
		fl |= krb5.FlagPreAuthent
	}
	if a.PasswordExpired {
		return nil, refuse(krb5.CodeKeyExpired, "password has expired")
	}
	if q.Options.Has(krb5.FlagForwardable) && a.mayBeDelegated() {
		fl |= krb5.FlagForwardable
	}
	g := &grant{
		cname: q.CName, crealm: k.cfg.Realm,
		server: sv, sname: q.SName,
		flags: fl, authTime: x.now,
	}
	if q.Options.Has(krb5.OptionCanonical) {
		g.cname = krb5.PrincipalName{Type: krb5.NamePrincipal, Components: []string{a.Name}}
	}
	if err := g.limit(x, k.cfg, time.Time{}); err != nil {
		return nil, err
	}
	if !a.NoPAC && wantsPAC(x.req.PAData) {
		g.logon = k.logonInfo(a, x.now, sidAuthenticationAuthority)
		g.upn = k.upnInfo(a)
	}
	hint, err := k.saltHint(a, []krb5.EType{replyKey.EType()})
	if err != nil {
		return nil, err
	}
	g.replyKey, g.replyKVNO, g.replyUsage = replyKey, a.versions[0].kvno, krb5.UsageASRepPart
	g.paData = []krb5.PAData{{Type: krb5.PAETypeInfo2, Value: hint}}
	return k.issue(x, g)
}

// asServer returns the service that an AS request is for: nearly always the
// ticket-granting service.
func (k *KDC) asServer(n krb5.PrincipalName) (*account, error) {
	if realm, ok := n.IsTGS(); ok && realm == k.cfg.Realm {
		return k.krbtgt, nil
	}
	if a := k.service(n); a != nil && len(a.SPNs) > 0 {
		return a, nil
	}
	return nil, refuse(krb5.CodeServerUnknown, "no such service")
}

// replyKey chooses the client's key that the reply is sealed with: the first
// type of the request that the account has.
func (k *KDC) replyKey(a *account, asked []krb5.EType) (krb5.Key, error) {
	for _, e := range asked {
		if key, ok := a.key(e); ok {
			return key, nil
		}
	}
	return krb5.Key{}, refuse(krb5.CodeETypeNoSupport, "the account has no key of the types asked for")
}

// preauth checks PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2).
func (k *KDC) preauth(x *exchange, a *account) error {
	b, ok := krb5.FindPAData(x.req.PAData, krb5.PAEncTimestamp)
	if !ok {
		return k.preauthError(a, x, krb5.CodePreauthRequired, "prove that you know the password")
	}
	d, err := krb5.ParseEncryptedData(b)
	if err != nil {
		return refuse(krb5.CodePreauthFailed, "malformed timestamp")
	}
	key, ok := a.key(d.EType)
	if !ok {
		return refuse(krb5.CodeETypeNoSupport, "the account has no key of the timestamp's type")
	}
	plain, err := d.Open(key, krb5.UsageASReqTimestamp)
	if err != nil {
		return k.preauthError(a, x, krb5.CodePreauthFailed, "wrong password")
	}
	ts, err := krb5.ParseEncTimestamp(plain)
	if err != nil {
		return refuse(krb5.CodePreauthFailed, "malformed timestamp")
	}
	if x.now.Sub(ts.Time).Abs() > k.cfg.Skew {
		return refuse(krb5.CodeSkew, "clocks differ too much")
	}
	return nil
}

// preauthError refuses with the hints a client needs to make its key.
func (k *KDC) preauthError(a *account, x *exchange, code krb5.ErrorCode, text string) error {
	var both []krb5.EType
	for _, e := range x.req.Body.ETypes {
		if _, ok := a.key(e); ok {
			both = append(both, e)
		}
	}
	hint, err := k.saltHint(a, both)
	if err != nil {
		return err
	}
	data, err := krb5.MarshalMethodData([]krb5.PAData{
		{Type: krb5.PAETypeInfo2, Value: hint},
		{Type: krb5.PAEncTimestamp, Value: []byte{}},
	})
	if err != nil {
		return err
	}
	return &refusal{code: code, text: text, data: data}
}

// saltHint returns ETYPE-INFO2 for an account (RFC 4120 5.2.7.5).
func (k *KDC) saltHint(a *account, es []krb5.EType) ([]byte, error) {
	var l []krb5.ETypeInfo2Entry
	for _, e := range es {
		i := krb5.ETypeInfo2Entry{EType: e}
		if e != krb5.RC4HMAC {
			i.Salt, i.HasSalt = k.salt(a.Name), true
		}
		l = append(l, i)
	}
	return krb5.MarshalETypeInfo2(l)
}

// wantsPAC reports whether the client asks for a PAC, or says nothing about it
// (MS-KILE 3.3.5.6.4).
func wantsPAC(l []krb5.PAData) bool {
	b, ok := krb5.FindPAData(l, krb5.PAPACRequest)
	if !ok {
		return true
	}
	include, err := krb5.ParsePACRequest(b)
	return err != nil || include
}
