package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// TestNodeHTTPNTLM logs in with httpntlm, which SOAP clients of Node.js use.
func TestNodeHTTPNTLM(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, "node")
	foreignClient{
		argv:        []string{node, "testdata/node/call.js", nodeModules(t)},
		logsInAgain: true,
	}.testLogins(t)
}

// nodeModules returns the directory in which the packages that testdata/node
// pins are installed. They are kept in the user's cache, so that they come over
// the network once.
func nodeModules(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("would install packages from the network")
	}
	npm := testenv.Need(t, "npm")
	hash := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "node", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
		hash.Write(b)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir() // no home
	}
	cache = filepath.Join(cache, "soapward-test")
	dir := filepath.Join(cache, "node-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}

	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(cache, "node-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(fresh) }) // unless it got its name
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The lock file has the hash of each package. None of them may run
	// anything while it is installed.
	out, err := testenv.Try(t, nil, "", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", fresh)
	if err != nil {
		testenv.Skip(t, "npm cannot install the packages of testdata/node: "+out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr != nil { // not another test process that was faster
			t.Fatal(err)
		}
	}
	return dir
}
