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

// Every altered bit is noticed, by the directory check or by the signature.
func TestAttackAlteredPAC(t *testing.T) {
	t.Parallel()
	server, kdc := testKey(t, krb5.AES256SHA1, 1), testKey(t, krb5.AES256SHA1, 2)
	good := mustBuild(t, testContents(), server, kdc)
	kdcSig, err := mustParse(t, good).signature(typeKDCSum)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		p, err := Parse(b)
		if err != nil {
			continue
		}
		if err := p.VerifyServer(server); err == nil {
			if i >= kdcSig.off && i < kdcSig.off+len(kdcSig.value) {
				// The server signature leaves out the KDC's, which covers itself.
				if p.VerifyKDC(kdc) == nil {
					t.Errorf("altered KDC signature byte %d accepted", i)
				}
				continue
			}
			t.Errorf("altered byte %d of %d accepted", i, len(good))
		}
	}
}

// A service that knows its own key can make the server signature, and only
// that one.
func TestAttackServiceForgesPAC(t *testing.T) {
	t.Parallel()
	server, kdc := testKey(t, krb5.AES256SHA1, 1), testKey(t, krb5.AES256SHA1, 2)
	c := testContents()
	c.Logon.Groups = append(c.Logon.Groups, GroupMembership{512, GroupDefault})
	p := mustParse(t, mustBuild(t, c, server, server))
	if err := p.VerifyServer(server); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"kdc": p.VerifyKDC(kdc), "full": p.VerifyFull(kdc), "ticket": p.VerifyTicket(kdc, c.TicketPart)} {
		if !errors.Is(err, ErrSignature) {
			t.Errorf("%s signature: got %v, want ErrSignature", name, err)
		}
	}
}

// A weaker checksum than the key's own is refused even if it is right.
func TestAttackSignatureDowngrade(t *testing.T) {
	t.Parallel()
	aes, rc4 := testKey(t, krb5.AES128SHA1, 1), testKey(t, krb5.RC4HMAC, 1)
	p := mustParse(t, mustBuild(t, testContents(), rc4, aes)) // same key bytes
	if err := p.VerifyServer(aes); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	k := testKey(t, krb5.AES256SHA1, 1)
	good := mustBuild(t, testContents(), k, k)
	entry := func(b []byte, i int) []byte { return b[headerSize+entrySize*i:] }
	tests := []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "no possible size"},
		{"huge", func([]byte) []byte { return make([]byte, maxSize+1) }, "no possible size"},
		{"no buffers", func(b []byte) []byte { b[0] = 0; return b }, "no possible number"},
		{"too many buffers", func(b []byte) []byte { b[0] = maxBuffers + 1; return b }, "no possible number"},
		{"buffer count overflows", func(b []byte) []byte { copy(b, "\xff\xff\xff\xff"); return b }, "no possible number"},
		{"version", func(b []byte) []byte { b[4] = 1; return b }, "unknown version"},
		{"cut in the directory", func(b []byte) []byte { return b[:40] }, "directory is cut short"},
		{"duplicate", func(b []byte) []byte { copy(entry(b, 1)[:4], entry(b, 0)[:4]); return b }, "two buffers"},
		{"same place", func(b []byte) []byte { copy(entry(b, 1)[8:16], entry(b, 0)[8:16]); return b }, "overlap"},
		{"in the directory", func(b []byte) []byte { binary.LittleEndian.PutUint64(entry(b, 0)[8:], 8); return b }, "out of place"},
		{"unaligned", func(b []byte) []byte { entry(b, 0)[8]++; return b }, "out of place"},
		{"offset beyond the end", func(b []byte) []byte { binary.LittleEndian.PutUint64(entry(b, 0)[8:], 1<<20); return b }, "out of place"},
		{"offset overflows", func(b []byte) []byte { binary.LittleEndian.PutUint64(entry(b, 0)[8:], 1<<64-8); return b }, "out of place"},
		{"size overflows", func(b []byte) []byte { copy(entry(b, 0)[4:8], "\xff\xff\xff\xff"); return b }, "out of place"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(tt.change(bytes.Clone(good)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ...%s...", err, tt.want)
			}
		})
	}
}

// exercise runs every reader of the package over b.
func exercise(b []byte, key krb5.Key) {
	p, err := Parse(b)
	if err != nil {
		return
	}
	_ = p.VerifyServer(key)
	_ = p.VerifyKDC(key)
	_ = p.VerifyFull(key)
	_ = p.VerifyTicket(key, nil)
	_, _ = p.Requestor()
	_, _ = p.ClientInfo()
	_, _ = p.UPNInfo()
	_, _ = p.Attributes()
	if l, err := p.LogonInfo(); err == nil {
		_ = l.SID()
		_ = l.GroupSIDs()
	}
}

// Truncation anywhere, of the whole and of each buffer, is an error and never
// a panic.
func TestTruncation(t *testing.T) {
	t.Parallel()
	k, c := testKey(t, krb5.AES256SHA1, 1), testContents()
	c.Requestor = "S-1-5-21-1-2-3-1103"
	good := mustBuild(t, c, k, k)
	p := mustParse(t, good)
	for i := range good {
		if q, err := Parse(good[:i:i]); err == nil && q.VerifyServer(k) == nil && q.VerifyKDC(k) == nil {
			t.Errorf("cut to %d of %d bytes: accepted", i, len(good))
		}
		exercise(good[:i:i], k)
	}
	for i := range p.contents(typeLogonInfo) {
		if _, err := parseLogonInfo(p.contents(typeLogonInfo)[:i:i]); err == nil {
			t.Errorf("logon information cut to %d: accepted", i)
		}
	}
	client := p.contents(typeClientInfo)
	for i := range client {
		if _, err := parseClientInfo(client[:i:i]); err == nil {
			t.Errorf("client information cut to %d: accepted", i)
		}
	}
	upn := p.contents(typeUPNInfo)
	for i := range upn {
		if _, err := parseUPNInfo(upn[:i:i]); err == nil {
			t.Errorf("UPN information cut to %d: accepted", i)
		}
	}
	// Each size in the directory cut as well, so that the cut is inside b.
	for n := range p.bufs {
		size := binary.LittleEndian.Uint32(good[headerSize+entrySize*n+4:])
		for i := range size {
			b := bytes.Clone(good)
			binary.LittleEndian.PutUint32(b[headerSize+entrySize*n+4:], i)
			exercise(b, k)
		}
	}
}

func TestLogonInfoRefuses(t *testing.T) {
	t.Parallel()
	full, err := testLogon().encode()
	if err != nil {
		t.Fatal(err)
	}
	const (
		structure = ndrHeaderSize + 4 // behind the top-level referent
		account   = structure + 48
		counts    = account + 6*8 + 4 + 8
		domainSID = counts + 8 + 4 + 16 + 16
		extra     = domainSID + 4 + 8 + 4 + 28
	)
	put := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[at:], v) }
	}
	tests := []struct {
		name   string
		change func([]byte)
		want   error
	}{
		{"version", func(b []byte) { b[0] = 2 }, errNDR},
		{"big-endian", func(b []byte) { b[1] = 0 }, errNDR},
		{"header length", func(b []byte) { b[2] = 4 }, errNDR},
		{"object longer than the buffer", put(8, 1<<31), errShort},
		{"null structure", put(ndrHeaderSize, 0), errNDR},
		{"odd string", func(b []byte) { b[account]++; b[account+2]++ }, errString},
		{"string longer than its room", func(b []byte) { b[account+2] = 2 }, errString},
		{"string without pointer", put(account+4, 0), errString},
		{"group count too small", put(counts, 3), errNDR},
		{"group count huge", put(counts, 1<<31), errNDR},
		{"groups without pointer", put(counts+4, 0), errNDR},
		{"RIDs of no domain", put(domainSID, 0), nil},
		{"extra SIDs without pointer", put(extra+4, 0), errNDR},
		{"extra SID count huge", put(extra, 1<<32-1), errNDR},
		{"resource groups of no domain", put(extra+8, 0), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := bytes.Clone(full)
			tt.change(b)
			l, err := parseLogonInfo(b)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v, want error %v", l, err, tt.want)
			}
		})
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

func FuzzParse(f *testing.F) {
	key := testKey(f, krb5.AES256SHA1, 1)
	c := testContents()
	f.Add(mustBuild(f, c, key, key))
	c.Logon, c.Requestor, c.TicketPart = nil, "S-1-5-21-1-2-3-4", nil
	f.Add(mustBuild(f, c, key, testKey(f, krb5.RC4HMAC, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		exercise(b, key)
		if !bytes.Equal(before, b) {
			t.Fatal("reading changed the input")
		}
		p, err := Parse(b)
		if err != nil {
			return
		}
		// What was read is written and read again without loss.
		l, err := p.LogonInfo()
		if err != nil {
			return
		}
		again, err := l.encode()
		if err != nil {
			t.Fatalf("encode %+v: %v", l, err)
		}
		l2, err := parseLogonInfo(again)
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		l.UserFlags, l2.UserFlags = 0, 0
		if !reflect.DeepEqual(l, l2) {
			t.Fatalf("changed by a round trip:\n got %+v\nwant %+v", l2, l)
		}
	})
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
