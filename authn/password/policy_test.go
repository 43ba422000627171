package password

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/soapward/soapward/directory"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	alice := &directory.User{Name: `CORP\alice.smith`, UPN: "asmith@corp.test", Email: "Alice.Smith@corp.test", DisplayName: "Alice Wonderland-Smith"}
	for _, tt := range []struct {
		name     string
		p        Policy
		password string
		want     Problem // empty: fine
	}{
		{"words", Policy{}, "violet tractor lagoon", ""},
		{"twelve", Policy{}, "g7#kPw2!xQ9m", ""},
		{"eleven", Policy{}, "g7#kPw2!xQ9", TooShort},
		{"eleven that are more bytes", Policy{}, "grünüñçøðæß", TooShort},
		{"twelve letters of other scripts", Policy{}, "слонвечерлуж", ""},
		{"letters that compose", Policy{}, "u\u0308o\u0308a\u0308e\u0308i\u0308y\u0308", TooShort},
		{"empty", Policy{}, "", TooShort},
		{"own minimum", Policy{MinLength: 16}, "g7#kPw2!xQ9mabc", TooShort},
		{"own smaller minimum", Policy{MinLength: 6}, "g7#kPw", ""},
		{"longest", Policy{}, strings.Repeat("g7#kPw2!xQ9mabcd", maxPassword/16), ""},
		{"too long", Policy{}, strings.Repeat("g7#kPw2!xQ9mabcd", maxPassword/16) + "x", TooLong},
		{"line break", Policy{}, "violet tractor\nlagoon", NotAllowed},
		{"not UTF-8", Policy{}, "violet tractor \xff lagoon", NotAllowed},
		{"account", Policy{}, "alice.smith1", IsName},
		{"account in capitals", Policy{}, "2026ALICE.SMITH!", IsName},
		{"name with domain", Policy{MinLength: 8}, `corp\alice.smith`, IsName},
		{"part of the display name", Policy{}, "Wonderland-Smith!", IsName},
		{"account of the UPN", Policy{MinLength: 8}, "asmith2026", IsName},
		{"name and much more", Policy{}, "alice.smith keeps a violet tractor", ""},
		{"common with digits", Policy{}, "Password1234", IsCommon},
		{"common with digits in order", Policy{}, "iloveyou123456789", IsCommon},
		{"common with letters replaced", Policy{}, "P@$$w0rd2026!", IsCommon},
		{"common repeated", Policy{}, "adminadminadmin", IsCommon},
		{"common in German", Policy{}, "!Sonnenschein1", IsCommon},
		{"common as it is", Policy{}, "correcthorsebatterystaple", IsCommon},
		{"digits in order", Policy{}, "123456789012", IsCommon},
		{"digits backwards", Policy{}, "987654321098", IsCommon},
		{"row of the keyboard", Policy{MinLength: 8}, "poiuytrewq", IsCommon},
		{"one character", Policy{}, "aaaaaaaaaaaaaaaa", IsCommon},
		{"three characters", Policy{}, "abcabcabcabc", IsCommon},
		{"allowed by a test", Policy{AllowCommon: true}, "Password1234", ""},
		{"common within", Policy{}, "summer rain on tin", ""},
		{"few letters", Policy{}, "83x92@!7361#9", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.p.Check(alice, tt.password)
			var got *PolicyError
			if err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			if problem := problemOf(got); problem != tt.want {
				t.Errorf("%q: %q, want %q", tt.password, problem, tt.want)
			}
			if got != nil && (!strings.HasPrefix(got.Text(), "The password ") || strings.Contains(got.Text()+got.Error(), tt.password) && tt.password != "") {
				t.Errorf("text %q, error %q", got.Text(), got.Error())
			}
		})
	}
}

func problemOf(e *PolicyError) Problem {
	if e == nil {
		return ""
	}
	return e.Problem
}

// TestCommonWords: the list is as isCommon looks things up, and no password of
// the least length passes because of how it is written there.
func TestCommonWords(t *testing.T) {
	t.Parallel()
	words := commonWords()
	if len(words) < 250 {
		t.Errorf("%d words", len(words))
	}
	for w := range words {
		if w != directory.FoldName(w) || utf8.RuneCountInString(w) < 3 || strings.ContainsAny(w, " \t") {
			t.Errorf("%q is not folded, or too short", w)
		}
		if !isCommon(w) || !isCommon(w+"1!") {
			t.Errorf("%q passes", w)
		}
	}
}
