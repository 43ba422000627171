package winbind_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/internal/testenv"
)

// patience is for helpers that answer: longer than a busy machine takes.
const patience = 30 * time.Second

// attempt is one with a well-formed response.
func attempt(t *testing.T, domain, user string) *ntlm.Attempt {
	t.Helper()
	return &ntlm.Attempt{Domain: domain, User: user, Response: response(t)}
}

// response is what a client answers some server.
func response(t *testing.T) []byte {
	t.Helper()
	cred, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret("x"))
	if err != nil {
		t.Fatal(err)
	}
	c := make(capture, 1)
	a, i := (&ntlm.Mechanism{Verifier: c}).NewAcceptor(authn.Exchange{}), &ntlm.Initiator{Credential: cred}
	var fromClient, fromServer []byte
	for range 2 {
		if fromClient, _, err = i.Step(t.Context(), fromServer); err != nil {
			t.Fatal(err)
		}
		fromServer, _, _ = a.Step(t.Context(), fromClient) // ends in capture's error
	}
	return <-c
}

type capture chan []byte

func (c capture) VerifyNTLM(_ context.Context, a *ntlm.Attempt) (*authn.Identity, ntlm.SessionBaseKey, error) {
	c <- slices.Clone(a.Response)
	return nil, ntlm.SessionBaseKey{}, errors.New("captured")
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	v := f.verifier(t, patience)
	id, key, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	want := ntlm.SessionBaseKey{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	groups := []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}, {SID: "S-1-5-21-9-9-9-7"}}
	if id.String() != `CORP\alice` || id.SID != fakeSID || !slices.Equal(id.Groups, groups) || key != want {
		t.Errorf("identity %v %s %v, key as wanted: %v", id, id.SID, id.Groups, key == want)
	}
	if got := f.lines(t, "requests"); !slices.Equal(got, []string{"Username=alice", "NT-Domain=CORP", "."}) {
		t.Errorf("ntlm_auth was asked %q", got)
	}
}

// A refusal leaves a dot behind, which is not the next answer.
func TestAnswersStayInStep(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.Mode = "alternates"
	v := f.verifier(t, patience)
	for n := range 6 {
		_, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
		if refused := n%2 == 0; errors.Is(err, authn.ErrBadCredentials) != refused || !refused && err != nil {
			t.Fatalf("login %d: %v, want refused: %v", n, err, refused)
		}
	}
	if n := len(f.lines(t, "pids")); n != 1 {
		t.Errorf("%d helpers, want 1", n)
	}
}

// An answer too many would be the next user's.
func TestAttackStaleAnswer(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.First, f.Mode = "speaks twice", "refuses"
	v := f.verifier(t, patience)
	for n := range 3 {
		if id, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); !errors.Is(err, authn.ErrBadCredentials) {
			t.Fatalf("login %d: identity %v, err %v; want refused", n, id, err)
		}
	}
	if n := len(f.lines(t, "pids")); n != 2 {
		t.Errorf("%d helpers, want a new one after the first", n)
	}
}

// TestAttackHelperAnswers: no answer that is not the expected one logs anybody
// in, hangs, or takes memory.
func TestAttackHelperAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ mode, want string }{
		{"dies", "ntlm_auth ended"},
		{"half an answer", "ntlm_auth ended"},
		{"dead on arrival", "cannot load smb.conf"},
		{"noise to standard error", "noise"},
		{"long line", "more than 4096 bytes"},
		{"no end", "more than 16 lines"},
		{".\n.\n", "does not say whether"},
		{"User-Session-Key: " + fakeKey + "\n.\n", "does not say whether"},
		{"Authenticated: yes\n.\n", "contradicts itself"},
		{"Authenticated: No\nAuthenticated: Yes\n.\n", "contradicts itself"},
		{"Authenticated: Yes\nUser-Session-Key: 00\n.\n", "something else than a session key"},
		{"Authenticated: Yes\nUser-Session-Key: " + fakeKey + fakeKey + "\n.\n", "something else than a session key"},
		{"Authenticated: Yes\nUser-Session-Key: " + strings.Repeat("x", 32) + "\n.\n", "something else than a session key"},
		{"Error: Parameter not found!\n.\n", "Parameter not found!"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.mode, "\n", " "), func(t *testing.T) {
			t.Parallel()
			f := newFakes(t)
			f.First = tt.mode // and the next one is well again
			v := f.verifier(t, patience)
			id, key, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
			if id != nil || key != (ntlm.SessionBaseKey{}) || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
				t.Fatalf("identity %v, err %v; want unavailable", id, err)
			}
			if !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 3000 || strings.Contains(err.Error(), fakeKey) {
				t.Errorf("err = %.3000v, want %q and no key", err, tt.want)
			}
			if n := len(f.lines(t, "pids")); n != 1 {
				t.Errorf("%d helpers were asked, want 1: the domain may have counted a wrong password", n)
			}
			if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); err != nil {
				t.Errorf("the next login: %v", err)
			}
		})
	}
}

// A guest's password was not looked at.
func TestAttackGuest(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"Authenticated: Yes\n.\n", "Authenticated: Yes\nUser-Session-Key: " + strings.Repeat("0", 32) + "\n.\n"} {
		f := newFakes(t)
		f.Mode = mode
		id, _, err := f.verifier(t, patience).VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
		checkRefused(t, id, err, authn.ReasonRestricted)
	}
}

// TestHang: a helper that is silent is killed, and what it left behind is not
// waited for.
func TestHang(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"hangs", "hangs and leaves its pipes behind"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := newFakes(t)
			f.Mode = mode
			v := f.verifier(t, 2*time.Second)
			_, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
			if !errors.Is(err, authn.ErrUnavailable) {
				t.Fatalf("err = %v, want unavailable", err)
			}
			f.waitDead(t, f.lines(t, "pids")[0])
			closed := make(chan error, 1)
			go func() { closed <- v.Close() }()
			select {
			case <-closed:
			case <-time.After(patience):
				t.Fatal("Close hangs too")
			}
			if err := os.WriteFile(filepath.Join(f.Dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, pid := range f.lines(t, "orphans") {
				f.waitDead(t, pid)
			}
		})
	}
}

func TestCloseEndsALogin(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.Mode = "hangs"
	v := f.verifier(t, patience)
	done := make(chan error)
	go func() {
		_, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
		done <- err
	}()
	f.wait(t, "requests", 3)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the login under way: %v", err)
	}
	if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("a later login: %v", err)
	}
}

// wait waits until a file has n words.
func (f *fakes) wait(t *testing.T, file string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		if len(f.lines(t, file)) < n {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Clients that go away do not make us start processes, and the answer to one
// is not the next one's.
func TestAttackClientsGoAway(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.First, f.Mode = "slow", "refuses"
	v := f.verifier(t, patience)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := v.VerifyNTLM(ctx, attempt(t, "CORP", "alice")); !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v, want canceled", err)
			}
		})
	}
	f.wait(t, "requests", 3)
	cancel()
	wg.Wait()
	if err := os.WriteFile(filepath.Join(f.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); err != nil {
		t.Errorf("the next login: %v", err)
	}
	if n := len(f.lines(t, "pids")); n != 1 {
		t.Errorf("%d helpers, want 1", n)
	}
	if n := strings.Count(strings.Join(f.lines(t, "requests"), " "), "Username"); n != 2 {
		t.Errorf("%d requests, want 2: those who waited have gone", n)
	}
}

// A helper that died while nobody used it is not an outage.
func TestDeadWhileIdle(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no Samba there")
	}
	f := newFakes(t)
	f.Mode = "dies idle"
	v := f.verifier(t, patience)
	for n := range 3 {
		if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); err != nil {
			t.Fatalf("login %d: %v", n, err)
		}
		pids := f.lines(t, "pids")
		if len(pids) != n+1 {
			t.Fatalf("%d helpers after %d logins", len(pids), n+1)
		}
		f.waitDead(t, pids[n])
	}
}

// waitDead waits for a process to be gone, or a zombie.
func (f *fakes) waitDead(t *testing.T, pid string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		if b, _ := os.ReadFile("/proc/" + pid + "/cmdline"); len(b) > 0 {
			return errors.New("alive")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A helper that dies over a request may have had it judged, and a wrong
// password counted.
func TestAttackAskedTwice(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.First = "dies at the second"
	v := f.verifier(t, patience)
	for n := range 2 {
		if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); (err == nil) != (n == 0) || n > 0 && !errors.Is(err, authn.ErrUnavailable) {
			t.Fatalf("login %d: %v", n, err)
		}
	}
	if n := len(f.lines(t, "pids")); n != 1 {
		t.Errorf("%d helpers were asked, want 1", n)
	}
}

// TestSeparator: winbindd may be told to write CORP+alice.
func TestSeparator(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.Info["--separator"] = "+"
	f.Info["--name-to-sid=CORP+alice"] = fakeSID + " SID_USER (1)"
	f.Info["--sid-to-name="+fakeSID] = "CORP+alice 1"
	v := f.verifier(t, patience)
	id, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
	if err != nil || id.String() != `CORP\alice` {
		t.Errorf("identity %v, err %v", id, err)
	}
	for _, n := range [][2]string{{"", "CORP+alice"}, {"EVIL", "CORP+alice"}, {"CORP+EVIL", "alice"}} {
		id, _, err := v.VerifyNTLM(t.Context(), attempt(t, n[0], n[1]))
		checkRefused(t, id, err, authn.ReasonUnknownUser)
	}
	f.Info["--separator"] = ""
	if id, _, err := f.verifier(t, patience).VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("without a separator: identity %v, err %v; want unavailable", id, err)
	}
}

// TestAttackProtocolInjection: no name adds a line to what ntlm_auth reads, or
// an argument to wbinfo.
func TestAttackProtocolInjection(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	f.Info["--name-to-sid=--help"] = fakeSID + " SID_USER (1)"
	f.Info[`--name-to-sid=CORP\-a:b =.`] = fakeSID + " SID_USER (1)"
	v := f.verifier(t, patience)
	good := [][2]string{{"", "--help"}, {"CORP", "-a:b =."}}
	for _, n := range good {
		if _, _, err := v.VerifyNTLM(t.Context(), attempt(t, n[0], n[1])); err != nil {
			t.Errorf("%q: %v", n, err)
		}
	}
	want := strings.Fields("Username=--help NT-Domain= . Username=-a:b =. NT-Domain=CORP .")
	if got := f.lines(t, "requests"); !slices.Equal(got, want) {
		t.Errorf("ntlm_auth was asked %q, want %q", got, want)
	}
	for _, n := range [][2]string{
		{"CORP", "alice\nUsername: bob"}, {"CORP\n.\n", "alice"}, {"CORP", "alice\r"}, {"CORP", "al\x00ice"},
		{"CORP", " alice"}, {"CORP", "alice "}, {"CORP", "alice\u00a0"}, {" CORP", "alice"}, {"CORP", ""}, {"", ""},
		{"CORP", `EVIL\alice`}, {"", `CORP\alice`}, {`CORP\`, "alice"}, {"CORP", "EVIL/alice"},
		{"CORP", "alice@corp.test"}, {"x@y", "alice"}, {"BUILTIN", "alice"}, {"builtin", "alice"},
		{"CORP", "al\xffice"}, {"CORP", "al\ufffdice"}, {"CORP", "al\u0085ice"},
		{"CORP", "alice" + strings.Repeat("e", 256)}, {strings.Repeat("C", 256), "alice"},
	} {
		id, _, err := v.VerifyNTLM(t.Context(), attempt(t, n[0], n[1]))
		if !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%q: identity %v, err %v; want refused", n, id, err)
		}
	}
	if got := f.lines(t, "requests"); len(got) != len(want) {
		t.Errorf("ntlm_auth was asked for names that nobody has: %q", got[len(want):])
	}
}

// Whatever ntlm_auth would take, we take NTLMv2 only.
func TestAttackWeakResponse(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	v := f.verifier(t, patience)
	a := attempt(t, "CORP", "alice")
	a.Response = a.Response[:24] // as long as an NTLMv1 response
	id, _, err := v.VerifyNTLM(t.Context(), a)
	checkRefused(t, id, err, authn.ReasonMalformed)
	if got := f.lines(t, "requests"); len(got) != 0 {
		t.Errorf("ntlm_auth was asked %q", got)
	}
}

// TestAttackIdentityOfAnother: the identity is an account of a domain, in
// winbindd's words, or nobody.
func TestAttackIdentityOfAnother(t *testing.T) {
	t.Parallel()
	const ask, name = `--name-to-sid=CORP\alice`, "--sid-to-name=" + fakeSID
	for _, tt := range []struct {
		name, arg, out string
		reason         authn.Reason // empty: unavailable
	}{
		{"group", ask, fakeSID + " SID_DOM_GROUP (2)", authn.ReasonRestricted},
		{"computer", ask, fakeSID + " SID_COMPUTER (9)", authn.ReasonRestricted},
		{"computer by name", name, `CORP\alice$ 1`, authn.ReasonRestricted},
		{"Unix user", ask, "S-1-22-1-0 SID_USER (1)", authn.ReasonRestricted},
		{"built in", ask, "S-1-5-32-544 SID_USER (1)", authn.ReasonRestricted},
		{"two lines", ask, fakeSID + " SID_USER (1)\n" + fakeSID + " SID_USER (1)", authn.ReasonRestricted},
		{"nothing", ask, "", authn.ReasonRestricted},
		{"no domain", name, `alice 1`, ""},
		{"empty domain", name, `\alice 1`, ""},
		{"empty name", name, `CORP\ 1`, ""},
		{"another type", name, `CORP\alice 2`, ""},
		{"two names", name, "CORP\\alice\nCORP\\bob 1", ""},
		{"too many groups", "--user-sids=" + fakeSID, "repeat", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakes(t)
			f.Info[tt.arg] = tt.out
			id, _, err := f.verifier(t, patience).VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
			if tt.reason != "" {
				checkRefused(t, id, err, tt.reason)
			} else if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("identity %v, err %v; want unavailable", id, err)
			}
		})
	}
	t.Run("name that is not found", func(t *testing.T) {
		t.Parallel()
		id, _, err := newFakes(t).verifier(t, patience).VerifyNTLM(t.Context(), attempt(t, "EVIL", "alice"))
		checkRefused(t, id, err, authn.ReasonUnknownUser)
	})
}

// What was looked up is kept for a while, by the name as the client spelled it.
func TestCache(t *testing.T) {
	t.Parallel()
	f := newFakes(t)
	v := f.verifier(t, patience)
	v.CacheFor = time.Minute
	now := time.Now()
	winbind.SetNow(v, func() time.Time { return now })
	first, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	v.Lookup = []string{"no-such-program"} // nobody uses v meanwhile
	if id, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); id != first {
		t.Errorf("within the time: %v, %v; want the same identity", id, err)
	}
	if id, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "ALICE")); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("another spelling: %v, %v; want it looked up", id, err)
	}
	now = now.Add(time.Minute)
	if id, _, err := v.VerifyNTLM(t.Context(), attempt(t, "CORP", "alice")); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("after the time: %v, %v; want it looked up", id, err)
	}
}
