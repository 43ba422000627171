package password

import (
	"context"
	"testing"

	"github.com/soapward/soapward/directory"
)

// fakeNT is the hash of a password, for tests.
func fakeNT(pw string) directory.NTHash {
	return directory.NewNTHash([]byte((pw + "................")[:16]))
}

// The NT hash comes and goes with the password, and never stays behind when that
// changes.
func TestNTHash(t *testing.T) {
	t.Parallel()
	us := newUsers()
	cheap := Params{Memory: 8 << 10, Time: 1}
	with := &Internal{Users: us, Hasher: Hasher{Params: cheap}, NTHash: fakeNT}
	without := &Internal{Users: us, Hasher: Hasher{Params: cheap}}
	us.add(directory.User{Name: "carol"})
	kept := func() string {
		t.Helper()
		u, err := us.User(context.Background(), "carol")
		if err != nil {
			t.Fatal(err)
		}
		return string(u.NTHash.Hash())
	}
	set := func(in *Internal, pw string) {
		t.Helper()
		u, err := us.User(t.Context(), "carol")
		if err == nil {
			err = in.SetPassword(t.Context(), u, pw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"set where none is kept", func() { set(without, "first long password") }, ""},
		{"a wrong password makes none", func() { _, _ = with.VerifyPassword(t.Context(), "carol", "another long password") }, ""},
		{"made at the next login", func() { _, _ = with.VerifyPassword(t.Context(), "carol", "first long password") }, "first long passw"},
		{"set where one is kept", func() { set(with, "second long password") }, "second long pass"},
		{"a login elsewhere leaves it", func() { _, _ = without.VerifyPassword(t.Context(), "carol", "second long password") }, "second long pass"},
		{"the old one does not outlive its password", func() { set(without, "third long password") }, ""},
	} {
		if tt.do(); kept() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, kept(), tt.want)
		}
	}
}
