// Package mittest runs real Kerberos realms, MIT's, for tests: each with a KDC
// of its own on an address of 127.0.0.0/8, in a temporary directory, up in about
// a second. Nothing of the machine's own configuration is read or changed, and
// root is not needed.
//
//	k := mittest.Start(t, mittest.Realm{
//		Name:       "A.TEST",
//		Principals: []string{"-pw secret alice", "-randkey HTTP/web.a.test"},
//		Keytabs:    map[string]string{"web": "HTTP/web.a.test"},
//	})
//	cache := k.Kinit(t, k.Env(), "alice", "secret")
//
// What Active Directory does is for package adtest: tickets here say nothing of
// SIDs and groups.
//
// Only tests import this package.
package mittest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// A Realm says what a realm is filled with. Its hosts are those under its name
// in lower case.
type Realm struct {
	Name       string
	Principals []string          // what kadmin's addprinc takes: "-pw secret alice"
	Keytabs    map[string]string // by name, the principal whose keys are in it
	ReachedBy  []string          // realms whose KDCs have a key with this one's, so that their clients come here
	Settings   string            // more lines for the realm in kdc.conf
	Krb5Conf   string            // more sections for the krb5.conf of the KDC itself
}

// KDCs are the KDCs of some realms. They end with the test.
type KDCs struct {
	Conf string // path of a krb5.conf that knows the KDCs and the hosts of all realms; the first realm is the default

	dir   string
	addrs []string // in the order of realms
	names []string
}

// Start makes the realms and starts a KDC for each.
func Start(tb testing.TB, realms ...Realm) *KDCs {
	tb.Helper()
	k := &KDCs{dir: tb.TempDir()}
	for _, r := range realms {
		k.addrs, k.names = append(k.addrs, freeAddr(tb)), append(k.names, r.Name)
	}
	var hosts strings.Builder
	hosts.WriteString("[domain_realm]\n")
	for _, name := range k.names {
		fmt.Fprintf(&hosts, " .%s = %s\n", strings.ToLower(name), name)
	}
	k.Conf = k.WriteConf(tb, hosts.String())
	for _, r := range realms {
		k.create(tb, r)
	}
	for i, r := range realms {
		for _, from := range r.ReachedBy { // the same key at both
			k.Administer(tb, from, fmt.Sprintf("addprinc -pw trust-%s krbtgt/%[1]s@%s", r.Name, from))
			k.Administer(tb, r.Name, fmt.Sprintf("addprinc -pw trust-%s krbtgt/%[1]s@%s", r.Name, from))
		}
		k.serve(tb, r.Name, k.addrs[i])
	}
	return k
}

// kdcPort is the port of each KDC. It is not 88, which needs root.
const kdcPort = "10088"

// freeAddr returns the address of a KDC. It is one of the loopback network that
// nobody else chooses: on 127.0.0.1 a port that is free now may be that of some
// client's connection when the KDC wants it.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	var err error
	for range 20 {
		ip := fmt.Sprintf("127.%d.%d.%d", 16+rand.IntN(200), rand.IntN(256), 2+rand.IntN(250))
		addr := net.JoinHostPort(ip, kdcPort)
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	tb.Fatalf("no address for a KDC: %v", err)
	return ""
}

// WriteConf writes another krb5.conf that knows the KDCs, with more sections,
// and returns its path. Of hosts it knows nothing.
func (k *KDCs) WriteConf(tb testing.TB, more string) string {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `[libdefaults]
 default_realm = %s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
[realms]
`, k.names[0])
	for i, name := range k.names {
		fmt.Fprintf(&b, " %s = {\n  kdc = %s\n }\n", name, k.addrs[i])
	}
	return k.write(tb, "krb5.conf", b.String()+more)
}

// write writes a file in a directory of its own.
func (k *KDCs) write(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func (k *KDCs) realmDir(realm string) string { return filepath.Join(k.dir, realm) }

// kdcEnv is the environment of the KDC of a realm and of its tools.
func (k *KDCs) kdcEnv(realm string) []string {
	dir := k.realmDir(realm)
	return []string{"KRB5_CONFIG=" + filepath.Join(dir, "krb5.conf"), "KRB5_KDC_PROFILE=" + filepath.Join(dir, "kdc.conf"), "LC_ALL=C"}
}

// create makes the database of a realm.
func (k *KDCs) create(tb testing.TB, r Realm) {
	tb.Helper()
	dir, addr := k.realmDir(r.Name), k.Addr(r.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	for name, text := range map[string]string{
		"krb5.conf": fmt.Sprintf("[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n%s\n", r.Name, r.Krb5Conf),
		"kdc.conf": fmt.Sprintf(`[kdcdefaults]
 kdc_listen = %[1]s
 kdc_tcp_listen = %[1]s
[realms]
 %[2]s = {
  database_name = %[3]s/db
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/acl
  max_life = 10h
  max_renewable_life = 7d
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal aes256-sha2:normal aes128-sha2:normal
%[4]s
 }
[logging]
 kdc = FILE:%[3]s/log
`, addr, r.Name, dir, r.Settings),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	testenv.Run(tb, k.kdcEnv(r.Name), "", testenv.Need(tb, "kdb5_util"), "create", "-r", r.Name, "-s", "-P", "master")
	commands := []string{"modprinc -maxrenewlife 7d krbtgt/" + r.Name}
	for _, p := range r.Principals {
		commands = append(commands, "addprinc "+p)
	}
	for name, principal := range r.Keytabs {
		commands = append(commands, fmt.Sprintf("ktadd -k %s %s", k.Keytab(name), principal))
	}
	k.Administer(tb, r.Name, commands...)
}

// Administer runs commands of kadmin.local on the KDC of a realm, also while it
// serves.
func (k *KDCs) Administer(tb testing.TB, realm string, commands ...string) {
	tb.Helper()
	out := testenv.Run(tb, k.kdcEnv(realm), strings.Join(commands, "\n")+"\n", testenv.Need(tb, "kadmin.local"), "-r", realm)
	if strings.Contains(out, "rror") || strings.Contains(out, " while ") {
		tb.Fatalf("kadmin.local: %s", out)
	}
}

// serve runs the KDC of a realm until the test ends.
func (k *KDCs) serve(tb testing.TB, realm, addr string) {
	tb.Helper()
	cmd := exec.Command(testenv.Need(tb, "krb5kdc"), "-n", "-r", realm)
	cmd.Env = append(os.Environ(), k.kdcEnv(realm)...)
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("KDC of %s:\n%s", realm, k.Log(realm))
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	if err := p.WaitListening(ctx, addr); err != nil {
		tb.Fatal(err)
	}
}

// Addr returns host and port of a realm's KDC, over UDP and TCP.
func (k *KDCs) Addr(realm string) string { return k.addrs[slices.Index(k.names, realm)] }

// Log returns what the KDC of a realm has logged so far.
func (k *KDCs) Log(realm string) string {
	b, _ := os.ReadFile(filepath.Join(k.realmDir(realm), "log")) // there is none before the first line
	return string(b)
}

// Keytab returns the path of one of Realm.Keytabs.
func (k *KDCs) Keytab(name string) string { return filepath.Join(k.dir, name+".keytab") }

// Env is the environment of programs that use Conf and have no tickets.
func (k *KDCs) Env() []string { return k.EnvFor(k.Conf) }

// EnvFor is Env with the krb5.conf of WriteConf.
func (k *KDCs) EnvFor(conf string) []string {
	return []string{
		"KRB5_CONFIG=" + conf, "KRB5CCNAME=FILE:" + filepath.Join(k.dir, "none"), "LC_ALL=C",
		"KRB5RCACHENAME=file2:" + filepath.Join(k.dir, "rcache"), // of acceptors
	}
}

// Kinit logs a client in with MIT's kinit and returns the path of the
// credential cache. The ticket is forwardable.
func (k *KDCs) Kinit(tb testing.TB, env []string, principal, password string) string {
	tb.Helper()
	cache := filepath.Join(tb.TempDir(), "krb5cc")
	testenv.Run(tb, env, password+"\n", testenv.Need(tb, "kinit"), "-f", "-c", "FILE:"+cache, principal)
	return cache
}
