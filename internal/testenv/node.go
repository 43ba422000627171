package testenv

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// NodeModules returns the directory in which the npm packages are installed that
// package.json and package-lock.json in dir pin, or skips. They are kept in the
// user's cache, so that they come over the network once.
func NodeModules(tb testing.TB, dir string) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("would install packages from the network")
	}
	npm := Need(tb, "npm")
	hash := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		files[name] = b
		hash.Write(b)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = tb.TempDir() // no home
	}
	cache = filepath.Join(cache, "soapward-test")
	installed := filepath.Join(cache, "node-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(installed); err == nil {
		return installed
	}

	if err := os.MkdirAll(cache, 0o700); err != nil {
		tb.Fatal(err)
	}
	fresh, err := os.MkdirTemp(cache, "node-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(fresh) }) // unless it got its name
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), b, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	// The lock file has the hash of each package. None of them may run
	// anything while it is installed.
	out, err := Try(tb, nil, "", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", fresh)
	if err != nil {
		Skip(tb, "npm cannot install the packages of "+dir+": "+out)
	}
	if err := os.Rename(fresh, installed); err != nil {
		if _, statErr := os.Stat(installed); statErr != nil { // not another test process that was faster
			tb.Fatal(err)
		}
	}
	return installed
}
