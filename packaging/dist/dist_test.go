package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

const testVersion = "v1.2.3"

// built is a release for this kind of machine that tests share; it takes a while.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// makeRelease makes a release of version 1.2.3 in dir, for Linux.
func makeRelease(dir string, env ...string) error {
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	return run(dir, testVersion, []string{"linux/amd64"})
}

func dist(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the program")
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "soapward-dist-test-"); built.err == nil {
			built.err = makeRelease(built.dir, "SOURCE_DATE_EPOCH=1764115200")
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func deb(t *testing.T) string {
	t.Helper()
	return filepath.Join(dist(t), "soapward_1.2.3_amd64.deb")
}

// Two runs give the same bytes, whatever the umask, time zone and folder, and the
// sums are those of the files.
func TestReproducible(t *testing.T) {
	first, second := dist(t), t.TempDir() // sets the environment, hence no t.Parallel
	t.Setenv("TZ", "Pacific/Auckland")
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("LC_ALL", "C")
	if err := makeRelease(second, "SOURCE_DATE_EPOCH=1764115200"); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(first, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		n++
		for _, dir := range []string{first, second} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != sum {
				t.Errorf("%s/%s: %x, want %s", dir, name, got, sum)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d sums:\n%s", n, sums)
	}
}

// The archive has all that belongs to the program, as root's, at the time of the
// commit.
func TestArchive(t *testing.T) {
	z, err := os.Open(filepath.Join(dist(t), "soapward_1.2.3_linux_amd64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	r, err := gzip.NewReader(z)
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[strings.TrimPrefix(h.Name, "soapward_1.2.3_linux_amd64/")] = h.Mode
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1764115200 {
			t.Errorf("%s: %d:%d, %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
	}
	for name, mode := range map[string]int64{
		"soapward": 0o755, "LICENSE": 0o644, "README.md": 0o644, "soapward.yaml": 0o644, "systemd/soapward.service": 0o644,
		"man/soapward.1": 0o644, "man/soapward-doctor.1": 0o644, "man/soapward.yaml.5": 0o644, "completions/soapward.bash": 0o644, "completions/_soapward": 0o644, "completions/soapward.fish": 0o644,
	} {
		if modes[name] != mode {
			t.Errorf("%s has mode %o, want %o", name, modes[name], mode)
		}
	}
}

// The page of the configuration has all keys, and two readers take it.
func TestConfigPage(t *testing.T) {
	t.Parallel()
	mandoc, groff := testenv.Need(t, "mandoc"), testenv.Need(t, "groff")
	md, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference-config.md"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "soapward.yaml.5")
	if err := os.WriteFile(file, []byte(configPage(string(md), "2026-11-26")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := testenv.Try(t, nil, "", mandoc, "-T", "lint", "-W", "warning", file); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := testenv.Try(t, nil, "", groff, "-man", "-ww", "-z", file); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	text := testenv.Run(t, nil, "", mandoc, "-T", "utf8", "-O", "width=400", file)
	text = regexp.MustCompile(`.\x08`).ReplaceAllString(text, "")
	keys := regexp.MustCompile("(?m)^\\| `([a-zA-Z_.\\[\\]]+)`").FindAllStringSubmatch(string(md), -1)
	if len(keys) < 80 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, k := range keys {
		if !strings.Contains(text, k[1]) {
			t.Errorf("no %s", k[1])
		}
	}
}

// The package is one that Debian would take: nothing worse than information.
func TestLintian(t *testing.T) {
	lintian := testenv.Need(t, "lintian")
	out, err := testenv.Try(t, nil, "", lintian, "--allow-root", "--fail-on", "error,warning", deb(t))
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// dpkg installs the package into a directory, and removes and purges it.
func TestInstall(t *testing.T) {
	dpkg := testenv.Need(t, "dpkg")
	testenv.NeedRoot(t)
	root, stubs, calls := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "calls")
	// What would change this machine is written down in its place.
	for _, name := range []string{"adduser", "getent", "chown", "deb-systemd-helper", "deb-systemd-invoke", "systemctl"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >>" + calls + "\n[ " + name + " != getent ]\n"
		if err := os.WriteFile(filepath.Join(stubs, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/soapward"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) {
		t.Helper()
		args = append([]string{"--root=" + root, "--log=/dev/null", "--force-script-chrootless", "--force-depends", "--force-bad-path", "--force-architecture"}, args...)
		cmd := exec.Command(dpkg, args...)
		cmd.Env = append(os.Environ(), "PATH="+stubs+":"+os.Getenv("PATH"), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("dpkg %q: %v\n%s", args, err, out)
		}
	}
	do("--install", deb(t))
	if out := testenv.Run(t, nil, "", filepath.Join(root, "usr/bin/soapward"), "version"); !strings.HasPrefix(out, "soapward "+testVersion+" ") {
		t.Errorf("version %q", out)
	}
	for name, mode := range map[string]os.FileMode{"etc/soapward/soapward.yaml": 0o640, "etc/soapward": os.ModeDir | 0o750} {
		fi, err := os.Stat(filepath.Join(root, name))
		if err != nil || fi.Mode() != mode {
			t.Errorf("%s: %v, %v; want %v", name, fi.Mode(), err, mode)
		}
	}
	b, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"adduser --quiet --system --group", "chown root:soapward " + root + "/etc/soapward/soapward.yaml"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "enable") || strings.Contains(string(b), " start ") {
		t.Errorf("it was enabled or started:\n%s", b)
	}
	// What somebody wrote stays when the package is removed, and goes with purge.
	conf := filepath.Join(root, "etc/soapward/soapward.yaml")
	if err := os.WriteFile(conf, []byte("mine"), 0o640); err != nil {
		t.Fatal(err)
	}
	do("--remove", "soapward")
	if b, err := os.ReadFile(conf); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/soapward")); err == nil {
		t.Error("the program is still there")
	}
	do("--purge", "soapward")
	for _, gone := range []string{conf, filepath.Join(root, "var/lib/soapward")} {
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
}

// systemd takes the service, and finds that little could go wrong with it.
func TestService(t *testing.T) {
	t.Parallel()
	analyze := testenv.Need(t, "systemd-analyze")
	b, err := os.ReadFile(filepath.Join("..", "systemd", "soapward.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "soapward.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(b, []byte("/usr/bin/soapward"), []byte("/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(filepath.Dir(unit), "soapward.socket")
	if b, err = os.ReadFile(filepath.Join("..", "systemd", "soapward.socket")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(socket, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := testenv.Try(t, nil, "", analyze, "verify", "--man=no", unit, socket); err != nil || strings.Contains(out, "soapward") {
		t.Errorf("%v\n%s", err, out)
	}
	out := testenv.Run(t, nil, "", analyze, "security", "--offline=true", "--no-pager", unit)
	m := regexp.MustCompile(`exposure level for soapward\.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatal(out)
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 2.0 {
		t.Errorf("exposure %s, want 2.0 at most\n%s", m[1], out)
	}
}

func TestDebianVersion(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3~rc.1", "v1.2.3-4-gabc123": "1.2.3+4.gabc123", "v1.2.3-4-gabc123-dirty": "1.2.3+4.gabc123.dirty",
		"v0.0.0-87301e2": "0.0.0~87301e2",
	} {
		if got := debianVersion(v); got != want {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	when := time.Unix(1764115200, 0).UTC()
	files := []file{{name: "a/b/c", data: []byte("one"), mode: 0o755}, {name: "a/d", data: []byte("two"), mode: 0o644}}
	b, err := zipArchive(files, when)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(z.File) != 2 || z.File[0].Mode() != 0o755 || !z.File[1].Modified.Equal(when) {
		t.Errorf("%+v, %v", z, err)
	}
	var names []string
	for _, f := range withDirs(append([]file{{name: "./", mode: 0o755}}, file{name: "./x/y/z"}, file{name: "./x/w"})) {
		names = append(names, f.name)
	}
	if want := []string{"./x/", "./x/y/", "./x/y/z", "./x/w"}; !slices.Equal(slices.DeleteFunc(names, func(n string) bool { return n == "./" }), want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// The configuration that comes along is one, and so is what is commented out in
// it.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "soapward.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("soapward.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	if c.Admin.Addr == "" || len(c.Services) != 0 {
		t.Errorf("%+v", c)
	}
	b = regexp.MustCompile(`(?m)^# (listen|store|admin|realms|services| )`).ReplaceAll(b, []byte("$1"))
	b = bytes.ReplaceAll(b, []byte("  soapward check"), []byte("# soapward check"))
	b = bytes.ReplaceAll(b, []byte("  systemctl"), []byte("# systemctl"))
	b = bytes.ReplaceAll(b, []byte("  sudo"), []byte("# sudo"))
	b = regexp.MustCompile(`(?m)^admin: .*$`).ReplaceAll(b, nil) // the other one takes its place
	if c, err = config.Parse("soapward.yaml", b); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if len(c.Services) != 1 || len(c.Realms) != 1 || len(c.Listen) != 1 || c.Store.Driver == "" || c.Admin.TLS == nil {
		t.Errorf("%+v", c)
	}
}
