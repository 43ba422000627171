package form

import (
	"fmt"
	"reflect"
	"strings"
)

// Texts are the words of the page in one language. All must be set; New says
// which is not. A translation starts from English().
type Texts struct {
	Language    string // BCP 47: "en", "pt-BR"
	RightToLeft bool   // as Arabic and Hebrew are written

	SignIn   string // heading
	User     string // label of the user name
	Password string // label of the password
	Remember string // label of the box
	Submit   string // button
	Or       string // between the form and the link to Windows
	Windows  string // link
	With     string // link to an external provider, whose name is for %s

	Invalid        string // wrong in whatever way
	Blocked        string // too many tries, for some minutes
	BlockedMinutes string // the same, with a number of minutes for %d
	Unavailable    string // nobody could judge
	Expired        string // the form was not ours, too old, or without its cookie
	Insecure       string // plain HTTP
	WindowsFailed  string // integrated login did not work
	NotAdmitted    string // who was known elsewhere, and may not come in here
	SignedOut      string // after the end of a session

	SignOut   string // heading and button
	AskOut    string // question above that button
	StaySign  string // link back
	SignOutAt string // link to an external provider, whose name is for %s
	Reference string // before the reference of an error
}

// English returns the texts in English.
func English() Texts {
	return Texts{
		Language: "en",

		SignIn:   "Sign in",
		User:     "User name",
		Password: "Password",
		Remember: "Keep me logged in",
		Submit:   "Sign in",
		Or:       "or",
		Windows:  "Sign in with your Windows account",
		With:     "Sign in with %s",

		Invalid:        "Invalid username or password",
		Blocked:        "Too many failed login attempts. Please try again in a few minutes.",
		BlockedMinutes: "Too many failed login attempts. Please try again in %d minutes.",
		Unavailable:    "Your login cannot be checked at the moment. Please try again in a few minutes.",
		Expired:        "This page had expired. Please try again. If that does not help, allow cookies for this site.",
		Insecure:       "This page does not take passwords over http, where others can read them. Please open its address with https.",
		WindowsFailed:  "Your Windows account could not be used here. Please type your user name and password.",
		NotAdmitted:    "Your account could not be used here.",
		SignedOut:      "You are signed out.",

		SignOut:   "Sign out",
		AskOut:    "Do you want to sign out?",
		StaySign:  "Stay signed in",
		SignOutAt: "Sign out of %s too",
		Reference: "Reference",
	}
}

// German returns the texts in German.
func German() Texts {
	return Texts{
		Language: "de",

		SignIn:   "Anmelden",
		User:     "Benutzername",
		Password: "Kennwort",
		Remember: "Angemeldet bleiben",
		Submit:   "Anmelden",
		Or:       "oder",
		Windows:  "Mit dem Windows-Konto anmelden",
		With:     "Mit %s anmelden",

		Invalid:        "Benutzername oder Kennwort ist falsch",
		Blocked:        "Zu viele fehlgeschlagene Anmeldungen. Bitte versuchen Sie es in einigen Minuten noch einmal.",
		BlockedMinutes: "Zu viele fehlgeschlagene Anmeldungen. Bitte versuchen Sie es in %d Minuten noch einmal.",
		Unavailable:    "Ihre Anmeldung kann gerade nicht geprüft werden. Bitte versuchen Sie es in einigen Minuten noch einmal.",
		Expired:        "Diese Seite war abgelaufen. Bitte versuchen Sie es noch einmal. Hilft das nicht, erlauben Sie Cookies für diese Seite.",
		Insecure:       "Diese Seite nimmt Kennwörter nicht über http an, wo andere sie mitlesen können. Bitte öffnen Sie die Adresse mit https.",
		WindowsFailed:  "Ihr Windows-Konto konnte hier nicht verwendet werden. Bitte geben Sie Benutzername und Kennwort ein.",
		NotAdmitted:    "Ihr Konto konnte hier nicht verwendet werden.",
		SignedOut:      "Sie sind abgemeldet.",

		SignOut:   "Abmelden",
		AskOut:    "Möchten Sie sich abmelden?",
		StaySign:  "Angemeldet bleiben",
		SignOutAt: "Auch bei %s abmelden",
		Reference: "Vorgang",
	}
}

func (t Texts) check() error {
	v := reflect.ValueOf(t)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String && f.String() == "" {
			return fmt.Errorf("texts of language %q: %s is empty", t.Language, v.Type().Field(i).Name)
		}
	}
	if strings.Count(t.BlockedMinutes, "%") != 1 || !strings.Contains(t.BlockedMinutes, "%d") {
		return fmt.Errorf("texts of language %q: BlockedMinutes must have one %%d for the minutes", t.Language)
	}
	for _, s := range []string{t.With, t.SignOutAt} {
		if strings.Count(s, "%") != 1 || !strings.Contains(s, "%s") {
			return fmt.Errorf("texts of language %q: With and SignOutAt must have one %%s for the name", t.Language)
		}
	}
	return nil
}

// maxLanguages bounds how many wishes of a browser are looked at.
const maxLanguages = 20

// choose returns the texts that a browser wants most (RFC 9110 12.5.4, by lookup
// of RFC 4647 3.4), or the first.
func choose(all []Texts, accept []string) Texts {
	best, bestQ := all[0], 0.0
	n := 0
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			if n++; n > maxLanguages {
				return best
			}
			tag, params, _ := strings.Cut(part, ";")
			q := quality(params)
			if t, ok := lookup(all, strings.TrimSpace(tag)); ok && q > bestQ {
				best, bestQ = t, q
			}
		}
	}
	return best
}

// lookup finds a language by its tag, or by the tag cut at its last hyphen.
func lookup(all []Texts, tag string) (Texts, bool) {
	for tag != "" {
		for _, t := range all {
			if strings.EqualFold(t.Language, tag) {
				return t, true
			}
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			break
		}
		tag = tag[:i]
	}
	return Texts{}, false
}
