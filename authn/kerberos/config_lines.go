package kerberos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of the files that a krb5.conf includes.
const (
	maxConfigFiles = 100
	maxConfigDepth = 5
	maxConfigLine  = 4096
)

// configLines reads a krb5.conf line by line, as MIT's parser does, because the
// library ignores what it cannot place and the last of several sections of a
// name replaces the others. It is used by one goroutine at a time.
type configLines struct {
	files    int
	size     int
	sections []*configSection // in the order of their first appearance
}

// configSection is the content of all sections of one name.
type configSection struct {
	name  string
	lines []string
	seen  map[string]bool // names outside of braces
}

// text returns a krb5.conf with one section of each name.
func (l *configLines) text() string {
	var b strings.Builder
	for _, s := range l.sections {
		b.WriteString("[" + s.name + "]\n")
		for _, line := range s.lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func (l *configLines) section(name string) *configSection {
	for _, s := range l.sections {
		if s.name == name {
			return s
		}
	}
	s := &configSection{name: name, seen: map[string]bool{}}
	l.sections = append(l.sections, s)
	return s
}

// file reads a file and those that it includes.
func (l *configLines) file(path string, depth int) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("kerberos: read configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfigSize {
		return fmt.Errorf("kerberos: configuration %s is not a file of at most %d bytes", path, maxConfigSize)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("kerberos: read configuration: %w", err)
	}
	l.files++
	l.size += len(b)
	if l.files > maxConfigFiles || l.size > maxConfigSize {
		return fmt.Errorf("kerberos: configuration of more than %d files or %d bytes", maxConfigFiles, maxConfigSize)
	}
	return l.read(path, string(b), func(word, name string) error {
		return l.include(word, name, depth+1)
	})
}

// include reads what an include or includedir line names.
func (l *configLines) include(word, name string, depth int) error {
	switch {
	case word == "module":
		return notSupported(word)
	case depth > maxConfigDepth:
		return fmt.Errorf("files include each other more than %d deep", maxConfigDepth)
	case !filepath.IsAbs(name):
		return fmt.Errorf("%s %s: want an absolute path", word, name)
	case word == "include":
		return l.file(name, depth)
	}
	entries, err := os.ReadDir(name) // sorted, which is the order that counts
	if err != nil {
		return err
	}
	for _, e := range entries {
		if includedName(e.Name()) {
			if err := l.file(filepath.Join(name, e.Name()), depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func notSupported(word string) error {
	return fmt.Errorf("%s is not supported; put what it names into the file itself", word)
}

// includedName reports whether includedir takes a file of that name: one of
// letters, digits, dashes and underscores, or a .conf that is not hidden.
func includedName(name string) bool {
	if strings.HasSuffix(name, ".conf") {
		return name[0] != '.'
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// read adds the lines of a text. Each file begins outside of any section.
func (l *configLines) read(source, text string, include func(word, name string) error) error {
	var (
		n, opened int
		depth     int
		in        *configSection
	)
	fail := func(format string, args ...any) error {
		return fmt.Errorf("kerberos: %s line %d: %w", source, n, fmt.Errorf(format, args...))
	}
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if len(line) > maxConfigLine { // the library would stop reading here
			return fail("longer than %d bytes", maxConfigLine)
		}
		if word, name, ok := directive(line); ok {
			if err := include(word, name); err != nil {
				return fail("%w", err)
			}
			continue
		}
		key, value, relation := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		opens := relation && uncomment(value) == "{"
		switch {
		case line[0] == '[':
			name, rest, closed := strings.Cut(line[1:], "]")
			name = strings.TrimSpace(name)
			if !closed || name == "" || strings.TrimPrefix(uncomment(rest), "*") != "" {
				return fail("want a section such as [libdefaults]")
			}
			if depth > 0 {
				return fail("a section begins before the { of line %d is closed", opened)
			}
			in = l.section(name)
			continue
		case in == nil:
			return fail("outside of a section")
		case line[0] == '}':
			if depth == 0 || strings.TrimPrefix(uncomment(line[1:]), "*") != "" {
				return fail("a } that closes nothing")
			}
			depth--
			line = "}"
		case !relation || key == "" || strings.ContainsAny(key, " \t{}"):
			return fail("want name = value")
		case strings.HasPrefix(value, "{") && !opens:
			return fail("want nothing else on the line of a {")
		case opens:
			if depth == 0 {
				opened = n
			}
			depth++
		case depth == 0 && in.single():
			// Of a name that comes several times the first counts, so that
			// what is included on top goes before the file's own.
			if k := strings.ToLower(key); in.seen[k] {
				continue
			} else {
				in.seen[k] = true
			}
		}
		in.lines = append(in.lines, line)
	}
	if depth > 0 {
		return fail("the { of line %d is not closed", opened)
	}
	return nil
}

// single reports whether a name has one value in the section.
func (s *configSection) single() bool { return s.name == "libdefaults" || s.name == "domain_realm" }

// directive splits a line that names other files. A key of the same name, as
// in "module = x", is none.
func directive(line string) (word, name string, ok bool) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return "", "", false
	}
	word, name = line[:i], strings.TrimSpace(line[i:])
	switch word {
	case "include", "includedir", "module":
		return word, name, name != "" && name[0] != '='
	}
	return "", "", false
}

// uncomment returns s without the comment at its end.
func uncomment(s string) string {
	if i := strings.IndexAny(s, "#;"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}
