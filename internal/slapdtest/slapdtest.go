// Package slapdtest runs OpenLDAP's slapd for tests: on free ports of
// 127.0.0.1, with files in a temporary directory, filled from an LDIF. It is
// started in well under a second and ends with the test.
//
//	s := slapdtest.Start(t, slapdtest.Config{LDIF: people})
//	s.Add(t, groups)
//
// The overlays memberof and ppolicy are on, so that entries may have memberOf,
// pwdReset and pwdAccountLockedTime. Nothing of the machine's own configuration
// is read or changed.
//
// Only tests import this package.
package slapdtest

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// Who may do anything, and where everything is below.
const (
	BaseDN        = "dc=corp,dc=test"
	AdminDN       = "cn=admin,dc=corp,dc=test"
	AdminPassword = "Adm1n-s3cret"
)

// Config says what a server has. The zero value is an empty directory.
type Config struct {
	// LDIF is loaded before the start, and so may have operational attributes,
	// but memberOf does not follow from it. BaseDN itself is there already.
	LDIF string

	// Head is put into slapd.conf before the database, with the server's
	// directory in place of {dir}. More is put at its end.
	Head, More string

	// Root are more lines of the entry at BaseDN.
	Root []string

	// Memory bounds the database in bytes. Zero means 64 MiB.
	Memory int
}

// A Server is a running slapd. Its methods are safe for concurrent use, except
// that Kill and Restart take turns.
type Server struct {
	URL   string // ldaps://127.0.0.1:...
	Plain string // ldap://127.0.0.1:..., which has StartTLS

	dir  string
	cert *x509.Certificate
	proc *testenv.Process
}

// Start starts a server that lives as long as the test.
func Start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short leaves out what needs an LDAP server")
	}
	slapd := testenv.Need(tb, "slapd")
	testenv.NeedFile(tb, modules+"/ppolicy.so")
	s := &Server{dir: tb.TempDir()}
	ports := make([]int, 2)
	for i := range ports {
		port, err := testenv.FreePort()
		if err != nil {
			tb.Fatal(err)
		}
		ports[i] = port
	}
	s.URL, s.Plain = fmt.Sprintf("ldaps://127.0.0.1:%d", ports[0]), fmt.Sprintf("ldap://127.0.0.1:%d", ports[1])
	if err := s.writeFiles(cfg); err != nil {
		tb.Fatal(err)
	}
	testenv.Run(tb, nil, "", slapd, "-T", "add", "-f", s.conf(), "-l", filepath.Join(s.dir, "content.ldif"), "-n", "1")
	tb.Cleanup(func() {
		if s.proc == nil {
			return
		}
		if err := s.proc.Stop(); err != nil {
			tb.Error(err)
		}
	})
	s.run(tb)
	return s
}

const modules = "/usr/lib/ldap"

func (s *Server) conf() string { return filepath.Join(s.dir, "slapd.conf") }

func (s *Server) writeFiles(cfg Config) error {
	conf := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath %[2]s
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCACertificateFile %[1]s/cert.pem
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
TLSVerifyClient never
pidfile %[1]s/slapd.pid
sizelimit 500
%[8]s
database mdb
suffix %[3]q
rootdn %[4]q
rootpw %[5]s
directory %[1]s/db
maxsize %[9]d
dbnosync
index objectClass,uid,mail,member,uniqueMember,memberUid eq
access to attrs=userPassword by anonymous auth by * none
access to * by * read
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=policy,%[6]s"
ppolicy_use_lockout
%[7]s
`, s.dir, modules, BaseDN, AdminDN, AdminPassword, BaseDN, cfg.More, strings.ReplaceAll(cfg.Head, "{dir}", s.dir), cmp.Or(cfg.Memory, 64<<20))
	content := fmt.Sprintf(`dn: %[1]s
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp
%[3]s
dn: cn=policy,%[1]s
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdLockoutDuration: 0
pwdMaxFailure: 1000
pwdMustChange: TRUE

%[2]s`, BaseDN, cfg.LDIF, strings.Join(append(cfg.Root, ""), "\n"))
	rootDSE := fmt.Sprintf("dn:\ndefaultNamingContext: %[1]s\nconfigurationNamingContext: cn=Configuration,%[1]s\n", BaseDN)
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"slapd.conf": conf, "content.ldif": content, "rootdse.ldif": rootDSE} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return s.writeCertificate()
}

func (s *Server) run(tb testing.TB) {
	tb.Helper()
	cmd := exec.Command(testenv.Need(tb, "slapd"), "-d", "0", "-f", s.conf(), "-h", s.URL+" "+s.Plain)
	out, err := os.Create(filepath.Join(s.dir, "slapd.out"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	if s.proc, err = testenv.StartProcess(cmd); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.proc.WaitListening(ctx, s.URL[len("ldaps://"):], s.Plain[len("ldap://"):]); err != nil {
		log, _ := os.ReadFile(out.Name())
		tb.Fatalf("%v\n%s", err, log)
	}
}

// Kill ends the server as a crash would. Its files stay, for Restart.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
}

// Restart starts the server again after Kill, on the same ports, and returns
// when it listens.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.run(tb)
}

// Add adds the entries of an LDIF to the running server, by OpenLDAP's own
// client, so that overlays see them.
func (s *Server) Add(tb testing.TB, ldif string) {
	tb.Helper()
	testenv.Run(tb, []string{"LDAPTLS_CACERT=" + filepath.Join(s.dir, "cert.pem")}, ldif, testenv.Need(tb, "ldapadd"),
		"-x", "-H", s.URL, "-D", AdminDN, "-w", AdminPassword)
}

// Modify changes entries as ldapmodify does.
func (s *Server) Modify(tb testing.TB, ldif string) {
	tb.Helper()
	testenv.Run(tb, []string{"LDAPTLS_CACERT=" + filepath.Join(s.dir, "cert.pem")}, ldif, testenv.Need(tb, "ldapmodify"),
		"-x", "-H", s.URL, "-D", AdminDN, "-w", AdminPassword)
}

// Roots returns the authorities that the server's certificate is verified with.
func (s *Server) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	return roots
}

// CAFile is a file with the authority that the server's certificate is verified
// with, in PEM.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "cert.pem") }

// Certificate returns the server's certificate, which is its own authority.
func (s *Server) Certificate() *x509.Certificate { return s.cert }

// writeCertificate makes a certificate that is its own authority.
func (s *Server) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "slapd"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if s.cert, err = x509.ParseCertificate(raw); err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	if err := os.WriteFile(filepath.Join(s.dir, "cert.pem"), certPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
