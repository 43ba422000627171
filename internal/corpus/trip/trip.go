// Package trip reads messages into generated types and writes them again. It
// is linked into a program beside the generated packages.
package trip

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/soapward/soapward/soap/wire"
)

// Message is a generated type that can be a whole body.
type Message interface {
	wire.Marshaler
	wire.Unmarshaler
}

// Job asks for one message: the file it is in, and the package that has its
// type. Lenient is for messages that others recorded, Answer for answers among
// them: a client takes one in any namespace.
type Job struct {
	Package, File   string
	Lenient, Answer bool
}

// AnySpace is the namespace under which there is the message of an answer whose
// local name alone is known.
const AnySpace = "*"

// Result is what became of a message.
type Result struct {
	XML   string // as written again
	Stage string // where it failed: "type", "read", "write", "crash" or "hang"; empty if it did not
	Error string
}

// Limit is how long one message may take.
const Limit = 20 * time.Second

// Main serves jobs from standard input, one JSON object each. A message that
// hangs ends the program after its answer.
func Main(packages map[string]func(space, local string) Message) {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var j Job
		if err := in.Decode(&j); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "trip:", err)
			os.Exit(1)
		}
		done := make(chan Result, 1)
		go func() { done <- run(packages[j.Package], j) }()
		select {
		case r := <-done:
			_ = out.Encode(r) // the reader is gone: the next read ends this
		case <-time.After(Limit):
			_ = out.Encode(Result{Stage: "hang", Error: fmt.Sprintf("not done after %v", Limit)})
			os.Exit(2)
		}
	}
}

func run(root func(space, local string) Message, j Job) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			stack := strings.Split(string(debug.Stack()), "\n")
			r = Result{Stage: "crash", Error: fmt.Sprintf("panic: %v at %s", p, strings.Join(stack[min(9, len(stack)-1):min(11, len(stack))], " "))}
		}
	}()
	fail := func(stage string, err error) Result { return Result{Stage: stage, Error: err.Error()} }
	doc, err := os.ReadFile(j.File)
	if err != nil {
		return fail("read", err)
	}
	rd := wire.NewReader(doc, wire.Options{Strict: !j.Lenient})
	if rd.Next() != wire.Start {
		return fail("read", fmt.Errorf("no element: %w", rd.Err()))
	}
	name := xml.Name{Space: strings.Clone(rd.Space()), Local: strings.Clone(rd.Local())}
	var v Message
	if root != nil {
		if v = root(name.Space, name.Local); v == nil && j.Answer {
			v = root(AnySpace, name.Local)
		}
	}
	if v == nil {
		return fail("type", fmt.Errorf("no operation has a message {%s}%s", name.Space, name.Local))
	}
	if err := rd.Decode(v); err != nil {
		return fail("read", err)
	}
	b, err := wire.Marshal(v, name)
	if err != nil {
		return fail("write", err)
	}
	return Result{XML: string(b)}
}
