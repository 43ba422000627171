package password

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/directory"
)

// defaultMinLength is in characters.
const defaultMinLength = 12

// enough is how many characters a password must have besides a name.
const enough = 8

// Policy is what new passwords must be like. It asks for no kinds of characters,
// which make passwords that people write down (NIST SP 800-63B 3.1.1.2). The
// zero value is the default.
type Policy struct {
	// MinLength is in characters. Zero means 12.
	MinLength int

	// AllowCommon takes passwords that are among the first that are guessed. It
	// is for tests.
	AllowCommon bool
}

// Problem is what is wrong with a new password.
type Problem string

// Problems of a PolicyError.
const (
	TooShort   Problem = "too-short"
	TooLong    Problem = "too-long"
	NotAllowed Problem = "not-allowed" // characters
	IsName     Problem = "is-name"
	IsCommon   Problem = "is-common"
)

// A PolicyError says why a new password is refused. Its text is for people.
type PolicyError struct {
	Problem Problem
	Limit   int // of TooShort in characters, of TooLong in bytes
}

func (e *PolicyError) Error() string { return "password: new password refused: " + string(e.Problem) }

// Text says what to do.
func (e *PolicyError) Text() string {
	switch e.Problem {
	case TooShort:
		return fmt.Sprintf("The password is too short. Use at least %d characters, such as several words.", e.Limit)
	case TooLong:
		return fmt.Sprintf("The password is too long. Use at most %d bytes.", e.Limit)
	case NotAllowed:
		return "The password has characters that cannot be used, such as tabs or line breaks. Leave them out."
	case IsName:
		return "The password is too much like the user's name. Choose another one."
	}
	return "The password is one of the first that are guessed. Choose another one, such as several words that do not belong together."
}

// Check returns a *PolicyError if u must not have the password.
func (p Policy) Check(u *directory.User, password string) error {
	least := p.MinLength
	if least <= 0 {
		least = defaultMinLength
	}
	if len(password) > maxPassword {
		return &PolicyError{Problem: TooLong, Limit: maxPassword}
	}
	prepared, err := prepare(password)
	switch {
	case password == "" || err == nil && utf8.RuneCountInString(prepared) < least:
		return &PolicyError{Problem: TooShort, Limit: least}
	case err != nil:
		return &PolicyError{Problem: NotAllowed}
	}
	folded := directory.FoldName(prepared)
	switch {
	case likeName(folded, u):
		return &PolicyError{Problem: IsName}
	case !p.AllowCommon && isCommon(folded):
		return &PolicyError{Problem: IsCommon}
	}
	return nil
}

// likeName reports whether little is left of a password without a name.
func likeName(folded string, u *directory.User) bool {
	_, account := u.Account()
	upn, _, _ := strings.Cut(u.UPN, "@")
	mail, _, _ := strings.Cut(u.Email, "@")
	names := append(strings.FieldsFunc(u.DisplayName, unicode.IsSpace), u.Name, account, upn, mail, u.DisplayName)
	for _, name := range names {
		name = directory.FoldName(name)
		if utf8.RuneCountInString(name) < 3 {
			continue
		}
		if left := strings.ReplaceAll(folded, name, ""); left != folded && utf8.RuneCountInString(left) < enough {
			return true
		}
	}
	return false
}

//go:embed common.txt
var commonText string

var commonWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for w := range strings.Lines(commonText) {
		words[strings.TrimSpace(w)] = true
	}
	return words
})

// leet are the replacements that guessing programs try first.
var leet = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "5", "s", "$", "s", "7", "t")

// isCommon reports whether a folded password is a word of the list, with few
// digits and signs around it, letters replaced, or repeated; or a run of
// characters.
func isCommon(folded string) bool {
	if utf8.RuneCountInString(unit(folded)) <= 3 || isRun(folded) {
		return true
	}
	candidates := []string{folded}
	core := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	if around := strings.Replace(folded, core, "", 1); len(core) > 3 && (len(around) < enough || isRun(around)) {
		candidates = append(candidates, core)
	}
	words := commonWords()
	for w := range words { // those that are not letters alone, such as 1q2w3e4r
		if around := strings.Replace(folded, w, "", 1); strings.ContainsAny(w, "0123456789") && around != folded && len(around) < enough {
			return true
		}
	}
	for _, c := range candidates {
		for _, word := range []string{c, unit(c), leet.Replace(c), unit(leet.Replace(c))} {
			if words[word] {
				return true
			}
		}
	}
	return false
}

// unit returns what s is a repetition of, s if of nothing shorter.
func unit(s string) string {
	if i := strings.Index((s + s)[1:], s); i >= 0 {
		return s[:i+1]
	}
	return s
}

// isRun reports whether s goes along the alphabet, the digits or a row of a
// keyboard, in either direction.
func isRun(s string) bool {
	const rows = "abcdefghijklmnopqrstuvwxyz qwertyuiop qwertzuiop azertyuiop asdfghjkl zxcvbnm 01234567890123456789"
	backward := []rune(s)
	for i, j := 0, len(backward)-1; i < j; i, j = i+1, j-1 {
		backward[i], backward[j] = backward[j], backward[i]
	}
	return strings.Contains(rows, s) || strings.Contains(rows, string(backward))
}
