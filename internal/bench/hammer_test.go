package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// gun is a connection of a load generator that costs little: what it sends is
// ready, and of an answer it reads what HTTP/1.1 needs.
type gun struct {
	net.Conn
	in *bufio.Reader
}

// answer is what a gun keeps of one.
type answer struct {
	status int
	header []string
}

func newGun(addr string) (*gun, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, err
	}
	return &gun{Conn: c, in: bufio.NewReaderSize(c, 8<<10)}, nil
}

// fire sends a request and returns the status of the answer.
func (g *gun) fire(request []byte) (int, error) {
	if _, err := g.Write(request); err != nil {
		return 0, err
	}
	a, err := g.read(false)
	return a.status, err
}

// read takes an answer, with its header if that is wanted.
func (g *gun) read(keep bool) (answer, error) {
	var a answer
	length, chunked := -1, false
	for first := true; ; first = false {
		line, err := g.in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return a, fmt.Errorf("status line %q", line)
			}
			if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return a, err
			}
		case len(line) == 0:
			if chunked {
				return a, g.skipChunks()
			}
			if length < 0 {
				return a, errors.New("answer without length")
			}
			_, err := g.in.Discard(length)
			return a, err
		case hasPrefixFold(line, "content-length:"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[15:]))); err != nil {
				return a, err
			}
		case hasPrefixFold(line, "transfer-encoding:"):
			chunked = true
		}
		if keep && !first {
			a.header = append(a.header, string(line))
		}
	}
}

func (g *gun) skipChunks() error {
	for {
		line, err := g.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := g.in.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

func hasPrefixFold(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix))
}

// value returns the first value of a header, without a prefix that it must have.
func (a answer) value(name, prefix string) (string, bool) {
	for _, line := range a.header {
		k, v, _ := strings.Cut(line, ":")
		if v = strings.TrimSpace(v); strings.EqualFold(k, name) && strings.HasPrefix(v, prefix) {
			return v[len(prefix):], true
		}
	}
	return "", false
}

// volley is what a load came to.
type volley struct {
	perSecond float64
	p50, p99  time.Duration
}

// hammer has each gun send the requests that are its own, one after the other.
// Each must be answered with 200.
func hammer(tb testing.TB, guns []*gun, requests func(gun int) [][]byte) volley {
	tb.Helper()
	var (
		wg   sync.WaitGroup
		took = make([][]time.Duration, len(guns))
		errs = make([]error, len(guns))
	)
	all := make([][][]byte, len(guns))
	for i := range guns {
		all[i] = requests(i)
	}
	begin := time.Now()
	for i, g := range guns {
		wg.Go(func() {
			took[i] = make([]time.Duration, 0, len(all[i]))
			for _, r := range all[i] {
				start := time.Now()
				status, err := g.fire(r)
				if err == nil && status != 200 {
					err = fmt.Errorf("status %d", status)
				}
				if err != nil {
					errs[i] = fmt.Errorf("connection %d, request %d: %w", i, len(took[i]), err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	clock := time.Since(begin)
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
	each := slices.Concat(took...)
	slices.Sort(each)
	return volley{float64(len(each)) / clock.Seconds(), each[len(each)/2], each[len(each)*99/100]}
}
