package krb5

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	jcrypto "github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustKey(t testing.TB, e EType, b []byte) Key {
	t.Helper()
	k, err := NewKey(e, b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var allETypes = []EType{AES128SHA1, AES256SHA1, AES128SHA2, AES256SHA2, RC4HMAC}

// RFC 3961 A.1.
func TestNFold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"012345", "be072631276b1955"},
		{"password", "78a07b6caf85fa"},
		{"Rough Consensus, and Running Code", "bb6ed30870b7f0e0"},
		{"password", "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"},
		{"MASSACHVSETTS INSTITVTE OF TECHNOLOGY", "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"},
		{"Q", "518a54a215a8452a518a54a215a8452a518a54a215"},
		{"ba", "fb25d531ae8974499f52fd92ea9857c4ba24cf297e"},
		{"kerberos", "6b65726265726f73"},
		{"kerberos", "6b65726265726f737b9b5b2b93132b93"},
		{"kerberos", "8372c236344e5f1550cd0747e15d62ca7a5a3bcea4"},
		{"kerberos", "6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4"},
	} {
		if got := hex.EncodeToString(nFold([]byte(tc.in), len(tc.want)/2)); got != tc.want {
			t.Errorf("%d-fold(%q) = %s, want %s", 4*len(tc.want), tc.in, got, tc.want)
		}
	}
}

func TestFoldUsage(t *testing.T) {
	t.Parallel()
	for _, u := range []Usage{0, 1, 2, 17, 255, 256, 1024, 0x7fffffff, 0xfffffffe, 0xffffffff} {
		for _, c := range []byte{0, 0x55, 0x99, 0xaa, 0xff} {
			got, want := foldUsage(u, c), nFold(usageConstant(u, c), 16)
			if !bytes.Equal(got[:], want) {
				t.Errorf("usage %d, %#x: %x, want %x", u, c, got, want)
			}
		}
	}
}

// RFC 3962 B, the CBC with cipher text stealing vectors.
func TestCipherTextStealing(t *testing.T) {
	t.Parallel()
	c := mustAES([]byte("chicken teriyaki"))
	text := "I would like the General Gau's Chicken, please, and wonton soup."
	for _, want := range []string{
		"c6353568f2bf8cb4d8a580362da7ff7f97",
		"fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5",
		"39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584",
		"97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
		"97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
		"97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8",
	} {
		n := len(want) / 2
		got := ctsEncrypt(c, []byte(text[:n]))
		if hex.EncodeToString(got) != want {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
		if back := ctsDecrypt(c, got); string(back) != text[:n] {
			t.Errorf("%d bytes decrypt to %q", n, back)
		}
	}
}

// RFC 3962 B, RFC 8009 A and RFC 4757 2.
func TestStringToKey(t *testing.T) {
	t.Parallel()
	saltSHA2 := string(unhex(t, "10df9dd783e5bc8acea1730e74355f61")) + "ATHENA.MIT.EDUraeburn"
	for _, tc := range []struct {
		name           string
		etype          EType
		iter           int
		password, salt string
		want           string
	}{
		{"1 iteration", AES128SHA1, 1, "password", "ATHENA.MIT.EDUraeburn", "42263c6e89f4fc28b8df68ee09799f15"},
		{"1 iteration", AES256SHA1, 1, "password", "ATHENA.MIT.EDUraeburn", "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161"},
		{"2 iterations", AES128SHA1, 2, "password", "ATHENA.MIT.EDUraeburn", "c651bf29e2300ac27fa469d693bdda13"},
		{"2 iterations", AES256SHA1, 2, "password", "ATHENA.MIT.EDUraeburn", "a2e16d16b36069c135d5e9d2e25f896102685618b95914b467c67622225824ff"},
		{"1200 iterations", AES128SHA1, 1200, "password", "ATHENA.MIT.EDUraeburn", "4c01cd46d632d01e6dbe230a01ed642a"},
		{"1200 iterations", AES256SHA1, 1200, "password", "ATHENA.MIT.EDUraeburn", "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a"},
		{"binary salt", AES128SHA1, 5, "password", "\x12\x34\x56\x78\x78\x56\x34\x12", "e9b23d52273747dd5c35cb55be619d8e"},
		{"binary salt", AES256SHA1, 5, "password", "\x12\x34\x56\x78\x78\x56\x34\x12", "97a4e786be20d81a382d5ebc96d5909cabcdadc87ca48f574504159f16c36e31"},
		{"block size", AES128SHA1, 1200, strings.Repeat("X", 64), "pass phrase equals block size", "59d1bb789a828b1aa54ef9c2883f69ed"},
		{"block size", AES256SHA1, 1200, strings.Repeat("X", 64), "pass phrase equals block size", "89adee3608db8bc71f1bfbfe459486b05618b70cbae22092534e56c553ba4b34"},
		{"longer", AES128SHA1, 1200, strings.Repeat("X", 65), "pass phrase exceeds block size", "cb8005dc5f90179a7f02104c0018751d"},
		{"longer", AES256SHA1, 1200, strings.Repeat("X", 65), "pass phrase exceeds block size", "d78c5c9cb872a8c9dad4697f0bb5b2d21496c82beb2caeda2112fceea057401b"},
		{"g-clef", AES128SHA1, 50, "\U0001d11e", "EXAMPLE.COMpianist", "f149c1f2e154a73452d43e7fe62a56e5"},
		{"g-clef", AES256SHA1, 50, "\U0001d11e", "EXAMPLE.COMpianist", "4b6d9839f84406df1f09cc166db4b83c571848b784a3d6bdc346589a3e393f9e"},
		{"sha2", AES128SHA2, 32768, "password", saltSHA2, "089bca48b105ea6ea77ca5d2f39dc5e7"},
		{"sha2", AES256SHA2, 32768, "password", saltSHA2, "45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467"},
	} {
		k, err := aesStringToKey(tc.etype, tc.password, tc.salt, tc.iter)
		if err != nil {
			t.Errorf("%v %s: %v", tc.etype, tc.name, err)
			continue
		}
		if got := hex.EncodeToString(k.Bytes()); got != tc.want {
			t.Errorf("%v %s: %s, want %s", tc.etype, tc.name, got, tc.want)
		}
	}
	k, err := StringToKey(RC4HMAC, "foo", "ignored", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(k.Bytes()), "ac8e657f83df82beea5d43bdaf7800cc"; got != want {
		t.Errorf("rc4: %s, want %s", got, want)
	}
}

func TestStringToKeyParameters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		etype  EType
		params string
		ok     bool
	}{
		{"default", AES256SHA1, "", true},
		{"least", AES256SHA1, "00001000", true},
		{"too few, which would help a guesser", AES256SHA1, "00000001", false},
		{"zero means 2^32", AES256SHA1, "00000000", false},
		{"a week of work", AES256SHA2, "ffffffff", false},
		{"short", AES128SHA1, "1000", false},
		{"long", AES128SHA1, "0000100000", false},
		{"rc4 has none", RC4HMAC, "00001000", false},
		{"des", DESCBCMD5, "", false},
	} {
		_, err := StringToKey(tc.etype, "pw", "salt", unhex(t, tc.params))
		if (err == nil) != tc.ok {
			t.Errorf("%s: error %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}

// RFC 8009 A.
func TestSHA2Vectors(t *testing.T) {
	t.Parallel()
	k128 := mustKey(t, AES128SHA2, unhex(t, "3705d96080c17728a0e800eab6e0d23c"))
	k256 := mustKey(t, AES256SHA2, unhex(t, "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52"))
	for _, tc := range []struct {
		key           Key
		plain, sealed string
	}{
		{k128, "", "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718"},
		{k128, "000102030405", "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c"},
		{k128, "000102030405060708090a0b0c0d0e0f", "3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc295fb4852e7d83e1e7c48c37eebe6b0d3"},
		{k128, "000102030405060708090a0b0c0d0e0f1011121314", "720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a413c2f92ca9b8334a287ffcbfc"},
		{k256, "", "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c"},
		{k256, "000102030405", "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2"},
		{k256, "000102030405060708090a0b0c0d0e0f", "bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f68cf51f14d798c2273f35df574d1f932e40c4ff255b36a266"},
		{k256, "000102030405060708090a0b0c0d0e0f1011121314", "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ecb647d6295fae077a1feb517508d2c16b4192e01f62"},
	} {
		got, err := tc.key.Decrypt(2, unhex(t, tc.sealed))
		if err != nil || hex.EncodeToString(got) != tc.plain {
			t.Errorf("%v: %x, %v, want %s", tc.key, got, err, tc.plain)
		}
	}
	text := unhex(t, "000102030405060708090a0b0c0d0e0f1011121314")
	for k, want := range map[Key]string{
		k128: "d78367186643d67b411cba9139fc1dee",
		k256: "45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a",
	} {
		got, err := k.Checksum(2, text)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%v checksum: %x, %v, want %s", k, got, err, want)
		}
	}
}

// TestAgainstGokrb5 seals with one implementation and opens with the other.
func TestAgainstGokrb5(t *testing.T) {
	t.Parallel()
	for _, e := range allETypes {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			k, err := RandomKey(e)
			if err != nil {
				t.Fatal(err)
			}
			et, err := jcrypto.GetEtype(int32(e))
			if err != nil {
				t.Fatal(err)
			}
			peer := types.EncryptionKey{KeyType: int32(e), KeyValue: k.Bytes()}
			for _, u := range []Usage{1, 2, 3, 8, 9, 11, 12, 14, 17, 23, 25} {
				if e == RC4HMAC && u == 9 {
					continue // gokrb5 8.4.4 leaves 9 as it is; RFC 4757 3 says 8
				}
				for n := 1; n < 70; n++ {
					plain := bytes.Repeat([]byte{byte(n)}, n)
					sealed, err := k.Encrypt(u, plain)
					if err != nil {
						t.Fatal(err)
					}
					got, err := jcrypto.DecryptEncPart(types.EncryptedData{EType: int32(e), Cipher: sealed}, peer, uint32(u))
					if err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("usage %d, %d bytes: gokrb5 reads %x, %v", u, n, got, err)
					}
					theirs, err := jcrypto.GetEncryptedData(plain, peer, uint32(u), 0)
					if err != nil {
						t.Fatal(err)
					}
					back, err := k.Decrypt(u, theirs.Cipher)
					if err != nil || !bytes.Equal(back, plain) {
						t.Fatalf("usage %d, %d bytes: we read %x, %v", u, n, back, err)
					}
				}
				sum, err := k.Checksum(u, []byte("message"))
				if err != nil {
					t.Fatal(err)
				}
				want, err := et.GetChecksumHash(peer.KeyValue, []byte("message"), uint32(u))
				if err != nil || !bytes.Equal(sum, want) {
					t.Errorf("usage %d: checksum %x, gokrb5 %x, %v", u, sum, want, err)
				}
			}
		})
	}
	t.Run("password", func(t *testing.T) {
		t.Parallel()
		for _, e := range allETypes {
			pw := "pässword"
			if e == RC4HMAC {
				pw = "password" // gokrb5 8.4.4 gets letters outside ASCII wrong
			}
			k, err := StringToKey(e, pw, "CORP.TESTsvc", nil)
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := jcrypto.GetKeyFromPassword(pw, types.NewPrincipalName(1, "svc"), "CORP.TEST", int32(e), nil)
			if err != nil || !bytes.Equal(k.Bytes(), want.KeyValue) {
				t.Errorf("%v: keys differ (%v)", e, err)
			}
		}
	})
}

func TestKeyRefuses(t *testing.T) {
	t.Parallel()
	for _, e := range allETypes {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			k, _ := RandomKey(e)
			sealed, err := k.Encrypt(UsageTicket, []byte("nobody may change this"))
			if err != nil {
				t.Fatal(err)
			}
			for i := range sealed {
				b := bytes.Clone(sealed)
				b[i] ^= 1
				if _, err := k.Decrypt(UsageTicket, b); !errors.Is(err, ErrIntegrity) {
					t.Errorf("byte %d flipped: %v", i, err)
				}
				if _, err := k.Decrypt(UsageTicket, sealed[:i]); !errors.Is(err, ErrIntegrity) {
					t.Errorf("cut to %d bytes: %v", i, err)
				}
			}
			if _, err := k.Decrypt(UsageAPReqAuthenticator, sealed); !errors.Is(err, ErrIntegrity) {
				t.Errorf("another usage: %v", err)
			}
			other, _ := RandomKey(e)
			if _, err := other.Decrypt(UsageTicket, sealed); !errors.Is(err, ErrIntegrity) {
				t.Errorf("another key: %v", err)
			}
			sum, _ := k.Checksum(UsagePACSignature, []byte("signed"))
			if err := k.VerifyChecksum(k.ChecksumType(), UsagePACSignature, []byte("signed"), sum); err != nil {
				t.Errorf("own checksum: %v", err)
			}
			for name, err := range map[string]error{
				"other data":  k.VerifyChecksum(k.ChecksumType(), UsagePACSignature, []byte("Signed"), sum),
				"other usage": k.VerifyChecksum(k.ChecksumType(), UsageTicket, []byte("signed"), sum),
				"cut":         k.VerifyChecksum(k.ChecksumType(), UsagePACSignature, []byte("signed"), sum[:len(sum)-1]),
				"empty":       k.VerifyChecksum(k.ChecksumType(), UsagePACSignature, []byte("signed"), nil),
				"type":        k.VerifyChecksum(HMACMD5+1, UsagePACSignature, []byte("signed"), sum),
			} {
				if err == nil {
					t.Errorf("checksum accepted: %s", name)
				}
			}
		})
	}
	t.Run("zero", func(t *testing.T) {
		t.Parallel()
		var k Key
		_, e1 := k.Encrypt(1, nil)
		_, e2 := k.Decrypt(1, make([]byte, 64))
		_, e3 := k.Checksum(1, nil)
		_, e4 := k.HMACMD5(1, nil)
		for i, err := range []error{e1, e2, e3, e4, k.VerifyChecksum(0, 1, nil, nil), k.VerifyHMACMD5(1, nil, nil)} {
			if !errors.Is(err, ErrNoKey) {
				t.Errorf("%d: %v, want ErrNoKey", i, err)
			}
		}
	})
	t.Run("sizes", func(t *testing.T) {
		t.Parallel()
		if _, err := NewKey(AES256SHA1, make([]byte, 16)); err == nil {
			t.Error("a short key was taken")
		}
		if _, err := NewKey(DESCBCMD5, make([]byte, 8)); !errors.Is(err, ErrUnsupported) {
			t.Errorf("DES: %v", err)
		}
		if _, err := RandomKey(RC4Export); !errors.Is(err, ErrUnsupported) {
			t.Errorf("export RC4: %v", err)
		}
	})
}

// The checksum in a PA-FOR-USER made with an AES key is HMAC-MD5 all the same.
func TestHMACMD5WithAnyKey(t *testing.T) {
	t.Parallel()
	raw := unhex(t, "000102030405060708090a0b0c0d0e0f")
	a, r := mustKey(t, AES128SHA1, raw), mustKey(t, RC4HMAC, raw)
	got, err := a.HMACMD5(UsageForUserChecksum, []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.Checksum(UsageForUserChecksum, []byte("alice"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, want %x (%v)", got, want, err)
	}
	if err := a.VerifyHMACMD5(UsageForUserChecksum, []byte("alice"), got); err != nil {
		t.Error(err)
	}
	if err := a.VerifyHMACMD5(UsageForUserChecksum, []byte("admin"), got); !errors.Is(err, ErrIntegrity) {
		t.Errorf("another user: %v", err)
	}
}

func TestKeyIsRedacted(t *testing.T) {
	t.Parallel()
	raw := []byte("MARKEDsecretKEY!")
	k := mustKey(t, AES128SHA1, raw)
	if _, err := k.Encrypt(UsageTicket, nil); err != nil { // derived keys are there too
		t.Fatal(err)
	}
	type holder struct {
		Key    Key
		hidden Key
		ptr    *Key
		list   []Key
	}
	h := holder{k, k, &k, []Key{k}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "holder", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k, "holder", h)
	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(js)
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(f, k) + fmt.Sprintf(f, &k) + fmt.Sprintf(f, h) + fmt.Sprintf(f, &h)
	}
	for _, secret := range []string{"MARKED", hex.EncodeToString(raw[:6]), strings.Trim(fmt.Sprint(raw[:4]), "[]"), strings.ToUpper(hex.EncodeToString(raw[:6]))} {
		if strings.Contains(out, secret) {
			t.Errorf("the key shows as %q in %s", secret, out)
		}
	}
}

func TestKeyConcurrently(t *testing.T) {
	t.Parallel()
	for _, e := range allETypes {
		k, _ := RandomKey(e)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					u := Usage(1 + (g+i)%5)
					s, err := k.Encrypt(u, []byte{byte(i)})
					if err != nil {
						t.Error(err)
					}
					if p, err := k.Decrypt(u, s); err != nil || !bytes.Equal(p, []byte{byte(i)}) {
						t.Errorf("%v usage %d: %v %v", e, u, p, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

func BenchmarkDecryptTicket(b *testing.B) {
	for _, e := range allETypes {
		k, _ := RandomKey(e)
		s, _ := k.Encrypt(UsageTicket, make([]byte, 1200))
		b.Run(e.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Decrypt(UsageTicket, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A session key is used once or twice, so its derivation counts.
func BenchmarkDecryptWithNewKey(b *testing.B) {
	for _, e := range allETypes {
		k, _ := RandomKey(e)
		s, _ := k.Encrypt(UsageAPReqAuthenticator, make([]byte, 200))
		raw := k.Bytes()
		b.Run(e.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k, _ := NewKey(e, raw)
				if _, err := k.Decrypt(UsageAPReqAuthenticator, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
