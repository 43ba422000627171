package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// What an operator edits, an editor renames or Kubernetes links is noticed.
func TestFileChange(t *testing.T) {
	t.Parallel()
	a := freeAddr(t)
	r := start(t, "include: ['conf.d/*.yaml']\n"+configuration("one", a), new(fakeParts), true)
	answers := func(want string) {
		t.Helper()
		eventually(t, "want "+want, func() bool {
			got, err := tryFetch("http://" + a)
			return err == nil && got == want
		})
	}
	answers("one")
	r.write(r.file, "include: ['conf.d/*.yaml']\n"+configuration("one two", a))
	answers("one two")
	// A wrong one, and then in place, without a rename.
	r.write(r.file, "lstien: []")
	eventually(t, "no word of the wrong one", func() bool { return strings.Contains(r.log.String(), "reload refused") })
	if err := os.WriteFile(r.file, []byte("include: ['conf.d/*.yaml']\n"+configuration("one", a)), 0o600); err != nil {
		t.Fatal(err)
	}
	answers("one")
	// A directory that the pattern fits appears, then a file in it, which goes again.
	dir := filepath.Join(r.dir, "conf.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	more := filepath.Join(dir, "more.yaml")
	r.write(more, strings.SplitAfterN(configuration("more", a), "\n", 3)[2])
	answers("more one")
	if err := os.Remove(more); err != nil {
		t.Fatal(err)
	}
	answers("one")
}

// A ConfigMap is a link to a file below ..data, a link that is replaced.
func TestKubernetesLinks(t *testing.T) {
	t.Parallel()
	a := freeAddr(t)
	r := start(t, configuration("one", a), new(fakeParts), false) // for its helpers
	mount := t.TempDir()
	version := func(name, services, addr string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(mount, name), 0o755); err != nil {
			t.Fatal(err)
		}
		r.write(filepath.Join(mount, name, "gw.yaml"), configuration(services, addr))
		link := filepath.Join(mount, "..data_tmp")
		if err := errors.Join(os.Symlink(name, link), os.Rename(link, filepath.Join(mount, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	b := freeAddr(t)
	version("..1", "one", b)
	file := filepath.Join(mount, "gw.yaml")
	if err := os.Symlink(filepath.Join("..data", "gw.yaml"), file); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(c, file, Options{testOnlyParts: func(*Gateway) parts { return new(fakeParts) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	for i, services := range []string{"two", "three"} {
		version("..next"+services, services, b)
		if i == 1 {
			_ = os.RemoveAll(filepath.Join(mount, "..1"))
		}
		eventually(t, "want "+services, func() bool {
			got, err := tryFetch("http://" + b)
			return err == nil && got == services
		})
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A certificate that is replaced is presented without a reload, and a pair that
// does not fit leaves the one before, also while the configuration is wrong.
func TestCertificateChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePair := func(serial int64) (cert, key []byte) {
		t.Helper()
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"gw.test"}}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
		if err != nil {
			t.Fatal(err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	}
	certFile, keyFile := filepath.Join(dir, "gw.pem"), filepath.Join(dir, "gw.key")
	put := func(file string, b []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file+".new", b, 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := writePair(1)
	put(certFile, cert)
	put(keyFile, key)
	a := freeAddr(t)
	text := strings.Replace(configuration("one", a), "}\n", ", tls: {cert: "+certFile+", key: "+keyFile+"}}\n", 1)
	r := start(t, text, new(fakeParts), true)
	serial := func() int64 {
		c, err := tls.Dial("tcp", a, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return 0
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	cert, key = writePair(2)
	put(certFile, cert) // without its key
	eventually(t, "nothing is said of the pair", func() bool { return strings.Contains(r.log.String(), "certificates were not read again") })
	if got := serial(); got != 1 {
		t.Errorf("after half of a pair: certificate %d", got)
	}
	put(keyFile, key)
	eventually(t, "the new certificate", func() bool { return serial() == 2 })

	r.write(r.file, "lstien: []")
	eventually(t, "nothing is said of the configuration", func() bool { return strings.Contains(r.log.String(), "reload refused") })
	cert, key = writePair(3)
	put(certFile, cert)
	put(keyFile, key)
	eventually(t, "the third certificate", func() bool { return serial() == 3 })
}

// A stop does not wait for a look at the files that waits for the stop.
func TestStopWhileFilesAreLookedAt(t *testing.T) {
	t.Parallel()
	for range 50 {
		r := start(t, configuration("one", freeAddr(t)), new(fakeParts), true)
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	}
}
