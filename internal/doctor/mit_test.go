package doctor_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/testenv"
)

// startMIT starts MIT's KDC for A.TEST and returns its address, the directory
// with the keytabs, and what runs kadmin.local.
func startMIT(t *testing.T) (addr, dir string, admin func(commands ...string)) {
	t.Helper()
	server, util, kadmin := testenv.Need(t, "krb5kdc"), testenv.Need(t, "kdb5_util"), testenv.Need(t, "kadmin.local")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for name, text := range map[string]string{
		"krb5.conf": fmt.Sprintf("[libdefaults]\n default_realm = A.TEST\n dns_lookup_kdc = false\n[realms]\n A.TEST = {\n  kdc = %s\n }\n", addr),
		"kdc.conf": fmt.Sprintf("[kdcdefaults]\n kdc_listen = %[1]s\n kdc_tcp_listen = %[1]s\n[realms]\n A.TEST = {\n  database_name = %[2]s/db\n"+
			"  key_stash_file = %[2]s/stash\n  acl_file = %[2]s/acl\n }\n[logging]\n kdc = FILE:%[2]s/kdc.log\n", addr, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"KRB5_CONFIG=" + filepath.Join(dir, "krb5.conf"), "KRB5_KDC_PROFILE=" + filepath.Join(dir, "kdc.conf"), "LC_ALL=C"}
	testenv.Run(t, env, "", util, "create", "-r", "A.TEST", "-s", "-P", "master")
	admin = func(commands ...string) {
		t.Helper()
		out := testenv.Run(t, env, strings.Join(commands, "\n")+"\n", kadmin, "-r", "A.TEST")
		if strings.Contains(out, "rror") {
			t.Fatalf("kadmin.local: %s", out)
		}
	}
	admin(
		"addprinc -randkey +requires_preauth HTTP/app.a.test", "addprinc -randkey +requires_preauth robot",
		fmt.Sprintf("ktadd -k %s/app.keytab HTTP/app.a.test", dir), fmt.Sprintf("ktadd -k %s/both.keytab HTTP/app.a.test robot", dir),
	)
	cmd := exec.Command(server, "-n", "-r", "A.TEST")
	cmd.Env = append(os.Environ(), env...)
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := p.WaitListening(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	return addr, dir, admin
}

// MIT's KDC has no directory to ask, takes service names for clients, and tells
// capital from small letters.
func TestMITRealm(t *testing.T) {
	t.Parallel()
	addr, dir, admin := startMIT(t)
	cfg := doctor.Config{Keytab: filepath.Join(dir, "both.keytab"), KDCs: []string{addr}}
	r := run(t, cfg)
	wantIDs(t, r)
	if r.AskedAs != "robot@A.TEST" || !r.Services[0].Ticket.Opens || find(r, "directory.not-asked").ID == "" {
		t.Errorf("%+v", r)
	}
	// Adding to the second file made a new key, which the first does not have.
	cfg.Keytab = filepath.Join(dir, "app.keytab")
	r = run(t, cfg)
	wantIDs(t, r, "keytab.no-account")
	if find(r, "services.not-checked").ID == "" {
		t.Errorf("%+v", r)
	}
	admin(fmt.Sprintf("ktadd -k %s/fresh.keytab HTTP/app.a.test", dir))
	cfg.Keytab = filepath.Join(dir, "fresh.keytab")
	r = run(t, cfg)
	wantIDs(t, r, "keytab.no-account")
	if r.AskedAs != "HTTP/app.a.test@A.TEST" || !r.Services[0].Ticket.Opens {
		t.Errorf("%+v", r)
	}
	// The spelling of the name counts.
	b, err := os.ReadFile(cfg.Keytab)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keytab = filepath.Join(dir, "spelled.keytab")
	admin(fmt.Sprintf("ktadd -k %s/robot.keytab robot", dir))
	robot, err := os.ReadFile(filepath.Join(dir, "robot.keytab"))
	if err != nil {
		t.Fatal(err)
	}
	b = append(robot, strings.ReplaceAll(string(b[2:]), "HTTP", "http")...)
	if err := os.WriteFile(cfg.Keytab, b, 0o600); err != nil {
		t.Fatal(err)
	}
	r = run(t, cfg)
	if f := find(r, "name.unknown-spelling"); f.ID == "" || f.Subjects[0] != "http/app.a.test" || r.Services[0].Ticket == nil || r.Services[0].Ticket.AskedFor != "HTTP/app.a.test" {
		t.Errorf("%q %+v", ids(r), r.Services)
	}
	// No proof wanted: the clock is told all the same.
	admin("modprinc -requires_preauth robot")
	r = run(t, cfg)
	if find(r, "account.no-preauth").ID == "" || r.KDCs[0].ClockOffset == nil {
		t.Errorf("%+v", r)
	}
}
