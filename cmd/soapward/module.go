package main

import (
	"bufio"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/soapward/soapward/wsdl/gen"
)

const (
	modulePath  = "github.com/soapward/soapward"
	commandPath = modulePath + "/cmd/soapward"
)

// goModule is what a go.mod file says that matters here.
type goModule struct {
	path  string
	dir   string   // of the file
	tools []string // packages of tool directives
	needs []string // modules of require directives
}

// hasTool reports whether "go tool soapward" works in the module.
func (m *goModule) hasTool() bool { return slices.Contains(m.tools, commandPath) }

// holds reports whether a file lies below the directory of the module, so that
// whoever has the module has the file at the same place.
func (m *goModule) holds(file string) bool {
	file, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(m.dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// moduleOf returns the module that a directory, which need not exist, lies in.
// It is nil if there is none.
func moduleOf(dir string) (*goModule, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		name := filepath.Join(dir, "go.mod")
		b, err := os.ReadFile(name)
		if err == nil {
			m := parseModule(string(b))
			m.dir = dir
			return m, nil
		}
		if fi, statErr := os.Stat(name); !errors.Is(err, fs.ErrNotExist) && (statErr != nil || !fi.IsDir()) {
			return nil, fmt.Errorf("find the module: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, nil
		}
		dir = parent
	}
}

// parseModule reads the module, tool and require directives of a go.mod file
// (https://go.dev/ref/mod#go-mod-file-grammar). The go command says what is
// wrong with one, so everything else is passed over.
func parseModule(text string) *goModule {
	m := &goModule{}
	block := ""
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case block != "" && words[0] == ")":
			block = ""
			continue
		case block != "":
			words = append([]string{block}, words...)
		case words[len(words)-1] == "(":
			block = words[0]
			continue
		}
		if len(words) != 2 && (len(words) != 3 || words[0] != "require") {
			continue
		}
		path := words[1]
		if s, err := strconv.Unquote(path); err == nil {
			path = s
		}
		switch words[0] {
		case "module":
			m.path = path
		case "tool":
			m.tools = append(m.tools, path)
		case "require":
			m.needs = append(m.needs, path)
		}
	}
	return m
}

// importPath returns the import path of a directory in the module, "" if it
// cannot be imported.
func (m *goModule) importPath(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil || m == nil || m.path == "" {
		return ""
	}
	rel, err := filepath.Rel(m.dir, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	// https://go.dev/ref/mod#go-mod-file-ident
	legal := func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._~/", r))
	}
	p := path.Join(m.path, filepath.ToSlash(rel))
	if strings.ContainsFunc(p, func(r rune) bool { return !legal(r) }) {
		return ""
	}
	return p
}

// generateCommand is what a go:generate line in a package of m runs. In a
// module that uses this one, "go run" would lack sums of what this program is
// made of; a tool of the module has them.
func generateCommand(m *goModule) string {
	if m != nil && m.path == modulePath {
		return "go run " + commandPath + " generate"
	}
	return "go tool soapward generate"
}

// packageFor returns the name of the package to generate in a directory: the
// one asked for, else that of the code there, else one made of the directory's
// name. It must fit to files there that were not generated.
func packageFor(dir, asked string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	found, _ := build.ImportDir(dir, 0) // the compiler tells what is wrong with the code
	if found.Name == "" {
		if asked == "" {
			asked = gen.PackageName(filepath.Base(dir))
		}
		return asked, nil
	}
	ours, err := previous(dir)
	if err != nil {
		return "", err
	}
	foreign := slices.ContainsFunc(slices.Concat(found.GoFiles, found.CgoFiles), func(name string) bool { return !ours[name] })
	switch {
	case foreign && found.Name == "main":
		return "", withRemedy(fmt.Errorf("%s holds the program of package main, which cannot be generated into", dir),
			"choose another directory with -o DIR")
	case asked == "":
		return found.Name, nil
	case foreign && asked != found.Name:
		return "", withRemedy(fmt.Errorf("%s holds package %s, so package %s cannot be there", dir, found.Name, asked),
			"leave -p out, or choose another directory with -o DIR")
	}
	return asked, nil
}
