// Package adtest runs a real Active Directory domain controller, Samba's, for
// tests: provisioned, filled and started in about four seconds, on a loopback
// address of its own, in a temporary directory. Nothing of the machine's own
// configuration is read or changed, and several test processes may each have
// one at the same time.
//
// A package whose tests use it hands its TestMain over:
//
//	func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }
//
// and its tests then share one controller:
//
//	dc := adtest.Start(t)
//	ccache := dc.Kinit(t, adtest.Alice)
//
// StartMember starts a host that is joined to the domain, for what needs
// winbindd.
//
// The accounts are the constants in this package. Samba and root are needed;
// see package testenv for what happens without.
//
// Only tests import this package. A controller costs 150 MB of memory, so keep
// the tests that need one in few packages (internal/e2e).
package adtest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

//go:embed fill.py
var fillScript []byte

// AdminPassword is the password of CORP\Administrator.
const AdminPassword = "Adm1n-s3cret"

// ports that the controller serves besides the dynamic RPC ones.
var ports = []int{53, 88, 135, 389, 464, 636, 3268, 3269}

// A DC is a running domain controller of the domain CORP.TEST. Its methods are
// safe for concurrent use.
type DC struct {
	IP        string // the controller's address; DNS, Kerberos, LDAP have their usual ports
	Host      string // its name, dc1.corp.test
	DomainSID string
	Krb5Conf  string // path of a krb5.conf that knows the realm
	CAFile    string // path of the certificate that LDAPS shows, in PEM; good for *.corp.test
	KeyFile   string // path of its key

	dir  string
	lock *os.File
	addr *testenv.Loopback
	proc *testenv.Process
	sids sync.Map // of account names, to text

	member    *Member // of StartMember
	memberErr error
}

var shared struct {
	sync.Mutex
	dc  *DC
	err error
}

// Start returns the controller that the tests of this process share. The first
// call starts it.
func Start(tb testing.TB) *DC {
	tb.Helper()
	need(tb)
	shared.Lock()
	defer shared.Unlock()
	if shared.dc == nil && shared.err == nil {
		shared.dc, shared.err = start()
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.dc
}

func need(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short leaves out what needs a domain controller")
	}
	testenv.Need(tb, "samba")
	testenv.Need(tb, "samba-tool")
	testenv.NeedFile(tb, "/usr/share/samba/setup/provision.ldif")
	testenv.NeedPython(tb, "samba")
	testenv.NeedRoot(tb)
}

// Main runs the tests and stops the controller if one of them started it. It
// returns the exit code for os.Exit.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.dc == nil {
		return code
	}
	if err := shared.dc.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// start provisions, fills and starts a controller.
func start() (dc *DC, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	removeStale()
	dc = &DC{Host: "dc1." + strings.ToLower(Realm)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("adtest: start: %w", err), dc.stop())
			dc = nil
		}
	}()
	if dc.addr, err = testenv.ClaimLoopback(ports...); err != nil {
		return dc, err
	}
	dc.IP = dc.addr.IP
	if dc.dir, dc.lock, err = makeDir(); err != nil {
		return dc, err
	}
	for _, step := range []func(context.Context) error{dc.writeFiles, dc.provision, dc.fill, dc.run} {
		if err := step(ctx); err != nil {
			return dc, err
		}
	}
	return dc, nil
}

func (dc *DC) path(elem ...string) string {
	return filepath.Join(append([]string{dc.dir}, elem...)...)
}

// writeFiles writes what clients need and the certificate of LDAPS. Samba
// would make one itself, with an RSA key that takes seconds.
func (dc *DC) writeFiles(context.Context) error {
	dc.Krb5Conf = dc.path("krb5.conf")
	conf := fmt.Sprintf(`[libdefaults]
	default_realm = %[1]s
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	rdns = false
	forwardable = true
	udp_preference_limit = 1400
[realms]
	%[1]s = {
		kdc = %[3]s
		kpasswd_server = %[3]s
		admin_server = %[3]s
	}
[domain_realm]
	.%[2]s = %[1]s
	%[2]s = %[1]s
`, Realm, strings.ToLower(Realm), dc.IP)
	if err := os.WriteFile(dc.Krb5Conf, []byte(conf), 0o644); err != nil {
		return err
	}
	dc.CAFile, dc.KeyFile = dc.path("cert.pem"), dc.path("key.pem")
	return writeCertificate(dc.CAFile, dc.KeyFile, dc.Host, dc.IP)
}

// provision makes the domain. Each directory is ours, so that nothing is
// shared with another instance or with a Samba that the machine runs.
func (dc *DC) provision(ctx context.Context) error {
	options := map[string]string{
		"interfaces":                 dc.IP + "/8",
		"bind interfaces only":       "yes",
		"posix:eadb":                 dc.path("private", "eadb.tdb"), // no xattrs needed of the file system
		"pid directory":              dc.path("run"),
		"lock directory":             dc.path("lock"),
		"state directory":            dc.path("state"),
		"cache directory":            dc.path("cache"),
		"ncalrpc dir":                dc.path("ncalrpc"),
		"winbindd socket directory":  dc.path("winbindd"),
		"ntp signd socket directory": dc.path("ntp_signd"),
		"log file":                   dc.path("samba.log"),
		// As Windows does: Kerberos inside TLS needs no second protection.
		"ldap server require strong auth": "allow_sasl_over_tls",
		"tls certfile":                    dc.CAFile,
		"tls cafile":                      "",
		"tls keyfile":                     dc.KeyFile,
		"dns forwarder":                   "0.0.0.0", // none: names outside the domain stay unknown
		// No file server and no winbindd: those are processes of their own.
		"server services": "rpc, ldap, cldap, kdc, dns",
	}
	args := []string{
		"domain", "provision", "--realm=" + Realm, "--domain=" + NetBIOS, "--server-role=dc",
		"--dns-backend=SAMBA_INTERNAL", "--adminpass=" + AdminPassword,
		"--host-name=dc1", "--host-ip=" + dc.IP, "--targetdir=" + dc.dir,
	}
	for k, v := range options {
		args = append(args, "--option="+k+"="+v)
	}
	_, err := command(ctx, nil, "samba-tool", args...)
	return err
}

// fill makes the accounts and exports the keytabs, in the files of the domain.
func (dc *DC) fill(ctx context.Context) error {
	if err := os.WriteFile(dc.path("fill.py"), fillScript, 0o600); err != nil {
		return err
	}
	return dc.add(ctx, content)
}

func (dc *DC) smbConf() string { return dc.path("etc", "smb.conf") }

// run starts Samba as one process in the foreground: it ends when its standard
// input does, which is when this process ends, however that comes about.
func (dc *DC) run(ctx context.Context) error {
	cmd := exec.Command(program("samba"), "--interactive", "--model=single", "--no-process-group",
		"--configfile="+dc.smbConf(), "--debuglevel=1")
	out, err := os.Create(dc.path("samba.out"))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	if dc.proc, err = testenv.StartProcess(cmd); err != nil {
		return err
	}
	addrs := make([]string, len(ports))
	for i, port := range ports {
		addrs[i] = dc.IP + ":" + strconv.Itoa(port)
	}
	if err := dc.proc.WaitListening(ctx, addrs...); err != nil {
		log, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

// Kill ends the controller as the loss of power would. Its files stay, for
// Restart. Only a test that runs beside no other that needs the controller may
// do that, and it must start it again.
func (dc *DC) Kill(tb testing.TB) {
	tb.Helper()
	if err := dc.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
}

// Restart starts the controller again after Kill, and returns when it listens.
func (dc *DC) Restart(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := dc.run(ctx); err != nil {
		tb.Fatal(err)
	}
}

// stop ends Samba, verifies that it is gone and removes its files. It works on
// a controller that is only half started.
func (dc *DC) stop() error {
	var errs []error
	if dc.member != nil {
		errs = append(errs, dc.member.stop())
	}
	if dc.proc != nil {
		errs = append(errs, dc.proc.Stop())
	}
	if dc.addr != nil {
		errs = append(errs, dc.addr.Release())
	}
	if dc.dir != "" {
		errs = append(errs, os.RemoveAll(dc.dir), dc.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("adtest: stop: %w", err)
	}
	return nil
}

// program finds what Debian installs outside a user's PATH.
func program(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	return "/usr/sbin/" + name
}

// command runs a program to its end and returns its standard output; its error
// carries what it wrote to standard error.
func command(ctx context.Context, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program(name), args...)
	cmd.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
