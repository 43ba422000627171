package site

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
)

// Bounds of what is read of an answer. A body that is longer costs the
// connection.
const (
	maxHeader  = 256 << 10
	maxBody    = 1 << 20
	keptBody   = 16 << 10 // to look for a form in
	maxInterim = 5        // answers with 1xx
	maxSchemes = 20
)

// link is one connection to the server, which nobody else uses.
type link struct {
	s       *site
	conn    net.Conn
	in      bounded
	r       *bufio.Reader
	binding authn.ChannelBinding
	chain   []*x509.Certificate
	state   tls.ConnectionState
	closed  bool // no other request can follow
	asked   bool // for a certificate of ours
}

// bounded is a reader with a bound that is set anew for each part of an answer.
type bounded struct {
	r    io.Reader
	left int
}

var errTooLong = errors.New("site: the answer is longer than anybody means it")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// A proxyError is what the proxy answered to CONNECT.
type proxyError struct{ status int }

func (e *proxyError) Error() string { return fmt.Sprintf("site: the proxy answers %d", e.status) }

// dial connects to the server, through the proxy if there is one, and does TLS
// with any certificate: whether it is good is checkTLS's to say.
func (s *site) dial(ctx context.Context, protos ...string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := s.cfg.Dial(ctx, "tcp", s.dialed)
	if err != nil {
		return nil, err
	}
	l := &link{s: s, conn: conn}
	if err := l.prepare(ctx, protos); err != nil {
		l.close()
		return nil, err
	}
	l.in = bounded{r: l.conn}
	l.r = bufio.NewReader(&l.in)
	return l, nil
}

func (l *link) prepare(ctx context.Context, protos []string) error {
	deadline, _ := ctx.Deadline()
	if err := l.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if p := l.s.cfg.Proxy; p != nil {
		if p.Scheme == "https" {
			c := tls.Client(l.conn, &tls.Config{ServerName: p.Hostname(), RootCAs: l.s.cfg.Roots})
			if err := c.HandshakeContext(ctx); err != nil {
				return err
			}
			l.conn = c
		}
		if l.s.url.Scheme == "https" {
			if err := l.tunnel(); err != nil {
				return err
			}
		}
	}
	if l.s.url.Scheme != "https" {
		return nil
	}
	if len(protos) == 0 {
		protos = []string{"http/1.1"}
	}
	c := tls.Client(l.conn, &tls.Config{
		ServerName: l.s.url.Hostname(), NextProtos: protos, MinVersion: tls.VersionTLS10,
		InsecureSkipVerify: true, // checkTLS verifies, and says what is wrong
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			l.asked = true
			return &tls.Certificate{}, nil
		},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	l.conn, l.state = c, c.ConnectionState()
	if l.chain = l.state.PeerCertificates; len(l.chain) > 0 {
		l.binding = authn.EndpointBinding(l.chain[0])
	}
	return nil
}

// tunnel has the proxy open a way to the server (RFC 9110 9.3.6).
func (l *link) tunnel() error {
	host := net.JoinHostPort(l.s.url.Hostname(), l.s.port)
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: l.s.header()}
	if err := req.Write(l.conn); err != nil {
		return err
	}
	// One byte at a time: what follows the answer belongs to TLS.
	in := &bounded{r: oneByte{l.conn}, left: maxHeader}
	resp, err := http.ReadResponse(bufio.NewReaderSize(in, 16), req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &proxyError{resp.StatusCode}
	}
	return nil
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func (l *link) close() { _ = l.conn.Close() }

// answer is what came for one request.
type answer struct {
	status int
	proto  string
	header http.Header
	body   []byte // its beginning
	closes bool
}

// get asks for the URL, with a login if authorization is not empty. After an
// error the connection is of no use.
func (l *link) get(ctx context.Context, authorization string) (*answer, error) {
	if l.closed {
		return nil, io.ErrUnexpectedEOF
	}
	deadline := time.Now().Add(l.s.cfg.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := l.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	req := &http.Request{Method: http.MethodGet, URL: l.s.url, Host: l.s.url.Host, Header: l.s.header(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	write := req.Write
	if l.s.plainProxy() {
		write = req.WriteProxy
	}
	if err := write(l.conn); err != nil {
		l.closed = true
		return nil, err
	}
	a, err := l.read(req)
	if err != nil {
		l.closed = true
		return nil, err
	}
	l.closed = a.closes
	return a, nil
}

func (l *link) read(req *http.Request) (*answer, error) {
	for range maxInterim {
		l.in.left = maxHeader
		resp, err := http.ReadResponse(l.r, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		a := &answer{status: resp.StatusCode, proto: resp.Proto, header: resp.Header, closes: resp.Close || resp.StatusCode == http.StatusSwitchingProtocols}
		l.in.left = maxBody
		var kept limitedBuffer
		if _, err := io.Copy(&kept, resp.Body); err != nil {
			a.closes = true // the header is what counts
		}
		_ = resp.Body.Close()
		a.body = kept.b
		return a, nil
	}
	return nil, errors.New("site: interim answers without end")
}

// limitedBuffer keeps the beginning of what is written.
type limitedBuffer struct{ b []byte }

func (w *limitedBuffer) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), keptBody-len(w.b))]...)
	return len(p), nil
}

// challenge is one offer of the server (RFC 9110 11.6.1).
type challenge struct {
	scheme string
	token  string // "" without one, or with parameters
}

// challenges takes the WWW-Authenticate fields apart.
func (a *answer) challenges() []challenge {
	var out []challenge
	for _, v := range a.header.Values("WWW-Authenticate") {
		for _, part := range splitList(v) {
			scheme, rest, _ := strings.Cut(strings.TrimSpace(part), " ")
			if scheme == "" || strings.ContainsAny(scheme, `="`) {
				continue // a parameter of the scheme before
			}
			if len(out) == maxSchemes {
				return out
			}
			out = append(out, challenge{clean(scheme), strings.TrimSpace(rest)})
		}
	}
	return out
}

// splitList splits at the commas that are not in quotes.
func splitList(s string) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func (a *answer) offers(scheme string) bool {
	return slices.ContainsFunc(a.challenges(), func(c challenge) bool { return strings.EqualFold(c.scheme, scheme) })
}

// token returns the token in the answer, nil if there is none.
func (a *answer) token(scheme string) []byte {
	for _, c := range a.challenges() {
		if strings.EqualFold(c.scheme, scheme) && c.token != "" {
			if b, err := base64.StdEncoding.DecodeString(c.token); err == nil {
				return b
			}
		}
	}
	return nil
}
