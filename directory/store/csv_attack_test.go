package store_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/soapward/soapward/directory/store"
)

// TestAttackCSVWithoutEnd: a file that somebody else made has a user, or a first line,
// without end, which was read into memory as a whole.
func TestAttackCSVWithoutEnd(t *testing.T) {
	t.Parallel()
	const most = 4 << 20
	for name, begin := range map[string]string{
		"quoted": "name\nalice\n\"", "line": "name\nalice\n", "first line": "", "quoted first line": `"`,
	} {
		r := &endless{text: begin, most: 8 * most}
		var users int
		var last error
		for u, err := range store.ReadCSV(r, "users.csv") {
			if last = err; err == nil && u.Name == "alice" {
				users++
			}
		}
		if last == nil || !strings.Contains(last.Error(), "more than 4 MiB") || r.read > 2*most {
			t.Errorf("%s: %.200q, after %d bytes", name, fmt.Sprint(last), r.read)
		}
		if strings.Contains(begin, "alice") && (users != 1 || !strings.Contains(last.Error(), "users.csv: after line 2: ")) {
			t.Errorf("%s: %d users, %v", name, users, last)
		}
	}

	var b strings.Builder // each has its own bound
	b.WriteString("name,display\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "user%d,%s\n", i, strings.Repeat("x", 900))
	}
	file, n := b.String(), 0
	for _, err := range store.ReadCSV(strings.NewReader(file), "users.csv") {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 10_000 || len(file) < 2*most {
		t.Errorf("%d users of %d bytes", n, len(file))
	}
}

// endless is a text, and then x after x, up to more than is to be read.
type endless struct {
	text       string
	read, most int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read > e.most {
		return 0, io.EOF
	}
	n := copy(p, e.text)
	e.text = e.text[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}
