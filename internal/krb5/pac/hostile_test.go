package pac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/krb5"
)

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
	_, _ = p.DelegationInfo()
	for _, b := range p.Buffers() {
		_, _ = p.SignatureType(b.Kind)
	}
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
