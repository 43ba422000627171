package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/soapward/soapward/internal/terminal"
	"github.com/soapward/soapward/wsdl/gen"
)

// firstProgram is a program that calls what was generated, and what to paste
// into a shell to have and run it.
type firstProgram struct {
	Operation string   `json:"operation"`
	Import    string   `json:"import"`
	File      string   `json:"file"` // relative to the current directory, or absolute
	Source    string   `json:"source"`
	Before    []string `json:"before"` // commands that make room for it
	After     []string `json:"after"`  // commands that run it
	Needs     []string `json:"needs,omitempty"`
}

// asInProgram is the login as a program makes it.
func (l *loginFlags) asInProgram() gen.Login {
	return gen.Login{
		User: l.user, Kerberos: l.negotiate, Keytab: l.keytab,
		Proxy: l.proxy, ProxyUser: l.proxyUser, ProxySame: l.proxyNegotiate,
	}
}

// newProgram makes a first program for the package in dir, which lies in
// module, or in none. It is nil where none can be.
func newProgram(dir string, module *goModule, res *gen.Result, login gen.Login) (*firstProgram, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	p := &firstProgram{Before: []string{}}
	name, root := "", ""
	if module != nil {
		name, root = module.path, module.dir
	} else {
		name, root = "example.com/app", here
		if rel, err := filepath.Rel(here, dir); err != nil || !filepath.IsLocal(rel) {
			root = filepath.Dir(dir)
		}
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	rel = filepath.ToSlash(rel)
	p.Import = path.Join(name, rel)
	if p.Source, p.Operation, err = gen.Program(res, p.Import, login); err != nil || p.Source == "" {
		return nil, err
	}
	if login.User != "" && login.Keytab == "" {
		p.Needs = append(p.Needs, passwordVariable)
	}
	if login.ProxyUser != "" {
		p.Needs = append(p.Needs, proxyPasswordVariable)
	}
	// The program may import the package only from where its internal
	// directories let it.
	place := path.Join(visibleFrom(rel), "cmd", "try-"+res.Package)
	if root != here {
		p.Before = append(p.Before, "cd "+shellWord(root))
	}
	if module == nil {
		p.Before = append(p.Before, "go mod init "+name)
	}
	p.Before = append(p.Before, "mkdir -p "+shellWord(place))
	p.File = path.Join(place, "main.go")
	if name != modulePath && (module == nil || !slices.Contains(module.needs, modulePath)) {
		p.After = append(p.After, "go mod tidy")
	}
	p.After = append(p.After, "go run ./"+shellWord(place))
	return p, nil
}

// visibleFrom returns the directory above the last internal one in a path.
func visibleFrom(rel string) string {
	parts := strings.Split(rel, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i] == "internal" {
			return path.Join(parts[:i]...)
		}
	}
	return ""
}

// print shows the program, to be pasted into a shell.
func (f *firstProgram) print(p *terminal.Printer) {
	p.Line("")
	text := fmt.Sprintf("A first program, which calls %s. Paste it into a shell:", f.Operation)
	if len(f.Needs) > 0 {
		text = fmt.Sprintf("A first program, which calls %s. Set %s and paste it into a shell:", f.Operation, strings.Join(f.Needs, " and "))
	}
	for _, l := range terminal.Wrap(text, p.Columns()) {
		p.Line(l)
	}
	p.Line("")
	for _, c := range f.Before {
		p.Line(p.Paint(terminal.Bold, c))
	}
	p.Line(p.Paint(terminal.Bold, "cat > "+shellWord(f.File)+" <<'END'"))
	for line := range strings.Lines(f.Source) {
		p.Line(strings.TrimSuffix(line, "\n"))
	}
	p.Line(p.Paint(terminal.Bold, "END"))
	for _, c := range f.After {
		p.Line(p.Paint(terminal.Bold, c))
	}
}
