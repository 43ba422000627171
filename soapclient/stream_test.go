package soapclient_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
)

// pattern is a stream of n bytes that counts what it costs meanwhile.
type pattern struct {
	n    int64
	at   int64
	sum  hash.Hash
	peak *usage
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) * 2654435761 >> 13)
	}
	before := p.at >> 22
	p.at += int64(len(b))
	p.sum.Write(b)
	if p.at>>22 != before {
		p.peak.sample()
	}
	return len(b), nil
}

// usage is the most memory seen.
type usage struct{ heap, rss uint64 }

func (u *usage) sample() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = max(u.heap, m.HeapAlloc)
	u.rss = max(u.rss, residentMemory())
}

// residentMemory is the size of the process in memory, 0 where the system does
// not tell.
func residentMemory() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.ParseUint(strings.Fields(after + " 0")[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

const childEnv = "SOAPWARD_STREAM_CHILD"

// TestConstantMemory sends 100 MB to a handler, which reads them, and 100 MB
// back, in a process of its own: client and server together need no more memory
// than for 1 MB.
func TestConstantMemory(t *testing.T) {
	t.Parallel()
	if os.Getenv(childEnv) != "" {
		streamMuch(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConstantMemory$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "growth") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func streamMuch(t *testing.T) {
	const mb = 1 << 20
	peak := &usage{}
	stream := func(n int64) (wire.Binary, *pattern) {
		p := &pattern{n: n, sum: sha256.New(), peak: peak}
		return wire.ReaderBinary(p, n), p
	}
	var size int64
	var came [][]byte
	var answer *pattern
	g := serve(t, func(_ context.Context, req *files) (*files, error) {
		sum := sha256.New()
		if _, err := req.Files[0].WriteTo(sum); err != nil {
			return nil, err
		}
		came = append(came, sum.Sum(nil))
		var b wire.Binary
		b, answer = stream(size)
		return &files{Files: []wire.Binary{b}}, nil
	})
	once := func(n int64) {
		size, came = n, nil
		b, sent := stream(n)
		res, err := g.call(t.Context(), &files{Files: []wire.Binary{b}}, soapclient.MTOM())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		got, err := res.Files[0].WriteTo(sum)
		if err != nil || got != n {
			t.Fatalf("%d bytes, %v", got, err)
		}
		if !bytes.Equal(came[0], sent.sum.Sum(nil)) || !bytes.Equal(sum.Sum(nil), answer.sum.Sum(nil)) {
			t.Fatal("the content has changed on the way")
		}
	}
	once(mb)
	runtime.GC()
	peak.sample()
	before := *peak
	once(100 * mb)
	heap, rss := int64(peak.heap-before.heap), int64(peak.rss-before.rss)
	t.Logf("growth for 100 MB in each direction: heap %d KB, resident %d KB", heap>>10, rss>>10)
	if heap > 4*mb || rss > 8*mb {
		t.Errorf("heap grew by %d KB, resident memory by %d KB", heap>>10, rss>>10)
	}
}
