package ntlm

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestRoundTrip: what Append writes, Parse reads, in each form a message has.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	version := Version{Major: 10, Build: 19041, Revision: 15}
	mic := bytes.Repeat([]byte{7}, 16)
	for _, tt := range []struct {
		name  string
		size  int
		msg   interface{ Append([]byte) []byte }
		parse func([]byte) (any, error)
	}{
		{"negotiate", 32, &Negotiate{Flags: FlagUnicode}, parseNegotiate},
		{"negotiate with version", 40, &Negotiate{Flags: FlagUnicode | FlagVersion, Version: version}, parseNegotiate},
		{"negotiate with names", 32 + 4 + 3, &Negotiate{Flags: FlagOEM | FlagDomainSupplied | FlagWorkstationSupplied, Domain: "CORP", Workstation: "P\xc41"}, parseNegotiate},
		{"challenge", 56, &Challenge{Flags: FlagUnicode}, parseChallenge},
		{"challenge in OEM", 56 + 4 + 4, &Challenge{Flags: FlagOEM | FlagTargetInfo, TargetName: "CORP"}, parseChallenge},
		{"challenge with all", 56 + 8 + 12 + 4, &Challenge{Flags: FlagUnicode | FlagTargetInfo | FlagVersion, TargetName: "CÖRP", ServerChallenge: specServerChallenge,
			TargetInfo: AVPairs{{AVDomain, appendUTF16(nil, "CÖRP")}}, Version: version}, parseChallenge},
		{"authenticate, 64 bytes", 64, &Authenticate{Flags: FlagUnicode}, parseAuthenticate},
		{"authenticate, 72 bytes", 72 + 2, &Authenticate{Flags: FlagUnicode | FlagVersion, User: "u", Version: version}, parseAuthenticate},
		{"authenticate, 88 bytes", 88, &Authenticate{Flags: FlagUnicode, MIC: mic}, parseAuthenticate},
		{"authenticate with all", 88 + 8 + 10 + 6 + 24 + 60 + 16, &Authenticate{
			Flags: FlagUnicode | FlagVersion, Domain: "CORP", User: "jür𝄞", Workstation: "PC1", LMResponse: make([]byte, 24),
			NTResponse: make([]byte, 60), SessionKey: mic, Version: version, MIC: mic}, parseAuthenticate},
		{"authenticate in OEM", 64 + 4 + 1, &Authenticate{Flags: FlagOEM, Domain: "CORP", User: "u"}, parseAuthenticate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := tt.msg.Append([]byte("before"))
			if !bytes.HasPrefix(b, []byte("before")) {
				t.Fatal("Append does not append")
			}
			b = b[len("before"):]
			if len(b) != tt.size {
				t.Errorf("%d bytes, want %d", len(b), tt.size)
			}
			got, err := tt.parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.msg) {
				t.Errorf("got  %+v\nwant %+v", got, tt.msg)
			}
		})
	}
}

func parseNegotiate(b []byte) (any, error)    { return ParseNegotiate(b) }
func parseChallenge(b []byte) (any, error)    { return ParseChallenge(b) }
func parseAuthenticate(b []byte) (any, error) { return ParseAuthenticate(b) }

// TestParseOldForms: messages that peers send and Append does not write.
func TestParseOldForms(t *testing.T) {
	t.Parallel()
	neg := (&Negotiate{Flags: FlagOEM | FlagNTLM}).Append(nil)
	if m, err := ParseNegotiate(neg[:16]); err != nil || m.Flags != FlagOEM|FlagNTLM {
		t.Errorf("NEGOTIATE of 16 bytes: %+v, %v", m, err)
	}
	// Fields without their flags are ignored, whatever they say.
	le.PutUint32(neg[20:], 0xffffffff)
	le.PutUint16(neg[16:], 9)
	if m, err := ParseNegotiate(neg); err != nil || m.Domain != "" {
		t.Errorf("NEGOTIATE with a field without flag: %+v, %v", m, err)
	}
	c := (&Challenge{Flags: FlagUnicode, ServerChallenge: specServerChallenge}).Append(nil)
	if m, err := ParseChallenge(c[:32]); err != nil || m.ServerChallenge != specServerChallenge {
		t.Errorf("CHALLENGE of 32 bytes: %+v, %v", m, err)
	}
	// A version that is announced where there is none is nobody's concern.
	for _, b := range [][]byte{
		(&Negotiate{Flags: FlagUnicode}).Append(nil),
		(&Challenge{Flags: FlagUnicode}).Append(nil)[:48],
		(&Authenticate{Flags: FlagUnicode, User: "user", Domain: "domain"}).Append(nil),
	} {
		at := map[uint32]int{1: 12, 2: 20, 3: 60}[messageType(b)]
		le.PutUint32(b[at:], uint32(FlagUnicode|FlagVersion))
		var v Version
		var err error
		switch messageType(b) {
		case 1:
			m, e := ParseNegotiate(b)
			v, err = m.Version, e
		case 2:
			m, e := ParseChallenge(b)
			v, err = m.Version, e
		case 3:
			m, e := ParseAuthenticate(b)
			v, err = m.Version, e
		}
		if err != nil || v != (Version{}) {
			t.Errorf("message %d without room for its version: %v, %v", messageType(b), v, err)
		}
	}
	// Room for a MIC but none announced, and zeros where a version goes.
	a := (&Authenticate{Flags: FlagUnicode, User: "u", MIC: make([]byte, 16)}).Append(nil)
	if m, err := ParseAuthenticate(a); err != nil || len(m.MIC) != 16 || m.Version != (Version{}) {
		t.Errorf("AUTHENTICATE with a MIC and no version: %+v, %v", m, err)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	put := func(b []byte, at int, v ...byte) []byte { copy(b[at:], v); return b }
	neg := func() []byte {
		return (&Negotiate{Flags: FlagDomainSupplied | FlagVersion, Domain: "CORP"}).Append(nil)
	}
	challenge := func() []byte { return unhex(t, specChallenge) }
	for _, tt := range []struct {
		name  string
		b     []byte
		parse func([]byte) (any, error)
		want  string
	}{
		{"empty", nil, parseNegotiate, "not a NEGOTIATE"},
		{"signature only", []byte(signature), parseNegotiate, "not a NEGOTIATE"},
		{"other signature", put(neg(), 0, 'n'), parseNegotiate, "not a NEGOTIATE"},
		{"other type", put(neg(), 8, 3), parseNegotiate, "not a NEGOTIATE"},
		{"no flags", neg()[:15], parseNegotiate, "15 bytes"},
		{"name announced, no fields", neg()[:20], parseNegotiate, "announces a name"},
		{"name behind the end", put(neg(), 20, 41), parseNegotiate, "offset 41"},
		{"huge", append(neg(), make([]byte, maxMessage)...), parseNegotiate, "at most"},
		{"challenge of 31 bytes", challenge()[:31], parseChallenge, "31 bytes"},
		{"target info announced, no field", challenge()[:40], parseChallenge, "offset"},
		{"target info announced, no room", put(put(challenge(), 12, 0), 16, 0)[:40], parseChallenge, "announces target info"},
		{"name in the header", put(challenge(), 16, 40), parseChallenge, "inside its header"},
		{"target info without an end", put(challenge(), 40, 32), parseChallenge, "without an end"},
		{"target info twice the same", put(challenge(), 84, 2), parseChallenge, "twice"},
		{"authenticate of 63 bytes", unhex(t, specAuthenticate)[:63], parseAuthenticate, "63 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := tt.parse(tt.b)
			if err == nil || !errors.Is(err, errSyntax) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("message %+v, err %v; want %q", m, err, tt.want)
			}
		})
	}
}

func TestFiletime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ft uint64
		t  time.Time
	}{
		{0, time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC)},
		{filetimeEpoch, time.Unix(0, 0).UTC()},
		{133_000_000_000_000_001, time.Date(2022, 6, 18, 4, 26, 40, 100, time.UTC)},
	} {
		if got := fromFiletime(tt.ft); !got.Equal(tt.t) {
			t.Errorf("fromFiletime(%d) = %v, want %v", tt.ft, got, tt.t)
		}
		if got := filetime(tt.t); got != tt.ft {
			t.Errorf("filetime(%v) = %d, want %d", tt.t, got, tt.ft)
		}
	}
}

func TestFlagsString(t *testing.T) {
	t.Parallel()
	for f, want := range map[Flags]string{
		0:                               "",
		FlagUnicode | FlagSign | Flag56: "unicode|sign|56",
		1<<3 | FlagNTLM:                 "bit3|ntlm",
	} {
		if got := f.String(); got != want {
			t.Errorf("%#x: %q, want %q", uint32(f), got, want)
		}
	}
}

func TestAVPairsText(t *testing.T) {
	t.Parallel()
	ps := AVPairs{{AVDomain, appendUTF16(nil, "CÖRP")}, {AVTimestamp, make([]byte, 8)}}
	if got := ps.Text(AVDomain); got != "CÖRP" {
		t.Errorf("domain %q", got)
	}
	for _, id := range []AVID{AVComputer, AVTimestamp} {
		if got := ps.Text(id); got != "" {
			t.Errorf("pair %d: %q", id, got)
		}
	}
}

func TestAVIDString(t *testing.T) {
	t.Parallel()
	for id, want := range map[AVID]string{AVEnd: "end", AVDNSForest: "dns-forest", AVChannelBindings: "channel-bindings", 11: "11", 0xffff: "65535"} {
		if got := id.String(); got != want {
			t.Errorf("%d: %q, want %q", uint16(id), got, want)
		}
	}
}
