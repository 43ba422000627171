package winbind_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/ntlm/winbind"
)

// fakeEnv makes the test binary stand in for Samba's programs, as fakes say.
const fakeEnv = "SOAPWARD_WINBIND_FAKES"

// fakes are Samba's programs that fail in ways which the real ones do not show
// when asked to.
type fakes struct {
	// Dir has the files by which the fakes and a test talk: "pids" and
	// "requests" are what the helpers were given, "go" releases slow ones.
	Dir string

	Mode  string            // of ntlm_auth; empty: everybody's login is right
	First string            // Mode of the first helper to start, if that differs
	Info  map[string]string // what wbinfo prints for an argument; missing: not found
}

const (
	fakeSID = "S-1-5-21-1-2-3-1103"
	fakeKey = "000102030405060708090A0B0C0D0E0F"
	yes     = "Authenticated: Yes\nUser-Session-Key: " + fakeKey + "\n.\n"
	no      = "Authenticated: No\nAuthentication-Error: The specified account does not exist.\n.\n.\n"
)

// newFakes are right for alice.
func newFakes(t *testing.T) *fakes {
	return &fakes{Dir: t.TempDir(), Info: map[string]string{
		"--separator":              `\`,
		`--name-to-sid=CORP\alice`: fakeSID + " SID_USER (1)",
		"--sid-to-name=" + fakeSID: `CORP\alice 1`,
		"--user-sids=" + fakeSID:   fakeSID + "\nS-1-5-21-1-2-3-513\nS-1-5-32-545\nS-1-5-21-9-9-9-7",
		"--lookup-sids=S-1-5-21-1-2-3-513,S-1-5-21-9-9-9-7": `S-1-5-21-1-2-3-513 -> <none>\Domain Users 2` +
			"\n" + `S-1-5-21-9-9-9-7 -> <none>\Others 2`,
	}}
}

// verifier uses the fakes, with one helper.
func (f *fakes) verifier(t *testing.T, timeout time.Duration) *winbind.Verifier {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &winbind.Verifier{
		Command: []string{exe, "ntlm_auth"}, Lookup: []string{exe, "wbinfo"},
		Env: append(os.Environ(), fakeEnv+"="+string(b)), Helpers: 1, Timeout: timeout, CacheFor: -1,
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// lines returns those of one of the files.
func (f *fakes) lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(f.Dir, file))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// main is a program's, and returns its exit status.
func (f *fakes) main(args []string) int {
	switch args[0] {
	case "orphan":
		f.sleep()
		return 0
	case "wbinfo":
		out, ok := f.Info[args[1]]
		if !ok {
			fmt.Fprintln(os.Stderr, "failed to call wbcLookupName: WBC_ERR_DOMAIN_NOT_FOUND")
			return 1
		}
		if out == "repeat" {
			out = strings.Repeat("S-1-5-21-1-2-3-513\n", 1<<15)
		}
		fmt.Println(out)
		return 0
	}
	if args[1] != "--helper-protocol=ntlm-server-1" {
		fmt.Fprintln(os.Stderr, "unknown protocol")
		return 1
	}
	mode := f.Mode
	if b, _ := os.ReadFile(filepath.Join(f.Dir, "pids")); len(b) == 0 && f.First != "" {
		mode = f.First
	}
	f.append("pids", fmt.Sprintln(os.Getpid()))
	return f.serve(mode, bufio.NewScanner(os.Stdin))
}

func (f *fakes) serve(mode string, in *bufio.Scanner) int {
	if mode == "dead on arrival" {
		fmt.Fprintln(os.Stderr, "cannot load smb.conf")
		return 1
	}
	for n := 1; f.request(in); n++ {
		switch mode {
		case "", "dies idle":
			fmt.Print(yes)
			if mode == "dies idle" {
				return 0
			}
		case "refuses":
			fmt.Print(no)
		case "alternates": // as Samba does: two dots after a refusal
			fmt.Print([]string{yes, no}[n%2])
		case "speaks twice":
			fmt.Print(no + yes)
		case "hangs":
			f.sleep()
		case "hangs and leaves its pipes behind":
			p, err := os.StartProcess(os.Args[0], []string{os.Args[0], "orphan"},
				&os.ProcAttr{Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
			if err != nil {
				panic(err)
			}
			f.append("orphans", fmt.Sprintln(p.Pid))
			f.sleep()
		case "slow":
			f.sleep()
			fmt.Print(yes)
		case "dies at the second":
			if n == 2 {
				return 3
			}
			fmt.Print(yes)
		case "dies":
			return 3
		case "half an answer":
			fmt.Print("Authenticated: Yes\n")
			return 0
		case "long line":
			fmt.Print("Authenticated: Yes" + strings.Repeat(" ", 1<<20) + "\n.\n")
		case "no end":
			for {
				if _, err := fmt.Println("Comment: nothing"); err != nil {
					return 1
				}
			}
		case "noise to standard error":
			_, _ = io.WriteString(os.Stderr, strings.Repeat("noise\n", 1<<18))
			return 1
		default: // the answer itself
			fmt.Print(mode)
		}
	}
	return 0
}

// sleep waits for the file "go", or the end of the test, deaf to all else.
// Nothing announces either to another process.
func (f *fakes) sleep() {
	for {
		_, err := os.Stat(filepath.Join(f.Dir, "go"))
		_, gone := os.Stat(f.Dir)
		if err == nil || gone != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// request reads a request and writes down what was asked.
func (f *fakes) request(in *bufio.Scanner) bool {
	var log strings.Builder
	for in.Scan() {
		if in.Text() == "." {
			f.append("requests", log.String()+".\n")
			return true
		}
		key, value, _ := strings.Cut(in.Text(), " ")
		if name, ok := strings.CutSuffix(key, "::"); ok {
			b, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				b = []byte(err.Error())
			}
			fmt.Fprintf(&log, "%s=%s\n", name, b)
		}
	}
	return false
}

func (f *fakes) append(file, text string) {
	w, err := os.OpenFile(filepath.Join(f.Dir, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = w.WriteString(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
}
