package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestFoldName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, a, b string }{
		{"case", `CORP\Alice`, `corp\aLICE`},
		{"space around", " alice\t", "alice"},
		{"beyond ASCII", "MÜLLER", "müller"},
		{"final sigma", "ΣΑΣ", "σας"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if a, b := FoldName(tt.a), FoldName(tt.b); a != b {
				t.Errorf("%q and %q fold to %q and %q, want the same", tt.a, tt.b, a, b)
			}
		})
	}
	if FoldName(`CORP\alice`) == FoldName("alice") {
		t.Error("a name with its domain folds to the one without")
	}
}

// Who may choose a name, as at many issuers of JWTs, wrote admın and was admin: no
// other letter is one of ASCII, whatever its capital is.
func TestAttackNameOfAnotherLetter(t *testing.T) {
	t.Parallel()
	for ascii, others := range map[string][]string{
		"admin": {"admın", "ADMİN", "admİn"},
		"smith": {"ſmith", "ſMITH"},
		"kate":  {"\u212aate", "\u212aATE"},
	} {
		for _, other := range others {
			if FoldName(other) == FoldName(ascii) {
				t.Errorf("%+q is %q", other, ascii)
			}
		}
	}
}

// A hash is enough to guess passwords without asking anybody.
func TestPasswordHashDoesNotPrint(t *testing.T) {
	t.Parallel()
	const secret = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"
	u := User{Name: "alice", Password: NewPasswordHash(secret)}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s\n", u, u, u, u.Password)
	slog.New(slog.NewTextHandler(&out, nil)).Info("user", slog.Any("user", u), slog.Any("hash", u.Password))
	if err := json.NewEncoder(&out).Encode(u); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "argon2id") {
		t.Errorf("the hash is in %s", out.String())
	}
	if u.Password.Reveal() != secret {
		t.Errorf("Reveal = %q", u.Password.Reveal())
	}
}

func TestSessionLive(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	s := Session{Created: start, Seen: start, Expires: start.Add(12 * time.Hour), Idle: 20 * time.Minute}
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"before the idle limit", 20*time.Minute - 1, true},
		{"at the idle limit", 20 * time.Minute, false},
	} {
		if got := s.Live(start.Add(tt.after)); got != tt.want {
			t.Errorf("%s: Live = %v, want %v", tt.name, got, tt.want)
		}
	}
	s.Idle = 0
	if !s.Live(s.Expires.Add(-1)) || s.Live(s.Expires) {
		t.Error("the absolute limit does not hold to the moment")
	}
}
