package adtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// Add makes accounts while the controller runs, for tests that change what the
// others share, or need many. Their names must be in use nowhere else. Keytab
// and SID know them as they do those of the fixture.
func (dc *DC) Add(tb testing.TB, users []User, services []Service) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := dc.add(ctx, fixture{Users: users, Services: services}); err != nil {
		tb.Fatal(err)
	}
}

// add makes what spec lists, and remembers the SIDs.
func (dc *DC) add(ctx context.Context, spec fixture) error {
	in, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	out, err := command(ctx, in, testenv.Python, dc.path("fill.py"), dc.smbConf(), dc.path("keytabs"))
	if err != nil {
		return err
	}
	var filled struct {
		DomainSID string            `json:"domain_sid"`
		SIDs      map[string]string `json:"sids"`
	}
	if err := json.Unmarshal(out, &filled); err != nil {
		return fmt.Errorf("output of fill.py: %w", err)
	}
	dc.DomainSID = filled.DomainSID
	for name, sid := range filled.SIDs {
		dc.sids.Store(name, sid)
	}
	return nil
}

// Administer runs a line in a shell on the controller, as its administrator
// would who copied it from a log, and returns what it printed.
func (dc *DC) Administer(tb testing.TB, line string) string {
	tb.Helper()
	env := append(dc.Env(), "SMB_CONF_PATH="+dc.smbConf(), "PATH="+strings.Join([]string{os.Getenv("PATH"), "/usr/sbin"}, ":"))
	return testenv.Run(tb, env, "", "/bin/sh", "-ec", line)
}
