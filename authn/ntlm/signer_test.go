package ntlm

import "testing"

// pair is both ends of an exchange.
func pair(flags Flags) (server, client *signer) {
	return newSigner(flags, specRandomKey, true), newSigner(flags, specRandomKey, false)
}

func TestSigner(t *testing.T) {
	t.Parallel()
	const signing = FlagSign | FlagExtendedSecurity
	for _, flags := range []Flags{
		signing,
		signing | FlagKeyExchange,
		signing | FlagKeyExchange | Flag56,
		signing | FlagKeyExchange | Flag128,
		FlagSeal | FlagExtendedSecurity | FlagKeyExchange | Flag56 | Flag128,
	} {
		t.Run(flags.String(), func(t *testing.T) {
			t.Parallel()
			server, client := pair(flags)
			checkSigners(t, server, client)
		})
	}
	for _, flags := range []Flags{0, FlagAlwaysSign | FlagExtendedSecurity, FlagSign, FlagExtendedSecurity} {
		server, client := pair(flags)
		if mic, err := client.GetMIC(nil); err == nil {
			t.Errorf("%v: signature %x", flags, mic)
		}
		// The dummy that some peers send in place of a signature.
		if err := server.VerifyMIC(nil, []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")); err == nil {
			t.Errorf("%v: dummy signature taken", flags)
		}
	}
}

// TestAttackSignature: signatures fit one message, one direction, one place in
// the sequence and one key.
func TestAttackSignature(t *testing.T) {
	t.Parallel()
	for _, kx := range []Flags{0, FlagKeyExchange | Flag128} {
		flags := FlagSign | FlagExtendedSecurity | kx
		msg := []byte("message")
		sign := func(t *testing.T, s *signer) []byte {
			t.Helper()
			mic, err := s.GetMIC(msg)
			if err != nil {
				t.Fatal(err)
			}
			return mic
		}
		for _, tt := range []struct {
			name string
			bad  func(t *testing.T, server, client *signer) error
		}{
			{"other message", func(t *testing.T, server, client *signer) error {
				return server.VerifyMIC([]byte("massage"), sign(t, client))
			}},
			{"reflected", func(t *testing.T, server, _ *signer) error {
				return server.VerifyMIC(msg, sign(t, server))
			}},
			{"replayed", func(t *testing.T, server, client *signer) error {
				mic := sign(t, client)
				if err := server.VerifyMIC(msg, mic); err != nil {
					t.Fatal(err)
				}
				return server.VerifyMIC(msg, mic)
			}},
			{"one left out", func(t *testing.T, server, client *signer) error {
				_ = sign(t, client)
				return server.VerifyMIC(msg, sign(t, client))
			}},
			{"truncated", func(t *testing.T, server, client *signer) error {
				return server.VerifyMIC(msg, sign(t, client)[:15])
			}},
			{"empty", func(_ *testing.T, server, _ *signer) error { return server.VerifyMIC(msg, nil) }},
			{"other key", func(t *testing.T, _, client *signer) error {
				other := newSigner(flags, [16]byte{1}, true)
				return other.VerifyMIC(msg, sign(t, client))
			}},
		} {
			t.Run(flags.String()+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				server, client := pair(flags)
				if err := tt.bad(t, server, client); err == nil {
					t.Error("accepted")
				}
			})
		}
		for i := range signatureSize {
			server, client := pair(flags)
			mic := sign(t, client)
			mic[i] ^= 0x80
			if err := server.VerifyMIC(msg, mic); err == nil {
				t.Errorf("%v: byte %d changed, accepted", flags, i)
			}
		}
	}
}

// TestRewindSigner: after mechListMIC the first message of the application
// finds the encryption where mechListMIC found it (MS-SPNG 3.3.5.1), and the
// sequence one further.
func TestRewindSigner(t *testing.T) {
	t.Parallel()
	const flags = FlagSign | FlagExtendedSecurity | FlagKeyExchange | Flag128
	server, client := pair(flags)
	checkSigners(t, server, client)
	server.RewindSigner()
	client.RewindSigner()

	fresh, _ := pair(flags)
	fresh.in.seq = 2
	mic, err := client.GetMIC([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*signer{"rewound": server, "fresh": fresh} {
		if err := s.VerifyMIC([]byte("x"), mic); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none *signer
	none.RewindSigner()
}
