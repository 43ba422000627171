package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/internal/testenv"
)

// TestForms: what forms do, where they lead, and what they show when it fails.
func TestForms(t *testing.T) {
	t.Parallel()
	type values = map[string][]string
	for _, tt := range []struct {
		name, path string
		form       values
		status     int
		to         string   // of 303
		call       string   // that was made
		has        []string // on the page
		hasNot     []string
	}{
		{
			"disable", "/console/user/state", values{"name": {`CORP\alice`}, "state": {"disabled"}},
			303, `/console/user?done=disabled&name=CORP%5Calice`, `ChangeUser CORP\alice disabled=true`, nil, nil,
		},
		{
			"enable", "/console/user/state", values{"name": {`CORP\carol.smith-jones`}, "state": {"active"}},
			303, `/console/user?done=enabled&name=CORP%5Ccarol.smith-jones`, `disabled=false`, nil, nil,
		},
		{"no such state", "/console/user/state", values{"name": {"admin"}, "state": {"dead"}}, 422, "", "", []string{"no such state"}, nil},
		{"disable nobody", "/console/user/state", values{"name": {"x"}, "state": {"disabled"}}, 404, "", "", []string{"There is no such user."}, nil},
		{
			"add", "/console/users/add", values{"name": {" new "}, "role": {"payroll", "auditors"}, "password": {"pa ss"}, "again": {"pa ss"}},
			303, "/console/user?done=added&name=new", `AddUser new ["payroll" "auditors"] password 5`, nil, nil,
		},
		{
			"add one that is there", "/console/users/add", values{"name": {"grace"}, "email": {"g@x"}, "role": {"payroll"}, "password": {"secret-1"}, "again": {"secret-1"}},
			409, "", "", []string{"There is a user of this name.", "Edit that one.", `value="grace"`, `value="g@x"`, `value="payroll" checked`, `aria-invalid="true"`}, []string{"secret-1"},
		},
		{
			"add with two passwords", "/console/users/add", values{"name": {"new"}, "password": {"secret-1"}, "again": {"secret-2"}},
			422, "", "", []string{"The two passwords differ."}, []string{"secret-1", "secret-2", "AddUser"},
		},
		{
			"edit", "/console/user/edit", values{"name": {`CORP\alice`}, "version": {"3"}, "email": {"a@b"}, "role": {"x"}, "local_admin": {"1"}},
			303, "/console/user?done=saved&name=CORP%5Calice", `ChangeUser CORP\alice roles=["x"] local=true email=a@b version=3`, nil, nil,
		},
		{
			"edit without roles", "/console/user/edit", values{"name": {`CORP\alice`}, "version": {"3"}},
			303, "/console/user?done=saved&name=CORP%5Calice", `roles=[] local=false`, nil, nil,
		},
		{
			"edit in the way of another", "/console/user/edit", values{"name": {`CORP\alice`}, "version": {"2"}, "email": {"kept@b"}, "role": {"gone role"}},
			409, "", "", []string{"Somebody else changed the user meanwhile.", `value="kept@b"`, `value="gone role" checked`, `name="version" value="2"`}, nil,
		},
		{"password", "/console/user/password", values{"name": {"admin"}, "password": {"secret-1"}, "again": {"secret-1"}}, 303, "/console/user?done=password&n=3&name=admin", "SetPassword admin 8 keep=false", nil, nil},
		{
			"password that is refused", "/console/user/password", values{"name": {"grace"}, "password": {"secret-1"}, "again": {"secret-1"}},
			422, "", "", []string{"Only local administrators have passwords here", "Make him a local administrator"}, []string{"secret-1"},
		},
		{"empty password", "/console/user/password", values{"name": {"admin"}}, 422, "", "", []string{"The password is empty."}, nil},
		{"second factor", "/console/user/second-factor", values{"name": {"admin"}}, 303, "/console/user?done=second-factor&name=admin", "ClearSecondFactor admin", nil, nil},
		{"delete", "/console/user/delete", values{"name": {"grace"}}, 303, "/console/users?done=deleted", "DeleteUser grace", nil, nil},
		{"delete the last one", "/console/user/delete", values{"name": {"admin"}}, 422, "", "", []string{"This is the last local administrator.", "Make another one first."}, nil},
		{"end a session", "/console/sessions/end", values{"id": {"s1"}}, 303, "/console/sessions?done=ended", "EndSession s1", nil, nil},
		{"end a session from its user's page", "/console/sessions/end", values{"id": {"s1"}, "back": {`CORP\alice`}}, 303, "/console/user?done=ended&name=CORP%5Calice", "EndSession s1", nil, nil},
		{"end a session that is over", "/console/sessions/end", values{"id": {"x"}}, 404, "", "", []string{"There is no such session."}, nil},
		{"end all", "/console/sessions/end", values{"user": {`CORP\alice`}, "back": {`CORP\alice`}}, 303, "/console/user?done=ended-all&n=2&name=CORP%5Calice", `EndSessions CORP\alice`, nil, nil},
		{"lift", "/console/blocks/lift", values{"who": {"address 203.0.113.9"}}, 303, "/console/blocks?done=lifted&n=1", "Unblock address 203.0.113.9", nil, nil},
		{"lift nothing", "/console/blocks/lift", values{"who": {"nobody"}}, 404, "", "", []string{"Nothing is blocked for nobody."}, nil},
		{
			"test", "/console/realm/test", values{"name": {"corp"}, "kind": {"bind"}, "user": {`CORP\bob`}, "password": {"secret-1"}},
			200, "", `Test corp bind CORP\bob 8`, []string{"It does not work.", "data 52e", `value="CORP\bob"`}, []string{"secret-1"},
		},
		{"test a provider", "/console/realm/test", values{"name": {"it"}, "kind": {"provider"}}, 200, "", "Test it provider", []string{"It works.", "RS256"}, nil},
		{"test no realm", "/console/realm/test", values{"name": {"x"}, "kind": {"bind"}}, 404, "", "", []string{"There is no such realm."}, nil},
		{"clear passwords", "/console/providers/passwords", nil, 303, "/console/providers?done=cleared&n=1204", "ClearPasswords", nil, nil},
		{"roll back", "/console/configuration/roll-back", values{"id": {"40"}, "comment": {" why "}}, 303, "/console/configuration/version?done=rolled-back&id=41", "RollBack 40 why", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			w := post(t, site(f, admin.Administrator, nil), tt.path, tt.form)
			called, body := f.called(), w.Body.String()
			if w.Code != tt.status || w.Header().Get("Location") != tt.to || !strings.Contains(called, tt.call) {
				t.Errorf("got %d to %q, calls %q, want %d to %q, %q: %s", w.Code, w.Header().Get("Location"), called, tt.status, tt.to, tt.call, body)
			}
			for _, want := range tt.has {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in %s", want, body)
				}
			}
			for _, bad := range tt.hasNot {
				if strings.Contains(body, bad) || strings.Contains(called, bad) {
					t.Errorf("%q is in %s or %s", bad, body, called)
				}
			}
			if w.Code != http.StatusSeeOther {
				checkPage(t, tt.path, w, admin.Administrator)
			}
		})
	}
}

// TestFormsNeedRole: the console hides forms, and admin.Service decides.
func TestFormsNeedRole(t *testing.T) {
	t.Parallel()
	for path, role := range formRole {
		if role <= admin.Viewer {
			continue
		}
		w := post(t, site(newFake(), role-1, nil), path, url.Values{
			"name": {"corp"}, "state": {"disabled"}, "id": {"40"}, "who": {"x"}, "user": {"x"}, "kind": {"bind"}, "password": {"x"}, "again": {"x"},
		})
		want := http.StatusForbidden
		if strings.HasPrefix(path, "/console/user/") && path != "/console/user/state" && path != "/console/user/edit" {
			// The page that asks is of a user, and there is none of this name.
			want = http.StatusNotFound
		}
		if w.Code != want {
			t.Errorf("%s as %s: got %d, want %d: %s", path, role-1, w.Code, want, w.Body)
		}
	}
}

func TestLargeForm(t *testing.T) {
	t.Parallel()
	h := site(newFake(), admin.Administrator, nil)
	big := url.Values{"who": {strings.Repeat("x", 100<<10)}}
	if w := post(t, h, "/console/blocks/lift", big); w.Code != http.StatusBadRequest {
		t.Errorf("got %d, want 400", w.Code)
	}
	if w := post(t, h, "/console/configuration", url.Values{"path": {"/etc/soapward/soapward.yaml"}, "text": {strings.Repeat("# x\n", 100<<10)}, "do": {"check"}}); w.Code != http.StatusOK {
		t.Errorf("configuration: got %d, want 200", w.Code)
	}
}

func configForm(f *fake, digest, do string, change func(string) string) url.Values {
	v := url.Values{"digest": {digest}, "do": {do}, "comment": {"CHG-1"}}
	for i, file := range f.files {
		text := file.Text
		if i == 0 {
			text = change(text)
		}
		v.Add("path", file.Path)
		v.Add("text", strings.ReplaceAll(text, "\n", "\r\n")) // as browsers do
	}
	return v
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	same := func(s string) string { return s }
	better := func(s string) string { return strings.Replace(s, "client_id: soapward", "client_id: better", 1) }
	wrong := func(s string) string {
		return strings.Replace(s, "roles:\n  payroll", "nonsense: 1\nroles:\n  payroll", 1)
	}
	locks := func(s string) string { return s + "locks-out: 1\n" }
	for _, tt := range []struct {
		name       string
		role       admin.Role
		digest, do string
		change     func(string) string
		status     int
		has        []string
		hasNot     []string
	}{
		{"check the same", admin.Administrator, "digest-now", "check", same, 200, []string{"This can be applied", `value="apply"`, "None."}, nil},
		{"check", admin.Administrator, "digest-now", "check", better, 200, []string{
			`<tr class="del"><td>20</td><td></td>`, `<tr class="add"><td></td><td>20</td>`, "client_id: better", `value="apply"`, `value="CHG-1"`,
		}, []string{"ApplyFiles", "\r"}},
		{"check what is wrong", admin.Administrator, "digest-now", "check", wrong, 200, []string{"This cannot be applied", "soapward.yaml:24:1", "<b>24</b>", "line 24: ", "nonsense: 1"}, []string{`value="apply"`}},
		{"apply", admin.Administrator, "digest-now", "apply", better, 303, nil, nil},
		{"apply what is wrong", admin.Administrator, "digest-now", "apply", wrong, 422, []string{"The configuration is wrong.", "<b>24</b>", "nonsense: 1"}, []string{`value="apply"`}},
		{"apply too late", admin.Administrator, "digest-old", "apply", better, 409, []string{"The files were changed meanwhile.", "client_id: better", "What you typed is below", `name="digest" value="digest-old"`}, nil},
		{"apply what keeps out", admin.Administrator, "digest-now", "apply", locks, 422, []string{"It would keep you out", `name="force"`, "locks-out: 1", `value="apply"`}, nil},
		{"apply it all the same", admin.Administrator, "digest-now", "apply&force", locks, 303, nil, nil},
		{"apply as a viewer", admin.Operator, "digest-now", "apply", better, 403, []string{"This needs the role administrator."}, []string{`value="apply"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			do, force := strings.CutSuffix(tt.do, "&force")
			form := configForm(f, tt.digest, do, tt.change)
			if force {
				form.Set("force", "1")
			}
			w := post(t, site(f, tt.role, nil), "/console/configuration", form)
			body, called := w.Body.String(), f.called()
			if w.Code != tt.status {
				t.Errorf("got %d, want %d: %s", w.Code, tt.status, body)
			}
			if do == "apply" && !strings.Contains(called, "ApplyFiles "+tt.digest+" CHG-1") {
				t.Errorf("calls %s", called)
			}
			for _, want := range tt.has {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in %s", want, body)
				}
			}
			for _, bad := range tt.hasNot {
				if strings.Contains(body+called, bad) {
					t.Errorf("%q is in %s", bad, body)
				}
			}
			if w.Code != http.StatusSeeOther {
				checkPage(t, tt.name, w, tt.role)
			}
		})
	}

	t.Run("read only", func(t *testing.T) {
		t.Parallel()
		f := newFake()
		f.readOnly = true
		body := get(t, site(f, admin.Administrator, nil), "/console/configuration").Body.String()
		if !strings.Contains(body, "may not write the files") || !strings.Contains(body, "readonly") || strings.Contains(body, `name="do"`) {
			t.Error(body)
		}
	})

	// A file of the attacker's choice is neither read nor written.
	t.Run("other files", func(t *testing.T) {
		t.Parallel()
		f := newFake()
		form := configForm(f, "digest-now", "apply", same)
		form.Add("path", "/etc/passwd")
		form.Add("text", "x")
		w := post(t, site(f, admin.Administrator, nil), "/console/configuration", form)
		if w.Code != http.StatusConflict || strings.Contains(f.called(), "Apply") {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
}

// A file that was edited on Windows came back with other line ends, each line of it
// a difference: browsers send CRLF whatever the file has.
func TestConfigurationLineEnds(t *testing.T) {
	t.Parallel()
	const more = "# more\n"
	for _, tt := range []struct{ name, before, typed, want string }{
		{"LF", "a: 1\nb: 2\n", "a: 1\nb: 2\n" + more, "a: 1\nb: 2\n" + more},
		{"CRLF", "a: 1\r\nb: 2\r\n", "a: 1\nb: 2\n" + more, "a: 1\r\nb: 2\r\n# more\r\n"},
		{"mostly CRLF", "a: 1\r\nb: 2\r\nc: 3\n", "a: 1\nb: 2\nc: 4\n", "a: 1\r\nb: 2\r\nc: 4\r\n"},
		{"mostly LF", "a: 1\nb: 2\r\nc: 3\n", "a: 1\nb: 2\nc: 4\n", "a: 1\nb: 2\nc: 4\n"},
		{"both as often", "a: 1\r\nb: 2\n", "a: 1\nb: 3\n", "a: 1\nb: 3\n"},
		{"mixed, and not changed", "a: 1\r\nb: 2\n", "a: 1\nb: 2\n", "a: 1\r\nb: 2\n"},
		{"no end", "a: 1", "a: 1\n" + more, "a: 1\n" + more},
		{"empty now", "a: 1\r\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			f.files[0].Text = tt.before
			form := configForm(f, "digest-now", "apply", func(string) string { return tt.typed })
			if w := post(t, site(f, admin.Administrator, nil), "/console/configuration", form); w.Code != http.StatusSeeOther {
				t.Fatalf("got %d: %s", w.Code, w.Body)
			}
			if got := f.applied[0].Text; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(f.files) > 1 && f.applied[1].Text != f.files[1].Text {
				t.Errorf("another file is now %q", f.applied[1].Text)
			}
		})
	}
}

// Going back to what keeps out who goes back asks once more, as applying it does.
func TestRollBackByForce(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.keepsOut = true
	form := url.Values{"id": {"40"}, "comment": {"CHG-1"}}
	w := post(t, site(f, admin.Administrator, nil), "/console/configuration/roll-back", form)
	for _, want := range []string{"It would keep you out", `name="force" value="1"`, `value="CHG-1"`} {
		if body := w.Body.String(); w.Code != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("got %d, no %q in %s", w.Code, want, body)
		}
	}
	checkPage(t, "refused", w, admin.Administrator)
	form.Set("force", "1")
	if w := post(t, site(f, admin.Administrator, nil), "/console/configuration/roll-back", form); w.Code != http.StatusSeeOther {
		t.Errorf("with force: got %d: %s", w.Code, w.Body)
	}
}

// TestSync: the job outlives its request, its page shows how far it is, and a
// second one is refused.
func TestSync(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.waiting = make(chan struct{})
	h := site(f, admin.Operator, nil)
	form := url.Values{"name": {"corp"}}
	if w := post(t, h, "/console/realm/sync", form); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/realm?done=sync&name=corp" {
		t.Fatalf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	body := get(t, h, "/console/realm?name=corp").Body.String()
	for _, want := range []string{"41,000 of 101,204 users", `value="41000" max="101204"`, `data-refresh="2"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "/console/realm/sync") {
		t.Error("the button is there while the job runs")
	}
	if w := post(t, h, "/console/realm/sync", form); w.Code != http.StatusConflict {
		t.Errorf("second: got %d", w.Code)
	}
	close(f.waiting)
	deadline := time.Now().Add(10 * time.Second)
	for {
		body = get(t, h, "/console/realm?name=corp").Body.String()
		if strings.Contains(body, "101,204 users seen, 312 refreshed, 4 deactivated, in 2m11s") && !strings.Contains(body, "data-refresh") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(body)
		}
		time.Sleep(time.Millisecond)
	}
	checkPage(t, "realm", get(t, h, "/console/realm?name=corp"), admin.Operator)

	// What fails at once is told at once, and what fails later on the page.
	f.mu.Lock()
	f.down = true
	f.mu.Unlock()
	log := new(testenv.Log)
	if w := post(t, site(f, admin.Operator, log), "/console/realm/sync", form); w.Code != http.StatusServiceUnavailable {
		t.Errorf("down: got %d", w.Code)
	}
}

// TestManyBlocks: an attack does not make the page useless.
func TestManyBlocks(t *testing.T) {
	t.Parallel()
	f := newFake()
	for range 5000 {
		f.blocks = append(f.blocks, f.blocks[1])
	}
	w := get(t, site(f, admin.Operator, nil), "/console/blocks")
	if got := strings.Count(w.Body.String(), `scope="row"`); got != 1000 || !strings.Contains(w.Body.String(), "4,003 more are not shown.") {
		t.Errorf("%d rows", got)
	}
}

// TestFollow: the address of what is newer leads on.
func TestFollow(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := site(f, admin.Viewer, nil)
	follow := func(body string) string {
		_, after, ok := strings.Cut(body, `data-follow="`)
		if !ok {
			t.Fatalf("nothing to follow in %s", body)
		}
		path, _, _ := strings.Cut(after, `"`)
		return strings.ReplaceAll(path, "&amp;", "&")
	}
	next := follow(get(t, h, "/console/logins?outcome=refused&done=saved").Body.String())
	if !strings.Contains(next, "newer=") || !strings.Contains(next, "outcome=refused") || strings.Contains(next, "done") {
		t.Fatalf("next is %q", next)
	}
	next = follow(get(t, h, "/console/logins").Body.String())
	body := get(t, h, next).Body.String()
	if follow(body) != next || strings.Contains(body, `scope="row"`) {
		t.Errorf("without news: %q, want %q", follow(body), next)
	}
	f.mu.Lock()
	f.logins += 2
	f.mu.Unlock()
	body = get(t, h, next).Body.String()
	if got := strings.Count(body, `scope="row"`); got != 2 || follow(body) == next {
		t.Errorf("%d rows, next %q", got, follow(body))
	}
	if strings.Contains(get(t, h, "/console/logins?after=100").Body.String(), "data-follow") {
		t.Error("an older page follows")
	}
	if w := get(t, h, "/console/logins?since=yesterday"); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "That is no time.") {
		t.Errorf("got %d", w.Code)
	}
}
