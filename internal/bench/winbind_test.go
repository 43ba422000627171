package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/internal/adtest"
)

// minBesideNTLMAuth is how fast domain logons by Netlogon must be beside
// Samba's ntlm_auth.
const minBesideNTLMAuth = 1.0

// BenchmarkNTLMAuth measures logins of a domain user without HTTP around them:
// by the Netlogon verifier, by the winbind verifier, and by Samba's ntlm_auth as
// Squid runs it. The client, the domain controller, and winbindd for the last
// two, are on the same machine.
func BenchmarkNTLMAuth(b *testing.B) {
	member := adtest.StartMember(b)
	dc := adtest.Start(b)
	cred, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret(adtest.Password(b, adtest.Alice)))
	if err != nil {
		b.Fatal(err)
	}
	direct, err := netlogon.New(netlogon.Config{
		Account: adtest.GW02, Secrets: netlogon.Password(authn.NewSecret(adtest.Password(b, adtest.GW02))),
		Domain: adtest.NetBIOS, DNSDomain: "corp.test", Controllers: []string{dc.IP}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = direct.Close() }()
	joined := &winbind.Verifier{Command: member.Command("ntlm_auth"), Env: append(os.Environ(), member.Env()...)}
	defer func() { _ = joined.Close() }()
	names, err := joined.Names(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	helpers := startHelpers(b, member, 2)
	contestants := []struct {
		name  string
		login func(context.Context) error
	}{
		{"Netlogon verifier", acceptance(&ntlm.Mechanism{Verifier: direct, Names: direct.Names()}, cred)},
		{"winbind verifier", acceptance(&ntlm.Mechanism{Verifier: joined, Names: names}, cred)},
		{"ntlm_auth, squid-2.5-ntlmssp", func(ctx context.Context) error {
			h := <-helpers
			defer func() { helpers <- h }()
			return h.login(ctx, cred)
		}},
	}
	const rounds = 9
	fmt.Printf("\nDomain users log in by NTLM, no HTTP, the domain controller on the same machine; median of %d rounds of 1 s, in turn\n", rounds)
	for _, clients := range []int{1, 2} {
		rates := make([][]float64, len(contestants))
		for range rounds {
			for i, c := range contestants {
				rate, _ := logonRound(b, clients, time.Second, c.login)
				rates[i] = append(rates[i], rate)
			}
		}
		last := rates[len(rates)-1]
		for i, c := range contestants {
			fmt.Printf("  %d at a time: %-30s %5.0f logins/s, %.2f x ntlm_auth\n", clients, c.name, middle(rates[i], nil), middle(rates[i], last))
		}
		if r := middle(rates[0], last); r < minBesideNTLMAuth {
			b.Errorf("%d at a time: %.2f x the logins of ntlm_auth, want at least %.2f", clients, r, minBesideNTLMAuth)
		}
	}
}

// middle is the median of a, or of the quotients with b.
func middle(a, b []float64) float64 {
	a = slices.Clone(a)
	for i := range b {
		a[i] /= b[i]
	}
	slices.Sort(a)
	return a[len(a)/2]
}

// acceptance is a login at an acceptor of ours.
func acceptance(m *ntlm.Mechanism, cred ntlm.Credential) func(context.Context) error {
	return func(ctx context.Context) error {
		a, i := m.NewAcceptor(authn.Exchange{Peer: "127.0.0.1:1"}), &ntlm.Initiator{Credential: cred}
		var token []byte
		var id *authn.Identity
		for range 2 {
			out, _, err := i.Step(ctx, token)
			if err != nil {
				return err
			}
			if token, id, err = a.Step(ctx, out); err != nil {
				return err
			}
		}
		if id.String() != `CORP\alice` {
			return wrongUserError{id.String()}
		}
		return nil
	}
}

// helper is an ntlm_auth that accepts logins, as Squid runs it.
type helper struct {
	in  io.Writer
	out *bufio.Reader
}

func startHelpers(b *testing.B, m *adtest.Member, n int) chan *helper {
	b.Helper()
	hs := make(chan *helper, n)
	for range n {
		c := append(m.Command("ntlm_auth"), "--helper-protocol=squid-2.5-ntlmssp")
		cmd := exec.CommandContext(b.Context(), c[0], c[1:]...)
		cmd.Env = append(os.Environ(), m.Env()...)
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Wait() // it has nothing more to say
		})
		hs <- &helper{in, bufio.NewReader(out)}
	}
	return hs
}

// login is one exchange: YR and the first message, TT and the challenge, KK and
// the second message, AF and the user.
func (h *helper) login(ctx context.Context, cred ntlm.Credential) error {
	i := &ntlm.Initiator{Credential: cred}
	var token []byte
	for _, verbs := range [][2]string{{"YR", "TT "}, {"KK", "AF "}} {
		out, _, err := i.Step(ctx, token)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(h.in, "%s %s\n", verbs[0], base64.StdEncoding.EncodeToString(out)); err != nil {
			return err
		}
		line, err := h.out.ReadString('\n')
		if err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), verbs[1])
		switch {
		case !ok:
			return fmt.Errorf("ntlm_auth answers %s with %q", verbs[0], line)
		case verbs[0] == "KK" && rest != `CORP\alice`:
			return wrongUserError{rest}
		case verbs[0] == "YR":
			if token, err = base64.StdEncoding.DecodeString(rest); err != nil {
				return err
			}
		}
	}
	return nil
}
