package e2e

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// squidNTLM has NTLM logins judged by this package's acceptor, for the local
// users: the test program is its own helper.
func squidNTLM(t *testing.T, dir string, _ func(string)) peers.SquidAuth {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	helper := filepath.Join(dir, "helper") // Squid's user cannot go where the test program is
	peers.CopyFile(t, helper, exe, 0o755)
	return peers.SquidAuth{Scheme: "ntlm", Program: helper + " -test.run=^TestSquidHelper$"}
}

// TestSquidHelper is a helper where Squid runs it, and elsewhere tests that.
func TestSquidHelper(t *testing.T) {
	m := localNTLM(t)
	m.Binding = authn.BindingOff // TLS ends in Squid, which does not tell
	if os.Getenv(peers.SquidHelperEnv) != "" {
		serveSquid(t.Context(), m, os.Stdin, os.Stdout)
		os.Exit(0) // testing would write to Squid
	}
	t.Parallel()
	for password, want := range map[string]string{localPass: "AF alice", "wrong": "NA refused"} {
		credential, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret(password))
		if err != nil {
			t.Fatal(err)
		}
		client := &ntlm.Initiator{Credential: credential}
		var token []byte
		answer := ""
		toHelper, out := io.Pipe()
		in, fromHelper := io.Pipe()
		go func() {
			serveSquid(t.Context(), m, toHelper, fromHelper)
			_ = fromHelper.Close()
		}()
		lines := bufio.NewScanner(in)
		for _, verb := range []string{"YR", "KK"} {
			if token, _, err = client.Step(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(out, verb, base64.StdEncoding.EncodeToString(token))
			lines.Scan()
			verb, answer, _ = strings.Cut(lines.Text(), " ")
			token, _ = base64.StdEncoding.DecodeString(answer) // of TT
			answer = verb + " " + answer
		}
		_ = out.Close()
		if answer != want {
			t.Errorf("password %s: answer %q, want %q", password, answer, want)
		}
	}
}

// serveSquid speaks Squid's protocol for helpers: a line with YR begins a
// login, one with KK goes on, and the answer is TT with a challenge, AF with a
// user or NA.
func serveSquid(ctx context.Context, m authn.Mechanism, in io.Reader, out io.Writer) {
	var a authn.Acceptor
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verb, text, _ := strings.Cut(lines.Text(), " ")
		if verb == "YR" {
			a = m.NewAcceptor(authn.Exchange{})
		}
		fmt.Fprintln(out, squidAnswer(ctx, a, text))
	}
}

func squidAnswer(ctx context.Context, a authn.Acceptor, text string) string {
	token, err := base64.StdEncoding.DecodeString(text)
	if err != nil || a == nil {
		return "BH not a token"
	}
	reply, id, err := a.Step(ctx, token)
	switch {
	case err != nil:
		return "NA refused"
	case id == nil:
		return "TT " + base64.StdEncoding.EncodeToString(reply)
	}
	return "AF " + id.Account
}
