package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// soapward is the binary, built once for the tests of a process.
var soapward struct {
	sync.Mutex
	dir string
}

// Soapward builds the binary as it is released, and returns its path. The
// package's TestMain ends with RemoveSoapward.
func Soapward(t *testing.T) string {
	t.Helper()
	soapward.Lock()
	defer soapward.Unlock()
	if soapward.dir == "" {
		dir, err := os.MkdirTemp("", "soapward-binary-*")
		if err != nil {
			t.Fatal(err)
		}
		soapward.dir = dir
		testenv.Run(t, []string{"CGO_ENABLED=0"}, "", "go", "build", "-o", filepath.Join(dir, "soapward"), "github.com/soapward/soapward/cmd/soapward")
	}
	return filepath.Join(soapward.dir, "soapward")
}

// RemoveSoapward removes what Soapward built.
func RemoveSoapward() error {
	soapward.Lock()
	defer soapward.Unlock()
	if soapward.dir == "" {
		return nil
	}
	return os.RemoveAll(soapward.dir)
}

// A Gateway is "soapward serve".
type Gateway struct {
	*Child
	Program string
	Dir     string // of its files
	File    string // the configuration
}

// StartGateway runs the gateway of a configuration, whose files are beside it, and
// returns when it listens at addr.
func StartGateway(t *testing.T, config string, files map[string]string, addr string) *Gateway {
	t.Helper()
	g := &Gateway{Program: Soapward(t), Dir: t.TempDir()}
	g.File = filepath.Join(g.Dir, "gw.yaml")
	for name, text := range files {
		g.write(t, name, text)
	}
	g.write(t, "gw.yaml", config)
	g.Child = StartChild(t, nil, addr, g.Program, "serve", "-c", g.File)
	return g
}

// write puts a file into the place of another one.
func (g *Gateway) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(g.Dir, name)
	text = strings.ReplaceAll(text, "DIR", g.Dir)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}
