package site

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/doctor"
)

// What servers take of one header field: Apache 8190 bytes, nginx and Tomcat
// 8 KiB; Windows (http.sys) 16 KiB.
const (
	longHeader    = 8190
	tooLongHeader = 16 << 10
)

// Codes of a KDC (RFC 4120 7.5.9).
const (
	codeNoService = 7
	codeNotUnique = 8
	codeNoEType   = 14
	codeSkew      = 37
)

// tickets looks at all that stands between a client and a ticket.
func (s *site) tickets(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if !s.offers(schemeNegotiate) {
		s.report.found("krb.not-offered", "it offers "+strings.Join(s.report.HTTP.Schemes, ", "))
		return
	}
	if net.ParseIP(s.url.Hostname()) != nil && s.cfg.User == "" {
		return // url.address has said it
	}
	k := &Kerberos{SPN: clean(s.spn()), KDCs: []doctor.KDC{}}
	s.report.Kerberos = k
	why := k.SPN
	if s.report.Alias != "" {
		why += "; those that follow aliases, of HTTP/" + s.report.Alias
	}
	s.report.found("spn.name", why)
	if s.cfg.Kerberos == nil {
		s.report.found("krb.no-config", clean(s.cfg.NoKerberos))
		return
	}
	if !s.newClient() {
		return
	}
	s.checkRealm()
	if !s.probe(ctx) || s.client == nil {
		return
	}
	s.getTicket(ctx)
}

// newClient makes the client that asks for tickets, and reports whether there is
// a realm to look at.
func (s *site) newClient() bool {
	krb := *s.cfg.Kerberos // without RC4: a proof made with it gives weak passwords away
	k := s.report.Kerberos
	var err error
	switch {
	case s.cfg.User != "":
		user, ok := principal(s.cfg.User, krb.DefaultRealm)
		if !ok {
			s.report.found("krb.user-domain", clean(s.cfg.User))
			return false
		}
		if s.cfg.Keytab != nil {
			s.client, err = kerberos.NewKeytabClient(krb, user, s.cfg.Keytab)
		} else {
			s.client, err = kerberos.NewPasswordClient(krb, user, s.cfg.Password)
		}
	case s.cfg.Cache != nil:
		s.client, err = s.cfg.Cache()
	}
	if err != nil || s.client == nil {
		why := "no user was named"
		if err != nil {
			why = cleanError(err)
		}
		s.client = nil
		s.report.found("krb.no-tickets", why)
		k.Realm = clean(likelyRealm(&krb, s.url.Hostname()))
		return k.Realm != ""
	}
	k.Client = clean(s.client.Principal())
	if i := strings.LastIndexByte(k.Client, '@'); i >= 0 {
		k.Realm = k.Client[i+1:]
	}
	return true
}

// principal is a user's name as Kerberos has it. DOMAIN\user is one of the
// default realm if that begins with DOMAIN.
func principal(user, realm string) (string, bool) {
	domain, name, ok := strings.Cut(user, `\`)
	if !ok {
		return user, true
	}
	label, _, _ := strings.Cut(realm, ".")
	switch {
	case strings.EqualFold(domain, label) || strings.EqualFold(domain, realm):
		return name + "@" + realm, name != ""
	case strings.Contains(domain, "."):
		return name + "@" + strings.ToUpper(domain), name != ""
	}
	return "", false
}

// realmOf is the realm of a host by [domain_realm].
func realmOf(c *kerberos.Config, host string) (string, bool) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if r, ok := c.DomainRealm[host]; ok {
		return r, true
	}
	for rest := host; ; {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			return "", false
		}
		rest = rest[i:]
		if r, ok := c.DomainRealm[rest]; ok {
			return r, true
		}
		rest = rest[1:]
	}
}

// likelyRealm is the realm of a host if that is plain: by [domain_realm], or
// because it is in the domain of the default realm.
func likelyRealm(c *kerberos.Config, host string) string {
	if r, ok := realmOf(c, host); ok {
		return r
	}
	if c.DefaultRealm != "" && strings.HasSuffix(strings.ToLower(host), "."+strings.ToLower(c.DefaultRealm)) {
		return c.DefaultRealm
	}
	return ""
}

func (s *site) checkRealm() {
	k := s.report.Kerberos
	realm, ok := realmOf(s.cfg.Kerberos, s.url.Hostname())
	switch {
	case !ok:
		s.report.found("krb.realm", fmt.Sprintf("%s is not in [domain_realm]: the KDC of %s is asked, and may refer to another", s.report.Host, k.Realm))
	case strings.EqualFold(realm, k.Realm):
		s.report.found("krb.realm", fmt.Sprintf("%s belongs to %s", s.report.Host, clean(realm)))
	default:
		s.report.found("krb.realm-other", fmt.Sprintf("%s belongs to %s, and the user to %s", s.report.Host, clean(realm), k.Realm))
	}
}

// probe asks all KDCs for their time, and reports whether one answers.
func (s *site) probe(ctx context.Context) bool {
	k := s.report.Kerberos
	s.progress("looking for the KDCs of %s", k.Realm)
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.Timeout)
	defer cancel()
	asked := k.Client
	if asked == "" {
		asked = k.SPN + "@" + k.Realm
	}
	probes, err := kerberos.ProbeKDCs(ctx, *s.cfg.Kerberos, asked)
	if err != nil {
		s.report.found("kdc.not-found", cleanError(err))
		return false
	}
	var good, bad []string
	var off *time.Duration
	for _, p := range probes {
		d := doctor.KDC{Addr: p.Addr, Network: p.Network, Milliseconds: math.Round(p.Took.Seconds()*1e5) / 1e2}
		if p.Err != nil {
			d.Error = cleanError(p.Err)
			bad = append(bad, fmt.Sprintf("%s over %s: %s", p.Addr, p.Network, d.Error))
		} else {
			good = append(good, fmt.Sprintf("%s over %s (%.1f ms)", p.Addr, p.Network, d.Milliseconds))
		}
		if p.HasOffset {
			sec := p.Offset.Seconds()
			d.ClockOffset = &sec
			if off == nil || p.Offset.Abs() > off.Abs() {
				off = &p.Offset
			}
		}
		k.KDCs = append(k.KDCs, d)
	}
	switch {
	case len(good) == 0:
		s.report.found("kdc.unreachable", strings.Join(bad, "; "))
		return false
	case len(bad) > 0:
		s.report.found("kdc.some", strings.Join(bad, "; "))
	}
	s.report.found("kdc.good", strings.Join(good, ", "))
	if off != nil {
		switch why := fmt.Sprintf("the KDC's is %s from ours", roundSkew(*off)); {
		case off.Abs() >= maxSkew:
			s.report.found("clock.skew", why)
		case off.Abs() >= warnSkew:
			s.report.found("clock.drift", why)
		}
	}
	return true
}

// getTicket logs in, which a wrong password is counted for, and gets a ticket.
func (s *site) getTicket(ctx context.Context) {
	k := s.report.Kerberos
	s.progress("asking for a ticket as %s", k.Client)
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.Timeout)
	defer cancel()
	if err := s.client.Login(ctx); err != nil {
		s.noLogin(err)
		s.client = nil
		return
	}
	t, err := s.client.Ticket(ctx, s.spn())
	if err != nil {
		s.noTicket(err)
		return
	}
	s.ticket = t
	k.Service, k.EType, k.Session, k.KVNO = clean(t.Service()), t.EType(), t.SessionEType(), t.KeyVersion()
	k.Forwardable, k.OKAsDelegate = t.Forwardable(), t.OKAsDelegate()
	end := t.Expires()
	k.Expires = &end
	why := fmt.Sprintf("for %s, sealed with %s", k.Service, k.EType)
	if k.KVNO != 0 {
		why += fmt.Sprintf(", key version %d", k.KVNO)
	}
	s.report.found("ticket.good", why)
	if strings.HasPrefix(k.EType, "rc4") || strings.HasPrefix(k.EType, "arcfour") {
		f := s.report.found("ticket.rc4", "soapward and Windows Server 2025 refuse that unless it is allowed")
		f.Subjects = []string{k.SPN}
	}
	s.measure(ctx)
}

func (s *site) noLogin(err error) {
	k := s.report.Kerberos
	s.badUser = errors.Is(err, authn.ErrBadCredentials)
	var refused *kerberos.KDCError
	why := cleanError(err)
	if s.cfg.User == "" && !errors.As(err, &refused) {
		s.report.found("krb.no-tickets", why) // those of kinit have ended
		return
	}
	if errors.As(err, &refused) {
		if refused.Code == codeSkew && s.report.Has("clock.skew") {
			return
		}
		if why = clean(refused.Name); why == "" {
			why = fmt.Sprintf("error %d of the KDC", refused.Code)
		}
		if refused.Hint != "" {
			why += "; " + clean(refused.Hint)
		}
	}
	f := s.report.found("krb.login-failed", why)
	f.Subjects = []string{k.Client}
}

func (s *site) noTicket(err error) {
	k := s.report.Kerberos
	var refused *kerberos.KDCError
	if errors.As(err, &refused) && (refused.Code == codeNoService || refused.Code == codeNotUnique) {
		if net.ParseIP(s.url.Hostname()) != nil {
			return // url.address has said it
		}
		f := s.report.found("spn.unknown", clean(refused.Name))
		f.Subjects = []string{k.SPN}
		spn := doctor.SPNWord(k.SPN)
		f.Windows = []string{"setspn -Q " + spn, "setspn -S " + spn + " ACCOUNT"}
		f.Samba = []string{"samba-tool spn add " + spn + " ACCOUNT"}
		return
	}
	if refused != nil && refused.Code == codeNoEType {
		f := s.report.found("ticket.no-aes", clean(refused.Name))
		f.Subjects = []string{k.SPN}
		f.Windows = []string{"Set-ADUser ACCOUNT -KerberosEncryptionType AES128,AES256", "Set-ADAccountPassword ACCOUNT -Reset"}
		f.Samba = []string{"net ads enctypes set ACCOUNT 24 -U Administrator", "samba-tool user setpassword ACCOUNT"}
		return
	}
	f := s.report.found("ticket.none", cleanError(err))
	f.Subjects = []string{k.SPN}
}

// measure makes a token to see how long the header gets. It is not sent.
func (s *site) measure(ctx context.Context) {
	i := spnego.NewInitiator(spnego.OIDKerberos, s.ticket.NewInitiator(kerberos.InitiatorConfig{}))
	token, _, err := i.Step(ctx, nil)
	if err != nil {
		return
	}
	n := len("Authorization: Negotiate ") + base64.StdEncoding.EncodedLen(len(token))
	s.report.Kerberos.Header = n
	why := fmt.Sprintf("it has %d bytes; a user in many groups has a long ticket", n)
	switch {
	case n > tooLongHeader:
		s.report.found("ticket.too-long", why)
	case n > longHeader:
		s.report.found("ticket.long", why)
	}
}
