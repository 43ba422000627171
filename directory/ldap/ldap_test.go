package ldap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/soapward/soapward/authn"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, address string
		startTLS     bool
	}{
		{"ldaps://dc1.corp.test", "dc1.corp.test:636", false},
		{"ldaps://dc1.corp.test:3269/", "dc1.corp.test:3269", false},
		{"ldap://[::1]", "[::1]:389", true},
		{"ldaps://", "", false},
		{"dc1.corp.test", "", false},
		{"http://dc1.corp.test", "", false},
		{"ldapi:///tmp/socket", "", false},
		{"ldaps://u:p@dc1.corp.test", "", false},
		{"ldaps://dc1.corp.test/DC=corp", "", false},
		{"ldaps://dc1.corp.test?x", "", false},
	} {
		got, err := parseURL(tt.url)
		if (err == nil) != (tt.address != "") || got.address != tt.address || got.startTLS != tt.startTLS {
			t.Errorf("%s: %+v, %v, want %s", tt.url, got, err, tt.address)
		}
	}
}

// What Active Directory adds to a refused login is its cause (MS-ERREF 2.2).
func TestBindRefused(t *testing.T) {
	t.Parallel()
	const ad = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data %s, v1db1"
	for _, tt := range []struct {
		code   int64
		text   string
		reason authn.Reason // empty: no refusal of the login
	}{
		{49, fmt.Sprintf(ad, "52e"), authn.ReasonWrongPassword},
		{49, fmt.Sprintf(ad, "525"), authn.ReasonUnknownUser},
		{49, fmt.Sprintf(ad, "533"), authn.ReasonDisabled},
		{49, fmt.Sprintf(ad, "775"), authn.ReasonLockedOut},
		{49, "", authn.ReasonWrongPassword}, // not Active Directory
		{8, "BindSimple: Transport encryption required.", ""},
		{51, "busy", ""},
	} {
		s := listen(t, true, answer(func(id int64, _ ber.Tag) []byte { return result(id, 1, tt.code, tt.text) }))
		err := dial(t, s).Bind(t.Context(), "alice", authn.NewSecret(marked))
		var r *authn.RefusedError
		if errors.As(err, &r) != (tt.reason != "") || r != nil && r.Reason != tt.reason {
			t.Errorf("%d %q: %v, want %q", tt.code, tt.text, err, tt.reason)
		}
		if err == nil || strings.Contains(err.Error(), marked) {
			t.Errorf("%d %q: error %v", tt.code, tt.text, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	all := []error{ErrNotFound, ErrExists, ErrDenied, ErrUnwilling, ErrTooMany}
	for code, want := range map[int]error{32: ErrNotFound, 68: ErrExists, 50: ErrDenied, 53: ErrUnwilling, 19: ErrUnwilling, 4: ErrTooMany, 80: nil} {
		for _, target := range all {
			if got := errors.Is(&Error{Code: code}, target); got != (target == want) {
				t.Errorf("%d is %v: %v", code, target, got)
			}
		}
	}
	if got := (&Error{Detail: "0000216D: SvcErr: DSID-031A1236, problem 5003"}).Status(); got != 0x216D {
		t.Errorf("status %#x", got)
	}
	if got := (&Error{Detail: "acl: unable to get access"}).Status(); got != 0 {
		t.Errorf("status %#x of none", got)
	}
}

// A request ends with its context, and the connection with it.
func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := listen(t, true, answer(func(int64, ber.Tag) []byte { cancel(); return nil }))
	c := dial(t, s)
	if _, err := c.Search(ctx, Search{Base: "DC=corp"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	if err := c.Delete(t.Context(), "CN=a"); err == nil {
		t.Error("the connection is used on")
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func TestEntry(t *testing.T) {
	t.Parallel()
	e := NewEntry("CN=a", Attribute{"servicePrincipalName", []string{"HTTP/a", "HTTP/b"}})
	if got := e.Values("SERVICEprincipalname"); !slices.Equal(got, []string{"HTTP/a", "HTTP/b"}) {
		t.Errorf("values %v", got)
	}
	if e.Value("servicePrincipalName") != "HTTP/a" || e.Value("cn") != "" || e.Values("cn") != nil {
		t.Errorf("entry %+v", e)
	}
}

func TestDN(t *testing.T) {
	t.Parallel()
	for dn, ok := range map[string]bool{"OU=a,DC=corp,DC=test": true, "": false, "OU=a,": false, "corp.test": false, "OU=a;DC=b": true, `OU=a\`: false} {
		if err := CheckDN(dn); (err == nil) != ok {
			t.Errorf("CheckDN(%q) = %v, want ok %v", dn, err, ok)
		}
	}
	for _, tt := range []struct {
		dn, ancestor string
		want         bool
	}{
		{"OU=a,DC=corp,DC=test", "dc=CORP, dc=test", true},
		{"DC=corp,DC=test", "DC=corp,DC=test", true},
		{"OU=a,DC=other,DC=test", "DC=corp,DC=test", false},
		{"OU=aDC=corp,DC=test", "DC=corp,DC=test", false},
		{"nonsense", "DC=test", false},
	} {
		if got := IsUnder(tt.dn, tt.ancestor); got != tt.want {
			t.Errorf("IsUnder(%q, %q) = %v", tt.dn, tt.ancestor, got)
		}
	}
}

// A value may be a password.
func TestAttributeIsRedacted(t *testing.T) {
	t.Parallel()
	a := Attribute{"unicodePwd", []string{marked}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, a); strings.Contains(s, marked) {
			t.Errorf("%s: %s", verb, s)
		}
		if s := fmt.Sprintf(verb, Replace("unicodePwd", marked)); strings.Contains(s, marked) {
			t.Errorf("change, %s: %s", verb, s)
		}
		if s := fmt.Sprintf(verb, []Attribute{a}); strings.Contains(s, marked) {
			t.Errorf("list, %s: %s", verb, s)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("add", "attribute", a)
	slog.New(slog.NewTextHandler(&log, nil)).Info("add", "attribute", a)
	if s := log.String(); strings.Contains(s, marked) || strings.Count(s, "unicodePwd") != 2 {
		t.Errorf("log: %s", s)
	}
}
