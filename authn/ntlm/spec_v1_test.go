package ntlm

import (
	"bytes"
	"crypto/des"
	"crypto/md5"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// NTLMv1 is refused, so its vectors are messages that the acceptor reads and
// refuses without asking anybody: MS-NLMP 4.2.2.3 (NTLMv1) and 4.2.3.3 (NTLMv1
// with extended session security).
var specV1 = []struct {
	name, section           string
	challenge, authenticate string
	lm, nt                  string // the responses: 4.2.2.2.1, 4.2.2.2.2; 4.2.3.2.1, 4.2.3.2.2
	key                     string // EncryptedRandomSessionKey: 4.2.2.2.3
}{
	{
		name: "NTLMv1", section: "4.2.2",
		challenge: `
	4e 54 4c 4d 53 53 50 00 02 00 00 00 0c 00 0c 00
	38 00 00 00 33 82 02 e2 01 23 45 67 89 ab cd ef
	00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
	06 00 70 17 00 00 00 0f 53 00 65 00 72 00 76 00
	65 00 72 00`,
		authenticate: `
	4e 54 4c 4d 53 53 50 00 03 00 00 00 18 00 18 00
	6c 00 00 00 18 00 18 00 84 00 00 00 0c 00 0c 00
	48 00 00 00 08 00 08 00 54 00 00 00 10 00 10 00
	5c 00 00 00 10 00 10 00 9c 00 00 00 35 82 80 e2
	05 01 28 0a 00 00 00 0f 44 00 6f 00 6d 00 61 00
	69 00 6e 00 55 00 73 00 65 00 72 00 43 00 4f 00
	4d 00 50 00 55 00 54 00 45 00 52 00 98 de f7 b8
	7f 88 aa 5d af e2 df 77 96 88 a1 72 de f1 1c 7d
	5c cd ef 13 67 c4 30 11 f3 02 98 a2 ad 35 ec e6
	4f 16 33 1c 44 bd be d9 27 84 1f 94 51 88 22 b1
	b3 f3 50 c8 95 86 82 ec bb 3e 3c b7`,
		lm:  "98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13",
		nt:  "67c43011f30298a2ad35ece64f16331c44bdbed927841f94",
		key: "518822b1b3f350c8958682ecbb3e3cb7",
	},
	{
		name: "NTLMv1 with extended session security", section: "4.2.3",
		challenge: `
	4e 54 4c 4d 53 53 50 00 02 00 00 00 0c 00 0c 00
	38 00 00 00 33 82 0a 82 01 23 45 67 89 ab cd ef
	00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
	06 00 70 17 00 00 00 0f 53 00 65 00 72 00 76 00
	65 00 72 00`,
		authenticate: `
	4e 54 4c 4d 53 53 50 00 03 00 00 00 18 00 18 00
	6c 00 00 00 18 00 18 00 84 00 00 00 0c 00 0c 00
	48 00 00 00 08 00 08 00 54 00 00 00 10 00 10 00
	5c 00 00 00 00 00 00 00 9c 00 00 00 35 82 08 82
	05 01 28 0a 00 00 00 0f 44 00 6f 00 6d 00 61 00
	69 00 6e 00 55 00 73 00 65 00 72 00 43 00 4f 00
	4d 00 50 00 55 00 54 00 45 00 52 00 aa aa aa aa
	aa aa aa aa 00 00 00 00 00 00 00 00 00 00 00 00
	00 00 00 00 75 37 f8 03 ae 36 71 28 ca 45 82 04
	bd e7 ca f8 1e 97 ed 26 83 26 72 32`,
		lm: "aaaaaaaaaaaaaaaa00000000000000000000000000000000",
		nt: "7537f803ae367128ca458204bde7caf81e97ed2683267232",
	},
}

func TestAttackSpecNTLMv1(t *testing.T) {
	t.Parallel()
	for _, tt := range specV1 {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := unhex(t, tt.authenticate)
			m, err := ParseAuthenticate(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Append(nil); !bytes.Equal(got, b) {
				t.Errorf("parsed and appended\n got %x\nwant %x", got, b)
			}
			for name, v := range map[string]struct {
				got  []byte
				want string
			}{"LM response": {m.LMResponse, tt.lm}, "NT response": {m.NTResponse, tt.nt}, "session key": {m.SessionKey, tt.key}} {
				if !bytes.Equal(v.got, unhex(t, v.want)) {
					t.Errorf("%s (MS-NLMP %s) %x, want %s", name, tt.section, v.got, v.want)
				}
			}
			// The responses are correct ones: nothing else is a reason to
			// refuse them.
			ext := m.Flags.Has(FlagExtendedSecurity)
			if want := v1Response(t, HashPassword("Password"), ext); !bytes.Equal(m.NTResponse, want) {
				t.Errorf("NT response %x, want %x", m.NTResponse, want)
			}

			a, asked := specAcceptor(t, tt.challenge)
			_, id, err := a.Step(t.Context(), b)
			re := mustRefuse(t, id, err, authn.ReasonWeak)
			if re.User != `Domain\User` || !strings.Contains(re.Hint, "NTLMv2") || re.Err.Error() != "NTLMv1 response" {
				t.Errorf("refusal %v of %q, hint %q", re, re.User, re.Hint)
			}
			if len(asked.asked) != 0 {
				t.Error("the verifier was asked")
			}
			if _, err := a.GetMIC(nil); err == nil {
				t.Error("the refused exchange signs")
			}

			// LM alone, of the same message.
			m.NTResponse = nil
			a, asked = specAcceptor(t, tt.challenge)
			_, id, err = a.Step(t.Context(), m.Append(nil))
			mustRefuse(t, id, err, authn.ReasonWeak)
			if len(asked.asked) != 0 {
				t.Error("the verifier was asked about an LM response")
			}
		})
	}
}

// TestSpecInitiatorRefusesNTLMv1: the initiator answers neither challenge.
func TestSpecInitiatorRefusesNTLMv1(t *testing.T) {
	t.Parallel()
	for _, tt := range specV1 {
		i := &Initiator{Credential: Credential{User: "User", Domain: "Domain", Password: authn.NewSecret("Password")}}
		if _, _, err := i.Step(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		b, done, err := i.Step(t.Context(), unhex(t, tt.challenge))
		if b != nil || done || err == nil || !strings.Contains(err.Error(), "NTLMv1 only") {
			t.Errorf("%s: message %x, done %v, err %v; want an error that names NTLMv1", tt.name, b, done, err)
		}
	}
}

// v1Response is NTLMv1's response to the server challenge of MS-NLMP 4.2.1, or
// with extended session security to both challenges (MS-NLMP 3.3.1, DESL).
func v1Response(t *testing.T, h NTHash, extended bool) []byte {
	t.Helper()
	challenge := specServerChallenge[:]
	if extended {
		sum := md5.Sum(append(bytes.Clone(challenge), specClientChallenge[:]...))
		challenge = sum[:8]
	}
	keys := append(h.Reveal(), make([]byte, 5)...)
	var out []byte
	for k := range 3 {
		key := keys[7*k : 7*k+7]
		var wide [8]byte // seven bits in each byte, parity not looked at
		for i := range wide {
			for bit := range 7 {
				if n := 7*i + bit; key[n/8]&(0x80>>(n%8)) != 0 {
					wide[i] |= 0x80 >> bit
				}
			}
		}
		c, err := des.NewCipher(wide[:])
		if err != nil {
			t.Fatal(err)
		}
		var block [8]byte
		c.Encrypt(block[:], challenge)
		out = append(out, block[:]...)
	}
	return out
}

// TestSpecSignatureWithoutExchange: MS-NLMP 4.2.3.4 signs with a key of 56 bits
// and without key exchange, so that the checksum is not encrypted. How messages
// are signed there does not depend on how the key came about.
func TestSpecSignatureWithoutExchange(t *testing.T) {
	t.Parallel()
	flags := Flags(0x820a8233)
	s := newSigner(flags, [16]byte(unhex(t, "eb93429a8bd952f8b89c55b87f475edc")), false).derive()
	text := appendUTF16(nil, "Plaintext")
	sealed := make([]byte, len(text))
	s.out.open()
	s.out.handle.XORKeyStream(sealed, text)
	sig := s.out.mac(flags, text)
	for _, tt := range []struct {
		name, want string
		got        []byte
	}{
		{"sealing key", "04dd7f014d8504d265a25cc86a3a7c06", s.out.sealKey[:]},
		{"signing key", "60e799be5c72fc92922ae8ebe961fb8d", s.out.signKey[:]},
		{"sealed", "a02372f6530273f3aa1eb90190ce5200c99d", sealed},
		{"signature", "01000000ff2aeb52f681793a00000000", sig[:]},
	} {
		if want := unhex(t, tt.want); !bytes.Equal(tt.got, want) {
			t.Errorf("%s (MS-NLMP 4.2.3.4)\n got %x\nwant %x", tt.name, tt.got, want)
		}
	}
}
