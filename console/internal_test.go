package console

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestHarmless(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "alice": "alice", `CORP\alice`: `CORP\alice`, "10.9.1.2": "10.9.1.2", "a=b": "a=b", "2001:db8::1": "2001:db8::1",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "|x": "'|x", "%x": "'%x", "＝1": "'＝1",
		"\t=1": "'\t=1", " =1": "' =1", "\r\n=1": "'\r\n=1", "\u00a0=1": "'\u00a0=1", "\ufeff=1": "'\ufeff=1", "\x00=1": "'\x00=1", " x": "' x", "  ": "  ",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestChangedFields(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ before, after, want string }{
		{`{"a":1,"b":"x"}`, `{"a":1,"b":"y"}`, "[{b x y}]"},
		{`{"a":["x","y"]}`, `{"a":[]}`, "[{a x, y }]"},
		{``, `{"n":{"k": [1]},"b":true}`, `[{b  true} {n  {"k":[1]}}]`},
		{`{"a":1}`, `null`, "[{a 1 }]"},
		{`[1]`, `{"a":1}`, "[]"},
		{`{`, `{}`, "[]"},
		{``, ``, "[]"},
	} {
		if got := fmt.Sprint(changedFields(json.RawMessage(tt.before), json.RawMessage(tt.after))); got != tt.want {
			t.Errorf("%s to %s: got %s, want %s", tt.before, tt.after, got, tt.want)
		}
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "the name is taken": "The name is taken.", "What now?": "What now?", `"x" is wrong`: `"x" is wrong.`, "Done.": "Done.", "øre": "øre.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestValueOfDifference: a change of the configuration is told in lines, which were
// JSON, one of 700 pixels on a telephone.
func TestValueOfDifference(t *testing.T) {
	t.Parallel()
	got := value([]byte(`[{"path":"/etc/gw.yaml","lines":["- a: 1","+ a: 2"]},{"path":"/etc/more.yaml","lines":["+ b"]}]`))
	if want := "/etc/gw.yaml\n- a: 1\n+ a: 2\n/etc/more.yaml\n+ b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := value([]byte(`[{"other":1}]`)); got != `[{"other":1}]` {
		t.Errorf("%q", got)
	}
}

// TestMechanismColours: administrators' logins by password and by a token had the
// colour of all that is unknown.
func TestMechanismColours(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, m := range []string{"Kerberos", "NTLM", "form", "oidc", "local", "token", "custom"} {
		c := mechanismClass(m)
		if seen[c] != "" {
			t.Errorf("%s and %s have the same colour", m, seen[c])
		}
		seen[c] = m
	}
}
