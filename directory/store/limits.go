package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/directory"
)

// Bounds of what is kept, in bytes.
const (
	maxName   = 512 // of a user
	maxText   = 1024
	maxDN     = 4096
	maxData   = 64 << 10 // of a session
	maxKey    = 512      // of failures and blocks
	maxNote   = 1 << 20
	maxGroups = 10_000 // of a user
	maxRoles  = 1000
	maxCodes  = 100 // recovery codes of a user

	// maxSearched is how much of a display name and an e-mail can be searched for: an
	// entry of an index has its bounds.
	maxSearched = 256
)

// checkText refuses what a database cannot keep, or should not.
func checkText(what, s string, most int) error {
	switch {
	case len(s) > most:
		return invalid("%s has %d bytes, at most %d may be", what, len(s), most)
	case !utf8.ValidString(s):
		return invalid("%s is not UTF-8", what)
	case strings.ContainsRune(s, 0):
		return invalid("%s has a NUL byte", what)
	}
	return nil
}

// checkName refuses what no user is called: each name stands in lines of logs
// and tables.
func checkName(name string) error {
	if err := checkText("name", name, maxName); err != nil {
		return err
	}
	if directory.FoldName(name) == "" {
		return invalid("name is empty")
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return invalid("name has a control character")
	}
	return nil
}

// CheckUser returns a directory.ErrInvalid for a user that CreateUser would
// refuse whatever the store has.
func CheckUser(u *directory.User) error {
	if err := checkUser(u); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func checkUser(u *directory.User) error {
	if err := checkName(u.Name); err != nil {
		return err
	}
	for _, f := range []struct {
		what, text string
		most       int
	}{
		{"realm", u.Realm, maxText},
		{"SID", string(u.SID), maxName},
		{"UPN", u.UPN, maxText},
		{"DN", u.DN, maxDN},
		{"display name", u.DisplayName, maxText},
		{"e-mail", u.Email, maxText},
		{"phone", u.Phone, maxText},
		{"password hash", u.Password.Reveal(), maxText},
		{"subject", u.Subject, maxText},
		{"second factor", u.SecondFactor.Reveal(), maxText},
	} {
		if err := checkText(f.what, f.text, f.most); err != nil {
			return err
		}
	}
	if !u.NTHash.IsEmpty() && u.NTHash.Hash() == nil {
		return invalid("an NT hash that is not 32 hexadecimal digits")
	}
	if u.State > directory.DisabledByDirectory {
		return invalid("state %d", u.State)
	}
	if len(u.Groups) > maxGroups || len(u.Roles) > maxRoles {
		return invalid("%d groups and %d roles, at most %d and %d may be", len(u.Groups), len(u.Roles), maxGroups, maxRoles)
	}
	if len(u.RecoveryCodes) > maxCodes {
		return invalid("%d recovery codes, at most %d may be", len(u.RecoveryCodes), maxCodes)
	}
	for _, code := range u.RecoveryCodes {
		if err := checkText("recovery code", code, maxName); err != nil {
			return err
		}
	}
	for _, g := range u.Groups {
		if g.SID == "" && g.Name == "" {
			return invalid("a group without SID and name")
		}
		if err := checkText("SID of a group", string(g.SID), maxName); err != nil {
			return err
		}
		if err := checkText("name of a group", g.Name, maxText); err != nil {
			return err
		}
	}
	for _, r := range u.Roles {
		if r == "" {
			return invalid("a role without name")
		}
		if err := checkText("role", r, maxName); err != nil {
			return err
		}
	}
	return nil
}

// keyText is a key of failures and blocks as it is kept. Parts of keys come from
// clients: one that is too long or no text counts as well, by its hash.
func keyText(key string) string {
	if checkText("key", key, maxKey) == nil {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return clean(key, 64) + " ... (SHA-256 " + hex.EncodeToString(sum[:]) + ")"
}

// clean is a text of a client cut to at most so many bytes, without what cannot
// be kept. It is for records, which must be written whatever the client sent.
func clean(s string, most int) string {
	if len(s) > most {
		s = s[:most]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) { // the rest of a character
			s = s[:len(s)-1]
		}
		if r, _ := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && len(s) > 0 {
			s = s[:len(s)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
