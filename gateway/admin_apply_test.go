package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
)

func TestConfigRights(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	for _, tt := range []struct {
		name string
		need admin.Role
		do   func(ctx context.Context) error
	}{
		{"Files", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Files(ctx); return err }},
		{"CheckFiles", admin.Viewer, func(ctx context.Context) error { _, err := g.service.CheckFiles(ctx, set); return err }},
		{"ApplyFiles", admin.Administrator, func(ctx context.Context) error { _, err := g.service.ApplyFiles(ctx, set, ""); return err }},
		{"Versions", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Versions(ctx, 0, 0); return err }},
		{"Version", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Version(ctx, 1); return err }},
		{"RollBack", admin.Administrator, func(ctx context.Context) error { _, err := g.service.RollBack(ctx, 1, "", false); return err }},
		{"Synchronise", admin.Operator, func(ctx context.Context) error {
			_, err := g.service.Synchronise(ctx, "staff", admin.SyncOptions{}, nil)
			return err
		}},
		{"Overview", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Overview(ctx, 0); return err }},
		{"Services", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Services(ctx); return err }},
		{"Roles", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Roles(ctx); return err }},
		{"Realms", admin.Viewer, func(ctx context.Context) error { _, err := g.service.Realms(ctx); return err }},
		{"Explain", admin.Viewer, func(ctx context.Context) error {
			_, err := g.service.Explain(ctx, admin.ExplainQuery{URL: "/hr/"})
			return err
		}},
		{"Test", admin.Operator, func(ctx context.Context) error {
			_, err := g.service.Test(ctx, admin.Test{Realm: "staff", Kind: admin.TestInternal, User: "alice", Password: authn.NewSecret("x")})
			return err
		}},
	} {
		for role := admin.NoRole; role <= admin.Administrator; role++ {
			err := tt.do(g.as(role))
			var e *admin.Error
			forbidden := errors.As(err, &e) && e.Kind == admin.Forbidden
			if forbidden != (role < tt.need) {
				t.Errorf("%s as %s: %v", tt.name, role, err)
			}
		}
		wantKind(t, tt.name+" of nobody", tt.do(t.Context()), admin.Forbidden, "")
	}
}

func TestApplyAndRollBack(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	eventually(t, "no version of the start", func() bool {
		v, err := g.service.Versions(ctx, 0, 0)
		return err == nil && len(v) == 1 && v[0].Actor == ""
	})
	extra := admin.ConfigFile{Path: filepath.Join(g.dir, "services", "shop.yaml"), Text: fmt.Sprintf(serviceMore, "shop")}
	set := g.files("# a comment\n", extra)
	check, err := g.service.CheckFiles(ctx, set)
	if err != nil || !check.OK || len(check.Diff) != 2 || check.Diff[0].Path != g.file {
		t.Fatalf("check %+v, %v", check, err)
	}
	if g.read(g.file) != adminText(g.addr, g.admin, "") {
		t.Error("a check wrote something")
	}
	v, err := g.service.ApplyFiles(ctx, set, "a shop")
	if err != nil {
		t.Fatal(err)
	}
	if v.Actor != "root" || v.Comment != "a shop" || len(v.Files) != 2 || g.Config().Services["shop"] == nil || g.read(extra.Path) != extra.Text {
		t.Errorf("version %+v", v)
	}
	if info, err := os.Stat(extra.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if d := g.changed(); d != nothingChanged {
		t.Errorf("who looks at the files would reload once more: %v", d)
	}
	changes, err := g.service.Changes(ctx, admin.ChangeQuery{Action: "config."})
	if err != nil || len(changes.Changes) != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if c := changes.Changes[0]; c.Action != "config.apply" || c.Actor != "root" || c.Peer != "127.0.0.1" ||
		!strings.Contains(string(c.After), "+# a comment") || !strings.Contains(string(c.After), "shop.yaml") || !strings.Contains(string(c.Before), set.Digest) {
		t.Errorf("audit %+v: %s", c, c.After)
	}

	// Somebody edits by hand: what was read before does not count any more.
	g.write(g.file, adminText(g.addr, g.admin, "# by hand\n"))
	_, err = g.service.ApplyFiles(ctx, admin.ConfigSet{Files: set.Files, Digest: v.Digest}, "")
	wantKind(t, "after an edit", err, admin.Conflict, "changed by somebody else")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no version of an edit by hand", func() bool {
		list, err := g.service.Versions(ctx, 0, 0)
		return err == nil && len(list) == 3 && list[0].Actor == "" && list[1].Actor == "root"
	})

	list, err := g.service.Versions(ctx, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := list[len(list)-1]
	back, err := g.service.RollBack(ctx, first.ID, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if back.Digest != first.Digest || back.Comment != fmt.Sprintf("back to version %d", first.ID) || g.Config().Services["shop"] != nil {
		t.Errorf("%+v", back)
	}
	if g.read(g.file) != adminText(g.addr, g.admin, "") {
		t.Errorf("file\n%s", g.read(g.file))
	}
	if _, err := os.Stat(extra.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that a pattern finds is still there: %v", err)
	}
	if _, err := g.service.RollBack(ctx, v.ID, "", false); err != nil || g.Config().Services["shop"] == nil || g.read(extra.Path) != extra.Text {
		t.Errorf("forth again: %v", err)
	}
	_, err = g.service.RollBack(ctx, 999, "", false)
	wantKind(t, "no such version", err, admin.NotFound, "")
}

// Whatever is wrong with files, all is as it was.
func TestAttackApplyRefused(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	before := adminText(g.addr, g.admin, "")
	outside := filepath.Join(t.TempDir(), "x.yaml")
	secret := filepath.Join(g.dir, "keep.yaml")
	if err := os.WriteFile(secret, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(g.dir, "link")); err != nil {
		t.Fatal(err)
	}
	with := func(line string, others ...admin.ConfigFile) admin.ConfigSet {
		set := g.files("", others...)
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "include: [services/*.yaml]", line, 1)
		return set
	}
	file := func(path, text string) admin.ConfigFile { return admin.ConfigFile{Path: path, Text: text} }
	for _, tt := range []struct {
		name string
		set  admin.ConfigSet
		kind admin.Kind
		want string
	}{
		{"mistake", g.files("nonsense: 1\n"), admin.Invalid, `gw.yaml:10:1: unknown key "nonsense"`},
		{"a part that cannot be made", g.files("realms: {b: {kerberos: {realm: X, keytab: none.keytab}}}\n"), admin.Invalid, `"realms" is there twice`},
		{"no keytab", with("include: [services/*.yaml]", file(filepath.Join(g.dir, "services/k.yaml"), "realms: {b: {kerberos: {realm: X, keytab: none.keytab}}}\n")), admin.Invalid, "none.keytab"},
		{"no certificate", with("include: [services/*.yaml]", file(filepath.Join(g.dir, "services/k.yaml"), "listen: [{addr: \"127.0.0.1:1\", tls: {cert: none.pem, key: none.key}}]\n")), admin.Invalid, "none.pem"},
		{"an address of another machine", g.files("upstreams: {u: {listen: \"192.0.2.1:1\", url: \"http://x\", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}\n"), admin.Invalid, "could not be put into force"},
		{"no main file", admin.ConfigSet{Digest: g.files("").Digest, Files: []admin.ConfigFile{file(secret, "")}}, admin.Invalid, "main file is missing"},
		{"elsewhere", with("include: ["+outside+"]", file(outside, fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "only where files of the configuration are"},
		{"elsewhere, by a link", with("include: [link/x.yaml]", file(filepath.Join(g.dir, "link/x.yaml"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "only where files of the configuration are"},
		{"up", with("include: ["+g.dir+"/services/../../x.yaml]", file(g.dir+"/services/../../x.yaml", "")), admin.Invalid, "is no name for a file"},
		{"another's file", with("include: [keep.yaml]", file(secret, fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "there is a file of that name"},
		{"not included", g.files("", file(filepath.Join(g.dir, "other.yaml"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "other.yaml: the file is not included"},
		{"no yaml", with("include: [gw.keytab]", file(filepath.Join(g.dir, "gw.keytab"), fmt.Sprintf(serviceMore, "x"))), admin.Invalid, "is no name for a file"},
		{"a file that is there", with("include: [keep*.yaml]"), admin.Invalid, secret + ": the configuration would read this file"},
		{"twice", g.files("", file(g.file, "")), admin.Invalid, g.file + " is there twice"},
		{"binary", g.files("", file(filepath.Join(g.dir, "services/a.yaml"), "\x00")), admin.Invalid, `services/a.yaml" is no text`},
		{"too large", g.files("", file(filepath.Join(g.dir, "services/a.yaml"), strings.Repeat("#", 1<<20))), admin.Invalid, "too large"},
		{"old", admin.ConfigSet{Digest: "x", Files: g.files("").Files}, admin.Conflict, "changed by somebody else"},
	} {
		_, err := g.service.ApplyFiles(ctx, tt.set, "")
		wantKind(t, tt.name, err, tt.kind, tt.want)
		if g.read(g.file) != before || g.read(secret) != "keep me" || g.Config().Services["x"] != nil {
			t.Fatalf("%s: something was changed", tt.name)
		}
		for _, dir := range []string{g.dir, filepath.Join(g.dir, "services"), filepath.Dir(outside)} {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if strings.Contains(e.Name(), ".tmp-") || e.Name() == "x.yaml" || dir != g.dir {
					t.Errorf("%s: %s is left", tt.name, e.Name())
				}
			}
		}
	}
	// Checked, it is the same, but for who may only look: he does not hear of the file.
	for role, ok := range map[admin.Role]bool{admin.Administrator: false, admin.Viewer: true} {
		if check, err := g.service.CheckFiles(g.as(role), with("include: [keep*.yaml]")); err != nil || check.OK != ok {
			t.Errorf("checked as %v: %+v, %v", role, check, err)
		}
	}
	if _, refused := g.parts.(*composer).Loaded(); refused != nil {
		t.Errorf("the last reload was refused: %v", refused)
	}
}

// A configuration that keeps out who applies it is refused, unless that is meant.
func TestAttackApplyKeepsOut(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	swap := func(old, text string) admin.ConfigSet {
		set := g.files("")
		set.Files[0].Text = strings.Replace(set.Files[0].Text, old, text, 1)
		return set
	}
	listener := fmt.Sprintf("admin: {addr: %q, local: {allow_without_second_factor: true}}", g.admin)
	for _, tt := range []struct {
		name string
		set  admin.ConfigSet
		want string
	}{
		{"no listener", swap(listener, ""), "no admin listener"},
		{"local ones are kept out", swap("local: {", "local: {disabled: true, "), "admin.local.disabled"},
		{"no store", swap("store: {driver: sqlite, dsn: s.db}", ""), ""}, // internal wants it
	} {
		_, err := g.service.ApplyFiles(ctx, tt.set, "")
		var e *admin.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, tt.want) || e.Kind != admin.Refused && tt.want != "" {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	check, err := g.service.CheckFiles(ctx, swap("local: {", "local: {disabled: true, "))
	if err != nil || !check.OK || !slices.ContainsFunc(check.Warnings, func(w string) bool { return strings.Contains(w, "keep you out: admin.local.disabled") }) {
		t.Errorf("%+v, %v", check, err)
	}
	forced := swap("local: {", "local: {disabled: true, ")
	forced.Force = true
	v, err := g.service.ApplyFiles(ctx, forced, "")
	if err != nil || !g.Config().Admin.Local.Disabled {
		t.Fatalf("with force: %v", err)
	}
	if _, err := g.service.ApplyFiles(ctx, g.files(""), ""); err != nil {
		t.Fatal(err)
	}
	_, err = g.service.RollBack(ctx, v.ID, "", false)
	wantKind(t, "rolling back to it", err, admin.Refused, "keep you out: admin.local.disabled")
	if _, err := g.service.RollBack(ctx, v.ID, "", true); err != nil || !g.Config().Admin.Local.Disabled {
		t.Errorf("rolling back to it with force: %v", err)
	}
}

// Many apply at once: each sees what it began with, or is told that it is not so
// any more.
func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for n := range 6 {
		wg.Go(func() {
			mine := admin.ConfigSet{Digest: set.Digest, Files: []admin.ConfigFile{{Path: g.file, Text: adminText(g.addr, g.admin, fmt.Sprintf("# %d\n", n))}}}
			v, err := g.service.ApplyFiles(g.as(admin.Administrator), mine, "")
			var e *admin.Error
			switch {
			case err == nil:
				mu.Lock()
				applied = append(applied, v.Digest)
				mu.Unlock()
			case !errors.As(err, &e) || e.Kind != admin.Conflict:
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := g.Reload(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	now := g.files("")
	if len(applied) != 1 || applied[0] != now.Digest {
		t.Errorf("applied %v, in place %s", applied, now.Digest)
	}
}

// What only one of several files can be written of is not begun.
func TestApplyPartly(t *testing.T) {
	t.Parallel()
	g := govern(t)
	ctx := g.as(admin.Administrator)
	extra := admin.ConfigFile{Path: filepath.Join(g.dir, "services", "shop.yaml"), Text: fmt.Sprintf(serviceMore, "shop")}
	if _, err := g.service.ApplyFiles(ctx, g.files("", extra), ""); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(extra.Path)
	if err := os.Chmod(dir, 0o777); err != nil { // also root is refused then
		t.Fatal(err)
	}
	set, err := g.service.Files(ctx)
	if err != nil || len(set.Files) != 2 || !set.Files[0].Writable || set.Files[1].Writable {
		t.Fatalf("%+v, %v", set, err)
	}
	changed := admin.ConfigFile{Path: extra.Path, Text: extra.Text + "# changed\n"}
	next := g.files("# changed\n", changed)
	_, err = g.service.ApplyFiles(ctx, next, "")
	wantKind(t, "directory of everybody", err, admin.Refused, "cannot write "+extra.Path)
	if g.read(g.file) != adminText(g.addr, g.admin, "") || g.read(extra.Path) != extra.Text {
		t.Error("a part was written")
	}
}
