package gen

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// head opens a message of the element in.
const head = `<e:in xmlns:e="urn:e" xmlns:f="urn:f" xmlns:g="urn:g" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"`

// lossless are schemas, each with messages that must survive. A schema begins
// the one of urn:e; others follow after a line of the form "-- name".
type lossless struct {
	name     string
	schema   string
	messages []string // after head
}

// TestLossless reads and writes messages by hand for what schemas can ask for
// and real ones rarely do. Unlike samples of real descriptions, these must come
// back to the letter.
func TestLossless(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a lot of code: skipped with -short")
	}
	t.Parallel()
	gens, results := map[string]*generator{}, map[string]*Result{}
	var jobs []string
	names := map[string]string{}
	dir := t.TempDir()
	var all []lossless
	for _, group := range [][]lossless{losslessContent, losslessTypes, losslessNames} {
		all = append(all, group...)
	}
	for i := range 2 * len(all) { // each twice, the second time in packages by namespace
		c, pkg := all[i/2], "p"+strconv.Itoa(i)
		o := Options{Package: pkg, ImportPath: modulePath + "wsdl/gen/roundtrip/" + pkg, PerNamespace: i%2 == 1}
		if o.PerNamespace {
			c.name += ", by namespace"
		}
		g, r, err := generate(describe(t, c.schema), o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := compile(t, r); err != nil && !o.PerNamespace { // which imports what is compiled below
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(r.Skipped) > 0 {
			t.Errorf("%s: left out: %v", c.name, r.Skipped)
		}
		gens[pkg], results[pkg] = g, r
		for k, m := range c.messages {
			file := filepath.Join(dir, fmt.Sprintf("%d-%d.xml", i, k))
			writeFile(t, file, []byte(head+m+"</e:in>"))
			names[file] = fmt.Sprintf("%s, message %d", c.name, k+1)
			jobs = append(jobs, pkg+"\t"+file)
		}
	}
	done := 0
	for _, x := range roundTrip(t, buildRoundTrip(t, gens, results), jobs) {
		done++
		doc, err := os.ReadFile(x.File)
		if err != nil {
			t.Fatal(err)
		}
		if x.Err != "" {
			t.Errorf("%s: %s\n%s", names[x.File], x.Err, strings.TrimPrefix(string(doc), head))
			continue
		}
		a, errA := parseTree(string(doc))
		b, errB := parseTree(x.XML)
		if errA != nil || errB != nil {
			t.Errorf("%s: %v, %v", names[x.File], errA, errB)
			continue
		}
		if d := a.diff(b, ""); d != "" {
			t.Errorf("%s: %s\n%s", names[x.File], d, x.XML)
		}
	}
	if done != len(jobs) {
		t.Errorf("%d of %d messages were tried", done, len(jobs))
	}
}
