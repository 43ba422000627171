package kdc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/soapward/soapward/internal/krb5"
)

// Keytab returns a keytab in the format of MIT Kerberos, version 2, with all
// keys of the named principals: account names or SPNs.
func (k *KDC) Keytab(principals ...string) ([]byte, error) {
	b := []byte{5, 2}
	for _, name := range principals {
		p := krb5.NewPrincipalName(krb5.NamePrincipal, name)
		a := k.service(p)
		if a == nil {
			return nil, fmt.Errorf("kdc: keytab: no account or service %q", name)
		}
		for _, v := range a.versions {
			for _, key := range v.keys {
				e := k.keytabEntry(p, a, v.kvno, key)
				b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
				b = append(b, e...)
			}
		}
	}
	return b, nil
}

func (k *KDC) keytabEntry(p krb5.PrincipalName, a *account, kvno uint32, key krb5.Key) []byte {
	str := func(b []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	e := binary.BigEndian.AppendUint16(nil, uint16(len(p.Components)))
	e = str(e, k.cfg.Realm)
	for _, c := range p.Components {
		e = str(e, c)
	}
	e = binary.BigEndian.AppendUint32(e, uint32(p.Type))
	e = binary.BigEndian.AppendUint32(e, uint32(a.passwordSet.Unix()))
	e = append(e, byte(kvno))
	e = binary.BigEndian.AppendUint16(e, uint16(key.EType()))
	e = str(e, string(key.Bytes()))
	return binary.BigEndian.AppendUint32(e, kvno)
}

// WriteKeytab writes Keytab to a file that only its owner can read.
func (k *KDC) WriteKeytab(path string, principals ...string) error {
	b, err := k.Keytab(principals...)
	if err != nil {
		return err
	}
	return writePrivate(path, b)
}

// Krb5Conf returns a krb5.conf that finds this KDC, and the others given,
// without DNS.
func (k *KDC) Krb5Conf(others ...*KDC) string {
	var realms, domains strings.Builder
	for _, r := range append([]*KDC{k}, others...) {
		realm, host := r.cfg.Realm, strings.ToLower(r.cfg.Realm)
		fmt.Fprintf(&realms, "\t%s = {\n\t\tkdc = %s\n\t}\n", realm, r.Addr())
		fmt.Fprintf(&domains, "\t.%s = %s\n\t%s = %s\n", host, realm, host, realm)
	}
	return `[libdefaults]
	default_realm = ` + k.cfg.Realm + `
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	qualify_shortname = ""
	rdns = false
	forwardable = true

[realms]
` + realms.String() + `
[domain_realm]
` + domains.String() + "\tlocalhost = " + k.cfg.Realm + "\n\t127.0.0.1 = " + k.cfg.Realm + "\n"
}

// WriteKrb5Conf writes Krb5Conf to a file.
func (k *KDC) WriteKrb5Conf(path string, others ...*KDC) error {
	return writePrivate(path, []byte(k.Krb5Conf(others...)))
}

// writePrivate puts a file with mode 0600 in place of what is at path, in one
// step: whoever watches the file sees the old content or the new one.
func writePrivate(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kdc-*") // mode 0600
	if err != nil {
		return fmt.Errorf("kdc: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("kdc: %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
