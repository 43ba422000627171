package netlogon

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"unicode/utf16"

	"github.com/oiweiwei/go-msrpc/msrpc/dtyp"
	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

func TestSID(t *testing.T) {
	t.Parallel()
	for _, text := range []authn.SID{
		"S-1-0", "S-1-5-32-544", "S-1-5-21-4294967295-1-0-513", "S-1-18-1", "S-1-0x123456789ABC-7",
		"S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
	} {
		sid, err := parseSID(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := sidString(sid); got != string(text) {
			t.Errorf("%s came back as %s", text, got)
		}
	}
	for _, text := range []authn.SID{
		"", "S", "S-1", "S-2-5", "s-1-5", "S-1-5-", "S-1-5-x", "S-1-5-4294967296", "S-1-281474976710656",
		"S-1--5", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", `CORP\Payroll`,
	} {
		if sid, err := parseSID(text); err == nil {
			t.Errorf("%q is taken as %v", text, sidString(sid))
		}
	}
	for _, sid := range []*dtyp.SID{nil, {}, {IDAuthority: &dtyp.SIDIDAuthority{Value: []byte{1}}}} {
		if got := sidString(sid); got != "" {
			t.Errorf("%v is %q", sid, got)
		}
	}
}

func unicode(s string) *dtyp.UnicodeString { return &dtyp.UnicodeString{Buffer: s} }

func mustSID(t *testing.T, text authn.SID) *dtyp.SID {
	t.Helper()
	sid, err := parseSID(text)
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

// answer is what a controller says of alice.
func answer(t *testing.T) *logon.ValidationSAMInfo4 {
	return &logon.ValidationSAMInfo4{
		EffectiveName: unicode("alice"), LogonDomainName: unicode("CORP"), FullName: unicode("Alice Liddell"),
		UPN: unicode("alice@corp.test"), UserID: 1104, LogonDomainID: mustSID(t, "S-1-5-21-1-2-3"),
		GroupIDs: []*logon.GroupMembership{
			{RelativeID: 513, Attributes: 7}, {RelativeID: 2000, Attributes: 7}, {RelativeID: 513, Attributes: 7}, nil,
			{RelativeID: 2001, Attributes: 0x17}, // deny-only
			{RelativeID: 2002, Attributes: 0x3},  // not enabled
		},
		ExtraSIDs: []*logon.SIDAndAttributes{
			{SID: mustSID(t, "S-1-5-21-9-9-9-600"), Attributes: 7}, {SID: nil, Attributes: 7}, nil,
			{SID: mustSID(t, "S-1-5-21-9-9-9-601"), Attributes: 0x17},
		},
		UserSessionKey: &logon.UserSessionKey{Data: []*logon.CypherBlock{{Data: []byte("12345678")}, {Data: []byte("abcdefgh")}}},
	}
}

var attempt = &ntlm.Attempt{User: "ALICE", Domain: "evil"}

func TestIdentity(t *testing.T) {
	t.Parallel()
	id, key, err := (&validation{answer(t)}).identity(attempt)
	if err != nil {
		t.Fatal(err)
	}
	if id.String() != `CORP\alice` || id.SID != "S-1-5-21-1-2-3-1104" || id.UPN != "alice@corp.test" || id.DisplayName != "Alice Liddell" {
		t.Errorf("identity %+v", id)
	}
	want := []authn.Group{{SID: "S-1-5-21-1-2-3-513"}, {SID: "S-1-5-21-1-2-3-2000"}, {SID: "S-1-5-21-9-9-9-600"}}
	if !slices.Equal(id.Groups, want) {
		t.Errorf("groups %v, want %v", id.Groups, want)
	}
	if string(key[:]) != "12345678abcdefgh" {
		t.Error("another session key")
	}
}

// TestAttackGuest: a user that was let in as a guest did not prove a password.
func TestAttackGuest(t *testing.T) {
	t.Parallel()
	v := answer(t)
	v.UserFlags = 0x120 | userFlagGuest
	id, _, err := (&validation{v}).identity(attempt)
	if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("%v, %v; want a refusal", id, err)
	}
	// The account itself has no password by default.
	v = answer(t)
	v.UserID = ridGuest
	if id, _, err := (&validation{v}).identity(attempt); id != nil || !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("the guest account: %v, %v; want a refusal", id, err)
	}
}

// TestIdentityWithoutRID: the first of the other SIDs is the user's, and no group.
func TestIdentityWithoutRID(t *testing.T) {
	t.Parallel()
	v := answer(t)
	v.UserID = 0
	id, _, err := (&validation{v}).identity(attempt)
	if err != nil || id.SID != "S-1-5-21-9-9-9-600" || len(id.Groups) != 2 {
		t.Errorf("%v with groups %v, %v", id, id.Groups, err)
	}
}

// TestIdentityIncomplete: a controller that does not say who logged in.
func TestIdentityIncomplete(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*logon.ValidationSAMInfo4){
		"nothing":        func(v *logon.ValidationSAMInfo4) { *v = logon.ValidationSAMInfo4{} },
		"no name":        func(v *logon.ValidationSAMInfo4) { v.EffectiveName = nil },
		"no domain":      func(v *logon.ValidationSAMInfo4) { v.LogonDomainName = unicode("") },
		"no SID":         func(v *logon.ValidationSAMInfo4) { v.LogonDomainID = nil },
		"no RID":         func(v *logon.ValidationSAMInfo4) { v.UserID, v.ExtraSIDs = 0, nil },
		"no key":         func(v *logon.ValidationSAMInfo4) { v.UserSessionKey = nil },
		"half a key":     func(v *logon.ValidationSAMInfo4) { v.UserSessionKey.Data = v.UserSessionKey.Data[:1] },
		"nil in the key": func(v *logon.ValidationSAMInfo4) { v.UserSessionKey.Data[0] = nil },
	} {
		v := answer(t)
		change(v)
		if id, _, err := (&validation{v}).identity(attempt); id != nil || !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v, %v; want ErrUnavailable", name, id, err)
		}
	}
}

// TestLogonError: each status of ntlm's map has its reason, and what is no
// judgement is no refusal.
func TestLogonError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code   uint32
		reason authn.Reason // empty: not judged
	}{
		{0xC000006A, authn.ReasonWrongPassword}, {0xC0000064, authn.ReasonUnknownUser},
		{0xC0000072, authn.ReasonDisabled}, {0xC0000071, authn.ReasonPasswordExpired},
		{0xC0000224, authn.ReasonPasswordExpired}, {0xC0000234, authn.ReasonLockedOut},
		{0xC0000193, authn.ReasonAccountExpired}, {0xC000006F, authn.ReasonRestricted},
		{0xC0000070, authn.ReasonRestricted}, {0xC0000199, authn.ReasonRestricted},
		{0xC000006D, authn.ReasonWrongTarget}, {0xC0000418, authn.ReasonPolicy},
		{0xC00DEAD1, authn.ReasonPolicy},
		{0xC0000022, ""}, {0xC000018B, ""}, {0xC0000388, ""}, {0xC000005E, ""}, {0xC000018D, ""}, {0xC000009A, ""},
	} {
		status := logonStatus(tt.code)
		v := &Verifier{cfg: Config{Domain: "CORP"}}
		err := v.unanswered([]error{status})
		if answered(status) {
			err = status
		}
		err = logonError(err, attempt)
		var refused *authn.RefusedError
		switch {
		case tt.reason == "" && (!errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials)):
			t.Errorf("%v: %v, want ErrUnavailable", status, err)
		case tt.reason == "":
		case !errors.As(err, &refused) || refused.Reason != tt.reason || refused.User != `evil\ALICE`:
			t.Errorf("%v: %v, want reason %s", status, err, tt.reason)
		}
	}
}

// TestTrustPassword: the password is at the end of the buffer, its length
// behind it, and what is before it differs each time (MS-NRPC 2.2.1.3.7).
func TestTrustPassword(t *testing.T) {
	t.Parallel()
	const password = "pä\U0001F511"
	a, err := trustPassword(authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	n := int(binary.LittleEndian.Uint32(a[512:]))
	var units []uint16
	for i := 512 - n; i < 512; i += 2 {
		units = append(units, binary.LittleEndian.Uint16(a[i:]))
	}
	if got := string(utf16.Decode(units)); got != password {
		t.Errorf("%q in the buffer, want %q", got, password)
	}
	b, err := trustPassword(authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	if [64]byte(a[:64]) == [64]byte(b[:64]) {
		t.Error("the buffer is filled with the same bytes twice")
	}
}
