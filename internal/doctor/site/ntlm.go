package site

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/tokentext"
)

// Schemes that carry NTLM.
const (
	schemeNegotiate = "Negotiate"
	schemeNTLM      = "NTLM"
)

// How often NTLM is begun: connections, and times on each. A balancer that deals
// requests out shows as soon as one is dealt elsewhere.
const (
	ntlmConnections = 3
	ntlmTimes       = 3
)

// ntlmScheme is the scheme that NTLM is tried under.
func (s *site) ntlmScheme() string {
	if s.offers(schemeNTLM) {
		return schemeNTLM
	}
	return schemeNegotiate
}

// wrapNTLM puts NTLM into what the scheme carries.
func wrapNTLM(scheme string, i authn.Initiator) authn.Initiator {
	if scheme == schemeNTLM {
		return i
	}
	return spnego.NewInitiator(spnego.OIDNTLM, i)
}

// begun is what the server answered to the beginning of a login.
type begun struct {
	connection int
	challenge  *ntlm.Challenge
}

// ntlmChallenge begins NTLM a few times and ends it never: no name is sent and
// no password, so that nothing counts as a failed login.
func (s *site) ntlmChallenge(ctx context.Context) {
	s.progress("asking %s for an NTLM challenge", s.report.Host)
	scheme := s.ntlmScheme()
	var all []begun
	var closed string
	for n := range ntlmConnections {
		if ctx.Err() != nil {
			return
		}
		got, end := s.beginNTLM(ctx, scheme)
		for _, c := range got {
			all = append(all, begun{n, c})
		}
		if end != "" && closed == "" {
			closed = end
		}
		if len(got) == 0 {
			break
		}
	}
	if len(all) == 0 {
		switch {
		case closed != "" && scheme == schemeNTLM:
			s.report.found("ntlm.broken", closed)
		case scheme == schemeNTLM:
			s.report.found("ntlm.broken", "there is no challenge in its answer")
		default:
			s.report.found("ntlm.none", "there is no challenge in its answer to NTLM inside Negotiate")
		}
		return
	}
	s.describeNTLM(scheme, all[0].challenge)
	s.judgeNTLM(all, closed)
}

// beginNTLM begins NTLM several times on one connection. end says why the
// connection could not go on, if it could not.
func (s *site) beginNTLM(ctx context.Context, scheme string) (got []*ntlm.Challenge, end string) {
	l, err := s.dial(ctx)
	if err != nil {
		return nil, cleanError(err)
	}
	defer l.close()
	for n := range ntlmTimes {
		i := wrapNTLM(scheme, &ntlm.Initiator{Credential: ntlm.Credential{User: "nobody", Password: authn.NewSecret("nothing")}})
		first, _, err := i.Step(ctx, nil)
		if err != nil {
			return got, cleanError(err)
		}
		a, err := l.get(ctx, scheme+" "+base64.StdEncoding.EncodeToString(first))
		if err != nil {
			return got, "the connection ends: " + cleanError(err)
		}
		c := challengeIn(a.token(scheme))
		if c != nil {
			got = append(got, c)
			s.keep("challenge to NTLM", scheme, a)
		}
		switch {
		case c == nil && n == 0:
			return got, ""
		case a.closes && c != nil:
			return got, "the server closes the connection with its challenge (Connection: close)"
		case a.closes || c == nil:
			return got, "" // a login that begins anew in the middle may be refused
		}
	}
	return got, ""
}

// challengeIn finds NTLM's challenge in a token of the server, raw or inside
// SPNEGO; nil if there is none.
func challengeIn(token []byte) *ntlm.Challenge {
	if ntlm.TypeOf(token) == 0 {
		resp, err := spnego.ParseResp(token)
		if err != nil {
			return nil
		}
		token = resp.ResponseToken
	}
	c, err := ntlm.ParseChallenge(bytes.Clone(token))
	if err != nil {
		return nil
	}
	return c
}

func (s *site) describeNTLM(scheme string, c *ntlm.Challenge) {
	p := c.TargetInfo
	r := &Challenge{
		Scheme: scheme, Domain: clean(p.Text(ntlm.AVDomain)), Computer: clean(p.Text(ntlm.AVComputer)),
		DNSDomain: clean(p.Text(ntlm.AVDNSDomain)), DNSComputer: clean(p.Text(ntlm.AVDNSComputer)),
	}
	for _, pair := range p {
		if t := pair.Timestamp(); pair.ID == ntlm.AVTimestamp && !t.IsZero() && t.Year() > 1900 && t.Year() < 3000 {
			r.Time = &t
		}
	}
	s.report.NTLM = r
	name, domain := r.DNSComputer, r.DNSDomain
	if name == "" {
		name = r.Computer
	}
	if domain == "" {
		domain = r.Domain
	}
	s.report.found("ntlm.challenge", fmt.Sprintf("under %s, as %s of the domain %s", scheme, orNobody(name), orNobody(domain)))
}

func orNobody(s string) string {
	if s == "" {
		return "(no name)"
	}
	return s
}

// judgeNTLM compares the challenges of several connections.
func (s *site) judgeNTLM(all []begun, closed string) {
	names := map[int][]string{}
	var every []string
	challenges := map[[8]byte]bool{}
	repeated := false
	for _, b := range all {
		name := clean(b.challenge.TargetInfo.Text(ntlm.AVComputer) + "/" + b.challenge.TargetInfo.Text(ntlm.AVDNSComputer))
		for _, list := range []*[]string{&every} {
			if !slices.Contains(*list, name) {
				*list = append(*list, name)
			}
		}
		if !slices.Contains(names[b.connection], name) {
			names[b.connection] = append(names[b.connection], name)
		}
		repeated = repeated || challenges[b.challenge.ServerChallenge]
		challenges[b.challenge.ServerChallenge] = true
	}
	if repeated {
		s.report.found("ntlm.repeated", fmt.Sprintf("%d challenges were %d different ones", len(all), len(challenges)))
	}
	if closed != "" {
		s.report.found("conn.closed", closed)
		return
	}
	for _, n := range names {
		if len(n) > 1 {
			s.report.found("conn.balanced", "one connection was answered by "+strings.Join(n, " and "))
			return
		}
	}
	if len(every) > 1 {
		s.report.found("conn.several", strings.Join(every, ", "))
	}
	s.report.found("conn.kept", fmt.Sprintf("NTLM was begun %d times on %d connections", len(all), len(names)))
}

// keep keeps what the server said in its token, decoded.
func (s *site) keep(step, scheme string, a *answer) {
	token := a.token(scheme)
	if len(token) == 0 || len(s.report.Tokens) == maxTokens || slices.ContainsFunc(s.report.Tokens, func(t Token) bool { return t.Step == step }) {
		return
	}
	text, err := tokentext.Inspect([]byte("WWW-Authenticate: "+scheme+" "+base64.StdEncoding.EncodeToString(token)), tokentext.Options{})
	if err != nil {
		return
	}
	s.report.Tokens = append(s.report.Tokens, Token{step, text})
}
