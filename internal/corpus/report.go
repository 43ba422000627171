package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/soapward/soapward/internal/corpus/trip"
)

// report is what is said at the end, and results.json.
type report struct {
	Rows    []*row
	Seconds float64 // to generate all
	Classes map[string]int
}

// row is about one description.
type row struct {
	ID          string
	Fair        bool // two of three reference tools accept it
	Recorded    bool `json:",omitempty"`
	Loads       bool
	Generates   bool
	Compiles    bool
	Vet         string `json:",omitempty"` // "ok" or "no"; empty if not run
	Staticcheck string `json:",omitempty"`
	Messages    int
	Good        int // lossless, and valid as far as that was judged
	Validated   int
	Seconds     float64
	MemoryMB    int
	Notes       []string `json:",omitempty"`
	Losses      []loss   `json:",omitempty"`

	entry    *entry
	verdicts []*verdict
	mu       sync.Mutex
}

func (r *row) note(s string) {
	if s == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Notes = append(r.Notes, s)
}

// verdict is what became of one message.
type verdict struct {
	message       *message
	written       string
	before, after string // files
	validated     bool
	losses        []loss
}

func (v *verdict) lose(class, detail string) {
	v.losses = append(v.losses, loss{Class: class, Message: v.message.Name, Detail: detail})
}

func (v *verdict) result(r trip.Result) {
	v.written = r.XML
	class := map[string]string{
		"": "", "type": "no type for the message", "read": "refused to decode", "write": "refused to encode",
		"crash": "crashed", "hang": "hung",
	}[r.Stage]
	if class != "" {
		v.lose(class, r.Error)
	}
}

func newReport(entries []*entry) *report {
	r := &report{}
	for _, e := range entries {
		r.Rows = append(r.Rows, &row{ID: e.ID, Fair: e.Fair, Recorded: e.Recorded, entry: e})
	}
	return r
}

// count fills what is counted from the verdicts. A message counts once in each
// class of loss.
func (r *report) count() {
	if r.Classes != nil {
		return
	}
	r.Classes = map[string]int{}
	for _, x := range r.Rows {
		for _, v := range x.verdicts {
			x.Messages++
			if v.validated {
				x.Validated++
			}
			if len(v.losses) == 0 {
				x.Good++
			}
			classes := map[string]bool{}
			for _, l := range v.losses {
				if !classes[l.Class] && !x.Recorded {
					r.Classes[l.Class]++
				}
				classes[l.Class] = true
			}
			x.Losses = append(x.Losses, v.losses...)
		}
	}
}

func (r *report) writeJSON(file string) error {
	r.count()
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func yes(ok bool) string {
	if ok {
		return "ok"
	}
	return "no"
}

// print writes the table and the summary.
func (r *report) print(w io.Writer, verbose bool) {
	r.count()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "description\tloads\tgenerates\tcompiles\tvet\tstaticcheck\tmessages\tseconds\tMB\tnote")
	for _, x := range r.Rows {
		note := strings.Join(x.Notes, "; ")
		if !x.Fair && !x.Recorded {
			note = strings.TrimSuffix("not accepted by two of three tools; "+note, "; ")
		}
		if n := x.Messages - x.Validated; n > 0 && x.Compiles {
			note = strings.TrimPrefix(note+fmt.Sprintf("; %d messages not validated", n), "; ")
		}
		if len(x.Losses) > 0 && x.Compiles {
			l := x.Losses[0]
			note = strings.TrimPrefix(note+fmt.Sprintf("; %s in %s %s", l.Class, l.Message, l.Detail), "; ")
		}
		generates, compiles := "-", "-"
		if x.Loads {
			generates = yes(x.Generates)
		}
		if x.Generates {
			compiles = yes(x.Compiles)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d/%d\t%.1f\t%d\t%s\n", shorten(x.ID, 40), yes(x.Loads), generates, compiles,
			cmp.Or(x.Vet, "-"), cmp.Or(x.Staticcheck, "-"), x.Good, x.Messages, x.Seconds, x.MemoryMB, shorten(note, 200))
	}
	_ = t.Flush() // to standard output, like the rest
	if verbose {
		for _, x := range r.Rows {
			for _, l := range x.Losses {
				fmt.Fprintf(w, "%s %s: %s: %s\n", x.ID, l.Message, l.Class, l.Detail)
			}
		}
	}
	s := r.sums()
	fmt.Fprintf(w, "\n%d descriptions and %d with recorded messages: %d load, %d generate, %d compile, %d pass vet, %d pass staticcheck\n",
		s.all, s.recorded, s.loads, s.generates, s.compiles, s.vet, s.static)
	fmt.Fprintf(w, "of the %d that two of three tools accept, %d load\n", s.fair, s.fairLoads)
	fmt.Fprintf(w, "messages: %d of %d lossless and valid (%.2f %%), %d of them validated with libxml2\n", s.good, s.messages, percent(s.good, s.messages), s.validated)
	fmt.Fprintf(w, "recorded messages: %d of %d lossless, and valid if they were before\n", s.recordedGood, s.recordedAll)
	fmt.Fprintf(w, "generated in %.1f seconds with at most %d MB\n", r.Seconds, s.memory)
	for _, class := range slices.SortedFunc(maps.Keys(r.Classes), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Classes[b], r.Classes[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "%6d %s\n", r.Classes[class], class)
	}
}

type sums struct {
	all, recorded, fair, fairLoads                 int
	loads, generates, compiles, vet, static        int
	vetted, checked                                int
	messages, good, validated, recordedAll, memory int
	recordedGood                                   int
}

func (r *report) sums() (s sums) {
	add := func(n *int, ok bool) {
		if ok {
			*n++
		}
	}
	for _, x := range r.Rows {
		add(&s.all, !x.Recorded)
		add(&s.recorded, x.Recorded)
		add(&s.fair, x.Fair)
		add(&s.fairLoads, x.Fair && x.Loads)
		add(&s.loads, x.Loads)
		add(&s.generates, x.Generates)
		add(&s.compiles, x.Compiles)
		add(&s.vet, x.Vet == "ok")
		add(&s.static, x.Staticcheck == "ok")
		add(&s.vetted, x.Vet != "")
		add(&s.checked, x.Staticcheck != "")
		s.memory = max(s.memory, x.MemoryMB)
		if x.Recorded {
			s.recordedAll += x.Messages
			s.recordedGood += x.Good
			continue
		}
		s.messages += x.Messages
		s.good += x.Good
		s.validated += x.Validated
	}
	return s
}

func percent(n, of int) float64 {
	if of == 0 {
		return 100
	}
	return 100 * float64(n) / float64(of)
}

// bar is what must be reached. The zero value asks for nothing.
type bar struct{ load, clean, messages, seconds, memory float64 }

// defaultBar is that of docs/corpus.md.
const defaultBar = "load=100,clean=100,messages=99,seconds=60,memory=1024"

func parseBar(s string) (bar, error) {
	var b bar
	if s == "none" {
		return b, nil
	}
	fields := map[string]*float64{"load": &b.load, "clean": &b.clean, "messages": &b.messages, "seconds": &b.seconds, "memory": &b.memory}
	for f := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(f, "=")
		to := fields[name]
		n, err := strconv.ParseFloat(value, 64)
		if to == nil || err != nil {
			return b, fmt.Errorf("-bar: %q is not one of load, clean, messages, seconds and memory with a number", f)
		}
		*to = n
	}
	return b, nil
}

// below lists what is not reached.
func (r *report) below(b bar) []string {
	r.count()
	s := r.sums()
	var out []string
	least := func(what string, n, of int, want float64) {
		if p := percent(n, of); p < want {
			out = append(out, fmt.Sprintf("%s: %d of %d (%.2f %%), and %g %% are needed", what, n, of, p, want))
		}
	}
	least("descriptions that load, of those two of three tools accept", s.fairLoads, s.fair, b.load)
	least("generated packages that compile, of the descriptions that load", s.compiles, s.loads, b.clean)
	least("packages that pass vet", s.vet, s.vetted, b.clean)
	least("packages that pass staticcheck", s.static, s.checked, b.clean)
	least("messages lossless and valid", s.good, s.messages, b.messages)
	if b.seconds > 0 && r.Seconds > b.seconds {
		out = append(out, fmt.Sprintf("generating took %.1f seconds, and %g are allowed", r.Seconds, b.seconds))
	}
	if b.memory > 0 && float64(s.memory) > b.memory {
		out = append(out, fmt.Sprintf("generating took %d MB, and %g are allowed", s.memory, b.memory))
	}
	return out
}

// builtinSchemas reads the schemas that package wsdl brings along.
func builtinSchemas(repo string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(repo, "wsdl", "builtin", "*.xsd"))
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		root, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		space, _ := root.attr("", "targetNamespace")
		m[space] = string(b)
	}
	return m, nil
}

// progress says on a terminal how far the work is.
type progress struct {
	w     io.Writer // nil if there is nobody to tell
	mu    sync.Mutex
	name  string
	n, of int
	last  time.Time
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	if fi, err := f.Stat(); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w}
}

func (p *progress) stage(name string, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name, p.n, p.of, p.last = name, 0, of, time.Time{}
	p.show()
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.show()
}

func (p *progress) show() {
	if p.w == nil || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	text := p.name
	if p.of > 0 {
		text += fmt.Sprintf(" %d of %d", p.n, p.of)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

func (p *progress) done() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
