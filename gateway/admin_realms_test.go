package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

func TestOverviewAndRealms(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Viewer)
	st := g.parts.(*composer).admin.store()
	now := g.parts.(*composer).Started().Truncate(directory.CountStep)
	if err := st.AddCounts(t.Context(), []directory.Count{
		{Time: now, Kind: directory.CountLogin, Mechanism: "Basic", Outcome: "accepted", N: 3},
		{Time: now.Add(-3 * directory.CountStep), Kind: directory.CountLogin, Mechanism: "Basic", Outcome: "refused", N: 2},
		{Time: now, Kind: directory.CountDoubleHop, N: 4},
		{Time: now, Kind: directory.CountRC4, N: 5},
	}); err != nil {
		t.Fatal(err)
	}
	o, err := g.service.Overview(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	var accepted, refused int64
	for _, c := range o.Logins {
		switch c.Outcome {
		case "accepted":
			accepted += c.N
		case "refused":
			refused += c.N
		}
	}
	if o.Users != 2 || accepted != 3 || refused != 2 || o.DoubleHops != 4 || o.RC4 != 5 || o.Step != 900 || len(o.Listens) != 2 || o.Version == "" || o.Loaded.IsZero() {
		t.Errorf("%+v", o)
	}
	g.write(g.file, "nonsense: 1\n")
	if err := g.Reload(); err == nil {
		t.Fatal("nonsense was taken")
	}
	after, err := g.service.Overview(ctx, 0)
	if err != nil || !strings.Contains(after.Refused, "nonsense") || !after.Loaded.Equal(o.Loaded) {
		t.Errorf("after a refused reload: %+v, %v", after, err)
	}
	if set, err := g.service.Files(ctx); err != nil || set.Files[0].Text != "nonsense: 1\n" {
		t.Errorf("files %+v, %v", set, err)
	}
	realms, err := g.service.Realms(ctx)
	if err != nil || len(realms) != 1 || realms[0].Name != "staff" || !slices.Equal(realms[0].Tests, []admin.TestKind{admin.TestInternal}) {
		t.Errorf("%+v, %v", realms, err)
	}
	roles, err := g.service.Roles(ctx)
	if err != nil || len(roles) != 2 || !slices.Equal(roles[1].UsedBy, []string{"service hr", "role auditors"}) || !strings.HasSuffix(roles[1].Source, "gw.yaml:7") {
		t.Errorf("%+v, %v", roles, err)
	}
}

func TestInternalTest(t *testing.T) {
	t.Parallel()
	g := govern(t)
	try := func(user, password string) (*admin.TestResult, error) {
		return g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestInternal, User: user, Password: authn.NewSecret(password)})
	}
	if res, err := try("alice", rootPassword); err != nil || !res.OK {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := try("alice", "MARKED-SECRET"); err != nil || res.OK || res.Steps[0].Remedy == "" {
		t.Errorf("a wrong password: %+v, %v", res, err)
	}
	if res, err := try("nobody", "x"); err != nil || res.OK {
		t.Errorf("nobody: %+v, %v", res, err)
	}
	changes, err := g.service.Changes(g.as(admin.Viewer), admin.ChangeQuery{Action: "realm.test"})
	if err != nil || len(changes.Changes) != 3 {
		t.Fatalf("%+v, %v", changes, err)
	}
	b, _ := json.Marshal(changes)
	if !bytes.Contains(b, []byte("alice")) || bytes.Contains(b, []byte("MARKED")) || strings.Contains(g.log.String(), "MARKED") {
		t.Errorf("record %s", b)
	}
	_, err = g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestBind, User: "a", Password: authn.NewSecret("b")})
	wantKind(t, "another kind", err, admin.Invalid, "cannot be tried")
	_, err = g.service.Test(g.as(admin.Operator), admin.Test{Realm: "sales", Kind: admin.TestBind})
	wantKind(t, "no realm", err, admin.NotFound, "")
}

// A test is of no use for guessing: an administrator has ten a minute, and wrong
// passwords count as those of logins do.
func TestAttackTestGuesses(t *testing.T) {
	t.Parallel()
	g := govern(t)
	var results []string
	for n := range 12 {
		res, err := g.service.Test(g.as(admin.Operator), admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret(fmt.Sprint("guess", n))})
		var e *admin.Error
		switch {
		case errors.As(err, &e) && e.Kind == admin.Refused && n >= 10:
			results = append(results, "too many")
		case err != nil || res.OK:
			t.Fatalf("%d: %+v, %v", n, res, err)
		default:
			results = append(results, res.Steps[0].Text)
		}
	}
	if results[10] != "too many" || results[11] != "too many" || results[9] == "too many" {
		t.Errorf("%q", results)
	}
	// The right one is not taken any more, so that the guesses after the third told
	// nothing.
	other := admin.NewContext(t.Context(), &admin.Caller{Name: "other", Role: admin.Operator, Peer: "127.0.0.1"})
	res, err := g.service.Test(other, admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret(rootPassword)})
	if err != nil || res.OK {
		t.Errorf("%+v, %v", res, err)
	}
}
