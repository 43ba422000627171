package ldap

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// server is a directory that answers as a test wants.
type server struct {
	addr  string
	roots *x509.CertPool
	cert  *x509.Certificate

	mu   sync.Mutex
	seen bytes.Buffer // what clients sent, decrypted
}

func (s *server) url() string { return "ldaps://" + s.addr }

func (s *server) heard(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.seen.Bytes(), []byte(text))
}

// listen gives each connection to serve, inside TLS or plain.
func listen(t *testing.T, secure bool, serve func(net.Conn)) *server {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate, good for 127.0.0.1
	t.Cleanup(web.Close)
	s := &server{roots: x509.NewCertPool(), cert: web.Certificate()}
	s.roots.AddCert(web.Certificate())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: web.TLS.Certificates})
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = c.Close() }()
				serve(&heard{c, s})
			})
		}
	})
	return s
}

// heard keeps what is read.
type heard struct {
	net.Conn
	s *server
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.s.seen.Write(b[:n])
	return n, err
}

// answer serves requests until the client goes: with what f makes of the
// number of each, which may be several messages or none.
func answer(f func(id int64, op ber.Tag) []byte) func(net.Conn) {
	return func(c net.Conn) {
		for {
			p, err := ber.ReadPacket(c)
			if err != nil || len(p.Children) < 2 {
				return
			}
			id, _ := p.Children[0].Value.(int64)
			if _, err := c.Write(f(id, p.Children[1].Tag)); err != nil {
				return
			}
		}
	}
}

// result is a response with a result code (RFC 4511 4.1.9).
func result(id int64, tag ber.Tag, code int64, text string, more ...*ber.Packet) []byte {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, ""))
	for _, m := range more {
		r.AppendChild(m)
	}
	p.AppendChild(r)
	return p.Bytes()
}

// entry is a search result entry without attributes.
func entry(id int64, dn string) []byte {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 4, nil, "")
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	r.AppendChild(ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, ""))
	p.AppendChild(r)
	return p.Bytes()
}

func dial(t *testing.T, s *server) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), Config{URL: s.url(), Roots: s.roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
