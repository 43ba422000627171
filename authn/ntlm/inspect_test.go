package ntlm

import (
	"errors"
	"slices"
	"testing"
)

// A message that is cut short shows what is left of it, wherever the cut is,
// and names what is missing.
func TestInspectCut(t *testing.T) {
	t.Parallel()
	whole := unhex(t, specAuthenticate)
	if n := Extent(whole); n != len(whole) {
		t.Errorf("Extent is %d, want %d", n, len(whole))
	}
	for n := range whole {
		m, err := InspectAuthenticate(whole[:n])
		var cut *CutError
		switch {
		case n < authenticateShort:
			if m != nil || err == nil {
				t.Fatalf("%d bytes: %+v, %v", n, m, err)
			}
			continue
		case m == nil || !errors.As(err, &cut):
			t.Fatalf("%d bytes: %+v, %v", n, m, err)
		}
		if e := Extent(whole[:n]); e != len(whole) {
			t.Errorf("%d bytes: Extent is %d, want %d", n, e, len(whole))
		}
		// Domain, user and workstation come first (MS-NLMP 4.2.4.3).
		if got, want := m.User, map[bool]string{true: "User"}[n >= 92]; got != want {
			t.Errorf("%d bytes: user %q, want %q", n, got, want)
		}
		missing := slices.ContainsFunc(cut.Fields, func(f CutField) bool { return f.Name == fieldNT && f.Size == 84 })
		if want := n < 216; missing != want {
			t.Errorf("%d bytes: response missing is %v, want %v", n, missing, want)
		}
		if _, err := ParseAuthenticate(whole[:n]); err == nil {
			t.Errorf("ParseAuthenticate accepts the first %d bytes", n)
		}
	}
	c, err := InspectChallenge(unhex(t, specChallenge)[:90])
	var cut *CutError
	if !errors.As(err, &cut) || c.TargetName != "Server" || len(c.TargetInfo) != 1 || c.TargetInfo.Text(AVDomain) != "Domain" {
		t.Errorf("%+v, %v", c, err)
	}
	r, err := InspectResponse(whole[132:195])
	if err == nil || len(r.Pairs) != 1 || r.ClientChallenge != specClientChallenge {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := InspectResponse(whole[132:150]); err == nil || r != nil {
		t.Errorf("%+v, %v", r, err)
	}
}
