package computer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

var gw01 = Account{Name: "GW01", Domain: "corp.test"}

// fakeDomain is a domain controller with one account.
type fakeDomain struct {
	inForce   string
	also      string // the password before, which some controllers take for a while
	down      bool
	loseCall  bool // the next SetPassword does not arrive
	loseReply bool // the answer to the next one is lost
	refuse    bool
	calls     []string
}

var errLost = errors.New("connection reset")

func (d *fakeDomain) Probe(_ context.Context, p authn.Secret) error {
	d.calls = append(d.calls, "probe")
	switch {
	case d.down:
		return errLost
	case p.Reveal() == d.inForce, d.also != "" && p.Reveal() == d.also:
		return nil
	}
	return fmt.Errorf("%w: status 0xC0000022", ErrRefused)
}

func (d *fakeDomain) SetPassword(ctx context.Context, current, next authn.Secret) error {
	if err := d.Probe(ctx, current); err != nil {
		return err
	}
	d.calls = append(d.calls, "set")
	switch {
	case d.loseCall:
		d.loseCall = false
		return errLost
	case d.refuse:
		return errors.New("the password does not please")
	}
	d.inForce = next.Reveal()
	if d.loseReply {
		d.loseReply = false
		return errLost
	}
	return nil
}

// newFile writes a password file.
func newFile(t *testing.T, password string) SecretFile {
	t.Helper()
	f := SecretFile(filepath.Join(t.TempDir(), "gw01.secret"))
	if err := f.write(string(f), authn.NewSecret(password)); err != nil {
		t.Fatal(err)
	}
	return f
}

func reveal(t *testing.T, f SecretFile) []string {
	t.Helper()
	all, err := f.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range all {
		out = append(out, s.Reveal())
	}
	return out
}

// usable fails the test unless a program that reads the file can log in.
func usable(t *testing.T, f SecretFile, d *fakeDomain) {
	t.Helper()
	if all := reveal(t, f); !slices.Contains(all, d.inForce) {
		t.Fatalf("the account is lost: %q is in force, and %s has %q", d.inForce, f, all)
	}
	if _, err := os.Stat(string(f)); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, f SecretFile) []string {
	t.Helper()
	all, err := filepath.Glob(string(f) + "*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	return all
}

func TestRotate(t *testing.T) {
	t.Parallel()
	f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
	var prepared []string
	r := Rotation{Account: gw01, File: f, Channel: d, Prepare: func(_ context.Context, current, next authn.Secret) error {
		prepared = append(prepared, current.Reveal(), next.Reveal())
		if d.inForce != current.Reveal() || !slices.Contains(reveal(t, f), next.Reveal()) {
			t.Error("the controller was told before, or the password is not on the disk")
		}
		return nil
	}}
	out, err := r.Run(t.Context())
	if err != nil || !out.Changed || out.Resumed || out.Password.Reveal() != d.inForce || d.inForce == "first" {
		t.Fatalf("%+v, %v, in force %q", out, err, d.inForce)
	}
	if !slices.Equal(prepared, []string{"first", d.inForce}) {
		t.Errorf("prepared for %q", prepared)
	}
	if got := reveal(t, f); !slices.Equal(got, []string{d.inForce, "first"}) {
		t.Errorf("secrets %q", got)
	}
	if got := names(t, f); !slices.Equal(got, []string{"gw01.secret", "gw01.secret.lock", "gw01.secret.old"}) {
		t.Errorf("files %q", got)
	}
	second := d.inForce
	if out, err = r.Run(t.Context()); err != nil || !out.Changed || d.inForce == second {
		t.Errorf("again: %+v, %v", out, err)
	}
	if got := reveal(t, f); !slices.Equal(got, []string{d.inForce, second}) {
		t.Errorf("secrets %q", got)
	}
}

// steps are those of a rotation between which a process may die.
var steps = []string{"made", "prepared", "sent", "told", "kept", "adopted"}

var errKilled = errors.New("killed")

// killed runs a rotation that dies at a step.
func killed(t *testing.T, f SecretFile, d *fakeDomain, at string) {
	t.Helper()
	r := Rotation{Account: gw01, File: f, Channel: d, testOnlyStep: func(step string) error {
		if step == at {
			return errKilled
		}
		return nil
	}}
	if _, err := r.Run(t.Context()); !errors.Is(err, errKilled) {
		// A resumed run has less to do.
		if err != nil || !slices.Contains([]string{"prepared", "sent"}, at) {
			t.Fatalf("at %q: %v", at, err)
		}
	}
	usable(t, f, d)
}

// TestRotationKilled kills the process between any two steps, twice in a
// row, with and without the controller's taking the old password on: the
// account works at any time, and the next run finishes.
func TestRotationKilled(t *testing.T) {
	t.Parallel()
	for _, first := range steps {
		for _, second := range append([]string{""}, steps...) {
			for _, lenient := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s %v", first, second, lenient), func(t *testing.T) {
					t.Parallel()
					f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
					if lenient {
						d.also = "first"
					}
					killed(t, f, d, first)
					if second != "" {
						killed(t, f, d, second)
					}
					out, err := (&Rotation{Account: gw01, File: f, Channel: d}).Run(t.Context())
					if err != nil || !out.Changed || out.Password.Reveal() != d.inForce {
						t.Fatalf("%+v, %v", out, err)
					}
					usable(t, f, d)
					if got := reveal(t, f)[0]; got != d.inForce {
						t.Errorf("the file has %q, in force is %q", got, d.inForce)
					}
					if slices.Contains(names(t, f), "gw01.secret.new") {
						t.Error("a password that is pending is left")
					}
				})
			}
		}
	}
}

// An answer that is lost tells nothing; the controller is asked.
func TestRotateLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		d       fakeDomain
		changed bool
	}{
		{"call", fakeDomain{loseCall: true}, false},
		{"answer", fakeDomain{loseReply: true}, true},
		{"refused", fakeDomain{refuse: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, d := newFile(t, "first"), &tt.d
			d.inForce = "first"
			r := &Rotation{Account: gw01, File: f, Channel: d}
			out, err := r.Run(t.Context())
			if out.Changed != tt.changed || (err == nil) != tt.changed {
				t.Errorf("%+v, %v", out, err)
			}
			usable(t, f, d)
			pending := slices.Clone(reveal(t, f))
			d.refuse = false
			if tt.changed {
				return
			}
			if out, err := r.Run(t.Context()); err != nil || !out.Resumed || !slices.Contains(pending, d.inForce) {
				t.Errorf("again: %+v, %v: a pending password must not be given up for another", out, err)
			}
		})
	}
}

// A controller that does not answer, and one that knows none of the passwords.
func TestRotateRefused(t *testing.T) {
	t.Parallel()
	f, d := newFile(t, "first"), &fakeDomain{inForce: "first", down: true}
	r := &Rotation{Account: gw01, File: f, Channel: d}
	if _, err := r.Run(t.Context()); !errors.Is(err, errLost) || errors.Is(err, ErrRefused) {
		t.Errorf("down: %v", err)
	}
	d.down = false
	usable(t, f, d)
	d.inForce = "something else"
	if _, err := r.Run(t.Context()); !errors.Is(err, ErrRefused) || slices.Contains(d.calls, "set") {
		t.Errorf("another password: %v, calls %v", err, d.calls)
	}
	// A restored domain has the password before.
	d.inForce = "older"
	if err := f.write(f.previous(), authn.NewSecret("older")); err != nil {
		t.Fatal(err)
	}
	if out, err := r.Run(t.Context()); err != nil || out.Password.Reveal() != d.inForce {
		t.Errorf("the password before: %+v, %v", out, err)
	}
}

func TestRotateWhenDue(t *testing.T) {
	t.Parallel()
	f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
	made, err := f.Changed()
	if err != nil {
		t.Fatal(err)
	}
	now := made
	r := &Rotation{Account: gw01, File: f, Channel: d, MaxAge: DefaultMaxAge, testOnlyNow: func() time.Time { return now }}
	for _, tt := range []struct {
		age     time.Duration
		changed bool
	}{{0, false}, {DefaultMaxAge - time.Second, false}, {DefaultMaxAge, true}} {
		now = made.Add(tt.age)
		out, err := r.Run(t.Context())
		if err != nil || out.Changed != tt.changed {
			t.Errorf("%v: %+v, %v", tt.age, out, err)
		}
		if !tt.changed && (!out.Due.Equal(made.Add(DefaultMaxAge)) || len(d.calls) > 0) {
			t.Errorf("%v: due %v, calls %v", tt.age, out.Due, d.calls)
		}
	}
	// What was begun is finished, due or not.
	now = made
	killed(t, f, d, "sent")
	if out, err := r.Run(t.Context()); err != nil || !out.Resumed {
		t.Errorf("begun: %+v, %v", out, err)
	}
}

// A clock that was years ahead when the password was made, by mistake or because
// somebody told it so, does not keep the password in force until then.
func TestAttackClockAhead(t *testing.T) {
	t.Parallel()
	for ahead, changed := range map[time.Duration]bool{time.Hour: false, 48 * time.Hour: true, 5 * 365 * 24 * time.Hour: true} {
		f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
		future := time.Now().Add(ahead)
		if err := os.Chtimes(string(f), future, future); err != nil {
			t.Fatal(err)
		}
		out, err := (&Rotation{Account: gw01, File: f, Channel: d, MaxAge: DefaultMaxAge}).Run(t.Context())
		if err != nil || out.Changed != changed || out.Due.After(time.Now().Add(DefaultMaxAge+2*time.Hour)) {
			t.Errorf("%v ahead: %+v, %v; want changed: %v", ahead, out, err, changed)
		}
	}
}

func TestRotateAlone(t *testing.T) {
	t.Parallel()
	f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
	r := &Rotation{Account: gw01, File: f, Channel: d}
	var inner error
	r.Prepare = func(ctx context.Context, _, _ authn.Secret) error {
		_, inner = (&Rotation{Account: gw01, File: f, Channel: d}).Run(ctx)
		return nil
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if inner == nil {
		t.Error("two rotations at the same time")
	}
	if _, err := (&Rotation{Account: gw01, File: "/nonexistent/x", Channel: d}).Run(t.Context()); err == nil {
		t.Error("no directory")
	}
	empty := SecretFile(filepath.Join(t.TempDir(), "x"))
	if _, err := (&Rotation{Account: gw01, File: empty, Channel: d}).Run(t.Context()); !errors.Is(err, ErrNoSecret) {
		t.Errorf("no file: %v", err)
	}
}
