package interop

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

// jaxwsRuntime names its other libraries itself.
const jaxwsRuntime = "/usr/share/java/jaxws-rt.jar"

func TestJAXWS(t *testing.T) {
	t.Parallel()
	java := []string{testenv.Need(t, "java"), "-XX:TieredStopAtLevel=1",
		"-Dcom.sun.xml.ws.monitoring.endpoint=false", "-Dcom.sun.xml.ws.monitoring.client=false", // needs what Debian lacks
		"-cp", buildCatalogJAXWS(t) + ":" + jaxwsRuntime}
	for _, v := range versions {
		t.Run("client "+v.String(), func(t *testing.T) {
			t.Parallel()
			jaxwsClient(java, v).check(t)
		})
		t.Run("server "+v.String(), func(t *testing.T) {
			t.Parallel()
			addr := freeAddress(t)
			_, port, _ := strings.Cut(addr, ":")
			startServer(t, addr, []string{"HARD=" + hardText}, append(java[:len(java):len(java)], "Server", port, v.String())...)
			jaxwsServer(addr, v).check(t)
		})
	}
}

// buildCatalogJAXWS generates and compiles the programs of testdata/jaxws.
func buildCatalogJAXWS(t *testing.T) (classes string) {
	t.Helper()
	wsimport, javac := testenv.Need(t, "wsimport"), testenv.Need(t, "javac")
	testenv.NeedFile(t, jaxwsRuntime)
	dir := t.TempDir()
	generate := func(pkg, wsdl string) {
		testenv.Run(t, nil, "", wsimport, "-d", dir, "-quiet", "-Xnocompile", "-extension", "-XadditionalHeaders", "-p", pkg, wsdl)
	}
	generate("demo", "catalog/wsdl/catalog.wsdl")
	generate("demo.inventory", "catalog/wsdl/inventory.wsdl")
	sources, err := filepath.Glob("testdata/jaxws/*.java")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".java" {
			sources = append(sources, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-encoding", "UTF-8", "-nowarn", "-cp", jaxwsRuntime, "-d", dir}
	testenv.Run(t, nil, "", javac, append(args, sources...)...)
	return dir
}

// jaxwsClient has all that JAX-WS does otherwise than the schema says.
func jaxwsClient(java []string, v soap.Version) foreignClient {
	return foreignClient{
		argv: append(java[:len(java):len(java)], "Client"), env: []string{"HARD=" + hardText}, version: v,
		sees: map[string]view{
			"Check stock": {"code": absent}, "Check invalid": {"code": absent}, // the class of a declared fault has no code
		},
	}
}

func jaxwsServer(addr string, v soap.Version) foreignServer {
	return foreignServer{
		catalogURL: "http://" + addr + "/catalog", inventoryURL: "http://" + addr + "/inventory", version: v,
		returns: map[string]view{"Check broken": {"reason": secret}}, // an exception's text is told
	}
}
