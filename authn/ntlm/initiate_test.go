package ntlm

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

func TestNewCredential(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, domain, user string
		password           string
		err                string
	}{
		{name: `CORP\alice`, domain: "CORP", user: "alice", password: "x"},
		{name: "alice@corp.test", user: "alice@corp.test", password: "x"},
		{name: "alice", user: "alice", password: "x"},
		{name: `.\alice`, domain: ".", user: "alice", password: "x"},
		{name: `CORP\alice@corp.test`, domain: "CORP", user: "alice@corp.test", password: "x"},
		{name: "", password: "x", err: "no user name"},
		{name: `CORP\`, password: "x", err: "no user name"},
		{name: `A\B\alice`, password: "x", err: "bad user name"},
		{name: "alice\x00", password: "x", err: "bad user name"},
		{name: "alice", err: "no password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := NewCredential(tt.name, authn.NewSecret(tt.password))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("credential %v, err %v; want %q", c, err, tt.err)
				}
				return
			}
			if err != nil || c.Domain != tt.domain || c.User != tt.user || c.String() != tt.name {
				t.Errorf("domain %q, user %q, string %q, err %v", c.Domain, c.User, c, err)
			}
		})
	}
}

// answer has an initiator answer a challenge.
func answer(t *testing.T, i *Initiator, c *Challenge) (*Authenticate, *Response, error) {
	t.Helper()
	ctx := context.Background()
	if i.Credential.User == "" {
		i.Credential = Credential{User: "alice", Domain: "CORP", Hash: HashPassword(testPassword)}
	}
	i.Now = testClock
	if i.ExpectsChallenge() {
		t.Error("a challenge is expected before the first step")
	}
	if _, done, err := i.Step(ctx, nil); done || err != nil || !i.ExpectsChallenge() {
		t.Fatalf("done %v, err %v, challenge expected %v", done, err, i.ExpectsChallenge())
	}
	b, done, err := i.Step(ctx, c.Append(nil))
	if err != nil {
		if b != nil || done {
			t.Errorf("message %x and done %v beside %v", b, done, err)
		}
		return nil, nil, err
	}
	m, err := ParseAuthenticate(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseResponse(m.NTResponse)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Step(ctx, nil); err == nil || i.ExpectsChallenge() {
		t.Error("there is a third step")
	}
	return m, r, nil
}

const serverFlags = initiatorOffers | FlagTargetTypeDomain

func serverPairs(extra ...AVPair) AVPairs {
	return append(AVPairs{{AVDomain, appendUTF16(nil, "CORP")}, {AVTimestamp, le.AppendUint64(nil, filetime(testTime)-600)}}, extra...)
}

func TestInitiatorAnswer(t *testing.T) {
	t.Parallel()
	binding := authn.ChannelBinding("tls-server-end-point:x")
	for _, tt := range []struct {
		name  string
		i     Initiator
		c     Challenge
		check func(t *testing.T, m *Authenticate, r *Response)
	}{
		{"timestamp brings a MIC", Initiator{}, Challenge{TargetInfo: serverPairs()}, func(t *testing.T, m *Authenticate, r *Response) {
			if f, _ := r.Pairs.avFlags(); f != AVFlagMIC || len(m.MIC) != 16 || bytes.Equal(m.MIC, zeroMIC[:]) {
				t.Errorf("AV flags %x, MIC %x", f, m.MIC)
			}
			if !r.Time.Equal(testTime.Add(-60 * time.Microsecond)) {
				t.Errorf("time %v is not the server's", r.Time)
			}
		}},
		{"no timestamp, no MIC", Initiator{}, Challenge{TargetInfo: serverPairs()[:1]}, func(t *testing.T, m *Authenticate, r *Response) {
			if f, _ := r.Pairs.avFlags(); f != 0 || len(m.MIC) != 0 || !r.Time.Equal(testTime) {
				t.Errorf("AV flags %x, MIC %x, time %v", f, m.MIC, r.Time)
			}
		}},
		{"names", Initiator{Workstation: "PC1", TargetName: "HTTP/host"}, Challenge{TargetInfo: serverPairs()}, func(t *testing.T, m *Authenticate, r *Response) {
			if m.User != "alice" || m.Domain != "CORP" || m.Workstation != "PC1" || r.Pairs.Text(AVTargetName) != "HTTP/host" || r.Pairs.Text(AVDomain) != "CORP" {
				t.Errorf("message %+v, pairs %v", m, r.Pairs)
			}
		}},
		{"no binding is zeros", Initiator{}, Challenge{TargetInfo: serverPairs()}, func(t *testing.T, _ *Authenticate, r *Response) {
			if v, ok := r.Pairs.Get(AVChannelBindings); !ok || !bytes.Equal(v, make([]byte, 16)) {
				t.Errorf("binding %x", v)
			}
			if _, ok := r.Pairs.Get(AVTargetName); ok {
				t.Error("a target name is sent")
			}
		}},
		{"binding", Initiator{Binding: binding}, Challenge{TargetInfo: serverPairs()}, func(t *testing.T, _ *Authenticate, r *Response) {
			if v, _ := r.Pairs.Get(AVChannelBindings); !bytes.Equal(v, hashOf(binding)) {
				t.Errorf("binding %x", v)
			}
		}},
		// A server, or who sits between, cannot say what the client means.
		{"server's own binding and target name", Initiator{}, Challenge{TargetInfo: serverPairs(
			AVPair{AVChannelBindings, hashOf(binding)}, AVPair{AVTargetName, appendUTF16(nil, "HTTP/evil")}, AVPair{AVFlags, []byte{7, 0, 0, 0}},
		)}, func(t *testing.T, _ *Authenticate, r *Response) {
			v, _ := r.Pairs.Get(AVChannelBindings)
			f, _ := r.Pairs.avFlags()
			if !bytes.Equal(v, make([]byte, 16)) || r.Pairs.Text(AVTargetName) != "" || f != AVFlagConstrained|AVFlagMIC {
				t.Errorf("binding %x, target %q, flags %x", v, r.Pairs.Text(AVTargetName), f)
			}
		}},
		{"unknown pairs come back", Initiator{}, Challenge{TargetInfo: serverPairs(AVPair{77, []byte("x")})}, func(t *testing.T, _ *Authenticate, r *Response) {
			if v, _ := r.Pairs.Get(77); string(v) != "x" {
				t.Errorf("pair %q", v)
			}
		}},
		{"key exchange", Initiator{}, Challenge{TargetInfo: serverPairs()}, func(t *testing.T, m *Authenticate, _ *Response) {
			if len(m.SessionKey) != 16 || !m.Flags.Has(FlagKeyExchange|FlagSign|Flag128|FlagExtendedSecurity) {
				t.Errorf("key %x, flags %v", m.SessionKey, m.Flags)
			}
		}},
		{"no key exchange", Initiator{}, Challenge{Flags: serverFlags &^ FlagKeyExchange, TargetInfo: serverPairs()}, func(t *testing.T, m *Authenticate, _ *Response) {
			if len(m.SessionKey) != 0 || m.Flags.Has(FlagKeyExchange) {
				t.Errorf("key %x, flags %v", m.SessionKey, m.Flags)
			}
		}},
		{"flags not offered", Initiator{}, Challenge{Flags: serverFlags | FlagLMKey | FlagDatagram | FlagAnonymous | FlagNonNTSessionKey, TargetInfo: serverPairs()}, func(t *testing.T, m *Authenticate, _ *Response) {
			if extra := m.Flags &^ initiatorOffers; extra != 0 {
				t.Errorf("flags %v were not offered", extra)
			}
		}},
		{"no LM response", Initiator{}, Challenge{TargetInfo: serverPairs()[:1]}, func(t *testing.T, m *Authenticate, _ *Response) {
			if !bytes.Equal(m.LMResponse, make([]byte, 24)) {
				t.Errorf("LM response %x", m.LMResponse)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.c.Flags == 0 {
				tt.c.Flags = serverFlags
			}
			m, r, err := answer(t, &tt.i, &tt.c)
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, m, r)
		})
	}
}

// TestAttackServerDowngrade: no challenge talks the initiator into less than
// NTLMv2 with extended session security.
func TestAttackServerDowngrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		c    Challenge
		want string
	}{
		{"no extended session security", Challenge{Flags: serverFlags &^ FlagExtendedSecurity, TargetInfo: serverPairs()}, "NTLMv1 only"},
		{"no target info", Challenge{Flags: serverFlags &^ FlagTargetInfo}, "NTLMv1 only"},
		{"empty target info", Challenge{Flags: serverFlags}, "NTLMv1 only"},
		{"OEM", Challenge{Flags: serverFlags ^ FlagUnicode ^ FlagOEM, TargetInfo: serverPairs()}, "Unicode"},
		{"timestamp of 7 bytes", Challenge{Flags: serverFlags, TargetInfo: AVPairs{{AVTimestamp, make([]byte, 7)}}}, "timestamp"},
		{"AV flags of 5 bytes", Challenge{Flags: serverFlags, TargetInfo: serverPairs(AVPair{AVFlags, make([]byte, 5)})}, "AV flags"},
		{"timestamp twice", Challenge{Flags: serverFlags, TargetInfo: append(serverPairs(), serverPairs()[1])}, "twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, _, err := answer(t, new(Initiator), &tt.c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("message %+v, err %v; want %q", m, err, tt.want)
			}
		})
	}
}

func TestInitiatorMisuse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	good := Credential{User: "alice", Hash: HashPassword(testPassword)}
	for _, tt := range []struct {
		name  string
		i     Initiator
		token []byte
		want  string
	}{
		{"no credential", Initiator{}, nil, "no user name"},
		{"no password", Initiator{Credential: Credential{User: "alice"}}, nil, "no password"},
		{"hash of no password", Initiator{Credential: Credential{User: "alice", Hash: HashPassword("")}}, nil, "no password"},
		{"password and hash", Initiator{Credential: Credential{User: "alice", Password: authn.NewSecret(testPassword), Hash: good.Hash}}, nil, "one of them"},
		{"token first", Initiator{Credential: good}, []byte("x"), "before the first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // it stays over
				if b, done, err := tt.i.Step(ctx, tt.token); b != nil || done || err == nil {
					t.Errorf("message %x, done %v, err %v", b, done, err)
				} else if !strings.Contains(err.Error(), tt.want) && !strings.Contains(err.Error(), "over") {
					t.Errorf("err %v; want %q", err, tt.want)
				}
			}
			if _, err := tt.i.GetMIC(nil); err == nil {
				t.Error("signs without a key")
			}
			if err := tt.i.VerifyMIC(nil, make([]byte, 16)); err == nil {
				t.Error("verifies without a key")
			}
		})
	}
	i := Initiator{Credential: Credential{User: strings.Repeat("x", maxMessage), Hash: good.Hash}}
	if _, _, err := i.Step(ctx, nil); err != nil {
		t.Fatal(err)
	}
	c := Challenge{Flags: serverFlags, TargetInfo: serverPairs()}
	if b, done, err := i.Step(ctx, c.Append(nil)); b != nil || done || err == nil {
		t.Errorf("name too long: %d bytes, done %v, err %v", len(b), done, err)
	}
}

// TestInitiatorFresh: no two answers use the same random values.
func TestInitiatorFresh(t *testing.T) {
	t.Parallel()
	c := Challenge{Flags: serverFlags, TargetInfo: serverPairs()}
	seen := map[string]bool{}
	for range 100 {
		m, r, err := answer(t, new(Initiator), &c)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{string(r.ClientChallenge[:]), string(m.SessionKey)} {
			if seen[s] {
				t.Fatalf("%x twice", s)
			}
			seen[s] = true
		}
	}
}
