package kerberos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

const (
	// hedge is how long a KDC may be silent before the next one is asked too.
	// Two silent ones cost less than two seconds.
	hedge = 800 * time.Millisecond

	// attemptTimeout bounds one question to one KDC, and kdcTimeout all of
	// them together.
	attemptTimeout = 5 * time.Second
	kdcTimeout     = 15 * time.Second

	maxReply = 1 << 20 // a ticket with all groups Windows allows has 40 KiB
	maxKDCs  = 16      // asked for one realm
)

// transport sends requests to KDCs. It is safe for concurrent use.
type transport struct {
	cfg *Config

	testOnlyLookupSRV func(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)

	mu   sync.Mutex
	good map[string]route // by realm: what answered last
}

// route is one way to a KDC.
type route struct{ network, addr string }

func (r route) String() string { return r.addr + " over " + r.network }

func newTransport(cfg *Config) *transport {
	return &transport{cfg: cfg, testOnlyLookupSRV: net.DefaultResolver.LookupSRV, good: map[string]route{}}
}

// answer is what one attempt brought.
type answer struct {
	route route
	reply []byte
	err   error
}

// exchange sends a request to a realm's KDCs and returns the first reply: an
// AS-REP, TGS-REP or KRB-ERROR by its tag. If none came the error is
// authn.ErrUnavailable.
func (t *transport) exchange(parent context.Context, realm string, req []byte) (_ []byte, err error) {
	parent, end := authn.StartSpan(parent, authn.SpanKDC, slog.String("realm", realm))
	defer func() { end(err) }()
	ctx, cancel := context.WithTimeout(parent, kdcTimeout)
	defer cancel() // ends the attempts that are still waiting
	routes, err := t.routes(ctx, realm, len(req))
	if err != nil {
		return nil, err
	}
	answers := make(chan answer, 2*len(routes)) // so that nobody blocks after we left
	start := func(r route) {
		go func() {
			b, err := ask(ctx, r, req)
			answers <- answer{r, b, err}
		}()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failures []string
	for next, waiting := 0, 0; next < len(routes) || waiting > 0; {
		var tick <-chan time.Time
		if next < len(routes) {
			tick = timer.C
		}
		select {
		case <-tick:
			start(routes[next])
			next, waiting = next+1, waiting+1
			timer.Reset(hedge)
		case a := <-answers:
			waiting--
			if tooBig(a.reply) && a.route.network == "udp" {
				start(route{"tcp", a.route.addr}) // RFC 4120 7.2.1
				waiting++
				continue
			}
			if a.err == nil && !busy(a.reply) {
				t.remember(realm, a.route)
				return a.reply, nil
			}
			if a.err == nil {
				a.err = errors.New("KDC is not able to serve now")
			}
			failures = append(failures, fmt.Sprintf("%v: %v", a.route, a.err))
			if next < len(routes) {
				timer.Reset(0)
			}
		case <-ctx.Done():
			if errors.Is(parent.Err(), context.Canceled) {
				return nil, fmt.Errorf("kerberos: ask KDC of %s: %w", realm, context.Canceled)
			}
			failures = append(failures, "no answer in time")
			next, waiting = len(routes), 0
		}
	}
	t.forget(realm)
	return nil, fmt.Errorf("kerberos: no KDC of %s answered: %w: %s", realm, authn.ErrUnavailable, strings.Join(failures, "; "))
}

// routes lists the ways to ask a realm: what answered last, then every KDC in
// order, over UDP first where that is wanted.
func (t *transport) routes(ctx context.Context, realm string, size int) ([]route, error) {
	addrs, err := t.kdcs(ctx, realm)
	if err != nil {
		return nil, err
	}
	limit := t.cfg.UDPLimit
	if limit == 0 {
		limit = defaultUDPLimit
	}
	var udp, tcp []route
	for _, a := range addrs {
		host, tcpOnly := strings.CutPrefix(a, "tcp/")
		if !tcpOnly && size <= limit {
			udp = append(udp, route{"udp", host})
		}
		tcp = append(tcp, route{"tcp", host})
	}
	all := append(udp, tcp...)
	t.mu.Lock()
	good, ok := t.good[strings.ToUpper(realm)]
	t.mu.Unlock()
	if !ok {
		return all, nil
	}
	for i, r := range all {
		if r == good {
			copy(all[1:], all[:i])
			all[0] = good
		}
	}
	return all, nil
}

// kdcs returns a realm's KDCs with ports.
func (t *transport) kdcs(ctx context.Context, realm string) ([]string, error) {
	_, r, known := t.cfg.findRealm(realm)
	list := r.KDCs
	if len(list) == 0 {
		if !t.cfg.LookupKDC {
			if known {
				return nil, fmt.Errorf("kerberos: realm %s has no KDCs configured", realm)
			}
			return nil, fmt.Errorf("kerberos: realm %s is not configured, and finding its KDCs by DNS is not enabled", realm)
		}
		var err error
		if list, err = t.lookupKDCs(ctx, realm); err != nil {
			return nil, err
		}
	}
	out := make([]string, 0, min(len(list), maxKDCs))
	for _, a := range list[:min(len(list), maxKDCs)] {
		if strings.Contains(a, "://") {
			return nil, fmt.Errorf("kerberos: KDC %s of realm %s: proxies (MS-KKDCP) are not supported", a, realm)
		}
		host, tcpOnly := strings.CutPrefix(a, "tcp/")
		if !tcpOnly {
			host = strings.TrimPrefix(host, "udp/")
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "88")
		}
		if tcpOnly {
			host = "tcp/" + host
		}
		out = append(out, host)
	}
	return out, nil
}

// lookupKDCs finds KDCs by DNS (RFC 4120 7.2.3.2). UDP and TCP have records of
// their own, which name the same hosts in practice; those of TCP count, which
// every KDC has.
func (t *transport) lookupKDCs(ctx context.Context, realm string) ([]string, error) {
	_, recs, err := t.testOnlyLookupSRV(ctx, "kerberos", "tcp", realm)
	if err != nil {
		return nil, fmt.Errorf("kerberos: find KDCs of %s by DNS: %w: %w", realm, authn.ErrUnavailable, err)
	}
	var out []string
	for _, r := range recs { // in order of priority and weight
		if r.Target != "." {
			out = append(out, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("kerberos: DNS says that %s has no KDCs: %w", realm, authn.ErrUnavailable)
	}
	return out, nil
}

func (t *transport) remember(realm string, r route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.good) < 256 {
		t.good[strings.ToUpper(realm)] = r
	}
}

func (t *transport) forget(realm string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.good, strings.ToUpper(realm))
}

// ask sends one request one way.
func ask(ctx context.Context, r route, req []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, r.network, r.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var reply []byte
	if r.network == "udp" {
		reply, err = askUDP(conn, req)
	} else {
		reply, err = askTCP(conn, req)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, errors.New("no answer")
	case err != nil:
		return nil, err
	}
	if t, _ := krb5.TypeOf(reply); t != krb5.MsgASRep && t != krb5.MsgTGSRep && t != krb5.MsgError {
		return nil, errors.New("answer is not of a KDC")
	}
	return reply, nil
}

func askUDP(conn net.Conn, req []byte) ([]byte, error) {
	if _, err := conn.Write(req); err != nil {
		return nil, err
	}
	b := make([]byte, 1<<16)
	n, err := conn.Read(b)
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), b[:n]...), nil
}

// askTCP frames the request by its length (RFC 4120 7.2.2).
func askTCP(conn net.Conn, req []byte) ([]byte, error) {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(req)), uint32(len(req)))
	if _, err := conn.Write(append(b, req...)); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxReply {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	// Grown as bytes come, so that a length alone costs no memory.
	reply, err := io.ReadAll(io.LimitReader(conn, int64(n)))
	if err == nil && len(reply) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return reply, err
}

// tooBig and busy look for two errors that concern the way to the KDC, not the
// request.
func tooBig(reply []byte) bool { return isError(reply, krb5.CodeResponseTooBig) }
func busy(reply []byte) bool   { return isError(reply, krb5.CodeServiceUnavailable) }

func isError(reply []byte, code krb5.ErrorCode) bool {
	if t, _ := krb5.TypeOf(reply); t != krb5.MsgError {
		return false
	}
	m, err := krb5.ParseErrorMessage(reply)
	return err == nil && m.Code == code
}
