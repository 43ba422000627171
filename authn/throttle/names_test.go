package throttle

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"
)

// TestAttackSpellings: however a user is spelled, it is the same count.
func TestAttackSpellings(t *testing.T) {
	t.Parallel()
	n := Names{Domains: [][]string{{"CORP", "corp.test"}, {"SALES", "sales.corp.test"}}}
	for _, tt := range []struct {
		name      string
		want      string
		spellings []string
	}{
		{"case, space and domain", `corp\alice`, []string{
			"alice", "ALICE", " alice\t", `CORP\alice`, `corp\Alice`, `CORP \ alice`, "alice@corp.test", "Alice@CORP.TEST", "alice@corp.test.",
			"alice@corp", `corp.test\alice`, `.\alice`, `\alice`, "alice@", `CORP\alice@corp.test`,
		}},
		{"diacritics", `corp\bjorn`, []string{"bjorn", "björn", "bjørn", "BJÖRN", "bjo\u0308rn", "bjǫrṅ", "b\u0328jør\u0301n\u0308"}},
		{"width", `corp\alice`, []string{"ａｌｉｃｅ", "ＣＯＲＰ＼ａｌｉｃｅ", "alice＠corp.test", "Ⓐlice", "𝒶lice"}},
		{"what nobody sees", `corp\alice`, []string{"al\u200bice", "al\u00adice", "\u202ealice", "alice\ufeff", "al\u2060ice", "alice\u3164", "al\ufe0fice"}},
		{"two letters", `corp\strasse`, []string{"straße", "STRASSE", "strasse", "ſtrasse", "STRAẞE"}},
		{"sigma", `corp\σασ`, []string{"ΣΑΣ", "σας", "σασ"}},
		{"kana", `corp\ツ`, []string{"ツ", "つ", "ﾂ", "㋡"}},
		{"dotless", `corp\ini`, []string{"ını", "İNİ", "ini"}},
		{"space within", `corp\alice b`, []string{"alice b", "alice  b", "alice\u00a0b", "alice\u2003b"}},
		{"other domain", `sales\alice`, []string{`SALES\alice`, "alice@sales.corp.test"}},
		{"domains made up", `*\alice`, []string{`X1\alice`, `X2\alice`, "alice@x3", `WORKSTATION\alice`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range tt.spellings {
				if got := n.Canonical(s); got != tt.want {
					t.Errorf("%q: %q, want %q", s, got, tt.want)
				}
				if got := n.Canonical(n.Canonical(s)); tt.want[0] != '*' && got != tt.want {
					t.Errorf("%q: %q the second time, want %q", s, got, tt.want)
				}
			}
		})
	}
	for _, s := range []string{"alicia", "bob", `SALES\alice`, `X\alice`} {
		if n.Canonical(s) == n.Canonical("alice") {
			t.Errorf("%q and alice are one", s)
		}
	}
	anywhere := Names{Domains: n.Domains[:1], AnyDomain: true}
	for _, s := range []string{`SALES\alice`, `X\alice`, "alice@sales.corp.test", "alice", `CORP\Alice`} {
		if got := anywhere.Canonical(s); got != `corp\alice` {
			t.Errorf("%q where domains do not matter: %q", s, got)
		}
	}
	if got := (Names{}).Canonical("Alice"); got != "alice" {
		t.Errorf("without domains: %q", got)
	}
}

// TestAttackAddressSpellings: one host has one count.
func TestAttackAddressSpellings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ a, b, key string }{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "address 2001:db8:1:2::/64"},
		{"::ffff:192.0.2.7", "192.0.2.7", "address 192.0.2.7"},
		{"fe80::1%eth0", "fe80::2%eth1", "address fe80::/64"},
	} {
		for _, a := range []string{tt.a, tt.b} {
			if got := AddressKey(netip.MustParseAddr(a)); got != tt.key {
				t.Errorf("%s: %q, want %q", a, got, tt.key)
			}
		}
	}
	if AddressKey(netip.MustParseAddr("2001:db8:1:2::1")) == AddressKey(netip.MustParseAddr("2001:db8:1:3::1")) {
		t.Error("two networks are one")
	}
	if got := AddressKey(netip.Addr{}); got != "address unknown" {
		t.Errorf("no address: %q", got)
	}
}

// TestAttackKeyText: keys are printed to operators, and kept in a table.
func TestAttackKeyText(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr("192.0.2.7")
	seen := map[string]bool{}
	for _, name := range []string{
		"a\x1b[2Jb", "a\nb", "a\u202eb", "a\xffb", "a\xfeb", strings.Repeat("x", 5000), strings.Repeat("x", 5001), strings.Repeat("\x00", 100),
	} {
		key := UserKey(name, addr)
		if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsGraphic(r) }) || !strings.HasPrefix(key, "user ") || !strings.HasSuffix(key, " at 192.0.2.7") {
			t.Errorf("%.20q: key %q", name, key)
		}
		if seen[key] {
			t.Errorf("%.20q has the key of another: %q", name, key)
		}
		seen[key] = true
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add(`CORP\alice`)
	f.Add("bjo\u0308rn@corp.test")
	f.Add("\xff\x00@\\")
	f.Add("\xf6\u03d2") // was folded otherwise than its capitals
	n := Names{Domains: [][]string{{"CORP", "corp.test"}}}
	f.Fuzz(func(t *testing.T, s string) {
		got := n.Canonical(s)
		if up := n.Canonical(strings.ToUpper(s)); up != got {
			t.Errorf("%q: %q in capitals, %q as it is", s, up, got)
		}
		if again := n.Canonical(" " + s + " "); again != got {
			t.Errorf("%q: %q with space around it, %q without", s, again, got)
		}
	})
}

func TestKeyIsOf(t *testing.T) {
	t.Parallel()
	names := Names{Domains: [][]string{{"CORP", "corp.test"}}}
	addr := netip.MustParseAddr("2001:db8::7")
	for _, tt := range []struct {
		login, user string
		want        bool
	}{
		{`CORP\alice`, `corp\ALICE`, true},
		{`alice@corp.test`, `CORP\alice`, true},
		{`alice`, `alice@corp.test`, true},
		{`alice`, ` alice `, true},
		{`CORP\björn`, `BJØRN`, true},
		{`CORP\a at b`, `CORP\a at b`, true},
		{`made-up\eve`, `other\eve`, true}, // one count for all domains that are not known
		{`CORP\alice`, `OTHER\alice`, false},
		{`CORP\alice`, `alice@other.test`, false},
		{`CORP\alice`, `alic`, false},
		{`CORP\alice`, `corp\`, false},
		{`CORP\alice`, ``, false},
		{`CORP\a`, `a at b`, false},
	} {
		if got := KeyIsOf(UserKey(names.Canonical(tt.login), addr), tt.user); got != tt.want {
			t.Errorf("who logged in as %q is meant by %q: %v, want %v", tt.login, tt.user, got, tt.want)
		}
	}
	if KeyIsOf(UserKey("alice", addr), `CORP\alice`) {
		t.Error("a user without a domain is meant by one with it")
	}
	if KeyIsOf(AddressKey(addr), "alice") || KeyIsOf("user alice", "alice") {
		t.Error("what is no user's key is that of one")
	}
}
