package peers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// Names returns the environment variables with which a program that asks the C
// library finds each host at an address.
func Names(t *testing.T, ip string, hosts ...string) []string {
	t.Helper()
	library := testenv.NeedLibrary(t, "libnss_wrapper.so")
	file := filepath.Join(t.TempDir(), "hosts")
	text := "127.0.0.1 localhost\n"
	for _, h := range hosts {
		text += ip + " " + h + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"LD_PRELOAD=" + library, "NSS_WRAPPER_HOSTS=" + file}
}
