package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/soapward/soapward/internal/atomicfile"
)

// maxFiles bounds a configuration of several files. Together they have at most
// maxSize bytes.
const maxFiles = 100

// An Include names files with more of the configuration. Its last element may
// be a pattern such as *.yaml, which may fit no file.
type Include string

func (v *Include) decode(d *decoder, n *yaml.Node, path string) {
	s, ok := d.scalar(n, "the name of a file, or a pattern such as services/*.yaml", path)
	if ok {
		*v = Include(d.path(n, s, path))
	}
}

// Find lists the files that are there, in the order of their names.
func (v Include) Find() ([]string, error) {
	files, err := filepath.Glob(string(v))
	return slices.DeleteFunc(files, passing), err
}

// passing reports whether a file is one that Replace makes, by its name: such a one
// is left where a machine crashed.
func passing(path string) bool {
	name := filepath.Base(path)
	_, staged := atomicfile.StagedFor(path)
	return staged || strings.HasPrefix(name, ".") && strings.HasSuffix(name, journalSuffix)
}

// Lines of nodes have the number of their file above these bits. A file of
// maxSize has fewer lines.
const lineBits = 24

func filePosition(line int) (file, within int) { return line >> lineBits, line & (1<<lineBits - 1) }

// place is a line in words.
func (d *decoder) place(line int) string {
	file, within := filePosition(line)
	if len(d.files) == 1 {
		return fmt.Sprintf("line %d", within)
	}
	return fmt.Sprintf("%s:%d", d.files[file], within)
}

// dir is the directory that paths in a node are relative to.
func (d *decoder) dir(n *yaml.Node) string {
	file, _ := filePosition(n.Line)
	return filepath.Dir(d.files[file])
}

// node has the position of a value that was decoded.
func (d *decoder) node(v any) *yaml.Node {
	m := d.marks[v]
	return &yaml.Node{Line: m.line, Column: m.column}
}

// include adds to the root of the configuration those of the files that it
// includes. size is that of its own text.
func (d *decoder) include(root *yaml.Node, size int) {
	list := valueOf(root, "include")
	if list == nil || list.Kind != yaml.SequenceNode {
		return // decoding says what is wrong
	}
	if d.read == nil {
		d.fail(list, "include: a text that is not a file includes none")
		return
	}
	for i, n := range list.Content {
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			continue // as above
		}
		for _, file := range d.included(n, index("include", i)) {
			if len(d.files) == maxFiles {
				d.fail(n, "include: want at most %d files", maxFiles)
				return
			}
			b, err := d.read(file)
			if err != nil {
				d.fail(n, "%s: %s", index("include", i), trimPackage(err))
				continue
			}
			if size += len(b); size > maxSize {
				d.fail(n, "%s: the files together are larger than %d KiB", index("include", i), maxSize>>10)
				return
			}
			d.merge(root, file, b)
		}
	}
}

// included lists the files that an entry of include means.
func (d *decoder) included(n *yaml.Node, path string) []string {
	pattern := string(d.path(n, n.Value, path))
	dir, last := filepath.Split(pattern)
	switch {
	case strings.ContainsAny(dir, "*?["):
		d.fail(n, "%s is %q: a pattern stands in the last part alone, such as services/*.yaml", path, clip(n.Value))
		return nil
	case !strings.ContainsAny(last, "*?["):
		return []string{pattern}
	}
	files, err := d.glob(pattern)
	if err != nil {
		d.fail(n, "%s is %q: want a file, or a pattern such as services/*.yaml", path, clip(n.Value))
	}
	return files
}

// merge adds what a file has to root: names to tables, items to lists, and other
// keys that are not there.
func (d *decoder) merge(root *yaml.Node, file string, text []byte) {
	if slices.Contains(d.files, file) {
		return // named twice, or by a name and a pattern
	}
	d.files = append(d.files, file)
	base := (len(d.files) - 1) << lineBits
	main := d.base
	d.base = base
	n := d.document(text)
	d.base = main
	if n == nil {
		return
	}
	shift(n, base, make(map[*yaml.Node]bool))
	d.pairs(n, "", func(key, value *yaml.Node) {
		have := valueOf(root, key.Value)
		switch {
		case key.Value == "include":
			d.fail(key, "include: an included file includes no others: list them in %s", d.files[0])
		case have == nil:
			root.Content = append(root.Content, key, value)
		case have.Kind == yaml.SequenceNode && value.Kind == yaml.SequenceNode:
			have.Content = append(have.Content, value.Content...)
		case slices.Contains(tables, key.Value) && have.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			have.Content = append(have.Content, value.Content...) // decoding finds names that are there twice
		default:
			d.fail(key, "key %q is there twice, first in %s", clip(key.Value), d.place(have.Line))
		}
	})
}

// tables are the keys of the root below which there are names.
var tables = []string{"realms", "roles", "services", "upstreams"}

// valueOf returns the value of a key of a table, nil if there is none.
func valueOf(table *yaml.Node, key string) *yaml.Node {
	if table.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(table.Content); i += 2 {
		if table.Content[i].Value == key {
			return table.Content[i+1]
		}
	}
	return nil
}

// shift puts the number of the file into the lines of a tree, once in each node.
func shift(n *yaml.Node, base int, seen map[*yaml.Node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	n.Line += base
	for _, c := range n.Content {
		shift(c, base, seen)
	}
}
