package bench

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// maxHandshake is how much of a processor a server may spend on a client that
// connects, logs in and makes its first call, while it has several. With one at
// a time most of it goes into waking up. It is for the best round: other load on
// the machine only adds, by cold caches and shared cores.
const maxHandshake = 150 * time.Microsecond

// serverRole in the environment makes this program a server that a benchmark
// measures.
const serverRole = "SOAPWARD_BENCH_SERVER"

// handshakeRole is the role of serveHandshakes.
const handshakeRole = "handshakes"

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(serverRole); role {
	case "":
		os.Exit(adtest.Main(m))
	case handshakeRole:
		err = serveHandshakes()
	case ordersRole:
		err = serveOrders()
	case bytesRole:
		err = serveBytes()
	case proxiesRole:
		err = serveProxies()
	default:
		err = fmt.Errorf("unknown %s %q", serverRole, role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveHandshakes serves without a login, with one, and how much processor time
// the process took so far. It tells where and ends with its standard input.
func serveHandshakes() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	login, err := newAuthenticator()
	if err != nil {
		return err
	}
	// It logs as servers do, each login.
	guard := &authn.Middleware{Authenticators: []authn.Authenticator{login}, Logger: slog.New(slog.NewTextHandler(null, nil))}
	echo := http.HandlerFunc(serveEcho)
	for _, h := range []http.Handler{echo, guard.Wrap(echo), http.HandlerFunc(serveCPU)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s := iwa.Server(h)
		s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		go func() { _ = s.Serve(l) }() // until the process ends
		fmt.Println(l.Addr())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serveCPU tells the processor time, user and system, that the process took.
func serveCPU(w http.ResponseWriter, _ *http.Request) {
	d, err := testenv.ProcessorTime()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, d.Nanoseconds())
}

// handshakeServer is serveHandshakes in another process.
type handshakeServer struct {
	open, closed, clock string // addresses
}

func startHandshakeServer(b *testing.B) *handshakeServer {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverRole+"="+handshakeRole)
	_, next := startAnnouncing(b, cmd)
	return &handshakeServer{open: next(), closed: next(), clock: next()}
}

// cpu returns how much processor time the server took so far.
func (s *handshakeServer) cpu(b *testing.B) time.Duration {
	b.Helper()
	resp, err := http.Get("http://" + s.clock)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var ns int64
	if _, err := fmt.Fscan(resp.Body, &ns); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

// someChallenge is what a client without a login answers, so that its requests
// are as long as those of one with.
var someChallenge = (&ntlm.Challenge{
	Flags: ntlm.FlagUnicode | ntlm.FlagNTLM | ntlm.FlagExtendedSecurity | ntlm.FlagTargetInfo,
	TargetInfo: ntlm.AVPairs{
		{ID: ntlm.AVDomain, Value: []byte("C\x00O\x00R\x00P\x00")}, {ID: ntlm.AVComputer, Value: []byte("G\x00W\x00")},
		{ID: ntlm.AVTimestamp, Value: make([]byte, 8)},
	},
}).Append(nil)

// BenchmarkNTLMHandshake measures what a server spends on a client that logs in
// to a local account over a new connection, beside the same requests without a
// login. The server is another process, whose processor time the system
// counts: accepting, the kernel's part, garbage collection and the log included.
func BenchmarkNTLMHandshake(b *testing.B) {
	if _, err := testenv.ProcessorTime(); err != nil {
		testenv.Skip(b, err.Error())
	}
	s := startHandshakeServer(b)
	cred, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret("alice"))
	if err != nil {
		b.Fatal(err)
	}
	const rounds, visits = 15, 400
	fmt.Printf("\nNew connection, 401, challenge, answer: processor time of the server, best and median of %d rounds of %d; latency at the client\n", rounds, visits)
	for _, clients := range []int{1, 8, 32} {
		var cpu [2][]time.Duration // in each round, without and with a login
		var took [2][]time.Duration
		for round := -1; round < rounds; round++ {
			for login, visit := range []func() error{
				func() error { return handshake(b.Context(), "http://"+s.open, cred, "") },
				func() error { return handshake(b.Context(), "http://"+s.closed, cred, "alice") },
			} {
				before := s.cpu(b)
				d, err := visitors(clients, visits, visit)
				if err != nil {
					b.Fatal(err)
				}
				if round >= 0 {
					cpu[login] = append(cpu[login], (s.cpu(b)-before)/visits)
					took[login] = append(took[login], d...)
				}
			}
		}
		for login, name := range []string{"no login (net/http)", "NTLM, soapward"} {
			slices.Sort(took[login])
			n := len(took[login])
			fmt.Printf("  %d client(s), %-20s %6.1f us, %6.1f us  latency p50 %6.1f us, p99 %6.1f us\n", clients, name,
				float64(slices.Min(cpu[login]))/1e3, median(cpu[login], nil)/1e3, float64(took[login][n/2])/1e3, float64(took[login][n*99/100])/1e3)
		}
		fmt.Printf("  the login takes %.2f x net/http alone\n", median(cpu[1], cpu[0]))
		if got := slices.Min(cpu[1]); clients > 1 && got > maxHandshake {
			b.Errorf("%d clients: a handshake takes %v of the server's processor, want at most %v", clients, got, maxHandshake)
		}
	}
	fmt.Println()
}

// visitors has clients make visits together and returns how long each took.
func visitors(clients, visits int, visit func() error) ([]time.Duration, error) {
	took := make([]time.Duration, visits)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; i < visits; i += clients {
				begin := time.Now()
				if errs[c] = visit(); errs[c] != nil {
					return
				}
				took[i] = time.Since(begin)
			}
		})
	}
	wg.Wait()
	return took, errors.Join(errs...)
}
