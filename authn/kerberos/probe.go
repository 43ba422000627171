package kerberos

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// probeTimeout bounds the wait for one KDC.
const probeTimeout = 4 * time.Second

// A KDCProbe is what one KDC answered, over one protocol, to a login that
// proves nothing. The answer is not protected on its way.
type KDCProbe struct {
	Addr    string // host:port
	Network string // "udp" or "tcp"
	Took    time.Duration
	Err     error // why there is no answer; the fields below are zero then

	Offset    time.Duration // of the KDC's clock from ours
	HasOffset bool          // the KDC told its time
	ETypes    []string      // of the account's keys, as far as the KDC tells, the best first
	NoPreauth bool          // the KDC gives tickets of this account to anybody who asks
	Refusal   *KDCError     // the KDC refuses the account whatever the password
}

// ProbeKDCs asks each KDC of the principal's realm, over each protocol that
// cfg has for it, all at the same time. It sends no proof of a password, so
// that no failed login is counted. An error means that there is no KDC to ask,
// or that ctx ended. Only programs that diagnose need it.
func ProbeKDCs(ctx context.Context, cfg Config, principal string) ([]KDCProbe, error) {
	name, realm, err := cfg.parsePrincipal(principal)
	if err != nil {
		return nil, err
	}
	etypes, err := cfg.etypes()
	if err != nil {
		return nil, err
	}
	q := &probe{name: name, realm: realm, etypes: etypes}
	req, err := q.request(etypes)
	if err != nil {
		return nil, err
	}
	routes, err := newTransport(&cfg).routes(ctx, realm, len(req))
	if err != nil {
		return nil, err
	}
	out := make([]KDCProbe, len(routes))
	var wg sync.WaitGroup
	for i, r := range routes {
		wg.Go(func() { out[i] = q.ask(ctx, r, req) })
	}
	wg.Wait()
	return out, ctx.Err()
}

// probe is the question that all KDCs are asked. It never changes.
type probe struct {
	name   krb5.PrincipalName
	realm  string
	etypes []krb5.EType
}

func (q *probe) body(etypes []krb5.EType) krb5.KDCReqBody {
	return krb5.KDCReqBody{
		CName: q.name, Realm: q.realm, SName: krb5.TGSName(q.realm),
		Till: time.Now().Add(time.Hour), Nonce: nonce(), ETypes: etypes,
	}
}

func (q *probe) request(etypes []krb5.EType) ([]byte, error) {
	req := krb5.KDCReq{Type: krb5.MsgASReq, Body: q.body(etypes)}
	return req.Marshal()
}

func (q *probe) ask(ctx context.Context, r route, req []byte) KDCProbe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p := KDCProbe{Addr: r.addr, Network: r.network}
	start := time.Now()
	reply, err := ask(ctx, r, req)
	p.Took = time.Since(start)
	if err == nil {
		err = q.read(&p, reply)
	}
	if err != nil {
		return KDCProbe{Addr: r.addr, Network: r.network, Took: p.Took, Err: err}
	}
	if p.NoPreauth {
		q.askTime(ctx, r, &p)
	}
	return p
}

// askTime asks for a ticket that no KDC can give. Only a refusal has the KDC's
// time where all can read it.
func (q *probe) askTime(ctx context.Context, r route, p *KDCProbe) {
	const none = 9999
	req, err := q.request([]krb5.EType{none})
	if err != nil {
		return
	}
	reply, err := ask(ctx, r, req)
	if err != nil {
		return
	}
	if m, err := krb5.ParseErrorMessage(reply); err == nil {
		p.setOffset(m)
	}
}

func (p *KDCProbe) setOffset(m *krb5.ErrorMessage) {
	p.Offset = time.Until(m.STime.Add(time.Duration(m.SUSec) * time.Microsecond)).Round(time.Second)
	p.HasOffset = true
}

// read takes what is of interest from an answer.
func (q *probe) read(p *KDCProbe, reply []byte) error {
	if t, _ := krb5.TypeOf(reply); t == krb5.MsgASRep {
		rep, err := krb5.ParseKDCRep(reply)
		if err != nil {
			return err
		}
		p.NoPreauth = true
		p.ETypes = etypesOf(rep.PAData)
		if len(p.ETypes) == 0 {
			p.ETypes = []string{rep.EncPart.EType.String()}
		}
		return nil
	}
	m, err := krb5.ParseErrorMessage(reply)
	if err != nil {
		return errors.New("answer is not of a KDC")
	}
	p.setOffset(m)
	switch m.Code {
	case krb5.CodeResponseTooBig: // over UDP; the same KDC is asked over TCP
	case krb5.CodePreauthRequired:
		methods, err := krb5.ParseMethodData(m.Data)
		if err != nil {
			return err
		}
		p.ETypes = etypesOf(methods)
	default:
		body := q.body(q.etypes)
		p.Refusal = newKDCError(opLogin, q.realm, &body, q.name.String()+"@"+q.realm, m, time.Now())
	}
	return nil
}

// etypesOf reads ETYPE-INFO2, the best type first.
func etypesOf(methods []krb5.PAData) []string {
	v, ok := krb5.FindPAData(methods, krb5.PAETypeInfo2)
	if !ok {
		return nil
	}
	infos, err := krb5.ParseETypeInfo2(v)
	if err != nil {
		return nil
	}
	var out []string
	for _, i := range infos {
		if n := i.EType.String(); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return etypeRank(a) - etypeRank(b) })
	return out
}

// etypeRank orders names of types: AES before RC4 before the rest.
func etypeRank(name string) int {
	switch {
	case strings.HasPrefix(name, "aes"):
		return 0
	case name == krb5.RC4HMAC.String():
		return 1
	}
	return 2
}
