package ldap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/soapward/soapward/authn"
)

const marked = "m4rked-s3cret"

// An empty password is an anonymous login, which succeeds.
func TestAttackLDAPEmptyPassword(t *testing.T) {
	t.Parallel()
	s := listen(t, true, answer(func(id int64, _ ber.Tag) []byte { return result(id, 1, 0, "") }))
	c := dial(t, s)
	for _, tt := range []struct{ name, user, password string }{
		{"password", "alice@corp.test", ""},
		{"user", "", marked},
		{"both", "", ""},
	} {
		if err := c.Bind(t.Context(), tt.user, authn.NewSecret(tt.password)); err == nil {
			t.Errorf("empty %s: logged in", tt.name)
		}
	}
	if err := c.Bind(t.Context(), "alice@corp.test", authn.Secret{}); err == nil {
		t.Error("zero Secret: logged in")
	}
	if s.heard("alice") || s.heard(marked) {
		t.Error("something was sent")
	}
	if err := c.Bind(t.Context(), "alice@corp.test", authn.NewSecret(marked)); err != nil || !s.heard(marked) {
		t.Errorf("control: %v, heard %v", err, s.heard(marked))
	}
}

// Values of others must not change what is searched, or which entry is meant.
func TestAttackLDAPInjection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, got, want string }{
		{"filter", And(Equal("objectClass", "user"), Equal("sAMAccountName", "*)(uid=*")), `(&(objectClass=user)(sAMAccountName=\2a\29\28uid=\2a))`},
		{"backslash", Equal("cn", `a\2a`), `(cn=a\5c2a)`},
		{"NUL", Equal("cn", "a\x00b"), `(cn=a\00b)`},
		{"DN", Child("CN", "a,OU=b", "DC=corp"), `CN=a\,OU=b,DC=corp`},
		{"DN, more", Child("CN", ` #a+b"c\<>;d `, "DC=corp"), `CN=\ #a\+b\"c\\\<\>\;d\ ,DC=corp`},
		{"DN, hash", Child("CN", "#1", "DC=corp"), `CN=\#1,DC=corp`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	s := listen(t, true, answer(func(id int64, _ ber.Tag) []byte { return result(id, 5, 0, "") }))
	if _, err := dial(t, s).Search(t.Context(), Search{Base: "DC=corp", Filter: "(cn=a)(cn=b"}); err == nil {
		t.Error("a broken filter was sent")
	}
}

// A server without TLS, or somebody between who removes it, gets no password.
func TestAttackLDAPPlain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
	}{
		{"StartTLS refused", answer(func(id int64, _ ber.Tag) []byte { return result(id, 24, 2, "not here") })},
		{"StartTLS granted, no TLS", answer(func(id int64, _ ber.Tag) []byte { return result(id, 24, 0, "") })},
		{"answer and more behind it", answer(func(id int64, _ ber.Tag) []byte {
			return append(result(id, 24, 0, ""), result(2, 1, 0, "logged in")...)
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, false, tt.serve)
			c, err := Dial(t.Context(), Config{URL: "ldap://" + s.addr, Roots: s.roots})
			if err == nil {
				_ = c.Bind(t.Context(), "alice", authn.NewSecret(marked))
				t.Error("connected without TLS")
			}
			if s.heard(marked) {
				t.Error("the password was sent in the clear")
			}
		})
	}
}

// A certificate that is not trusted, or not the server's, ends it.
func TestAttackLDAPCertificate(t *testing.T) {
	t.Parallel()
	s := listen(t, true, answer(func(id int64, _ ber.Tag) []byte { return result(id, 1, 0, "") }))
	_, port, _ := net.SplitHostPort(s.addr)
	other := "ldaps://localhost:" + port // the certificate is for 127.0.0.1
	for _, tt := range []struct {
		name string
		c    Config
	}{
		{"not trusted", Config{URL: s.url()}},
		{"of another host", Config{URL: other, Roots: s.roots}},
	} {
		_, err := Dial(t.Context(), tt.c)
		var cert *tls.CertificateVerificationError
		if !errors.As(err, &cert) {
			t.Errorf("%s: %v, want a certificate error", tt.name, err)
		}
	}
}

// Whoever is in between chooses the names in his certificate, and so words of
// the error.
func TestAttackLDAPCertificateText(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"a\n  try: --controller evil\x1b[31m"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s := listen(t, false, func(c net.Conn) { _ = tls.Server(c, config).Handshake() })
	_, port, _ := net.SplitHostPort(s.addr)
	_, err = Dial(t.Context(), Config{URL: "ldaps://localhost:" + port})
	var host x509.HostnameError
	if !errors.As(err, &host) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %q, want an error of one line about the name", err)
	}
}

// A referral would take the password to another server.
func TestAttackLDAPReferral(t *testing.T) {
	t.Parallel()
	elsewhere := listen(t, false, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	referral := func() *ber.Packet {
		r := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
		r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "ldap://"+elsewhere.addr+"/DC=corp", ""))
		return r
	}
	s := listen(t, true, answer(func(id int64, op ber.Tag) []byte { return result(id, op+1, 10, "", referral()) }))
	c := dial(t, s)
	if err := c.Bind(t.Context(), "alice", authn.NewSecret(marked)); err == nil {
		t.Error("bind: a referral counts as a login")
	}
	err := c.Add(t.Context(), "CN=a,DC=corp", Attribute{"cn", []string{"a"}})
	var e *Error
	if !errors.As(err, &e) || e.Code != 10 || !strings.Contains(err.Error(), "not followed") {
		t.Errorf("add: %v, want a referral that is not followed", err)
	}
	elsewhere.mu.Lock()
	defer elsewhere.mu.Unlock()
	if elsewhere.seen.Len() > 0 {
		t.Error("the referral was followed")
	}
}

// A false server must not exhaust memory or time.
func TestAttackLDAPAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		want  string
	}{
		{"endless entries", answer(func(id int64, _ ber.Tag) []byte { return bytes.Repeat(entry(id, "CN=a"), 5000) }), "size limit exceeded"},
		{"endless bytes", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 64))
			_, _ = c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x04, 0x84, 0x7f, 0xff, 0xff, 0x00})
			for b := make([]byte, 1<<16); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}, "longer than"},
		{"silence", func(c net.Conn) { _, _ = c.Read(make([]byte, 64)); _, _ = c.Read(make([]byte, 64)) }, "no answer within"},
		{"deep nesting", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 64))
			_, _ = c.Write(bytes.Repeat([]byte{0x30, 0x80}, 1<<16))
			_, _ = c.Read(make([]byte, 1))
		}, "ldap: search"},
		{"no sequence", func(c net.Conn) { _, _ = c.Read(make([]byte, 64)); _, _ = c.Write([]byte("\x02\x01\x01")) }, "ldap: search"},
		{"an entry without name", answer(func(id int64, _ ber.Tag) []byte {
			return []byte{0x30, 0x05, 0x02, 0x01, byte(id), 0x64, 0x00}
		}), "ldap: search"},
		{"wrong number", answer(func(id int64, _ ber.Tag) []byte { return result(id+7, 5, 0, "") }), "no answer within"},
		{"end", func(net.Conn) {}, "ldap: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, true, tt.serve)
			c, err := Dial(t.Context(), Config{URL: s.url(), Roots: s.roots, Timeout: time.Minute})
			if err == nil {
				defer func() { _ = c.Close() }()
				if strings.HasPrefix(tt.want, "no answer") {
					c.timeout = 100 * time.Millisecond // the others must end for another reason
				}
				begin := time.Now()
				_, err = c.Search(t.Context(), Search{Base: "DC=corp"})
				if d := time.Since(begin); d > 30*time.Second {
					t.Errorf("took %v", d)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// What the server says reaches logs on one line, without control characters.
func TestAttackLDAPErrorText(t *testing.T) {
	t.Parallel()
	evil := "a\nlevel=ERROR forged\x1b[31m\u202e" + strings.Repeat("x", 5000)
	s := listen(t, true, answer(func(id int64, op ber.Tag) []byte { return result(id, op+1, 53, evil) }))
	err := dial(t, s).Delete(t.Context(), "CN=a")
	if !errors.Is(err, ErrUnwilling) || strings.ContainsAny(err.Error(), "\n\x1b\u202e") || len(err.Error()) > 500 {
		t.Errorf("got %q", err)
	}
}
