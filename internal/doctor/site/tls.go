package site

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// checkTLS does TLS with the server, offering HTTP/2 first, and reports whether
// there is something to talk to.
func (s *site) checkTLS(ctx context.Context) bool {
	s.trusted = true
	if s.url.Scheme != "https" {
		return true
	}
	l, err := s.dial(ctx, "h2", "http/1.1")
	if err != nil {
		s.noTLS(err)
		return false
	}
	defer l.close()
	s.describe(l)
	s.verify(l)
	if l.asked {
		s.report.found("tls.client-certificate", "clients may have to have one to get in")
	}
	s.bindings(l)
	if l.state.NegotiatedProtocol != "h2" {
		return true
	}
	one, err := s.dial(ctx) // which offers HTTP/1.1 only
	if err != nil {
		s.report.found("http.h2-only", cleanError(err))
		return false
	}
	one.close()
	return true
}

func (s *site) noTLS(err error) {
	var refused *proxyError
	switch {
	case errors.As(err, &refused) && refused.status == 407:
		s.report.found("proxy.login", cleanError(err))
	case errors.As(err, &refused):
		s.report.found("proxy.refused", cleanError(err))
	default:
		s.report.found("tls.failed", cleanError(err))
	}
}

func (s *site) describe(l *link) {
	t := &TLS{Version: tls.VersionName(l.state.Version), ALPN: clean(l.state.NegotiatedProtocol), Names: []string{}}
	s.report.TLS = t
	if len(l.chain) == 0 {
		return
	}
	leaf := l.chain[0]
	t.Subject, t.Issuer, t.NotAfter = clean(leaf.Subject.String()), clean(leaf.Issuer.String()), leaf.NotAfter
	for _, n := range leaf.DNSNames[:min(len(leaf.DNSNames), 20)] {
		t.Names = append(t.Names, clean(n))
	}
	for _, ip := range leaf.IPAddresses[:min(len(leaf.IPAddresses), 20)] {
		t.Names = append(t.Names, ip.String())
	}
}

// verify finds out all that is wrong with the certificate, and whether
// credentials may go to who has it.
func (s *site) verify(l *link) {
	bad := func(id, why string) {
		s.report.found(id, why)
		s.trusted, s.why = false, "the server's TLS is not in order ("+id+")"
	}
	if len(l.chain) == 0 {
		bad("tls.untrusted", "the server showed no certificate")
		return
	}
	leaf, now, t := l.chain[0], s.cfg.Now(), s.report.TLS
	opts := x509.VerifyOptions{Roots: s.cfg.Roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range l.chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	outside := now.After(leaf.NotAfter) || now.Before(leaf.NotBefore)
	if outside {
		bad("tls.expired", fmt.Sprintf("it is good from %s to %s", leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly)))
		opts.CurrentTime = leaf.NotBefore
	}
	if _, err := leaf.Verify(opts); err != nil {
		bad("tls.untrusted", fmt.Sprintf("%s; it is of %s", cleanError(err), t.Issuer))
	}
	if leaf.VerifyHostname(s.url.Hostname()) != nil {
		why := "it is for " + strings.Join(t.Names, ", ")
		if len(t.Names) == 0 {
			why = "it names no host (its subject is " + t.Subject + ", which clients of today do not look at)"
		}
		bad("tls.name", why)
	}
	if l.state.Version < tls.VersionTLS12 {
		bad("tls.old", t.Version)
	}
	if !outside && leaf.NotAfter.Sub(now) < soon {
		s.report.found("tls.expires", "it ends on "+leaf.NotAfter.Format(time.DateTime))
	}
	if s.trusted {
		s.report.found("tls.good", fmt.Sprintf("%s, certificate of %s, good until %s", t.Version, t.Issuer, leaf.NotAfter.Format(time.DateOnly)))
	}
}

// bindings says what logins are bound to (RFC 5929 4.1).
func (s *site) bindings(l *link) {
	if len(l.chain) == 0 {
		return
	}
	const prefix = "tls-server-end-point:"
	hash := strings.TrimPrefix(string(l.binding), prefix)
	s.report.TLS.Binding = hex.EncodeToString([]byte(hash))
	switch a := l.chain[0].SignatureAlgorithm; a {
	case x509.PureEd25519, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS, x509.UnknownSignatureAlgorithm:
		s.report.found("tls.binding-odd", "it is signed with "+a.String())
	default:
		s.report.found("tls.binding", fmt.Sprintf("the hash of the certificate, %d bits: %s", 8*len(hash), s.report.TLS.Binding))
	}
}
