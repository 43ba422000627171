package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// entry is one description of the corpus, with its messages.
type entry struct {
	ID       string
	Main     string // file
	Fair     bool   // two of the three reference tools accept it
	Recorded bool   // from wire/: messages that a peer sent
	Package  string
	Messages []*message
}

// message is one message of a description, as a file with the body element.
type message struct {
	Name string // to show
	File string
	RPC  bool
	Doc  string // the file's content
}

// readFolder lists the descriptions of a corpus, those of manifest.tsv first.
func readFolder(dir string, only *regexp.Regexp) ([]*entry, error) {
	f, err := os.Open(filepath.Join(dir, "manifest.tsv"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there are no descriptions in %s: give make DIR=..., see docs/corpus.md (%w)", dir, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("manifest.tsv: %w", err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("manifest.tsv lists nothing")
	}
	column := func(row []string, name string) string {
		if i := slices.Index(rows[0], name); i >= 0 && i < len(row) {
			return row[i]
		}
		return ""
	}
	for _, name := range []string{"id", "main", "zeep", "gsoap", "mono_wsdl"} {
		if !slices.Contains(rows[0], name) {
			return nil, fmt.Errorf("manifest.tsv has no column %q", name)
		}
	}
	var all []*entry
	for _, row := range rows[1:] {
		e := &entry{ID: column(row, "id")}
		if only != nil && !only.MatchString(e.ID) {
			continue
		}
		e.Main = filepath.Join(dir, "wsdl", e.ID, filepath.FromSlash(column(row, "main")))
		accepted := 0
		for _, tool := range []string{"zeep", "gsoap", "mono_wsdl"} {
			if column(row, tool) == "ok" {
				accepted++
			}
		}
		e.Fair = accepted >= 2
		if e.Messages, err = samples(filepath.Join(dir, "samples", e.ID)); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	recorded, err := filepath.Glob(filepath.Join(dir, "wire", "*", "soap.wsdl"))
	if err != nil {
		return nil, err
	}
	slices.Sort(recorded)
	for _, file := range recorded {
		e := &entry{ID: "wire/" + filepath.Base(filepath.Dir(file)), Main: file, Recorded: true}
		if only != nil && !only.MatchString(e.ID) {
			continue
		}
		all = append(all, e)
	}
	for i, e := range all {
		e.Package = fmt.Sprintf("p%03d", i)
	}
	return all, nil
}

func samples(dir string) ([]*message, error) {
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if os.IsNotExist(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var index []struct{ File, Style string }
	if err := json.Unmarshal(b, &index); err != nil {
		return nil, fmt.Errorf("%s: index.json: %w", dir, err)
	}
	var all []*message
	for _, s := range index {
		m := &message{Name: s.File, File: filepath.Join(dir, s.File), RPC: s.Style == "rpc"}
		doc, err := os.ReadFile(m.File)
		if err != nil {
			return nil, err
		}
		m.Doc = string(doc)
		all = append(all, m)
	}
	return all, nil
}

// answer is the file with what a server answered.
const answer = "response.xml"

// firstPart returns the first part of a multipart message, which is the envelope
// (SOAP with Attachments 3). Other documents are returned as they are.
func firstPart(b []byte) []byte {
	boundary, rest, ok := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
	boundary = bytes.TrimSpace(boundary)
	if !ok || !bytes.HasPrefix(boundary, []byte("--")) {
		return b
	}
	part, err := multipart.NewReader(bytes.NewReader(slices.Concat(boundary, []byte("\r\n"), rest)), string(boundary[2:])).NextPart()
	if err != nil {
		return b
	}
	content, _ := io.ReadAll(part) // what is missing behind it does not matter
	return content
}

// recordings takes the bodies out of the envelopes that were recorded beside a
// description, and writes them to files of their own. Bodies that are empty or
// a fault are no message of the description.
func recordings(e *entry, dir string) error {
	for _, name := range []string{"request.xml", answer} {
		file := filepath.Join(filepath.Dir(e.Main), name)
		b, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		root, err := parse(firstPart(b))
		if err != nil {
			e.Messages = append(e.Messages, &message{Name: name, File: file, Doc: string(b)}) // refused, as it should
			continue
		}
		for _, body := range root.elements() {
			if body.name.Local != "Body" || body.name.Space != root.name.Space {
				continue
			}
			for _, m := range body.elements() {
				if m.name.Space == root.name.Space {
					continue
				}
				out := filepath.Join(dir, e.Package+"."+name)
				doc := m.document()
				if err := os.WriteFile(out, []byte(doc), 0o600); err != nil {
					return err
				}
				e.Messages = append(e.Messages, &message{Name: name, File: out, Doc: doc})
				break
			}
		}
	}
	return nil
}

// shorten makes one line of a text.
func shorten(s string, n int) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n-3], "") + "..."
	}
	return s
}
