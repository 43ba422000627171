package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"strings"
	"testing"
)

// unhex decodes hex that may be broken by white space.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of MS-NLMP 4.2, and the tests they are in:
//
//	4.2.1          common values                   this file
//	4.2.2.1.2      NTOWFv1                         TestSpecCrypto
//	4.2.2.2, .3    NTLMv1, messages                TestAttackSpecNTLMv1: refused
//	4.2.3.2, .3    the same, extended security     TestAttackSpecNTLMv1: refused
//	4.2.3.4        signature without key exchange  TestSpecSignatureWithoutExchange
//	4.2.4.1, .2    NTLMv2, keys and responses      TestSpecCrypto
//	4.2.4.3        messages, parsed and made       TestSpecMessages
//	4.2.4.3        an exchange, by each end        TestSpecAccepted, TestSpecInitiator, TestSpecChallengeMade
//	4.2.4.4        keys, seal and signature        TestSpecCrypto, TestSpecSignature, TestSpecAccepted
//
// There is no test of LMOWFv1 (4.2.2.1.1), of the session keys of NTLMv1
// (4.2.2.1.3, 4.2.3.1) and of its CRC signatures (4.2.2.4), because there is no
// such code.

// The values of MS-NLMP 4.2.1.
var (
	specServerChallenge = [8]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	specClientChallenge = [8]byte{0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa}
	specFlags           = Flags(0xe28a8233)
)

// specRandomKey is RandomSessionKey of MS-NLMP 4.2.1.
var specRandomKey = [16]byte(bytes.Repeat([]byte{0x55}, 16))

// specPairs is the target info of MS-NLMP 4.2.4.
func specPairs() AVPairs {
	return AVPairs{
		{AVDomain, appendUTF16(nil, "Domain")},
		{AVComputer, appendUTF16(nil, "Server")},
	}
}

// specChallenge is the CHALLENGE_MESSAGE of MS-NLMP 4.2.4.3.
const specChallenge = `
	4e 54 4c 4d 53 53 50 00 02 00 00 00 0c 00 0c 00
	38 00 00 00 33 82 8a e2 01 23 45 67 89 ab cd ef
	00 00 00 00 00 00 00 00 24 00 24 00 44 00 00 00
	06 00 70 17 00 00 00 0f 53 00 65 00 72 00 76 00
	65 00 72 00 02 00 0c 00 44 00 6f 00 6d 00 61 00
	69 00 6e 00 01 00 0c 00 53 00 65 00 72 00 76 00
	65 00 72 00 00 00 00 00`

// specAuthenticate is the AUTHENTICATE_MESSAGE of MS-NLMP 4.2.4.3.
const specAuthenticate = `
	4e 54 4c 4d 53 53 50 00 03 00 00 00 18 00 18 00
	6c 00 00 00 54 00 54 00 84 00 00 00 0c 00 0c 00
	48 00 00 00 08 00 08 00 54 00 00 00 10 00 10 00
	5c 00 00 00 10 00 10 00 d8 00 00 00 35 82 88 e2
	05 01 28 0a 00 00 00 0f 44 00 6f 00 6d 00 61 00
	69 00 6e 00 55 00 73 00 65 00 72 00 43 00 4f 00
	4d 00 50 00 55 00 54 00 45 00 52 00 86 c3 50 97
	ac 9c ec 10 25 54 76 4a 57 cc cc 19 aa aa aa aa
	aa aa aa aa 68 cd 0a b8 51 e5 1c 96 aa bc 92 7b
	eb ef 6a 1c 01 01 00 00 00 00 00 00 00 00 00 00
	00 00 00 00 aa aa aa aa aa aa aa aa 00 00 00 00
	02 00 0c 00 44 00 6f 00 6d 00 61 00 69 00 6e 00
	01 00 0c 00 53 00 65 00 72 00 76 00 65 00 72 00
	00 00 00 00 00 00 00 00 c5 da d2 54 4f c9 79 90
	94 ce 1c e9 0b c9 d0 3e`

func specBlob() []byte { return appendBlob(nil, 0, specClientChallenge, specPairs()) }

func TestSpecCrypto(t *testing.T) {
	t.Parallel()
	owf := ntowfv2(HashPassword("Password"), "User", "Domain")
	proof := ntProof(&owf, &specServerChallenge, specBlob())
	base := sessionBaseKey(&owf, &proof)
	key := exchangeKey(base, specRandomKey[:])
	back := exchangeKey(base, key[:])
	lm := hmacMD5(owf[:], specServerChallenge[:], specClientChallenge[:])
	s := newSigner(specFlags, specRandomKey, false).derive()
	for _, tt := range []struct {
		name, section, want string
		got                 []byte
	}{
		{"NTOWFv1", "4.2.2.1.2", "a4f49c406510bdcab6824ee7c30fd852", HashPassword("Password").Reveal()},
		{"NTOWFv2", "4.2.4.1.1", "0c868a403bfd7a93a3001ef22ef02e3f", owf[:]},
		{"session base key", "4.2.4.1.2", "8de40ccadbc14a82f15cb0ad0de95ca3", base[:]},
		{"temp", "4.2.4.1.3", `01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000
			02000c0044006f006d00610069006e00 01000c00530065007200760065007200
			0000000000000000`, specBlob()},
		{"LMv2 response", "4.2.4.2.1", "86c35097ac9cec102554764a57cccc19", lm[:]},
		{"NTProofStr", "4.2.4.2.2", "68cd0ab851e51c96aabc927bebef6a1c", proof[:]},
		{"encrypted session key", "4.2.4.2.3", "c5dad2544fc9799094ce1ce90bc9d03e", key[:]},
		{"decrypted session key", "4.2.4.2.3", strings.Repeat("55", 16), back[:]},
		{"sealing key", "4.2.4.4", "59f600973cc4960a25480a7c196e4c58", s.out.sealKey[:]},
		{"signing key", "4.2.4.4", "4788dc861b4782f35d43fd98fe1a2d39", s.out.signKey[:]},
	} {
		if want := unhex(t, tt.want); !bytes.Equal(tt.got, want) {
			t.Errorf("%s (MS-NLMP %s)\n got %x\nwant %x", tt.name, tt.section, tt.got, want)
		}
	}
}

// MS-NLMP 4.2.4.4 seals "Plaintext" and signs it with the same handle, so the
// checksum is encrypted by the stream after the text.
func TestSpecSignature(t *testing.T) {
	t.Parallel()
	text := appendUTF16(nil, "Plaintext")
	s := newSigner(specFlags, specRandomKey, false).derive()
	// Encrypt as GSS_WrapEx does, then sign.
	sealed := make([]byte, len(text))
	s.out.open()
	s.out.handle.XORKeyStream(sealed, text)
	sig := s.out.mac(specFlags, text)

	if want := unhex(t, "54e50165bf1936dc996020c1811b0f06fb5f"); !bytes.Equal(sealed, want) {
		t.Errorf("sealed\n got %x\nwant %x", sealed, want)
	}
	if want := unhex(t, "010000007fb38ec5c55d497600000000"); !bytes.Equal(sig[:], want) {
		t.Errorf("signature\n got %x\nwant %x", sig, want)
	}
}

func TestSpecMessages(t *testing.T) {
	t.Parallel()

	t.Run("challenge", func(t *testing.T) {
		t.Parallel()
		want := unhex(t, specChallenge)
		c := Challenge{
			Flags: specFlags, TargetName: "Server", ServerChallenge: specServerChallenge,
			TargetInfo: specPairs(), Version: Version{Major: 6, Build: 6000, Revision: 15},
		}
		if got := c.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("Append\n got %x\nwant %x", got, want)
		}
		p, err := ParseChallenge(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("parsed and appended\n got %x\nwant %x", got, want)
		}
	})

	t.Run("authenticate", func(t *testing.T) {
		t.Parallel()
		want := unhex(t, specAuthenticate)
		owf := ntowfv2(HashPassword("Password"), "User", "Domain")
		proof := ntProof(&owf, &specServerChallenge, specBlob())
		key := exchangeKey(sessionBaseKey(&owf, &proof), specRandomKey[:])
		lm := hmacMD5(owf[:], specServerChallenge[:], specClientChallenge[:])
		m := Authenticate{
			Flags: 0xe2888235, Domain: "Domain", User: "User", Workstation: "COMPUTER",
			LMResponse: append(lm[:], specClientChallenge[:]...),
			NTResponse: append(proof[:], specBlob()...),
			SessionKey: key[:],
			Version:    Version{Major: 5, Minor: 1, Build: 2600, Revision: 15},
		}
		if got := m.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("Append\n got %x\nwant %x", got, want)
		}
		p, err := ParseAuthenticate(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("parsed and appended\n got %x\nwant %x", got, want)
		}
	})
}

// TestHMAC compares with the standard library, for every length of key up to a
// block and messages in parts.
func TestHMAC(t *testing.T) {
	t.Parallel()
	msg := bytes.Repeat([]byte("message "), 20)
	for n := range md5.BlockSize + 1 {
		key := bytes.Repeat([]byte{byte(n)}, n)
		h := hmac.New(md5.New, key)
		h.Write(msg)
		if got := hmacMD5(key, msg[:n], nil, msg[n:]); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("key of %d bytes: %x, want %x", n, got, h.Sum(nil))
		}
	}
}
