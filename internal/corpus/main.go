// Command corpus judges package wsdl and the generator by descriptions that
// others wrote: whether they load, what is generated compiles and is clean, and
// whether messages come back as they were. docs/corpus.md says how to use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/corpus/trip"
	"github.com/soapward/soapward/wsdl"
)

func main() {
	if len(os.Args) == 5 && os.Args[1] == generateCommand {
		if err := generateOne(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		code = 2
	}
	os.Exit(code)
}

// options are the flags.
type options struct {
	dir     string
	bar     bar
	only    *regexp.Regexp
	skip    []string
	results string
	keep    string
	limit   time.Duration
	verbose bool
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{}
	fs := flag.NewFlagSet("corpus", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: go run ./internal/corpus [flags] DIR")
		fs.PrintDefaults()
	}
	barText := fs.String("bar", defaultBar, "what must be reached: percents, seconds and megabytes; none to report only")
	only := fs.String("only", "", "take the descriptions whose id matches this regular expression")
	skip := fs.String("skip", "", "leave out checks: vet, staticcheck, validate")
	fs.StringVar(&o.results, "json", "results.json", "write the results to this file; empty for none")
	fs.StringVar(&o.keep, "keep", "", "generate into this directory, and keep it")
	fs.DurationVar(&o.limit, "limit", time.Minute, "how long one description may take to generate")
	fs.BoolVar(&o.verbose, "v", false, "list every loss")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() != 1 {
		fs.Usage()
		return o, errors.New("one directory is needed")
	}
	o.dir = fs.Arg(0)
	o.skip = strings.FieldsFunc(*skip, func(r rune) bool { return r == ',' || r == ' ' })
	var err error
	if o.bar, err = parseBar(*barText); err != nil {
		return o, err
	}
	if *only != "" {
		o.only, err = regexp.Compile(*only)
	}
	return o, err
}

// run does everything and returns the exit code: 1 if a bar is not reached.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	o, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	} else if err != nil {
		return 2, err
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "corpus"); err != nil {
			return 2, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return 2, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return 2, err
	}
	j := &judge{options: o, dir: dir, out: filepath.Join(dir, "messages"), progress: newProgress(stderr)}
	r, err := j.judge(ctx)
	j.progress.done()
	if err != nil {
		return 2, err
	}
	if o.results != "" {
		if err := r.writeJSON(o.results); err != nil {
			return 2, err
		}
	}
	r.print(stdout, o.verbose)
	failed := r.below(o.bar)
	for _, f := range failed {
		fmt.Fprintln(stdout, "BELOW THE BAR:", f)
	}
	if len(failed) > 0 {
		return 1, nil
	}
	return 0, nil
}

// judge runs the stages.
type judge struct {
	options
	dir, out string
	progress *progress
	report   *report
	builtin  map[string]string // schemas by namespace
}

func (j *judge) skips(check string) bool { return slices.Contains(j.skip, check) }

func (j *judge) judge(ctx context.Context) (*report, error) {
	entries, err := readFolder(j.options.dir, j.only)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		if j.only != nil {
			return nil, fmt.Errorf("no description matches %s: -only is a regular expression over the ids in manifest.tsv", j.only)
		}
		return nil, errors.New("manifest.tsv lists no description")
	}
	if err := os.MkdirAll(j.out, 0o700); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Recorded {
			if err := recordings(e, j.out); err != nil {
				return nil, err
			}
		}
	}
	j.report = newReport(entries)
	m, err := newModule(ctx, j.dir)
	if err != nil {
		return nil, err
	}
	if j.builtin, err = builtinSchemas(m.repo); err != nil {
		return nil, err
	}
	j.generate(ctx)
	if err := j.compile(ctx, m); err != nil {
		return nil, err
	}
	if err := j.messages(ctx, m); err != nil {
		return nil, err
	}
	return j.report, ctx.Err()
}

// each runs f for all rows, several at a time.
func (j *judge) each(ctx context.Context, stage string, rows []*row, f func(*row)) {
	j.progress.stage(stage, len(rows))
	next := make(chan *row)
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for r := range next {
				f(r)
				j.progress.step()
			}
		})
	}
	for _, r := range rows {
		if ctx.Err() == nil {
			next <- r
		}
	}
	close(next)
	wg.Wait()
}

func (j *judge) generate(ctx context.Context) {
	start := time.Now()
	j.each(ctx, "generate", j.report.Rows, func(r *row) {
		g := generateIn(ctx, r.entry, j.dir, j.limit)
		r.Loads, r.Generates, r.Seconds, r.MemoryMB = g.Loads, g.Generates, g.Seconds, int(g.Memory>>20)
		r.note(g.Error)
		if g.Skipped > 0 {
			r.note(fmt.Sprintf("%d left out", g.Skipped))
		}
		if g.Warnings > 0 {
			r.note(fmt.Sprintf("%d warnings", g.Warnings))
		}
	})
	j.report.Seconds = time.Since(start).Seconds()
}

// compile builds and checks what was generated.
func (j *judge) compile(ctx context.Context, m *module) error {
	j.progress.stage("compile", 0)
	var all []string
	for _, r := range j.report.Rows {
		if r.Generates {
			all = append(all, r.entry.Package)
		}
	}
	bad, err := m.check(ctx, []string{"go", "build"}, withRoots(m, all))
	if err != nil {
		return err
	}
	var good []string
	for _, r := range j.report.Rows {
		if !r.Generates {
			continue
		}
		if r.Compiles = bad[r.entry.Package] == ""; r.Compiles {
			good = append(good, r.entry.Package)
		}
		r.note(bad[r.entry.Package])
	}
	for _, c := range []struct {
		name string
		got  func(*row) *string
	}{
		{"vet", func(r *row) *string { return &r.Vet }},
		{"staticcheck", func(r *row) *string { return &r.Staticcheck }},
	} {
		if j.skips(c.name) {
			continue
		}
		j.progress.stage(c.name, 0)
		tool := []string{"go", "vet"}
		if c.name == "staticcheck" {
			if tool, err = m.staticcheck(ctx); err != nil {
				return err
			}
		}
		bad, err := m.check(ctx, tool, good)
		if err != nil {
			return err
		}
		for _, r := range j.report.Rows {
			if !r.Compiles {
				continue
			}
			*c.got(r) = "ok"
			if b := bad[r.entry.Package]; b != "" {
				*c.got(r) = "no"
				r.note(b)
			}
		}
	}
	return nil
}

// withRoots adds the packages that find the types of messages.
func withRoots(m *module, packages []string) []string {
	all := slices.Clone(packages)
	for _, p := range packages {
		if _, err := os.Stat(filepath.Join(m.dir, p+"roots")); err == nil {
			all = append(all, p+"roots")
		}
	}
	return all
}

// messages reads and writes all messages of what compiles, and compares.
func (j *judge) messages(ctx context.Context, m *module) error {
	var jobs []trip.Job
	var of []*verdict
	var linked []string
	for _, r := range j.report.Rows {
		for _, msg := range r.entry.Messages {
			v := &verdict{message: msg}
			r.verdicts = append(r.verdicts, v)
			if !r.Compiles {
				v.lose("not generated", "")
				continue
			}
			jobs = append(jobs, trip.Job{Package: r.entry.Package, File: msg.File, Lenient: r.entry.Recorded, Answer: r.entry.Recorded && msg.Name == answer})
			of = append(of, v)
		}
		if roots := withRoots(m, []string{r.entry.Package}); r.Compiles && len(r.entry.Messages) > 0 && len(roots) == 2 {
			linked = append(linked, r.entry.Package)
		}
	}
	if len(linked) > 0 {
		j.progress.stage("link", 0)
		bin, err := m.build(ctx, linked)
		if err != nil {
			return err
		}
		j.progress.stage("messages", len(jobs))
		results, err := exchange(ctx, bin, jobs, j.progress.step)
		if err != nil {
			return err
		}
		for i, r := range results {
			of[i].result(r)
		}
	}
	j.each(ctx, "compare", j.report.Rows, func(r *row) { j.compareRow(ctx, r) })
	return nil
}

func (j *judge) compareRow(ctx context.Context, r *row) {
	if !r.Compiles || len(r.verdicts) == 0 {
		return
	}
	d, err := new(wsdl.Resolver).Open(ctx, r.entry.Main)
	if err != nil {
		r.note(err.Error())
		return
	}
	c := newComparer(d)
	for _, v := range r.verdicts {
		if v.written == "" {
			continue
		}
		a, err := parse([]byte(v.message.Doc))
		if err != nil {
			v.lose("not XML", err.Error())
			continue
		}
		b, err := parse([]byte(v.written))
		if err != nil {
			v.lose("written as no XML", err.Error())
			continue
		}
		for _, l := range c.compare(a, b) {
			v.lose(l.Class, l.Detail)
		}
	}
	if !j.skips("validate") {
		j.validate(ctx, r, d, c)
	}
}

func (j *judge) validate(ctx context.Context, r *row, d *wsdl.Definitions, c *comparer) {
	if _, err := exec.LookPath("xmllint"); err != nil {
		r.note("not validated: xmllint is not installed")
		return
	}
	dir := filepath.Join(j.out, r.entry.Package)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.note(err.Error())
		return
	}
	driver, err := writeSchemas(dir, d, j.builtin, c)
	if err != nil {
		r.note("not validated: " + err.Error())
		return
	}
	var files []string
	for i, v := range r.verdicts {
		if v.written == "" {
			continue
		}
		v.before, v.after = filepath.Join(dir, fmt.Sprintf("%d.before.xml", i)), filepath.Join(dir, fmt.Sprintf("%d.after.xml", i))
		for name, doc := range map[string]string{v.before: v.message.Doc, v.after: v.written} {
			if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
				r.note(err.Error())
				return
			}
		}
		files = append(files, v.before, v.after)
	}
	verdicts, err := xmllint(ctx, driver, files)
	if err != nil {
		r.note("not validated: " + err.Error())
		return
	}
	for _, v := range r.verdicts {
		if v.written == "" || verdicts[v.before] != "" {
			continue // not valid before either: nothing to say
		}
		if v.validated = true; verdicts[v.after] != "" {
			v.lose("invalid", verdicts[v.after])
		}
	}
}
