package ldap

import (
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

func TestSID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sid    authn.SID
		binary string
	}{
		{"S-1-1-0", "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"},
		{"S-1-5-32-544", "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00"},
		{"S-1-5-21-4294967295-1-2-500", "\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\xff\xff\xff\xff\x01\x00\x00\x00\x02\x00\x00\x00\xf4\x01\x00\x00"},
		{"S-1-0x10000000000-1", "\x01\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00"},
	} {
		if got := encodeSID(tt.sid); got != tt.binary {
			t.Errorf("encodeSID(%s) = %x, want %x", tt.sid, got, tt.binary)
		}
		if got := decodeSID(tt.binary); got != tt.sid {
			t.Errorf("decodeSID(%x) = %s, want %s", tt.binary, got, tt.sid)
		}
	}
	for _, none := range []authn.SID{"", "S-1", "S-1-", "S-2-1-0", "S-1-x", "S-1-5-", "S-1-5--1", "S-1-5-4294967296", "S-1-0xfffffffffffff", "alice", "S-1-5-21)(uid=*", "S-1-5" + authn.SID(strings.Repeat("-1", 16))} {
		if b := encodeSID(none); b != "" || bySID(none) != "" {
			t.Errorf("%q is %x", none, b)
		}
	}
	for _, none := range []string{"", "\x01", strings.Repeat("\x00", 12), "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00", "\x01\x10" + strings.Repeat("\x00", 70)} {
		if sid := decodeSID(none); sid != "" {
			t.Errorf("%x is %s", none, sid)
		}
	}
	if got, want := bySID("S-1-1-0"), `(objectSid=\01\01\00\00\00\00\00\01\00\00\00\00)`; got != want {
		t.Errorf("filter %s, want %s", got, want)
	}
}

func FuzzSID(f *testing.F) {
	f.Add("\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00", "S-1-5-32-544")
	f.Fuzz(func(t *testing.T, b, text string) {
		if sid := decodeSID(b); sid != "" && encodeSID(sid) != b {
			t.Errorf("%x is %s and that is %x", b, sid, encodeSID(sid))
		}
		if b := encodeSID(authn.SID(text)); b != "" && encodeSID(decodeSID(b)) != b {
			t.Errorf("%q is %x and that is %s", text, b, decodeSID(b))
		}
	})
}

func TestWellKnown(t *testing.T) {
	t.Parallel()
	seen := map[string]authn.SID{}
	for _, sid := range wellKnownSIDs() {
		name := wellKnownName(sid)
		if name == "" {
			continue
		}
		if other, twice := seen[strings.ToLower(name)]; twice {
			t.Errorf("%s and %s are both %s", sid, other, name)
		}
		seen[strings.ToLower(name)] = sid
		if got := wellKnownSID(strings.ToUpper(name)); got != sid {
			t.Errorf("wellKnownSID(%s) = %q, want %s", name, got, sid)
		}
	}
	if len(seen) < 45 {
		t.Errorf("%d names", len(seen))
	}
	for _, name := range []string{"", "Administrators", `CORP\Everyone`, `BUILTIN\`, `NT AUTHORITY\`} {
		if sid := wellKnownSID(name); sid != "" {
			t.Errorf("%q is %s", name, sid)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name      string
		got, want time.Time
	}{
		{"never", fileTime("0"), time.Time{}},
		{"never, as Windows writes it", fileTime("9223372036854775807"), time.Time{}},
		{"missing", fileTime(""), time.Time{}},
		{"1970", fileTime("116444736000000000"), time.Unix(0, 0)},
		{"day", fileTime("134401248000000000"), day},
		{"long ago", fileTime("1"), time.Date(1601, 1, 1, 0, 0, 0, 100, time.UTC)},
		{"shadow", shadowTime("20783"), day},
		{"shadow, never", shadowTime("-1"), time.Time{}},
		{"shadow, missing", shadowTime(""), time.Time{}},
		{"shadow, at once", shadowTime("0"), time.Unix(0, 0)},
	} {
		if !tt.got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	c := newCache(time.Minute, func() time.Time { return now })
	c.put(&group{name: "a"}, "dn:a", "name:a")
	c.put(nil, "dn:b")
	if g, known := c.get("name:a"); !known || g.name != "a" {
		t.Errorf("a: %v, %v", g, known)
	}
	if g, known := c.get("dn:b"); !known || g != nil {
		t.Errorf("b: %v, %v", g, known)
	}
	now = now.Add(time.Minute)
	if _, known := c.get("dn:a"); known {
		t.Error("a is remembered for too long")
	}
	for i := range 2 * maxCached {
		c.put(nil, string(rune(i)))
	}
	if n := len(c.items); n > maxCached {
		t.Errorf("%d groups are remembered", n)
	}
}

// The server gives a part of many values under another name.
func TestRanged(t *testing.T) {
	t.Parallel()
	e := NewEntry("CN=a", Attribute{"memberOf;range=0-1499", []string{"CN=b"}}, Attribute{"member", []string{"CN=c"}})
	if v, cut := e.ranged(attrMemberOf); !cut || len(v) != 1 {
		t.Errorf("memberOf: %v, %v", v, cut)
	}
	if _, cut := e.ranged("member"); cut {
		t.Error("member is whole")
	}
}
