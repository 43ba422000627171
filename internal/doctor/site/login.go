package site

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
)

// maxLegs bounds how often one login goes to and fro.
const maxLegs = 5

// Mechanisms as they are called in the report.
const (
	mechKerberos = "Kerberos"
	mechNTLM     = "NTLM"
)

// binding is the channel binding that a login is tried with.
type binding string

const (
	bindingRight binding = "right"
	bindingNone  binding = "none"
	bindingWrong binding = "wrong"
)

func (b binding) of(l *link) authn.ChannelBinding {
	switch {
	case b == bindingNone || len(l.binding) == 0:
		return nil
	case b == bindingWrong:
		wrong := slices.Clone(l.binding)
		wrong[len(wrong)-1] ^= 1
		return wrong
	}
	return l.binding
}

// logIn tries each mechanism once. A login that fails is not tried again in
// another way.
func (s *site) logIn(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	switch {
	case !s.trusted:
		s.report.found("login.not-tried", s.why)
		return
	case s.plainProxy():
		s.report.found("login.not-tried", "a proxy takes part in the conversation (proxy.plain)")
		return
	}
	tried := false
	if s.ticket != nil {
		tried = true
		s.logInKerberos(ctx)
	}
	if s.cfg.User != "" && !s.cfg.Password.IsEmpty() && s.report.NTLM != nil {
		if s.badUser {
			s.report.found("login.not-tried", "NTLM: the KDC refused the user, and a second try would count again")
		} else {
			tried = true
			s.logInNTLM(ctx)
		}
	}
	if !tried && !s.badUser {
		s.report.found("login.not-tried", "there is neither a ticket nor a password to try with")
	}
}

func (s *site) logInKerberos(ctx context.Context) {
	s.progress("logging in by Kerberos")
	ok := s.try(ctx, mechKerberos, schemeNegotiate, bindingRight)
	s.probeBinding(ctx, mechKerberos, schemeNegotiate, ok)
}

func (s *site) logInNTLM(ctx context.Context) {
	s.progress("logging in by NTLM")
	scheme := s.ntlmScheme()
	ok := s.try(ctx, mechNTLM, scheme, bindingRight)
	s.probeBinding(ctx, mechNTLM, scheme, ok)
}

// exchange is one login that went to its end.
type exchange struct {
	l      *link
	answer *answer
	proven bool   // the server proved itself
	reason string // that the server gave for a refusal, as its token has it
}

// try logs in once, and says how it went.
func (s *site) try(ctx context.Context, mech, scheme string, b binding) bool {
	entry := Login{Mechanism: mech, Scheme: scheme, Binding: string(b)}
	x, err := s.exchange(ctx, mech, scheme, b)
	if x != nil {
		defer x.l.close()
	}
	switch {
	case err != nil:
		entry.Error = cleanError(err)
	default:
		entry.Status, entry.Mutual, entry.Error = x.answer.status, x.proven, x.reason
		entry.OK = x.answer.status != http.StatusUnauthorized
	}
	s.report.Logins = append(s.report.Logins, entry)
	if b != bindingRight {
		return entry.OK
	}
	switch {
	case errors.Is(err, errFalseProof):
		s.report.found("login.false-proof", entry.Error)
	case err != nil:
		s.report.found("login.error", mech+": "+entry.Error)
	case !entry.OK:
		s.refused(mech, x.reason)
	default:
		s.accepted(ctx, mech, x)
	}
	return entry.OK
}

func (s *site) refused(mech, reason string) {
	if reason != "" {
		reason = ", and its token says: " + reason
	}
	if mech == mechKerberos {
		s.report.found("login.kerberos-refused", "the answer to a good ticket for "+s.report.Kerberos.SPN+" is 401"+reason+s.hints())
		return
	}
	why := "the answer is 401"
	if s.ticket != nil && s.cfg.Keytab == nil {
		why = "the answer is 401, though the KDC takes the password"
	}
	s.report.found("login.ntlm-refused", why+reason+s.hints())
}

// hints names what was found before and may be the cause.
func (s *site) hints() string {
	var out []string
	for _, id := range []string{"http.between", "clock.server", "conn.closed", "conn.balanced", "tls.binding-odd", "dns.alias"} {
		if s.report.Has(id) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; see also " + strings.Join(out, ", ")
}

func (s *site) accepted(ctx context.Context, mech string, x *exchange) {
	status := fmt.Sprintf("the answer is %d", x.answer.status)
	if mech == mechNTLM {
		s.report.found("login.ntlm", status)
		s.checkShared(ctx)
	} else {
		s.report.found("login.kerberos", status)
		if x.proven {
			s.report.found("login.mutual", "its answer was made with the key of "+s.report.Kerberos.Service)
		} else {
			s.report.found("login.no-mutual", "there is no token in its answer")
		}
	}
	if x.answer.status >= 400 && x.answer.status != http.StatusMethodNotAllowed { // SOAP services may take POST only
		s.report.found("login.status", mech+": "+status)
	}
}

var errFalseProof = errors.New("the server's last token is not what the service would say")

// exchange logs in on a connection of its own. Without an error the exchange is
// not nil, and its connection is open.
func (s *site) exchange(ctx context.Context, mech, scheme string, b binding) (*exchange, error) {
	l, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	i, err := s.initiator(l, mech, scheme, b)
	if err != nil {
		l.close()
		return nil, err
	}
	x, err := s.legs(ctx, l, i, mech, scheme)
	if err != nil {
		l.close()
		return nil, err
	}
	return x, nil
}

func (s *site) initiator(l *link, mech, scheme string, b binding) (authn.Initiator, error) {
	if mech == mechKerberos {
		return spnego.NewInitiator(spnego.OIDKerberos, s.ticket.NewInitiator(kerberos.InitiatorConfig{Binding: b.of(l)})), nil
	}
	cred, err := ntlm.NewCredential(s.cfg.User, s.cfg.Password)
	if err != nil {
		return nil, err
	}
	return wrapNTLM(scheme, &ntlm.Initiator{Credential: cred, TargetName: s.spn(), Binding: b.of(l)}), nil
}

func (s *site) legs(ctx context.Context, l *link, i authn.Initiator, mech, scheme string) (*exchange, error) {
	var token []byte
	var before *answer
	for range maxLegs {
		out, done, err := i.Step(ctx, token)
		switch {
		case err != nil && before != nil && mech == mechKerberos: // KRB-ERROR, as often as not
			return &exchange{l: l, answer: before, reason: cleanError(err)}, nil
		case err != nil:
			return nil, err
		}
		a, err := l.get(ctx, scheme+" "+base64.StdEncoding.EncodeToString(out))
		if err != nil {
			return nil, err
		}
		token = a.token(scheme)
		if a.status != http.StatusUnauthorized {
			s.keep("last answer to "+mech, scheme, a)
			x := &exchange{l: l, answer: a, proven: false}
			if len(token) == 0 || done {
				return x, nil
			}
			if _, x.proven, err = i.Step(ctx, token); err != nil {
				return nil, fmt.Errorf("%w: %w", errFalseProof, err)
			}
			return x, nil
		}
		if len(token) == 0 || done {
			s.keep("refusal of "+mech, scheme, a)
			return &exchange{l: l, answer: a}, nil
		}
		s.keep("answer to "+mech, scheme, a)
		before = a
	}
	return nil, errors.New("the server asks for ever")
}

// checkShared looks whether a connection that nobody logged in on is answered as
// if somebody had.
func (s *site) checkShared(ctx context.Context) {
	for range ntlmConnections {
		if a, err := s.getOnce(ctx); err == nil && a.status != http.StatusUnauthorized && a.status < 500 {
			s.report.found("conn.shared", fmt.Sprintf("a request without a login on a new connection was answered with %d, and with 401 before the login on another", a.status))
			return
		}
	}
}

// probeBinding logs in without the channel binding and with a wrong one, until
// one is refused. That is one failed login at most.
func (s *site) probeBinding(ctx context.Context, mech, scheme string, works bool) {
	if s.report.Has("binding.required") || s.report.Has("binding.checked") || s.report.Has("binding.unchecked") {
		return // with the other mechanism
	}
	if !s.cfg.ProbeBinding || !works || s.url.Scheme != "https" || ctx.Err() != nil {
		if !s.report.Has("binding.not-probed") && works && s.url.Scheme == "https" {
			s.report.found("binding.not-probed", "a login without one, or with a wrong one, counts as a failed login where it is refused")
		}
		return
	}
	s.progress("trying channel bindings")
	if !s.try(ctx, mech, scheme, bindingNone) {
		s.report.found("binding.required", "by "+mech+", a login without it was refused")
		return
	}
	if !s.try(ctx, mech, scheme, bindingWrong) {
		s.report.found("binding.checked", "by "+mech+", a login with a wrong one was refused")
		return
	}
	s.report.found("binding.unchecked", "by "+mech+", a login with a wrong one was taken")
}

// hops says whether the server can call on as the caller.
func (s *site) hops() {
	k := s.report.Kerberos
	in := func(mech string) bool {
		return slices.ContainsFunc(s.report.Logins, func(l Login) bool { return l.Mechanism == mech && l.OK })
	}
	switch {
	case s.ticket == nil && in(mechNTLM):
		s.report.found("hop.ntlm", "NTLM proves who calls, and leaves nothing to prove it with elsewhere")
	case s.ticket == nil:
	case k.OKAsDelegate && k.Forwardable:
		s.report.found("hop.unconstrained", "the KDC marks the ticket so")
	case k.Forwardable:
		s.report.found("hop.forwardable", "it is forwardable")
	default:
		s.report.found("hop.not-forwardable", "it is not forwardable")
	}
}
