package ntlm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/testenv"
)

var update = flag.Bool("update", false, "record the transcripts in testdata anew from the clients installed here")

// peerPassword is ASCII: curl offers no character set for more.
const peerPassword = "Peer-Passw0rd"

// peer is a client that others wrote.
type peer struct {
	name  string
	tls   bool
	user  string // as given to the client
	env   []string
	argv  []string // URL is replaced, and MONO by the program of monoSource
	stdin string   // URL is replaced

	// What the transcript must show, so that a recording of something else is
	// noticed.
	mic, bound, listMIC bool
	refused             authn.Reason // "" means that alice logs in
}

// peers have transcripts that are replayed without them.
var peers = []peer{
	{name: "curl-ntlm", user: `CORP\alice`,
		argv: []string{"curl", "-sS", "-f", "--ntlm", "-u", `CORP\alice:` + peerPassword, "URL"}},
	{name: "curl-ntlm-upn", user: "alice@corp.test",
		argv: []string{"curl", "-sS", "-f", "--ntlm", "-u", "alice@corp.test:" + peerPassword, "URL"}},
	{name: "curl-ntlm-bare", user: "alice",
		argv: []string{"curl", "-sS", "-f", "--ntlm", "-u", "alice:" + peerPassword, "URL"}},
	{name: "curl-ntlm-tls", tls: true, user: `CORP\alice`,
		argv: []string{"curl", "-sS", "-f", "-k", "--ntlm", "-u", `CORP\alice:` + peerPassword, "URL"}},
	{name: "curl-negotiate-gss-ntlmssp", user: `CORP\alice`, mic: true, listMIC: true,
		env:  []string{"NTLM_USER_FILE=USERS", "KRB5CCNAME=/nonexistent"},
		argv: []string{"curl", "-sS", "-f", "--negotiate", "-u", ":", "URL"}},
	{name: "requests-ntlm", user: `CORP\alice`, mic: true,
		env:  []string{"OPENSSL_CONF=LEGACY"},
		argv: []string{"/usr/bin/python3", "-c", requestsScript, "URL"}},
	{name: "requests-ntlm-tls", tls: true, user: `CORP\alice`, mic: true, bound: true,
		env:  []string{"OPENSSL_CONF=LEGACY"},
		argv: []string{"/usr/bin/python3", "-W", "ignore", "-c", requestsScript, "URL"}},
	{name: "mono-ntlmv1", user: `CORP\alice`, refused: authn.ReasonWeak,
		argv: []string{"mono", "MONO"}, stdin: monoInput},
	{name: "mono-ntlmv2", user: `CORP\alice`,
		argv: []string{"mono", "MONO", "v2"}, stdin: monoInput},
}

// monoSource is the program of another package's test, and monoInput what it
// reads.
const (
	monoSource = "../../internal/e2e/testdata/mono/call.cs"
	monoInput  = "URL\nCORP\nalice\n" + peerPassword + "\n\n1\n"
)

const requestsScript = `
import sys, requests
from requests_ntlm import HttpNtlmAuth
requests.get(sys.argv[1], auth=HttpNtlmAuth('CORP\\alice', '` + peerPassword + `'), verify=False).raise_for_status()
`

// opensslLegacy gives Python the MD4 that OpenSSL 3 hides.
const opensslLegacy = `
openssl_conf = init
[init]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
`

// transcript is one exchange as an acceptor sees it.
type transcript struct {
	Peer     string
	Binding  string `json:",omitempty"`
	Steps    []transcriptStep
	Verified []transcriptMIC `json:",omitempty"` // of the client, by VerifyMIC
	Made     []transcriptMIC `json:",omitempty"` // by GetMIC
	Identity string
	Refused  authn.Reason `json:",omitempty"`
}

// Bytes are in hexadecimal.
type (
	transcriptStep struct{ In, Out string }
	transcriptMIC  struct{ Message, MIC string }
)

func transcriptFile(name string) string {
	return filepath.Join("testdata", "transcripts", name+".json")
}

// transcriptMechanism is what the transcripts were recorded with.
func transcriptMechanism(t testing.TB) *ntlm.Mechanism {
	t.Helper()
	as, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret(peerPassword)})
	if err != nil {
		t.Fatal(err)
	}
	m := &ntlm.Mechanism{
		Verifier: as,
		Names:    ntlm.Names{Domain: "CORP", Computer: "GW01", DNS: ntlm.DNSNames{Domain: "corp.test", Computer: "gw01.corp.test"}},
		Now:      func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	}
	ntlm.SetChallenge(m, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
	return m
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if *update {
				rec := record(t, p)
				b, err := json.MarshalIndent(rec, "", "\t")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(transcriptFile(p.name), append(b, '\n'), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			tr := readTranscript(t, p.name)
			replay(t, tr)

			auth, err := ntlm.ParseAuthenticate(unhex(t, tr.Steps[1].In))
			if err != nil {
				t.Fatal(err)
			}
			if got := joined(auth); got != p.user {
				t.Errorf("client claims to be %q, want %q", got, p.user)
			}
			if tr.Refused != p.refused {
				t.Errorf("refused for %q, want %q", tr.Refused, p.refused)
			}
			if p.refused == authn.ReasonWeak {
				// NTLMv1 with extended session security: the LM response is the
				// client's challenge (MS-NLMP 3.3.1).
				if len(auth.NTResponse) != 24 || !auth.Flags.Has(ntlm.FlagExtendedSecurity) || !bytes.Equal(auth.LMResponse[8:], make([]byte, 16)) {
					t.Errorf("NT response of %d bytes, LM response %x, flags %v: want NTLMv1", len(auth.NTResponse), auth.LMResponse, auth.Flags)
				}
				return
			}
			resp, err := ntlm.ParseResponse(auth.NTResponse)
			if err != nil {
				t.Fatal(err)
			}
			flags, _ := resp.Pairs.Get(ntlm.AVFlags)
			mic := len(flags) == 4 && flags[0]&ntlm.AVFlagMIC != 0
			binding, _ := resp.Pairs.Get(ntlm.AVChannelBindings)
			bound := len(bytes.Trim(binding, "\x00")) != 0
			if mic != p.mic || bound != p.bound || len(tr.Verified) != 0 != p.listMIC || len(tr.Made) != 0 != p.listMIC {
				t.Errorf("MIC %v, bound %v, %d MICs verified, %d made; want %v, %v, %v",
					mic, bound, len(tr.Verified), len(tr.Made), p.mic, p.bound, p.listMIC)
			}
		})
	}
}

func joined(m *ntlm.Authenticate) string {
	if m.Domain == "" {
		return m.User
	}
	return m.Domain + `\` + m.User
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readTranscript(t testing.TB, name string) *transcript {
	t.Helper()
	b, err := os.ReadFile(transcriptFile(name))
	if err != nil {
		t.Fatal(err)
	}
	tr := new(transcript)
	if err := json.Unmarshal(b, tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// replay has an acceptor say what it said when the transcript was made.
func replay(t *testing.T, tr *transcript) {
	t.Helper()
	a := transcriptMechanism(t).NewAcceptor(authn.Exchange{Bindings: authn.Bindings{unhex(t, tr.Binding)}})
	for n, s := range tr.Steps {
		out, id, err := a.Step(context.Background(), unhex(t, s.In))
		last := n == len(tr.Steps)-1
		if last && tr.Refused != "" {
			checkRefusal(t, id, err, tr.Refused, `CORP\alice`)
			return
		}
		if err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if got := hex.EncodeToString(out); got != s.Out {
			t.Fatalf("step %d:\n got %s\nwant %s", n, got, s.Out)
		}
		if last != (id != nil) || last && id.String() != tr.Identity {
			t.Fatalf("step %d: identity %v, want %s at the end", n, id, tr.Identity)
		}
	}
	s := a.(authn.MessageSigner)
	for _, v := range tr.Verified {
		if err := s.VerifyMIC(unhex(t, v.Message), unhex(t, v.MIC)); err != nil {
			t.Error(err)
		}
	}
	for _, m := range tr.Made {
		if mic, err := s.GetMIC(unhex(t, m.Message)); err != nil || hex.EncodeToString(mic) != m.MIC {
			t.Errorf("GetMIC %x, err %v; want %s", mic, err, m.MIC)
		}
	}
}

// record runs the client against a server of our own.
func record(t *testing.T, p peer) *transcript {
	t.Helper()
	rec := &recorder{Mechanism: transcriptMechanism(t), t: &transcript{Peer: peerVersion(t, p.argv[0])}}
	auth := &iwa.Authenticator{NTLM: rec}
	mw := &authn.Middleware{Authenticators: []authn.Authenticator{auth}}
	ts := httptest.NewUnstartedServer(mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("hello"))
	})))
	ts.Config.ConnContext = iwa.ConnContext
	if p.tls {
		ts.StartTLS()
		var err error
		if auth.Binding, err = iwa.CertificateBinding(&ts.TLS.Certificates[0]); err != nil {
			t.Fatal(err)
		}
	} else {
		ts.Start()
	}
	defer ts.Close()

	dir := t.TempDir()
	users, legacy := filepath.Join(dir, "users"), filepath.Join(dir, "openssl.cnf")
	for file, content := range map[string]string{
		users:  "CORP:alice:" + peerPassword + "\n",
		legacy: opensslLegacy,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "call.exe")
	if slices.Contains(p.argv, "MONO") {
		testenv.Run(t, nil, "", testenv.Need(t, "mcs"), "-r:Mono.Security", "-out:"+program, monoSource)
	}
	fill := strings.NewReplacer("URL", ts.URL, "USERS", users, "LEGACY", legacy, "MONO", program)
	args := make([]string, len(p.argv))
	for i, s := range p.argv {
		args[i] = fill.Replace(s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = os.Environ()
	for _, s := range p.env {
		cmd.Env = append(cmd.Env, fill.Replace(s))
	}
	cmd.Stdin = strings.NewReader(fill.Replace(p.stdin))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", p.name, err, out)
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.t.Identity == "" && rec.t.Refused == "" {
		t.Fatalf("%s: nobody logged in", p.name)
	}
	return rec.t
}

func peerVersion(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// recorder is a mechanism that writes down what its acceptors do.
type recorder struct {
	*ntlm.Mechanism
	mu sync.Mutex
	t  *transcript
}

func (r *recorder) NewAcceptor(x authn.Exchange) authn.Acceptor {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A client may begin more than once; the last exchange counts.
	r.t.Binding, r.t.Steps, r.t.Verified, r.t.Made = "", nil, nil, nil
	if x.Bindings.Known() {
		r.t.Binding = hex.EncodeToString(x.Bindings[0])
	}
	a := r.Mechanism.NewAcceptor(x)
	return &recordingAcceptor{Acceptor: a, signer: a.(authn.MessageSigner), r: r}
}

type recordingAcceptor struct {
	authn.Acceptor
	signer authn.MessageSigner
	r      *recorder
}

func (a *recordingAcceptor) Step(ctx context.Context, token []byte) ([]byte, *authn.Identity, error) {
	out, id, err := a.Acceptor.Step(ctx, token)
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.t.Steps = append(a.r.t.Steps, transcriptStep{hex.EncodeToString(token), hex.EncodeToString(out)})
	if id != nil {
		a.r.t.Identity = id.String()
	}
	if re := new(authn.RefusedError); errors.As(err, &re) {
		a.r.t.Refused = re.Reason
	}
	return out, id, err
}

func (a *recordingAcceptor) GetMIC(msg []byte) ([]byte, error) {
	mic, err := a.signer.GetMIC(msg)
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.t.Made = append(a.r.t.Made, transcriptMIC{hex.EncodeToString(msg), hex.EncodeToString(mic)})
	return mic, err
}

func (a *recordingAcceptor) VerifyMIC(msg, mic []byte) error {
	err := a.signer.VerifyMIC(msg, mic)
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.t.Verified = append(a.r.t.Verified, transcriptMIC{hex.EncodeToString(msg), hex.EncodeToString(mic)})
	return err
}
