package users

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// An operator has the program soapward, and a store.
type operator struct {
	program, store, config string
}

func newOperator(t *testing.T, dc *adtest.DC, dsn string) *operator {
	t.Helper()
	dir := t.TempDir()
	o := &operator{filepath.Join(dir, "soapward"), "sqlite:" + dsn, filepath.Join(dir, "soapward.yaml")}
	testenv.Run(t, nil, "", "go", "build", "-o", o.program, "github.com/soapward/soapward/cmd/soapward")
	text := fmt.Sprintf(`store: {driver: sqlite, dsn: %q}
realms:
  corp:
    ad: {url: "ldaps://%s", domain: corp.test, default_domain: CORP, ca_file: %q, bind_user: jill@corp.test, bind_password: {file: reader.secret}, timeout: 20s}
`, dsn, dc.IP, dc.CAFile)
	for file, content := range map[string]string{o.config: text, filepath.Join(dir, "reader.secret"): adtest.Password(t, adtest.Jill) + "\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func (o *operator) user(t *testing.T, args ...string) string {
	t.Helper()
	return testenv.Run(t, nil, "", o.program, append(append([]string{"user"}, args...), "--store", o.store)...)
}

func (o *operator) sync(t *testing.T) string {
	t.Helper()
	return testenv.Run(t, nil, "", o.program, "sync", "-c", o.config)
}

// TestOperator: what the command does counts at nodes that run, with the next
// request.
func TestOperator(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	users := []adtest.User{
		{Name: "opal", Password: "opal-m4rked", GivenName: "Opal", Surname: "Ore"},
		{Name: "olaf", Password: "olaf-m4rked", GivenName: "Olaf", Surname: "Old"},
	}
	dc.Add(t, users, nil)
	ad := openAD(t, dc)
	n := startNode(t, nodeConfig{directory: ad})
	sealed := startNode(t, nodeConfig{driver: "sqlite", dsn: n.dsn, directory: ad, keys: []session.Key{session.NewKey()}})
	o := newOperator(t, dc, n.dsn)

	var person, copied *client
	program := newClient(t)
	login := func(t *testing.T, user, pw string) {
		t.Helper()
		person, copied = newClient(t), newClient(t)
		person.mustSignIn(t, n, user, pw)
		copied.mustSignIn(t, sealed, user, pw)
	}
	state := func(t *testing.T, what, who, user, pw string) {
		t.Helper()
		mustBe(t, what+", session", who, person.mustGet(t, n, whoami, nil))
		mustBe(t, what+", sealed session", who, copied.mustGet(t, sealed, whoami, nil))
		mustBe(t, what+", Basic", who, program.mustGet(t, n, whoami, basic(user, pw)))
	}

	t.Run("disable and enable", func(t *testing.T) {
		login(t, "opal", "opal-m4rked")
		state(t, "at first", `CORP\opal`, "opal", "opal-m4rked")
		if out := o.user(t, "disable", `corp\opal`); !strings.Contains(out, "1 session was ended") {
			t.Errorf("%s", out)
		}
		mustBe(t, "disabled, session", "", person.mustGet(t, n, whoami, nil))
		o.user(t, "enable", `CORP\opal`)
		// Sessions of before are over, whether they were used meanwhile or not.
		mustBe(t, "enabled, old session", "", person.mustGet(t, n, whoami, nil))
		mustBe(t, "enabled, old sealed session", "", copied.mustGet(t, sealed, whoami, nil))
		login(t, "opal", "opal-m4rked")
		state(t, "enabled", `CORP\opal`, "opal", "opal-m4rked")
		o.user(t, "disable", `CORP\opal`)
		state(t, "disabled", "", "opal", "opal-m4rked")
		o.user(t, "enable", `CORP\opal`)
	})

	t.Run("sync", func(t *testing.T) {
		mustBe(t, "olaf", `CORP\olaf`, program.mustGet(t, n, whoami, basic("olaf", "olaf-m4rked")))
		o.user(t, "disable", `CORP\olaf`)
		login(t, "opal", "opal-m4rked")
		dc.Administer(t, "samba-tool user disable opal")
		mustBe(t, "not synchronized yet", `CORP\opal`, person.mustGet(t, n, whoami, nil))
		if out := o.sync(t); !strings.Contains(out, "1  disabled, as in the directory") {
			t.Errorf("%s", out)
		}
		state(t, "disabled in the domain", "", "opal", "opal-m4rked")
		dc.Administer(t, "samba-tool user enable opal")
		if out := o.sync(t); !strings.Contains(out, "1  enabled again") {
			t.Errorf("%s", out)
		}
		login(t, "opal", "opal-m4rked")
		state(t, "enabled in the domain", `CORP\opal`, "opal", "opal-m4rked")
		mustBe(t, "olaf, whom an operator disabled", "", program.mustGet(t, n, whoami, basic("olaf", "olaf-m4rked")))
	})

	t.Run("password", func(t *testing.T) {
		n.addUser(t, directory.User{Name: "ida"}, "ivory lamp m4rked")
		login(t, "ida", "ivory lamp m4rked")
		testenv.Run(t, []string{"SOAPWARD_PASSWORD=" + good}, "", o.program, "user", "passwd", "ida", "--store", o.store)
		state(t, "with the old password", "", "ida", "ivory lamp m4rked")
		login(t, "ida", good)
		state(t, "with the new password", "ida", "ida", good)
	})

	t.Run("unblock", func(t *testing.T) {
		c := newClient(t)
		for range 3 {
			mustBe(t, "guess", "", c.mustGet(t, n, whoami, basic("opal", wrongPassword)))
		}
		if a := c.mustGet(t, n, whoami, basic("opal", "opal-m4rked")); a.status != http.StatusTooManyRequests {
			t.Errorf("blocked: status %d", a.status)
		}
		o.user(t, "unblock", `CORP\opal`)
		mustBe(t, "unblocked", `CORP\opal`, c.mustGet(t, n, whoami, basic("opal", "opal-m4rked")))
	})

	t.Run("roles", func(t *testing.T) {
		testenv.Run(t, []string{"SOAPWARD_PASSWORD=" + good}, "", o.program, "user", "add", "rose", "--role", "gardener", "--store", o.store)
		c := newClient(t)
		c.mustSignIn(t, n, "rose", good)
		for role, want := range map[string]bool{"Gardener": true, "baker": false} {
			if a := c.mustGet(t, n, "/.soapward/role?name="+role, nil); strings.Contains(a.body, `"belongs":true`) != want {
				t.Errorf("%s: %s", role, a.body)
			}
		}
	})
}
