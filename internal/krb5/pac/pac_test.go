package pac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

var authTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func testKey(t testing.TB, e krb5.EType, fill byte) krb5.Key {
	t.Helper()
	k, err := krb5.NewKey(e, bytes.Repeat([]byte{fill}, e.KeySize()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testLogon fills in every field that the codec carries.
func testLogon() *LogonInfo {
	return &LogonInfo{
		LogonTime: authTime, PasswordLastSet: authTime.Add(-time.Hour), PasswordCanChange: authTime,
		Account: "alice", FullName: "Alice Ångström 𝄞", LogonScript: "l.cmd", ProfilePath: `\\srv\p`,
		HomeDirectory: `\\srv\h`, HomeDrive: "H:", LogonCount: 7, BadPasswords: 2,
		UserID: 1103, PrimaryGroupID: 513,
		Groups:      []GroupMembership{{513, GroupDefault}, {1200, GroupDefault}, {1201, GroupDefault | GroupDenyOnly}, {1202, GroupMandatory}},
		LogonServer: "DC1", Domain: "CORP", DomainSID: "S-1-5-21-1-2-3", AccountControl: 0x210,
		ExtraSIDs: []SIDAttributes{
			{"S-1-18-1", GroupDefault},
			{"S-1-5-21-9-9-9-4000", GroupDefault | GroupDenyOnly},
			{"S-1-5-21-4294967295-2-3-519", GroupDefault}},
		ResourceDomainSID: "S-1-5-21-7-8-9",
		ResourceGroups:    []GroupMembership{{2000, GroupDefault | GroupResource}},
	}
}

func testContents() Contents {
	return Contents{
		Logon:      testLogon(),
		Client:     ClientInfo{Name: "alice", AuthTime: authTime},
		UPN:        &UPNInfo{UPN: "alice@corp.test", DNSDomain: "CORP.TEST", Account: "alice", SID: "S-1-5-21-1-2-3-1103", Constructed: true},
		TicketPart: []byte("an encoded EncTicketPart"),
	}
}

func mustBuild(t testing.TB, c Contents, server, kdc krb5.Key) []byte {
	t.Helper()
	b, err := Build(c, server, kdc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, b []byte) *PAC {
	t.Helper()
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2, krb5.RC4HMAC} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			server, kdc, c := testKey(t, e, 1), testKey(t, krb5.AES256SHA1, 2), testContents()
			p := mustParse(t, mustBuild(t, c, server, kdc))

			for name, err := range map[string]error{
				"server": p.VerifyServer(server),
				"kdc":    p.VerifyKDC(kdc),
				"ticket": p.VerifyTicket(kdc, c.TicketPart),
				"full":   p.VerifyFull(kdc),
				"client": p.CheckClient("alice", authTime),
			} {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			wrong := testKey(t, e, 3)
			wrongKDC := testKey(t, krb5.AES256SHA1, 3)
			for name, err := range map[string]error{
				"server":      p.VerifyServer(wrong),
				"kdc":         p.VerifyKDC(wrongKDC),
				"ticket":      p.VerifyTicket(wrongKDC, c.TicketPart),
				"ticket part": p.VerifyTicket(kdc, []byte("another EncTicketPart")),
				"full":        p.VerifyFull(wrongKDC),
				"no key":      p.VerifyServer(krb5.Key{}),
			} {
				if !errors.Is(err, ErrSignature) {
					t.Errorf("wrong %s: got %v, want ErrSignature", name, err)
				}
			}
			got, err := p.LogonInfo()
			if err != nil {
				t.Fatal(err)
			}
			want := testLogon()
			want.UserFlags = userFlagExtraSIDs | userFlagResourceGroups
			if !reflect.DeepEqual(got, want) {
				t.Errorf("logon information:\n got %+v\nwant %+v", got, want)
			}
			if u, err := p.UPNInfo(); err != nil || !reflect.DeepEqual(u, c.UPN) {
				t.Errorf("UPN information: got %+v, %v, want %+v", u, err, c.UPN)
			}
		})
	}
}

func TestTGTContents(t *testing.T) {
	t.Parallel()
	k, c := testKey(t, krb5.AES256SHA1, 1), testContents()
	c.TicketPart, c.Requestor = nil, "S-1-5-21-1-2-3-1103"
	p := mustParse(t, mustBuild(t, c, k, k))
	if err := p.VerifyServer(k); err != nil {
		t.Error(err)
	}
	if s, err := p.Requestor(); err != nil || s != c.Requestor {
		t.Errorf("requestor: got %q, %v", s, err)
	}
	if f, ok := p.Attributes(); !ok || f != attributeGivenImplicitly {
		t.Errorf("attributes: got %#x, %v", f, ok)
	}
	if p.HasTicketSignature() || p.HasFullSignature() {
		t.Error("a ticket-granting ticket carries a ticket signature")
	}
	for name, err := range map[string]error{"ticket": p.VerifyTicket(k, nil), "full": p.VerifyFull(k)} {
		if err == nil || errors.Is(err, ErrSignature) {
			t.Errorf("absent %s signature: got %v, want an error that is not ErrSignature", name, err)
		}
	}
}

func TestSIDs(t *testing.T) {
	t.Parallel()
	l := testLogon()
	if got := l.SID(); got != "S-1-5-21-1-2-3-1103" {
		t.Errorf("SID: got %s", got)
	}
	want := []SID{"S-1-5-21-1-2-3-513", "S-1-5-21-1-2-3-1200", "S-1-5-21-7-8-9-2000", "S-1-18-1", "S-1-5-21-4294967295-2-3-519"}
	if got := l.GroupSIDs(); !slices.Equal(got, want) {
		t.Errorf("groups:\n got %v\nwant %v", got, want)
	}

	tests := []struct {
		name   string
		change func(*LogonInfo)
		user   SID
		groups []SID
	}{
		{"primary group not listed", func(l *LogonInfo) { l.Groups = nil },
			"S-1-5-21-1-2-3-1103", []SID{"S-1-5-21-1-2-3-513"}},
		{"primary group deny-only", func(l *LogonInfo) { l.Groups = []GroupMembership{{513, GroupDefault | GroupDenyOnly}} },
			"S-1-5-21-1-2-3-1103", nil},
		{"user without RID", func(l *LogonInfo) {
			l.UserID, l.PrimaryGroupID, l.Groups = 0, 0, nil
			l.ExtraSIDs = []SIDAttributes{{"S-1-5-21-4-4-4-44", GroupDefault}, {"S-1-5-11", GroupDefault}}
		}, "S-1-5-21-4-4-4-44", []SID{"S-1-5-11"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := testLogon()
			l.ExtraSIDs, l.ResourceGroups = nil, nil
			tt.change(l)
			if got := l.SID(); got != tt.user {
				t.Errorf("user: got %s, want %s", got, tt.user)
			}
			if got := l.GroupSIDs(); !slices.Equal(got, tt.groups) {
				t.Errorf("groups: got %v, want %v", got, tt.groups)
			}
		})
	}
}

func TestSIDText(t *testing.T) {
	t.Parallel()
	for _, s := range []SID{"S-1-5-21-1-2-3-500", "S-1-1-0", "S-1-5", "S-1-0x123456789ABC-7", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15"} {
		b, err := s.encode()
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if got, n, err := decodeSID(b); err != nil || n != len(b) || got != s {
			t.Errorf("%s came back as %s, %d of %d bytes, %v", s, got, n, len(b), err)
		}
	}
	for _, s := range []SID{"", "S-1", "S-2-5-1", "s-1-5-1", "S-1-x", "S-1-5-4294967296", "S-1-5-", "S-1-5--1", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", "S-1-0x1000000000000-1"} {
		if b, err := s.encode(); err == nil {
			t.Errorf("%q encoded as %x", s, b)
		}
	}
}

func TestNoLogonInfo(t *testing.T) {
	t.Parallel()
	k, c := testKey(t, krb5.AES256SHA1, 1), testContents()
	c.Logon, c.UPN = nil, nil
	p := mustParse(t, mustBuild(t, c, k, k))
	if err := p.VerifyServer(k); err != nil {
		t.Error(err)
	}
	if _, err := p.LogonInfo(); !errors.Is(err, ErrNoLogonInfo) {
		t.Errorf("got %v, want ErrNoLogonInfo", err)
	}
	if u, err := p.UPNInfo(); u != nil || err != nil {
		t.Errorf("UPN information: got %v, %v", u, err)
	}
}

func TestCheckClient(t *testing.T) {
	t.Parallel()
	k := testKey(t, krb5.AES256SHA1, 1)
	p := mustParse(t, mustBuild(t, testContents(), k, k))
	tests := []struct {
		name   string
		client string
		at     time.Time
		ok     bool
	}{
		{"same", "alice", authTime, true},
		{"other zone", "alice", authTime.In(time.FixedZone("x", 3600)), true},
		{"other name", "bob", authTime, false},
		{"longer name", "alice2", authTime, false},
		{"no name", "", authTime, false},
		{"a second later", "alice", authTime.Add(time.Second), false},
	}
	for _, tt := range tests {
		err := p.CheckClient(tt.client, tt.at)
		if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, ErrWrongClient) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestStringsOfOddContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"a\x00", "a"},
		{"\x3d\xd8\x00\xde", "😀"},
		{"\x3d\xd8", "\uFFFD"},                  // half a pair at the end
		{"\x3d\xd8a\x00", "\uFFFDa"},            // half a pair in the middle
		{"\x00\xde\x3d\xd8", "\uFFFD\uFFFD"},    // halves swapped
		{"\x3d\xd8\x3d\xd8\x00\xde", "\uFFFD😀"}, // half a pair before a whole one
		{"a\x00\x00\x00b\x00", "a\x00b"},
	} {
		if got := fromUTF16([]byte(tt.in)); got != tt.want {
			t.Errorf("%x: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	k := testKey(t, krb5.AES256SHA1, 1)
	tests := []struct {
		name   string
		change func(*Contents)
		server krb5.Key
	}{
		{"no key", func(*Contents) {}, krb5.Key{}},
		{"name too long", func(c *Contents) { c.Logon.FullName = strings.Repeat("x", 1<<15) }, k},
		{"client name too long", func(c *Contents) { c.Client.Name = strings.Repeat("x", 1<<15) }, k},
		{"UPN too long", func(c *Contents) { c.UPN.UPN = strings.Repeat("x", 1<<15) }, k},
		{"domain SID", func(c *Contents) { c.Logon.DomainSID = "CORP" }, k},
		{"extra SID", func(c *Contents) { c.Logon.ExtraSIDs[1].SID = "S-1-5-x" }, k},
		{"UPN SID", func(c *Contents) { c.UPN.SID = "x" }, k},
		{"requestor", func(c *Contents) { c.Requestor = "x" }, k},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := testContents()
			tt.change(&c)
			if b, err := Build(c, tt.server, k); err == nil {
				t.Errorf("built %d bytes", len(b))
			}
		})
	}
}

// A read-only domain controller puts its number behind the signature; the
// number is signed, the signature bytes are not.
func TestReadOnlyDomainControllerSignature(t *testing.T) {
	t.Parallel()
	server, kdc := testKey(t, krb5.AES128SHA1, 1), testKey(t, krb5.AES256SHA1, 2)
	c := testContents()
	c.TicketPart = nil
	bufs, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	sig := func(k krb5.Key) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(k.ChecksumType()))
		return append(append(b, make([]byte, k.ChecksumType().Size())...), 0x34, 0x12)
	}
	p := mustParse(t, assemble(append(bufs, encoded{typeServerSum, sig(server)}, encoded{typeKDCSum, sig(kdc)})))
	if err := p.sign(nil, server, kdc); err != nil {
		t.Fatal(err)
	}
	if err := p.VerifyServer(server); err != nil {
		t.Error(err)
	}
	kb, _ := p.find(typeKDCSum)
	p.raw[kb.end-1] ^= 1
	if err := p.VerifyServer(server); !errors.Is(err, ErrSignature) {
		t.Errorf("altered RODC identifier: got %v, want ErrSignature", err)
	}
}

func BenchmarkVerifyAndRead(b *testing.B) {
	for _, groups := range []int{5, 100, 1015} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			k, c := testKey(b, krb5.AES256SHA1, 1), testContents()
			c.Logon.Groups = nil
			for i := range groups {
				c.Logon.Groups = append(c.Logon.Groups, GroupMembership{uint32(2000 + i), GroupDefault})
			}
			raw := mustBuild(b, c, k, k)
			b.ReportAllocs()
			for b.Loop() {
				p, err := Parse(raw)
				if err != nil {
					b.Fatal(err)
				}
				if err := errors.Join(p.VerifyServer(k), p.CheckClient("alice", authTime)); err != nil {
					b.Fatal(err)
				}
				l, err := p.LogonInfo()
				if err != nil || len(l.GroupSIDs()) < groups {
					b.Fatal(err)
				}
				if _, err := p.UPNInfo(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
