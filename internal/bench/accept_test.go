package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	acceptRounds = 15
	acceptTokens = 2000 // in a round

	// maxAccept is what a login may take beside MIT's library without its
	// replay cache, in processor time.
	maxAccept = 0.4
)

// acceptor is one way to accept the tokens of a round.
type acceptor struct {
	name      string
	accept    func(tokens [][]byte) (clock, processor time.Duration, err error)
	clock     []time.Duration // of a login, in each round
	processor []time.Duration
}

// BenchmarkAcceptBesideMIT has soapward and MIT's library, in a process of its
// own, accept the same tokens: a ticket with a PAC of 33 groups, AES256, mutual
// authentication. Ours remembers the authenticators, checks everything and
// reads who the caller is with all groups. MIT's checks the PAC's server
// signature and does not read the PAC; it is measured without replay cache and
// with the one it has by default, a file. Each side has one processor.
func BenchmarkAcceptBesideMIT(b *testing.B) {
	program := compileGSS(b)
	s := newService(b)
	acceptors := []*acceptor{
		{name: "soapward, every check", accept: s.acceptOurs},
		{name: "MIT, no replay cache", accept: s.startMIT(b, program, "none:")},
		{name: "MIT, replay cache in a file", accept: s.startMIT(b, program, "file2:"+filepath.Join(b.TempDir(), "rcache"))},
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for round := -1; round < acceptRounds; round++ { // one to warm up
		tokens := s.tokens(b)
		for i := range acceptors {
			a := acceptors[(max(round, 0)+i)%len(acceptors)]
			runtime.GC()
			clock, processor, err := a.accept(tokens)
			if err != nil {
				b.Fatalf("%s: %v", a.name, err)
			}
			if round >= 0 {
				a.clock = append(a.clock, clock/acceptTokens)
				a.processor = append(a.processor, processor/acceptTokens)
			}
		}
	}
	fmt.Printf("\nAccept an AP-REQ (AES256, 33 groups, AP-REP), %s and MIT %s, one processor each, the same tokens; median of %d rounds of %d\n",
		runtime.Version(), mitVersion(b), acceptRounds, acceptTokens)
	fmt.Printf("  %-28s %9s %9s  %s\n", "", "processor", "clock", "beside MIT without replay cache")
	for _, a := range acceptors {
		fmt.Printf("  %-28s %6.1f us %6.1f us  %.2f x\n", a.name, median(a.processor, nil)/1e3, median(a.clock, nil)/1e3,
			median(a.processor, acceptors[1].processor))
	}
	fmt.Println()
	if ratio := median(acceptors[0].processor, acceptors[1].processor); ratio > maxAccept {
		b.Errorf("a login takes %.2f of what MIT takes, want at most %.2f", ratio, maxAccept)
	}
}

// compileGSS returns the program that accepts with MIT's library.
func compileGSS(b *testing.B) string {
	b.Helper()
	testenv.NeedFile(b, "/usr/include/gssapi/gssapi_krb5.h")
	program := filepath.Join(b.TempDir(), "accept")
	testenv.Run(b, nil, "", testenv.Need(b, "cc"), "-O2", "-Wall", "-Werror", "-o", program, filepath.Join("gss", "accept.c"), "-lgssapi_krb5")
	return program
}

func mitVersion(b *testing.B) string {
	b.Helper()
	out := testenv.Run(b, nil, "", testenv.Need(b, "krb5-config"), "--version")
	return strings.TrimSpace(strings.TrimPrefix(out, "Kerberos 5 release"))
}

// service is one side's keys and a client of it.
type service struct {
	keytab   string // file
	krb5conf string
	ours     *kerberos.Mechanism
	ticket   *kerberos.Ticket
}

const acceptSPN = "HTTP/app.corp.test"

func newService(b *testing.B) *service {
	b.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	alice := kdc.Account{Name: "alice", Password: "alice", FullName: "Alice Liddell"}
	for rid := range uint32(31) { // Domain Users and the SID of how she logged in come with them
		alice.Groups = append(alice.Groups, 2000+rid)
	}
	for _, a := range []kdc.Account{alice, {Name: "svc-app", Password: "secret", SPNs: []string{acceptSPN}}} {
		if err := k.Add(a); err != nil {
			b.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = k.Close() })
	dir := b.TempDir()
	s := &service{keytab: filepath.Join(dir, "app.keytab"), krb5conf: filepath.Join(dir, "krb5.conf")}
	if err := k.WriteKrb5Conf(s.krb5conf); err != nil {
		b.Fatal(err)
	}
	if _, err := kerberos.WriteKeytab(s.keytab, kerberos.AccountKeys{
		Realm: "CORP.TEST", Principals: []string{acceptSPN}, Salt: "CORP.TESTsvc-app", KVNO: 1, Password: authn.NewSecret("secret"),
	}); err != nil {
		b.Fatal(err)
	}
	keytab, err := kerberos.LoadKeytab(s.keytab)
	if err != nil {
		b.Fatal(err)
	}
	s.ours = &kerberos.Mechanism{Keytab: keytab, Replay: &kerberos.MemoryReplayCache{}}
	config, err := kerberos.ParseConfig(k.Krb5Conf())
	if err != nil {
		b.Fatal(err)
	}
	client, err := kerberos.NewPasswordClient(*config, "alice", authn.NewSecret("alice"))
	if err != nil {
		b.Fatal(err)
	}
	if s.ticket, err = client.Ticket(b.Context(), acceptSPN); err != nil {
		b.Fatal(err)
	}
	return s
}

// tokens returns those of a round.
func (s *service) tokens(b *testing.B) [][]byte {
	b.Helper()
	tokens := make([][]byte, acceptTokens)
	for i := range tokens {
		token, _, err := s.ticket.NewInitiator(kerberos.InitiatorConfig{}).Step(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		tokens[i] = token
	}
	return tokens
}

func (s *service) acceptOurs(tokens [][]byte) (clock, processor time.Duration, err error) {
	begin, err := testenv.ProcessorTime()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	for _, t := range tokens {
		reply, id, err := s.ours.NewAcceptor(authn.Exchange{}).Step(context.Background(), t)
		if err != nil {
			return 0, 0, err
		}
		if len(reply) == 0 || id.Account != "alice" || len(id.Groups) != 33 {
			return 0, 0, fmt.Errorf("%d bytes of reply for %v with %d groups", len(reply), id, len(id.Groups))
		}
	}
	clock = time.Since(start)
	end, err := testenv.ProcessorTime()
	return clock, end - begin, err
}

// startMIT starts the program with a replay cache. What it returns sends it a
// round.
func (s *service) startMIT(b *testing.B, program, replayCache string) func([][]byte) (clock, processor time.Duration, err error) {
	b.Helper()
	in, toProgram, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	fromProgram, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(program) // which ends at the end of its input, that is with this process at the latest
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+s.krb5conf, "KRB5_KTNAME=FILE:"+s.keytab, "KRB5RCACHENAME="+replayCache)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_, _ = in.Close(), out.Close()
	b.Cleanup(func() {
		_ = toProgram.Close() // the program ends
		if err := cmd.Wait(); err != nil {
			b.Errorf("MIT, %s: %v: %s", replayCache, err, &stderr)
		}
		_ = fromProgram.Close()
	})
	answers := bufio.NewReader(fromProgram)
	return func(tokens [][]byte) (clock, processor time.Duration, err error) {
		round := binary.BigEndian.AppendUint32(nil, uint32(len(tokens)))
		for _, t := range tokens {
			round = append(binary.BigEndian.AppendUint32(round, uint32(len(t))), t...)
		}
		if _, err := toProgram.Write(round); err != nil {
			return 0, 0, err
		}
		line, err := answers.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return 0, 0, errors.New("the program ended")
		}
		var n int
		if _, err := fmt.Sscan(line, &clock, &processor, &n); err != nil || n != len(tokens) {
			return 0, 0, fmt.Errorf("%q, %w", line, err)
		}
		return clock, processor, nil
	}
}
