package adtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// MemberName is the NetBIOS name of the domain member, and with a $ its account.
const MemberName = "MEMBER1"

// A Member is a host that is joined to the domain, with Samba's winbindd
// running and nothing else. All of it is in the controller's directory. Its
// methods are safe for concurrent use.
type Member struct {
	dir      string
	conf     string
	env      []string
	services []*testenv.Process
}

// StartMember returns the domain member that the tests of this process share.
// The first call joins it to the controller of Start and starts it, which takes
// about three seconds.
func StartMember(tb testing.TB) *Member {
	tb.Helper()
	testenv.Need(tb, "net")
	testenv.Need(tb, "smbd")
	testenv.Need(tb, "winbindd")
	testenv.Need(tb, "wbinfo")
	testenv.Need(tb, "ntlm_auth")
	wrapper := testenv.NeedLibrary(tb, "libnss_wrapper.so")
	dc := Start(tb)
	shared.Lock()
	defer shared.Unlock()
	if dc.member == nil && dc.memberErr == nil {
		dc.member, dc.memberErr = dc.join(wrapper)
	}
	if dc.memberErr != nil {
		tb.Fatal(dc.memberErr)
	}
	return dc.member
}

// Command returns the path of one of Samba's programs, and the argument that
// makes it use the member's configuration.
func (m *Member) Command(name string) []string {
	return []string{program(name), "--configfile=" + m.conf}
}

// Env returns the environment variables that make Samba's programs find the
// member's winbindd, to be added to the process's own.
func (m *Member) Env() []string { return slices.Clone(m.env) }

// memberConf is the configuration file of the member in a controller's
// directory.
func memberConf(dir string) string { return filepath.Join(dir, "member", "smb.conf") }

// join makes a member and starts it.
func (dc *DC) join(wrapper string) (m *Member, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m = &Member{dir: dc.path("member"), conf: memberConf(dc.dir)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("adtest: member: %w", err), m.stop())
			m = nil
		}
	}()
	if err := dc.writeMember(m, wrapper); err != nil {
		return m, err
	}
	// A member speaks SMB to its controller, which Start leaves out: it is a
	// process of its own, and asks the controller's winbindd for user ids.
	ofDC := slices.Concat(m.env, []string{socketDirEnv + "=" + dc.path("winbindd")})
	for _, name := range []string{"winbindd", "smbd"} {
		if err := m.run(ofDC, name, dc.smbConf(), "--option=server role check:inhibit=yes"); err != nil {
			return m, err
		}
	}
	if err := m.services[1].WaitListening(ctx, dc.IP+":445"); err != nil {
		return m, err
	}
	join := exec.CommandContext(ctx, program("net"), "ads", "join", "--configfile="+m.conf,
		"--server="+dc.Host, "--user=Administrator%"+AdminPassword, "--no-dns-updates")
	join.Env = append(os.Environ(), m.env...)
	if out, err := join.CombinedOutput(); err != nil {
		return m, fmt.Errorf("net ads join: %w\n%s", err, out)
	}
	if err := m.run(m.env, "winbindd", m.conf); err != nil {
		return m, err
	}
	return m, testenv.Poll(ctx, func() error {
		ping := exec.CommandContext(ctx, program("wbinfo"), "--ping-dc")
		ping.Env = append(os.Environ(), m.env...)
		if out, err := ping.CombinedOutput(); err != nil {
			return fmt.Errorf("wbinfo --ping-dc: %w\n%s", err, out)
		}
		return nil
	})
}

// socketDirEnv is what Samba's clients look up for winbindd's socket if they
// believe to run in Samba's own tests: while libnss_wrapper is loaded.
const socketDirEnv = "SELFTEST_WINBINDD_SOCKET_DIR"

func (dc *DC) writeMember(m *Member, wrapper string) error {
	options := map[string]string{
		"workgroup":              NetBIOS,
		"realm":                  Realm,
		"netbios name":           MemberName,
		"security":               "ads",
		"password server":        dc.IP,
		"interfaces":             dc.IP + "/8",
		"bind interfaces only":   "yes",
		"disable netbios":        "yes",
		"name resolve order":     "host",
		"kerberos method":        "secrets only",
		"logging":                "file",
		"log file":               filepath.Join(m.dir, "log"),
		"idmap config * : range": "100000-199999",
	}
	for option, name := range map[string]string{
		"private dir": "private", "lock directory": "lock", "state directory": "state", "cache directory": "cache",
		"pid directory": "run", "ncalrpc dir": "ncalrpc", "winbindd socket directory": "winbindd",
	} {
		options[option] = filepath.Join(m.dir, name)
		if err := os.MkdirAll(options[option], 0o755); err != nil {
			return err
		}
	}
	var conf strings.Builder
	conf.WriteString("[global]\n")
	for _, option := range slices.Sorted(maps.Keys(options)) {
		conf.WriteString("\t" + option + " = " + options[option] + "\n")
	}
	if err := os.WriteFile(m.conf, []byte(conf.String()), 0o644); err != nil {
		return err
	}
	hosts := filepath.Join(m.dir, "hosts") // no resolver asks the controller's DNS
	m.env = append(dc.Env(), socketDirEnv+"="+options["winbindd socket directory"], "LD_PRELOAD="+wrapper,
		"NSS_WRAPPER_HOSTS="+hosts, "NSS_WRAPPER_PASSWD=/etc/passwd", "NSS_WRAPPER_GROUP=/etc/group")
	return os.WriteFile(hosts, []byte(dc.IP+" "+dc.Host+"\n"), 0o644)
}

// run starts one of Samba's servers.
func (m *Member) run(env []string, name, conf string, options ...string) error {
	out, err := os.Create(filepath.Join(m.dir, fmt.Sprintf("%d-%s.out", len(m.services), name)))
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own
	args := append([]string{"--foreground", "--no-process-group", "--configfile=" + conf}, options...)
	cmd := exec.Command(program(name), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		return err
	}
	m.services = append(m.services, p)
	return nil
}

// stop ends what runs. It need not be in order, as nothing is kept.
func (m *Member) stop() error {
	errs := make([]error, len(m.services))
	var wg sync.WaitGroup
	for i, p := range m.services {
		wg.Go(func() { errs[i] = p.Stop() })
	}
	wg.Wait()
	return errors.Join(append(errs, endHelpers(m.conf))...)
}
