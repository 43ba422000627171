package ntlm_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/testenv"
)

// sambaHelper is Samba's ntlm_auth, one line in and one line out. With a
// password on its command line it needs neither winbind nor a domain.
type sambaHelper struct {
	t     *testing.T
	lines *testenv.Lines
}

func newSambaHelper(t *testing.T, protocol string, options ...string) *sambaHelper {
	t.Helper()
	return newSambaHelperFor(t, "alice", protocol, options...)
}

func newSambaHelperFor(t *testing.T, user, protocol string, options ...string) *sambaHelper {
	t.Helper()
	args := append([]string{"--configfile=/dev/null", "--helper-protocol=" + protocol,
		"--username=" + user, "--domain=CORP", "--password=" + peerPassword}, options...)
	return &sambaHelper{t, testenv.StartLines(t, exec.Command("ntlm_auth", args...))}
}

// ask sends a verb and a token and returns the fields of the answer.
func (h *sambaHelper) ask(verb string, token []byte) []string {
	h.t.Helper()
	line := verb
	if token != nil {
		line += " " + base64.StdEncoding.EncodeToString(token)
	}
	return strings.Fields(h.lines.Ask(h.t, line))
}

// token asks and returns the token in an answer of one of the kinds wanted.
func (h *sambaHelper) token(verb string, token []byte, want ...string) []byte {
	h.t.Helper()
	answer := h.ask(verb, token)
	if len(answer) < 2 || !slices.Contains(want, answer[0]) {
		h.t.Fatalf("%s: answer %q, want %s", verb, answer, want)
	}
	return unbase64(h.t, answer[1])
}

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sambaInitiator() *ntlm.Initiator {
	i := &ntlm.Initiator{
		Credential: ntlm.Credential{User: "alice", Domain: "CORP", Password: authn.NewSecret(peerPassword)},
		TargetName: "HTTP/gw01.corp.test", Workstation: "PC1",
		Binding: authn.ChannelBinding("tls-server-end-point:x"),
	}
	n := byte(0)
	ntlm.SetRandom(i, func(b []byte) {
		n++
		copy(b, bytes.Repeat([]byte{n}, len(b)))
	})
	return i
}

// initiatorTranscript is an exchange that a server of others accepted.
type initiatorTranscript struct {
	Peer                               string
	Negotiate, Challenge, Authenticate string // hexadecimal
	Verdict                            string
}

// TestPeerSambaAccepts: Samba, which verifies the MIC, accepts what the
// initiator makes. Without -update the recorded verdict is held against the
// same message, made again.
func TestPeerSambaAccepts(t *testing.T) {
	t.Parallel()
	const file = "testdata/transcripts/samba-server.json"
	ctx := t.Context()
	i := sambaInitiator()
	neg, _, err := i.Step(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		h := newSambaHelper(t, "squid-2.5-ntlmssp")
		challenge := h.token("YR", neg, "TT")
		auth, done, err := i.Step(ctx, challenge)
		if err != nil || !done {
			t.Fatalf("done %v, err %v", done, err)
		}
		b, err := json.MarshalIndent(initiatorTranscript{
			Peer:      peerVersion(t, "ntlm_auth"),
			Negotiate: hex.EncodeToString(neg), Challenge: hex.EncodeToString(challenge), Authenticate: hex.EncodeToString(auth),
			Verdict: strings.Join(h.ask("KK", auth), " "),
		}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
		i = sambaInitiator()
		if neg, _, err = i.Step(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tr initiatorTranscript
	if err := json.Unmarshal(b, &tr); err != nil {
		t.Fatal(err)
	}
	if tr.Verdict != "AF alice" && tr.Verdict != `AF CORP\alice` {
		t.Fatalf("Samba's verdict was %q", tr.Verdict)
	}
	if got := hex.EncodeToString(neg); got != tr.Negotiate {
		t.Fatalf("NEGOTIATE\n got %s\nwant %s", got, tr.Negotiate)
	}
	auth, done, err := i.Step(ctx, unhex(t, tr.Challenge))
	if err != nil || !done {
		t.Fatalf("done %v, err %v", done, err)
	}
	if got := hex.EncodeToString(auth); got != tr.Authenticate {
		t.Errorf("AUTHENTICATE\n got %s\nwant %s", got, tr.Authenticate)
	}
}

// TestPeerSambaServer runs live exchanges, in the ways that a recording cannot
// show: Samba refuses what is wrong, and checks mechListMIC.
func TestPeerSambaServer(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "ntlm_auth")
	ctx := t.Context()

	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		h, i := newSambaHelper(t, "squid-2.5-ntlmssp"), sambaInitiator()
		i.Credential.Password = authn.NewSecret("nicht")
		neg, _, _ := i.Step(ctx, nil)
		auth, _, err := i.Step(ctx, h.token("YR", neg, "TT"))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.ask("KK", auth); got[0] != "NA" {
			t.Errorf("answer %q, want NA", got)
		}
	})
	t.Run("MIC damaged", func(t *testing.T) {
		t.Parallel()
		h, i := newSambaHelper(t, "squid-2.5-ntlmssp"), sambaInitiator()
		neg, _, _ := i.Step(ctx, nil)
		auth, _, err := i.Step(ctx, h.token("YR", neg, "TT"))
		if err != nil {
			t.Fatal(err)
		}
		auth[72] ^= 1
		if got := h.ask("KK", auth); got[0] != "NA" && got[0] != "BH" {
			t.Errorf("answer %q, want a refusal", got)
		}
	})
	t.Run("SPNEGO", func(t *testing.T) {
		t.Parallel()
		h := newSambaHelper(t, "gss-spnego")
		i := spnego.NewInitiator(ntlm.OID(), sambaInitiator())
		verb := "YR"
		var fromServer []byte
		for range 5 {
			token, done, err := i.Step(ctx, fromServer)
			if err != nil {
				t.Fatal(err)
			}
			if len(token) == 0 {
				t.Fatalf("nothing to send, done %v", done)
			}
			answer := h.ask(verb, token)
			verb = "KK"
			if len(answer) > 1 {
				fromServer = unbase64(t, answer[1])
			}
			switch answer[0] {
			case "TT":
				continue
			case "AF":
				if answer[len(answer)-1] != `CORP\alice` && answer[len(answer)-1] != "alice" {
					t.Errorf("answer %q", answer)
				}
				if _, done, err := i.Step(ctx, fromServer); err != nil || !done {
					t.Errorf("last token of the server: done %v, err %v", done, err)
				}
				return
			}
			t.Fatalf("answer %q", answer)
		}
		t.Error("no end")
	})
}

// TestPeerSambaClient has Samba log in to our acceptor.
func TestPeerSambaClient(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "ntlm_auth")
	for _, tt := range []struct {
		name, protocol string
		spnego         bool
	}{
		{"NTLM", "ntlmssp-client-1", false},
		{"SPNEGO", "gss-spnego-client", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newSambaHelper(t, tt.protocol)
			m := transcriptMechanism(t)
			a := m.NewAcceptor(authn.Exchange{})
			if tt.spnego {
				a = spnego.NewAcceptor([]authn.Mechanism{m}, authn.Exchange{})
			}
			token := h.token("YR", nil, "YR")
			for range 4 {
				reply, id, err := a.Step(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if id != nil {
					if id.String() != `CORP\alice` {
						t.Errorf("identity %v", id)
					}
					return
				}
				token = h.token("TT", reply, "KK", "AF")
			}
			t.Error("no end")
		})
	}
}

// TestPeerSambaUpperCase: a response depends on the user's name in capitals.
// Both of us map one character to one, Samba by a table of its own, we by all
// simple mappings of Unicode. Where Samba has none, users by such names cannot
// log in from one to the other.
func TestPeerSambaUpperCase(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "ntlm_auth")
	for _, tt := range []struct {
		user    string
		differs string // why
	}{
		{user: "zoë çelik"},
		{user: "straße"},
		{user: "ﬁn"},
		{user: "ΐ"},
		{user: "ωμέγας"},
		{user: "жора"},
		{user: "łukasz œ ő ğ"},
		{user: "山田"},
		{user: "😀"},
		{user: "ștefan", differs: "U+0219 is of Unicode 3.0"},
		{user: "გიორგი", differs: "Georgian has capitals since Unicode 11"},
		{user: "ısı", differs: "U+0131 is not paired with I, which would not come back"},
		{user: "ſ", differs: "U+017F is not paired with S, which would not come back"},
		{user: "µ", differs: "U+00B5 is not paired with the Greek letter"},
		{user: "𐐨", differs: "outside of the BMP nothing is mapped"},
	} {
		t.Run(tt.user, func(t *testing.T) {
			t.Parallel()
			as, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: tt.user, Password: authn.NewSecret(peerPassword)})
			if err != nil {
				t.Fatal(err)
			}
			m := &ntlm.Mechanism{Verifier: as, Names: ntlm.Names{Domain: "CORP", Computer: "GW01"}}
			h, a := newSambaHelperFor(t, tt.user, "ntlmssp-client-1"), m.NewAcceptor(authn.Exchange{})
			challenge, _, err := a.Step(t.Context(), h.token("YR", nil, "YR"))
			if err != nil {
				t.Fatal(err)
			}
			_, id, err := a.Step(t.Context(), h.token("TT", challenge, "KK", "AF"))
			if tt.differs != "" {
				checkRefusal(t, id, err, authn.ReasonWrongPassword, `CORP\`+tt.user)
			} else if err != nil || id.String() != `CORP\`+tt.user {
				t.Errorf("identity %v, err %v", id, err)
			}
		})
	}
}

// TestAttackPeerSambaNTLMv1: a real NTLMv1 client is refused, and the log can
// say what to change.
func TestAttackPeerSambaNTLMv1(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "ntlm_auth")
	h := newSambaHelper(t, "ntlmssp-client-1", "--option=clientntlmv2auth=no")
	a := transcriptMechanism(t).NewAcceptor(authn.Exchange{})
	challenge, _, err := a.Step(t.Context(), h.token("YR", nil, "YR"))
	if err != nil {
		t.Fatal(err)
	}
	_, id, err := a.Step(t.Context(), h.token("TT", challenge, "KK", "AF"))
	checkRefusal(t, id, err, authn.ReasonWeak, `CORP\alice`)
}
