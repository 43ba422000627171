package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestModuleImports(t *testing.T) {
	t.Parallel()
	pkgs, err := loadPackages(moduleRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.path == "./authn" && len(p.imports) > 0 }) {
		t.Fatalf("go list found no package authn among %d", len(pkgs))
	}
	for _, bad := range checkImports(pkgs, ours) {
		t.Error(bad)
	}
}

func TestModuleFiles(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	names, err := loadFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(names, "go.mod") {
		t.Fatalf("no go.mod among %d files", len(names))
	}
	dirs := workplace(root)
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // removed, but not yet from the index
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range checkFile(name, content, dirs) {
			t.Error(bad)
		}
	}
}

// Each rule is shown to fail on a package list that breaks it.
func TestCheckImports(t *testing.T) {
	t.Parallel()
	one := func(path string, imports ...string) pkg { return pkg{path: path, imports: imports} }
	inTest := func(path string, imports ...string) pkg { return pkg{path: path, testImports: imports} }
	tests := []struct {
		name string
		pkg  pkg
		want string // part of the only problem; empty: none
	}{
		{"standard library", one("./authn", "net/http", "encoding/asn1"), ""},
		{"allowed neighbour", one("./soap", "./soap/wire"), ""},
		{"mechanism", one("./authn/kerberos", "./authn", "./internal/krb5", "./internal/krb5/pac"), ""},
		{"owner", one("./authn/kerberos", "github.com/jcmturner/gokrb5/v8/keytab"), ""},
		{"peer in a test", inTest("./internal/krb5/pac", "github.com/jcmturner/gokrb5/v8/pac"), ""},
		{"tests import all of ours", inTest("./soapserver", "./authn", "./internal/testenv", "testing"), ""},
		{"example", one("./examples/ledger/cmd", "./soapclient", "./authclient"), ""},
		{"test helper", one("./internal/adtest", "testing", "./internal/testenv"), ""},

		{"tests alone", pkg{path: "./wsdl/gen/internal/x", onlyTests: true, testImports: []string{"./wsdl/gen"}}, ""},
		{"foreign module in tests alone", pkg{path: "./x", onlyTests: true, testImports: []string{"github.com/spf13/cobra"}}, "tests of ./x"},

		{"unknown package", one("./util"), "is in no rule"},
		{"unknown package below a known one", one("./authn/saml", "./authn"), "is in no rule"},
		{"soap imports a login", one("./soap", "./authn"), "does not allow"},
		{"soapserver imports a login", one("./soapserver", "./authn"), "does not allow"},
		{"soapclient imports authclient", one("./soapclient", "./authclient"), "does not allow"},
		{"mechanism imports mechanism", one("./authn/ntlm", "./authn/kerberos"), "does not allow"},
		{"core imports mechanism", one("./authn", "./authn/ntlm"), "does not allow"},
		{"library imports example", one("./wsdl/gen", "./examples/ledger"), "does not allow"},
		{"standard library only", one("./authn", "golang.org/x/crypto/cryptobyte"), "standard library only"},
		{"standard library only, soap/wire", one("./soap/wire", "github.com/beevik/etree"), "standard library only"},
		{"gokrb5 outside its owner", one("./authclient", "github.com/jcmturner/gokrb5/v8/client"), "belongs to another"},
		{"gokrb5 in the codec itself", one("./internal/krb5", "github.com/jcmturner/gokrb5/v8/types"), "belongs to another"},
		{"gokrb5 in a foreign test", inTest("./soap", "github.com/jcmturner/gokrb5/v8/types"), "tests of ./soap"},
		{"cobra outside the command", one("./internal/demo", "github.com/spf13/cobra"), "belongs to another"},
		{"go-ntlmssp in a library", one("./authclient", "github.com/Azure/go-ntlmssp"), "belongs to another"},
		{"gowsdl in a library", one("./internal/demo", "github.com/hooklift/gowsdl/soap"), "belongs to another"},
		{"md4 where it is not needed", one("./authn/spnego", "golang.org/x/crypto/md4"), "belongs to another"},
		{"testscript in a program", one("./cmd/soapward", "github.com/rogpeppe/go-internal/testscript"), "belongs to another"},
		{"module nobody owns", one("./internal/demo", "example.org/new"), "belongs to another"},
		{"module nobody owns, in a test", inTest("./authn", "example.org/new"), "tests of ./authn"},
		{"test helper in a library", one("./internal/demo", "./internal/testenv"), "for tests only"},
		{"testing in a library", one("./authn", "testing"), "outside of a test"},
		{"command imported by a test", inTest("./internal/e2e", "./cmd/soapward"), "nothing imports a command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := checkImports([]pkg{tt.pkg}, ours)
			switch {
			case tt.want == "" && len(bad) > 0:
				t.Errorf("problems %q, want none", bad)
			case tt.want != "" && (len(bad) != 1 || !strings.Contains(bad[0], tt.want)):
				t.Errorf("problems %q, want one with %q", bad, tt.want)
			}
		})
	}
	// A program that imports a command breaks the table as well.
	bad := checkImports([]pkg{one("./internal/demo", "./cmd/soapward")}, ours)
	if len(bad) != 2 {
		t.Errorf("importing a command: %q, want two problems", bad)
	}
}

func TestCheckFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x\n", maxLines+1)
	tests := []struct {
		name    string
		file    string
		content string
		want    string
	}{
		{"short", "a.go", "package a\n", ""},
		{"as long as may be", "a.go", strings.Repeat("x\n", maxLines), ""},
		{"long", "a.go", long, "has 1001 lines"},
		{"long script", ".ci/run", long, "has 1001 lines"},
		{"generated", "a.go", "// Code generated by soapward. DO NOT EDIT.\n" + long, ""},
		{"says so in the middle of a line", "a.go", "// not // Code generated by x. DO NOT EDIT.\n" + long, "lines"},
		{"test data", "a/testdata/a.go", long, ""},
		{"kept by a program", "go.sum", long, ""},
		{"path of the checkout", "docs/a.md", "see /place/of/mine/main/authn\n", "names /place/of/mine/main/"},
		{"path beside the checkout", "a.xml", "<a>/place/of/mine/other</a>\n", "names /place/of/mine/"},
		{"conflict", "docs/a.md", "a\n<<<<<<< HEAD\nb\n", "merge conflict"},
		{"end of a conflict", "a.go", "b\n>>>>>>> main\n", "merge conflict"},
		{"no conflict", "docs/a.md", "a\n<<<<<<<\n <<<<<<< HEAD\n=======\n", ""},
		{"another path", "docs/a.md", "see /place/of/yours\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := checkFile(tt.file, []byte(tt.content), workplace("/place/of/mine/main"))
			switch {
			case tt.want == "" && len(bad) > 0:
				t.Errorf("problems %q, want none", bad)
			case tt.want != "" && (len(bad) == 0 || !strings.Contains(bad[0], tt.want)):
				t.Errorf("problems %q, want one with %q", bad, tt.want)
			}
		})
	}
	if got := workplace("/src/soapward"); !slices.Equal(got, []string{"/src/soapward/"}) {
		t.Errorf("workplace in an ordinary directory = %q, want the checkout alone", got)
	}
}

func TestPackageRule(t *testing.T) {
	t.Parallel()
	r := rules{packages: map[string]packageRule{
		"./a":       {imports: []string{"./exact"}},
		"./a/...":   {imports: []string{"./below"}},
		"./a/b/...": {imports: []string{"./deeper"}},
	}}
	for path, want := range map[string]string{"./a": "./exact", "./a/c": "./below", "./a/b": "./deeper", "./a/b/c": "./deeper"} {
		if got, ok := r.packageRule(path); !ok || got.imports[0] != want {
			t.Errorf("rule of %s = %v, want %s", path, got.imports, want)
		}
	}
	if _, ok := r.packageRule("./ab"); ok {
		t.Error("./ab has a rule, want none")
	}
}
