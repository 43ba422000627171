package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be the process that generates one description.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == generateCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// folder makes a corpus of three descriptions: one with messages, one that is
// broken although tools accept it, and one nobody accepts.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	manifest := "id\tmain\tzeep\tgsoap\tmono_wsdl\n" + "good\ta.wsdl\tok\tok\tfail\nbroken\ta.wsdl\tok\tok\tok\nodd\ta.wsdl\tfail\tok\tfail\n"
	write(t, filepath.Join(dir, "manifest.tsv"), manifest)
	write(t, filepath.Join(dir, "wsdl", "good", "a.wsdl"), testWSDL)
	write(t, filepath.Join(dir, "wsdl", "broken", "a.wsdl"), "<html/>")
	write(t, filepath.Join(dir, "wsdl", "odd", "a.wsdl"), "")
	var index []string
	for name, doc := range map[string]string{
		"fine.xml":    `<m xmlns="urn:e" n="1"><s>a</s><l>1 0</l></m>`,
		"unknown.xml": `<other xmlns="urn:e"/>`,
		"refused.xml": `<m xmlns="urn:e"><f>no number</f></m>`,
	} {
		write(t, filepath.Join(dir, "samples", "good", name), doc)
		index = append(index, fmt.Sprintf(`{"file":%q,"style":"document"}`, name))
	}
	write(t, filepath.Join(dir, "samples", "good", "index.json"), "["+strings.Join(index, ",")+"]")
	write(t, filepath.Join(dir, "wire", "w", "soap.wsdl"), testWSDL)
	write(t, filepath.Join(dir, "wire", "w", "request.xml"), `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:e"><S:Body><m><s> a</s></m></S:Body></S:Envelope>`)
	write(t, filepath.Join(dir, "wire", "w", "response.xml"), "\n--b\nContent-Type: text/xml\n\n"+
		`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><m xmlns="urn:e"><s>b</s></m></S:Body></S:Envelope>`+"\n--b\n\nscan\n--b--\n")
	return dir
}

// TestRun judges a small corpus and looks for each kind of verdict.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles generated code: skipped with -short")
	}
	t.Parallel()
	results := filepath.Join(t.TempDir(), "results.json")
	var out, errs bytes.Buffer
	code, err := run(t.Context(), []string{"-json", results, "-skip", "staticcheck", folder(t)}, &out, &errs)
	if err != nil || code != 1 {
		t.Fatalf("got code %d and %v, want 1: a description does not load\n%s%s", code, err, &out, &errs)
	}
	b, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	type summary struct {
		ID                               string
		Fair, Loads, Generates, Compiles bool
		Vet                              string
		Messages, Good                   int
	}
	want := []summary{
		{"good", true, true, true, true, "ok", 3, 1},
		{"broken", true, false, false, false, "", 0, 0},
		{"odd", false, false, false, false, "", 0, 0},
		{"wire/w", false, true, true, true, "ok", 2, 2},
	}
	for i, w := range want {
		x := r.Rows[i]
		if got := (summary{x.ID, x.Fair, x.Loads, x.Generates, x.Compiles, x.Vet, x.Messages, x.Good}); got != w {
			t.Errorf("got %+v, want %+v\n%v", got, w, x.Notes)
		}
	}
	if r.Classes["no type for the message"] != 1 || r.Classes["refused to decode"] != 1 || len(r.Classes) != 2 {
		t.Errorf("classes: %v", r.Classes)
	}
	for _, s := range []string{
		"of the 2 that two of three tools accept, 1 load",
		"BELOW THE BAR: descriptions that load, of those two of three tools accept: 1 of 2 (50.00 %), and 100 % are needed",
		"BELOW THE BAR: messages lossless and valid: 1 of 3 (33.33 %), and 99 % are needed",
	} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("got\n%s\nwant %q", &out, s)
		}
	}
	if _, err := run(t.Context(), []string{"-bar", "speed=1", folder(t)}, &out, &errs); err == nil || !strings.Contains(err.Error(), `"speed=1"`) {
		t.Errorf("got %v", err)
	}
}

// TestLimit ends a process that does not come to an end by itself.
func TestLimit(t *testing.T) {
	t.Parallel()
	e := &entry{Main: write(t, filepath.Join(t.TempDir(), "a.wsdl"), testWSDL), Package: "p000"}
	if g := generateIn(t.Context(), e, t.TempDir(), 1); g.Loads || !strings.Contains(g.Error, "killed") {
		t.Errorf("got %+v", g)
	}
}

// TestCorpus judges the corpus beside the repository. Its bar is what has been
// reached; time is left out, for other tests run at the same moment.
func TestCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a lot of code: skipped with -short")
	}
	dir := filepath.Join("..", "..", "..", "shared", "wsdl")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no corpus of descriptions beside the repository")
	}
	t.Parallel()
	var out bytes.Buffer
	code, err := run(t.Context(), []string{"-json", "", "-skip", "vet,staticcheck", "-bar", reached, dir}, &out, os.Stderr)
	if err != nil || code != 0 {
		t.Errorf("got code %d and %v", code, err)
	}
	t.Logf("%s", &out)
}

// reached is what has been won and must not be lost.
const reached = "load=100,clean=100,messages=99.8,memory=1024"
