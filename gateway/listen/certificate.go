package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// Bounds of files.
const (
	maxCertFile = 1 << 20
	maxKeyFile  = 64 << 10
)

// A Certificate is one that a listener presents.
type Certificate struct {
	File     string
	Names    []string
	NotAfter time.Time
}

// certificates are those of a listener, the one for everybody first. They do not
// change. Nil is none.
type certificates struct {
	list   []tls.Certificate
	files  []string
	byName map[string][]*tls.Certificate // in small letters, *.corp.test with its star
}

// Certificates reads those of a configuration, as Open does, without an address
// being opened.
func Certificates(t *config.TLS) ([]Certificate, error) {
	c, err := loadCertificates(t)
	if err != nil {
		return nil, err
	}
	return c.all(), nil
}

func loadCertificates(t *config.TLS) (*certificates, error) {
	if t == nil {
		return nil, nil
	}
	pairs := t.Pairs()
	c := &certificates{list: make([]tls.Certificate, len(pairs)), byName: make(map[string][]*tls.Certificate)}
	var errs []error
	for i, p := range pairs {
		pair, err := loadPair(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.list[i] = pair
		c.files = append(c.files, string(p.Cert))
		for _, name := range pair.Leaf.DNSNames {
			name = strings.ToLower(name)
			c.byName[name] = append(c.byName[name], &c.list[i])
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

func loadPair(p config.KeyPair) (tls.Certificate, error) {
	cert, err := p.Cert.ReadPublic(maxCertFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, err := p.Key.ReadPrivate(maxKeyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // the package's text has neither
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w", p.Cert, p.Key, err)
	}
	return pair, nil
}

// choose is a tls.Config.GetCertificate.
func (c *certificates) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	fit := c.byName[name]
	if len(fit) == 0 {
		if _, parent, ok := strings.Cut(name, "."); ok {
			fit = c.byName["*."+parent]
		}
	}
	for _, cert := range fit {
		if hello.SupportsCertificate(cert) == nil {
			return cert
		}
	}
	if len(fit) > 0 {
		return fit[0]
	}
	return &c.list[0]
}

func (c *certificates) all() []Certificate {
	if c == nil {
		return nil
	}
	var out []Certificate
	for i := range c.list {
		leaf := c.list[i].Leaf
		out = append(out, Certificate{File: c.files[i], Names: leaf.DNSNames, NotAfter: leaf.NotAfter})
	}
	return out
}

// warn tells of certificates that clients will refuse.
func (c *certificates) warn(log *slog.Logger) {
	for _, one := range c.all() {
		if time.Now().After(one.NotAfter) {
			log.Error("a certificate has expired", slog.String("file", one.File), slog.Time("expired", one.NotAfter),
				slog.String("hint", "put a new one into the file: it is read as soon as it changes"))
		}
	}
}

func (l *Listener) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return l.certs.Load().choose(hello), nil },
	}
}
