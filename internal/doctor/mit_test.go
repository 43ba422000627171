package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/mittest"
)

// MIT's KDC has no directory to ask, takes service names for clients, and tells
// capital from small letters.
func TestMITRealm(t *testing.T) {
	t.Parallel()
	k := mittest.Start(t, mittest.Realm{
		Name:       "A.TEST",
		Principals: []string{"-randkey +requires_preauth HTTP/app.a.test", "-randkey +requires_preauth robot"},
	})
	dir := t.TempDir()
	admin := func(commands ...string) {
		t.Helper()
		k.Administer(t, "A.TEST", commands...)
	}
	admin(fmt.Sprintf("ktadd -k %s/app.keytab HTTP/app.a.test", dir), fmt.Sprintf("ktadd -k %s/both.keytab HTTP/app.a.test robot", dir))
	cfg := doctor.Config{Keytab: filepath.Join(dir, "both.keytab"), KDCs: []string{k.Addr("A.TEST")}}
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
