package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// The container is built without a registry: what its first stage takes from
// Debian is given in its place.
func TestContainer(t *testing.T) {
	buildah := testenv.Need(t, "buildah")
	testenv.NeedRoot(t)
	tree, certificates, storage := t.TempDir(), t.TempDir(), t.TempDir()
	for _, d := range []string{filepath.Join(certificates, "etc/ssl/certs"), filepath.Join(certificates, "empty"), filepath.Join(tree, "dist")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(certificates, "etc/ssl/certs/ca-certificates.crt"), []byte("authorities"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(tree, "dist", "container"), os.DirFS(filepath.Join(dist(t), "container"))); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(filepath.Join("..", "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) string {
		t.Helper()
		return testenv.Run(t, nil, "", buildah, append([]string{"--storage-driver", "vfs", "--root", storage + "/root", "--runroot", storage + "/run"}, args...)...)
	}
	do("bud", "--isolation", "chroot", "--build-context", "certificates="+certificates, "-f", file, "-t", "soapward", tree)
	var image struct {
		OCIv1 struct {
			Config struct {
				User            string
				Entrypoint, Cmd []string
				Volumes         map[string]struct{}
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(do("inspect", "--type", "image", "soapward")), &image); err != nil {
		t.Fatal(err)
	}
	c := image.OCIv1.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/soapward"}) || len(c.Volumes) != 1 {
		t.Errorf("%+v", c)
	}
	name := strings.TrimSpace(do("from", "--pull-never", "soapward"))
	mount := strings.TrimSpace(do("mount", name))
	var got []string
	if err := filepath.WalkDir(mount, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, strings.TrimPrefix(path, mount))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/usr/bin/soapward"}; !slices.Equal(got, want) {
		t.Errorf("the image has %q, want %q", got, want)
	}
	if out := testenv.Run(t, nil, "", mount+"/usr/bin/soapward", "version"); !strings.HasPrefix(out, "soapward "+testVersion+" ") {
		t.Errorf("version %q", out)
	}
	if out := strings.TrimSpace(testenv.Run(t, nil, "", "stat", "-c", "%u", mount+"/var/lib/soapward", mount+"/tmp")); out != "65532\n65532" {
		t.Errorf("owners %q", out)
	}
}
