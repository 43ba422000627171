package message

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// corpusDir is where real descriptions are kept beside the repository.
var corpusDir = filepath.Join("..", "..", "..", "shared", "wsdl")

// canonical is XML without what has no meaning: prefixes, the order of
// attributes, and how booleans are spelled.
func canonical(t *testing.T, doc string) string {
	t.Helper()
	r := wire.NewReader([]byte(doc), ample(len(doc)))
	if r.Next() != wire.Start {
		t.Fatalf("%v in %.200s", r.Err(), doc)
	}
	var b strings.Builder
	canon(r, &b, "\n")
	if err := r.Err(); err != nil {
		t.Fatalf("%v in %.200s", err, doc)
	}
	return b.String()
}

func canon(r *wire.Reader, b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s<%s", indent, clark(r.Name()))
	var attrs []string
	for _, a := range r.Attrs() {
		v := a.Value
		if q, err := r.QName(v); err == nil && strings.Contains(v, ":") && q.Space != "" {
			v = clark(q)
		}
		if a.Name == (xml.Name{Space: wire.XSI, Local: "nil"}) && v == "false" {
			continue
		}
		attrs = append(attrs, fmt.Sprintf(" %s=%q", clark(a.Name), truth(v)))
	}
	slices.Sort(attrs)
	b.WriteString(strings.Join(attrs, "") + ">")
	scope := r.Scope()
	text := ""
	for {
		switch r.Next() {
		case wire.Text:
			text += r.Chars()
			continue
		case wire.Start:
			b.WriteString(strings.Join(strings.Fields(text), " "))
			text = ""
			canon(r, b, indent+" ")
			continue
		}
		break
	}
	text = strings.Join(strings.Fields(text), " ")
	if q, err := scope.QName(text); err == nil && strings.Contains(text, ":") && q.Space != "" {
		text = clark(q)
	}
	b.WriteString(truth(text))
}

func truth(s string) string {
	switch strings.TrimSpace(s) {
	case "1":
		return "true"
	case "0":
		return "false"
	}
	return strings.TrimSpace(s)
}

// firstDifference is where two texts differ.
func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) {
			return "lost " + x[i]
		}
		if x[i] != y[i] {
			return fmt.Sprintf("%.200s became %.200s", x[i], y[i])
		}
	}
	return "added " + y[len(x)]
}

type sample struct{ PortType, Op, Dir, File string }

// TestCorpusRoundTrip turns messages of real descriptions into JSON and back:
// nothing may be lost or changed.
func TestCorpusRoundTrip(t *testing.T) {
	t.Parallel()
	total, good := 0, 0
	var table []string
	ids, files := testenv.Corpus(t, corpusDir)
	for i, id := range ids {
		file := files[i]
		d, err := (&wsdl.Resolver{AllowBroken: true}).Open(t.Context(), file)
		if err != nil {
			continue
		}
		c := New(d)
		index, err := os.ReadFile(filepath.Join(corpusDir, "samples", id, "index.json"))
		if err != nil {
			continue
		}
		var samples []sample
		if err := json.Unmarshal(index, &samples); err != nil {
			t.Fatal(err)
		}
		bad, first := 0, ""
		for _, s := range samples {
			doc, err := os.ReadFile(filepath.Join(corpusDir, "samples", id, s.File))
			if err != nil {
				t.Fatal(err)
			}
			body := bodyOf(c, s)
			if body == nil {
				continue // of a binding that is not SOAP
			}
			total++
			if why := roundTrip(t, body, string(doc)); why != "" {
				bad++
				if first == "" {
					first = s.File + ": " + why
				}
				continue
			}
			good++
		}
		if bad > 0 {
			table = append(table, fmt.Sprintf("%-28s %d of %d: %s", id, bad, len(samples), first))
		}
	}
	slices.Sort(table)
	t.Logf("%d of %d messages are the same after XML to JSON to XML\n%s", good, total, strings.Join(table, "\n"))
	if total < 2500 || good*100 < total*99 {
		t.Errorf("%d of %d messages are lossless, want 99 %%", good, total)
	}
}

func bodyOf(c *Catalog, s sample) *Body {
	for _, o := range c.Operations {
		if o.Name != s.Op || o.portType.Name.Local != s.PortType || o.Encoded {
			continue
		}
		if s.Dir == "input" {
			return o.Input
		}
		return o.Output
	}
	return nil
}

func roundTrip(t *testing.T, b *Body, doc string) string {
	t.Helper()
	r := wire.NewReader([]byte(doc), ample(len(doc)))
	r.Next()
	raw := r.Raw()
	if err := r.Err(); err != nil {
		return err.Error()
	}
	j, err := b.JSON(raw)
	if err != nil {
		return err.Error()
	}
	if !json.Valid(j) {
		return "not JSON: " + string(j)
	}
	req, err := b.FromJSON(j)
	if err != nil {
		return err.Error()
	}
	x, y := canonical(t, raw.String()), canonical(t, req.Body.String())
	if x != y {
		return firstDifference(x, y)
	}
	return ""
}

// TestCorpusTemplates makes a template of each message of real descriptions.
// It must be well-formed, and valid, also after XML to JSON to XML.
func TestCorpusTemplates(t *testing.T) {
	if testing.Short() {
		t.Skip("validates thousands of documents: skipped with -short")
	}
	t.Parallel()
	_, err := exec.LookPath("xmllint")
	if os.Getenv("SOAPWARD_TEST_ALL") != "" || err == nil {
		testenv.Need(t, "xmllint")
	}
	validate := err == nil
	only := os.Getenv("SOAPWARD_TEST_WSDL")
	total, valid, checked := 0, 0, 0
	var table []string
	ids, files := testenv.Corpus(t, corpusDir)
	for i, id := range ids {
		file := files[i]
		if only != "" && only != id {
			continue
		}
		d, err := (&wsdl.Resolver{AllowBroken: true}).Open(t.Context(), file)
		if err != nil {
			continue
		}
		start := time.Now()
		docs := templates(t, id, d)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s took %v", id, took)
		}
		total += len(docs)
		if !validate {
			continue
		}
		n, bad, first := validateAll(t, d, docs)
		checked += n
		valid += n - bad
		if bad > 0 || n == 0 {
			table = append(table, fmt.Sprintf("%-28s %d of %d: %s", id, bad, n, first))
		}
	}
	slices.Sort(table)
	t.Logf("%d templates, %d of %d valid\n%s", total, valid, checked, strings.Join(table, "\n"))
	if only == "" && (total < 5000 || validate && (checked < 5000 || valid*1000 < checked*995)) {
		t.Errorf("%d templates, %d of %d valid: expected more", total, valid, checked)
	}
}

// wildcard matches the comment in the place of an element that must be there.
var wildcard = regexp.MustCompile(`<!-- (may be repeated, at least \d+; )?any element`)

// templates makes the templates of all messages, and what comes back of their
// JSON. Each is a document whose element a schema declares.
func templates(t *testing.T, id string, d *wsdl.Definitions) (docs []string) {
	t.Helper()
	c := New(d)
	seen := map[string]bool{}
	for _, o := range c.Operations {
		for _, b := range []*Body{o.Input, o.Output} {
			if b == nil {
				continue
			}
			doc := b.Template()
			if len(doc) > 4<<20 {
				t.Errorf("%s %s: the template has %d bytes", id, o.Name, len(doc))
			}
			if seen[doc] {
				continue
			}
			seen[doc] = true
			raw, err := wire.ParseRaw(strings.TrimSpace(doc))
			if err != nil {
				t.Errorf("%s %s: %v\n%.2000s", id, o.Name, err, doc)
				continue
			}
			_ = canonical(t, raw.String())
			j, err := b.TemplateJSON()
			if err != nil {
				t.Errorf("%s %s: %v", id, o.Name, err)
				continue
			}
			if o.Encoded || b.bare {
				continue
			}
			req, err := b.FromJSON(j)
			switch {
			case err != nil && !strings.Contains(doc, "this is not complete") && !strings.Contains(doc, "schema has no type"):
				t.Errorf("%s %s: %v\n%.3000s", id, o.Name, err, j)
			case err != nil:
			case wildcard.MatchString(doc): // left for the user to fill in
			case slices.Contains(d.Elements, b.elem) && !strings.Contains(doc, "the description has none"):
				docs = append(docs, doc, req.Body.String())
			}
		}
	}
	return docs
}

// validateAll checks documents with libxml2. It returns how many it could
// check, how many are wrong, and what is wrong with the first.
func validateAll(t *testing.T, d *wsdl.Definitions, docs []string) (n, bad int, first string) {
	t.Helper()
	dir := t.TempDir()
	driver, err := writeSchemas(dir, d)
	if err != nil {
		return 0, 0, err.Error()
	}
	args := []string{"--noout", "--nonet", "--schema", driver}
	for i, doc := range docs {
		name := filepath.Join(dir, fmt.Sprintf("doc%d.xml", i))
		if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if len(docs) == 0 {
		return 0, 0, "no message is one global element"
	}
	out, err := exec.CommandContext(t.Context(), "xmllint", args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil && exit.ExitCode() == 5 { // libxml2 does not take the schema
		return 0, 0, string(out[:min(len(out), 300)])
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, " fails to validate") {
			bad++
		} else if first == "" && strings.Contains(line, "error :") {
			first = strings.TrimPrefix(strings.TrimSpace(line), dir)
		}
	}
	return len(docs), bad, first
}
