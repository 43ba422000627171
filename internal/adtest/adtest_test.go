package adtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// helperEnv makes the test binary start a controller and wait to be killed.
const helperEnv = "SOAPWARD_ADTEST_HELPER"

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestFixture(t *testing.T) {
	t.Parallel()
	dc := Start(t)

	t.Run("sids", func(t *testing.T) {
		for _, name := range []string{Alice, Bob, Payroll, Finance, Auditors, Staff, Web} {
			sid := dc.SID(t, name)
			if !strings.HasPrefix(sid, dc.DomainSID+"-") {
				t.Errorf("SID of %s = %s, want one of the domain %s", name, sid, dc.DomainSID)
			}
		}
	})
	t.Run("logins", func(t *testing.T) {
		kinit := testenv.Need(t, "kinit")
		tests := []struct{ user, password, refusal string }{
			{Alice, Password(t, Alice), ""},
			{Bob, Password(t, Bob), ""},
			{Alice, Password(t, Bob), "Password incorrect"},
			{Dave, Password(t, Dave), "credentials have been revoked"},
			{"nobody", "x", "not found in Kerberos database"},
		}
		for _, tt := range tests {
			out, err := testenv.Try(t, dc.Env(), tt.password+"\n", kinit,
				"-c", "FILE:"+filepath.Join(t.TempDir(), "cc"), tt.user+"@"+Realm)
			if (err == nil) != (tt.refusal == "") || !strings.Contains(out, tt.refusal) {
				t.Errorf("kinit %s: %v\n%s\nwant %q", tt.user, err, out, tt.refusal)
			}
		}
	})
	t.Run("keytabs", func(t *testing.T) {
		klist := testenv.Need(t, "klist")
		tests := []struct {
			service string
			want    string
			not     string
		}{
			{Web, WebSPN + "@" + Realm + ` \(aes256`, ""},
			{Web, Web + "@" + Realm + ` \(aes256`, ""},
			{Web, WebSPN + "@" + Realm + ` \(aes128`, WebSPN + "@" + Realm + ` .*arcfour`},
			{Backend, BackendSPN + "@" + Realm + ` \(aes256`, ""},
			{Legacy, LegacySPN + "@" + Realm + ` .*arcfour`, LegacySPN + "@" + Realm + ` \(aes`},
		}
		for _, tt := range tests {
			out := testenv.Run(t, dc.Env(), "", klist, "-k", "-e", dc.Keytab(tt.service))
			if !regexp.MustCompile(tt.want).MatchString(out) {
				t.Errorf("keytab of %s lacks %s:\n%s", tt.service, tt.want, out)
			}
			if tt.not != "" && regexp.MustCompile(tt.not).MatchString(out) {
				t.Errorf("keytab of %s has %s:\n%s", tt.service, tt.not, out)
			}
		}
	})
	t.Run("tickets", func(t *testing.T) {
		kvno := testenv.Need(t, "kvno")
		ccache := dc.Kinit(t, Alice)
		for service, spn := range map[string]string{Web: WebSPN, Backend: BackendSPN, Other: OtherSPN, Front: FrontSPN} {
			out := testenv.Run(t, dc.Env(), "", kvno, "-c", ccache, "-k", dc.Keytab(service), spn)
			if !strings.Contains(out, "keytab entry valid") {
				t.Errorf("ticket for %s does not open with its keytab: %s", spn, out)
			}
		}
	})
}

// Two controllers run side by side here, and one loses its process to SIGKILL:
// its Samba must end by itself, and its directory must go with the next start.
func TestKilledTestLeavesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv(helperEnv) != "" {
		m := StartMember(t)
		dc := Start(t)
		fmt.Println("started", dc.IP, dc.proc.PID(), dc.dir, m.services[2].PID())
		select {}
	}
	mine := Start(t)

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledTestLeavesNothing$")
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ip, dir string
	var pid, memberPID int
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "started %s %d %s %d", &ip, &pid, &dir, &memberPID); err != nil {
		t.Fatalf("helper wrote %q: %v", line, err)
	}
	if ip == mine.IP {
		t.Errorf("two controllers on %s", ip)
	}
	if cmdline := processName(pid); !strings.Contains(cmdline, "samba") {
		t.Fatalf("process %d is %q, want the helper's samba", pid, cmdline)
	}

	children := inGroup(memberPID)
	if len(children) < 2 {
		t.Fatalf("processes %v in the group of the helper's winbindd, want several", children)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = testenv.Poll(ctx, func() error {
		for _, p := range append(children, pid) {
			if cmdline := processName(p); strings.Contains(cmdline, "samba") || strings.Contains(cmdline, "winbindd") {
				return fmt.Errorf("process %d is still %q", p, cmdline)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the killed helper's directory: %v, want it left", err)
	}
	removeStale()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("stat of a stale directory = %v, want it removed", err)
	}
	if _, err := os.Stat(mine.dir); err != nil {
		t.Errorf("directory in use: %v, want it left alone", err)
	}
}

// processName is empty for a process that is gone or waits for its parent.
func processName(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// inGroup returns the processes of a group.
func inGroup(group int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		b, _ := os.ReadFile(file) // empty: gone in between
		var pid, parent, its int
		var state string
		name := strings.LastIndexByte(string(b), ')') // it may have anything in it
		if name < 0 {
			continue
		}
		_, _ = fmt.Sscanf(string(b), "%d", &pid)
		if _, err := fmt.Sscanf(string(b[name+1:]), "%s %d %d", &state, &parent, &its); err == nil && its == group {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestStopVerifies(t *testing.T) {
	t.Parallel()
	need(t)
	dc, err := start()
	if err != nil {
		t.Fatal(err)
	}
	pid := dc.proc.PID()
	if err := dc.stop(); err != nil {
		t.Fatal(err)
	}
	if name := processName(pid); strings.Contains(name, "samba") {
		t.Errorf("process %d is still %q", pid, name)
	}
	if _, err := os.Stat(dc.dir); !os.IsNotExist(err) {
		t.Errorf("stat of the directory = %v, want it removed", err)
	}
}
