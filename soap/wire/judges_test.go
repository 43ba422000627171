package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// libxml2 is a process that says what libxml2 sees in a document. It is safe for
// concurrent use.
type libxml2 struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// startLibxml2 starts one that lives as long as the test.
func startLibxml2(tb testing.TB) *libxml2 {
	tb.Helper()
	testenv.NeedFile(tb, "/usr/include/libxml2/libxml/parser.h")
	program := filepath.Join(tb.TempDir(), "libxml2")
	testenv.Run(tb, nil, "", testenv.Need(tb, "cc"), "-O1", "-Wall", "-Werror", "-I/usr/include/libxml2",
		"-o", program, filepath.Join("testdata", "libxml2", "libxml2.c"), "-lxml2")
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { // the end of its input ends it
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("libxml2: %v: %s", err, said.String())
		}
	})
	return &libxml2{in: in, out: bufio.NewReader(out)}
}

// see returns what infoset returns, as libxml2 sees the document.
func (l *libxml2) see(tb testing.TB, doc []byte, charset string) (string, error) {
	tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var ask []byte
	for _, s := range []string{charset, string(doc)} {
		ask = binary.BigEndian.AppendUint32(ask, uint32(len(s)))
		ask = append(ask, s...)
	}
	// It reads a question before it answers, so a large one cannot block.
	if _, err := l.in.Write(ask); err != nil {
		tb.Fatal(err)
	}
	var n [4]byte
	if _, err := io.ReadFull(l.out, n[:]); err != nil {
		tb.Fatalf("libxml2 gave no answer to %q: %v", doc, err)
	}
	b := make([]byte, binary.BigEndian.Uint32(n[:]))
	if _, err := io.ReadFull(l.out, b); err != nil {
		tb.Fatal(err)
	}
	if why, refused := strings.CutPrefix(string(b), "refused "); refused {
		return "", errors.New(strings.TrimSpace(why))
	}
	return string(b), nil
}
