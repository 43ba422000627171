package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/gen"
)

const fetchTimeout = 2 * time.Minute

type generateFlags struct {
	login        loginFlags
	output       string
	pkg          string
	check        bool
	allowPrivate bool
	allowBroken  bool
	freezeNames  bool
	perNamespace bool
	streamBinary bool

	progress *progress

	needsTool bool // a module that was written to cannot run the go:generate line
}

func newGenerateCommand() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate [flags] WSDL...",
		Short: "Generate Go code from WSDL",
		Long: `Generate Go types, a client and a server from WSDL 1.1 documents, which may be
files or URLs. What a document imports is read as well; for a URL that needs a
login, add -u or --negotiate. The login goes to the origin of the WSDL only.

The package is written to DIR and named like the code that is there, or like
DIR; without -o, both are named for the service. Several documents give several
packages, each named for its service, in directories of DIR. A go:generate line
in the package generates it again; what came from a URL or from outside the
module, from the copy in its schema directory.
With --freeze-names, ` + gen.NamesFile + ` in DIR keeps the names of types, fields,
constants and methods as they are when the WSDL changes; it is read whenever it
is there.

The line runs "go tool soapward", so this program must be a tool of the module:
  go get -tool ` + commandPath + `

Operations that are not supported (notifications) are left out and listed. Mistakes
in the WSDL are repaired where it is plain what is meant, and listed.

The first time, a program is printed at the end that calls the first operation,
with the login that was used here, to be pasted into a shell.

A password is asked for on the terminal, or taken from ` + passwordVariable + ` or
--password-file. Proxies are those of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, or
that of --proxy.`,
		Example: `  soapward generate -o internal/expenses expenses.wsdl
  soapward generate -o gen orders.wsdl stock.wsdl
  soapward generate -u 'CORP\alice' -o internal/hr 'https://host.corp.test/HR.svc?wsdl'
  soapward generate --check -o internal/expenses expenses.wsdl   # in CI: is it up to date?`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd, "no WSDL given")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.login.register(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.output, "output", "o", "", "write to `DIR` (default: a directory named like the package)")
	fl.StringVarP(&f.pkg, "package", "p", "", "name of the `PACKAGE` (default: that of the code in DIR, or made of DIR's or the service's name)")
	fl.BoolVar(&f.check, "check", false, "write nothing; fail unless the files are up to date")
	fl.BoolVar(&f.allowPrivate, "allow-private-imports", false, "let a WSDL from a public address import from private ones")
	fl.BoolVar(&f.allowBroken, "allow-broken", false, "go on although documents that the WSDL imports cannot be read")
	fl.BoolVar(&f.streamBinary, "stream-binary", false, "stream all base64Binary elements (wire.Binary), not only those meant for MTOM")
	fl.BoolVar(&f.freezeNames, "freeze-names", false, "write "+gen.NamesFile+", which keeps Go names when the WSDL changes")
	fl.BoolVar(&f.perNamespace, "per-namespace", false, "put the types of each XML namespace into a package of its own, below DIR")
	return cmd
}

// generated is the outcome for one WSDL.
type generated struct {
	WSDL     string    `json:"wsdl"`
	Package  string    `json:"package"`
	Dir      string    `json:"dir"`
	Files    []string  `json:"files"`
	Changed  []string  `json:"changed"`
	Types    int       `json:"types"`
	Services []service `json:"services"`
	LeftOut  []string  `json:"left_out,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`

	Program *firstProgram `json:"program,omitempty"`
	fresh   bool          // nothing was generated there before

	leftOut, warnings []wsdl.Problem
}

type service struct {
	Name       string      `json:"name"`
	SOAP       string      `json:"soap"`
	URL        string      `json:"url,omitempty"`
	Operations []operation `json:"operations"`
}

type operation struct {
	Name   string   `json:"name"`
	In     string   `json:"in"`
	Out    string   `json:"out,omitempty"`
	Faults []string `json:"faults,omitempty"`

	Headers       []string `json:"headers,omitempty"`
	AnswerHeaders []string `json:"answer_headers,omitempty"`
}

func (f *generateFlags) run(cmd *cobra.Command, args []string) error {
	if f.pkg != "" && len(args) > 1 {
		return usagef(cmd, "--package names one package, but there are %d documents", len(args))
	}
	if f.pkg != "" {
		if err := gen.CheckPackage(f.pkg); err != nil {
			return usagef(cmd, "--package: %w", err)
		}
	}
	if err := f.login.check(cmd); err != nil {
		return err
	}
	resolver := &wsdl.Resolver{AllowPrivate: f.allowPrivate, AllowBroken: f.allowBroken}
	if slices.ContainsFunc(args, isRemote) { // nothing else is logged in to, so no password is asked for
		t, err := f.login.transport(cmd)
		if err != nil {
			return err
		}
		if t != nil {
			defer t.CloseIdleConnections()
			resolver.HTTP = &http.Client{Transport: t, Timeout: fetchTimeout}
		}
	}
	f.progress = newProgress(cmd.ErrOrStderr())
	defer f.progress.clear()
	resolver.OnDocument = f.progress.document
	var results []generated
	stale := false
	from := map[string]string{} // directory -> document
	for _, arg := range args {
		r, err := f.one(cmd.Context(), resolver, arg, len(args) > 1, from)
		if err != nil {
			return err
		}
		results = append(results, *r)
		stale = stale || len(r.Changed) > 0
	}
	f.progress.clear()
	if wantJSON(cmd) {
		if err := printJSON(cmd.OutOrStdout(), results); err != nil {
			return err
		}
	} else if err := f.print(cmd.OutOrStdout(), results); err != nil {
		return err
	}
	if f.check && stale {
		return withRemedy(errors.New("generated files are not up to date"), "run the command again without --check")
	}
	return nil
}

// one generates from one WSDL. from has the directories that were written.
func (f *generateFlags) one(ctx context.Context, resolver *wsdl.Resolver, source string, several bool, from map[string]string) (*generated, error) {
	d, err := resolver.Open(ctx, source)
	if err != nil {
		return nil, explain("soapward generate", source, f.login, err)
	}
	pkg := f.pkg
	if f.output != "" && !several {
		if pkg, err = packageFor(f.output, f.pkg); err != nil {
			return nil, err
		}
	}
	f.progress.show(fmt.Sprintf("generate from %d documents with %d types", len(d.Documents), len(d.Types)))
	res, err := gen.Generate(d, gen.Options{Package: pkg, StreamBinary: f.streamBinary})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	dir := f.output
	switch {
	case dir == "":
		dir = res.Package
	case several:
		dir = filepath.Join(dir, res.Package)
	}
	if other, ok := from[dir]; ok {
		return nil, withRemedy(fmt.Errorf("%s and %s would both be package %s in %s", other, source, res.Package, dir),
			"run the command once for each, with -o DIR")
	}
	from[dir] = source
	// Once more, now that the directory is known: the go:generate line leads
	// from there back to the document.
	module, err := moduleOf(dir)
	if err != nil {
		return nil, err
	}
	command := generateCommand(module)
	if f.allowBroken {
		command += " --allow-broken"
	}
	if f.perNamespace {
		command += " --per-namespace"
	}
	if f.perNamespace && module.importPath(dir) == "" {
		return nil, withRemedy(fmt.Errorf("%s is in no module, so packages there cannot import each other", dir), "go mod init")
	}
	if f.streamBinary {
		command += " --stream-binary"
	}
	o := gen.Options{
		Package: pkg, Directive: directive(command, source, dir, module, res), ImportPath: module.importPath(dir),
		StreamBinary: f.streamBinary, PerNamespace: f.perNamespace, FreezeNames: f.freezeNames,
	}
	names := filepath.Join(dir, gen.NamesFile)
	if o.Names, err = os.ReadFile(names); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if res, err = gen.Generate(d, o); err != nil {
		err = fmt.Errorf("%s: %w", source, err)
		if o.Names != nil { // without it, it went well above
			err = withRemedy(err, "mend "+names+", or remove it: then names may change")
		}
		return nil, err
	}
	if module != nil && module.path != modulePath && !module.hasTool() {
		f.needsTool = true
	}
	out := &generated{WSDL: source, Package: res.Package, Dir: dir, Types: res.Types, Files: []string{}, Changed: []string{}}
	for _, s := range res.Services {
		o := service{Name: s.Name, SOAP: s.SOAP, URL: s.URL}
		for _, op := range s.Operations {
			o.Operations = append(o.Operations, operation{op.Name, op.In, op.Out, op.Faults, op.Headers, op.AnswerHeaders})
		}
		out.Services = append(out.Services, o)
	}
	out.leftOut, out.warnings = res.Skipped, d.Warnings
	for _, p := range res.Skipped {
		out.LeftOut = append(out.LeftOut, p.String())
	}
	for _, p := range d.Warnings {
		out.Warnings = append(out.Warnings, p.String())
	}
	for _, file := range res.Files {
		out.Files = append(out.Files, file.Name)
	}
	if err := sameService(dir, res.Files); err != nil {
		return nil, err
	}
	ours, err := previous(dir)
	if err != nil {
		return nil, err
	}
	out.fresh = len(ours) == 0 && !f.check
	if out.Program, err = newProgram(dir, module, res, f.login.asInProgram()); err != nil {
		return nil, err
	}
	out.Changed, err = write(dir, res.Files, f.check)
	return out, err
}

// directive returns the command that generates the package again from within
// its directory: from the file it was made of, or from the package's own copy
// if that came over the network or from outside of the module, so that go
// generate needs neither network nor login, and works wherever the module is.
func directive(command, source, dir string, module *goModule, res *gen.Result) string {
	from := res.WSDL
	if rel, ok := relative(dir, source); ok && (module == nil || module.holds(source)) {
		from = rel
	}
	return command + " -o . -p " + res.Package + " " + from
}

// relative returns the path of a file seen from a directory, if that can
// stand in a go:generate line.
func relative(dir, file string) (string, bool) {
	if u, err := url.Parse(file); err == nil && len(u.Scheme) > 1 {
		return "", false
	}
	from, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || strings.ContainsAny(rel, "\"\n\r$") {
		return "", false
	}
	rel = filepath.ToSlash(rel)
	if strings.Contains(rel, " ") {
		rel = `"` + rel + `"`
	}
	return rel, true
}
