package adtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dirPattern names the directories of controllers in os.TempDir.
const dirPattern = "soapward-ad-"

// lockName is the file in each that its process holds a lock on.
const lockName = "lock"

// makeDir makes the directory of a controller. The lock lasts as long as this
// process, so that removeStale can tell directories whose process was killed.
// It is taken before the directory gets the name that removeStale looks for.
func makeDir() (dir string, lock *os.File, err error) {
	made, err := os.MkdirTemp("", "new-"+dirPattern+"*")
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(filepath.Dir(made), strings.TrimPrefix(filepath.Base(made), "new-"))
	lock, err = os.OpenFile(filepath.Join(made, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = tryLock(lock)
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err != nil {
		_ = os.RemoveAll(made)
		return "", nil, err
	}
	return dir, lock, nil
}

// removeStale removes what killed processes left: their directories, and what a
// member's winbindd started. The rest of their Samba ended with them.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPattern+"*"))
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
		if err != nil {
			continue // not ours
		}
		if tryLock(lock) == nil {
			_ = endHelpers(memberConf(dir))
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}

// writeCertificate makes a certificate that is its own authority.
func writeCertificate(certFile, keyFile, host, ip string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: host},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		DNSNames:              []string{host, "*." + strings.ToLower(Realm)},
		IPAddresses:           []net.IP{net.ParseIP(ip)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", cert); err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
