package interop

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

func TestGSOAP(t *testing.T) {
	t.Parallel()
	program := buildCatalogGSOAP(t)
	for _, v := range versions {
		t.Run("client "+v.String(), func(t *testing.T) {
			t.Parallel()
			gsoapClient(program, v).check(t)
		})
		t.Run("server "+v.String(), func(t *testing.T) {
			t.Parallel()
			addr := freeAddress(t)
			_, port, _ := strings.Cut(addr, ":")
			startServer(t, addr, nil, program, "server", port, hardText)
			gsoapServer(addr, v).check(t)
		})
	}
}

// buildCatalogGSOAP generates and compiles the program of testdata/gsoap.
func buildCatalogGSOAP(t *testing.T) string {
	t.Helper()
	wsdl2h, soapcpp2, compiler := testenv.Need(t, "wsdl2h"), testenv.Need(t, "soapcpp2"), testenv.Need(t, "g++")
	testenv.NeedFile(t, "/usr/include/stdsoap2.h")
	dir := t.TempDir()
	header := filepath.Join(dir, "services.h")
	testenv.Run(t, nil, "", wsdl2h, "-t", "testdata/gsoap/typemap.dat", "-o", header,
		"catalog/wsdl/catalog.wsdl", "catalog/wsdl/inventory.wsdl")
	testenv.Run(t, nil, "", soapcpp2, "-j", "-x", "-I/usr/share/gsoap/import", "-d"+dir, header)
	sources, err := filepath.Glob(filepath.Join(dir, "*.cpp"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	args := []string{"-std=c++17", "-w", "-DWITH_PURE_VIRTUAL", "-I" + dir, "-o", program, "testdata/gsoap/main.cpp"}
	testenv.Run(t, nil, "", compiler, append(append(args, sources...), "-lgsoap++")...)
	return program
}

// What gSOAP does otherwise than the schema says, by order. A dateTime is a
// time_t unless a type map says otherwise: an instant, of seconds. Attributes
// with a default are filled in; those with the default are not sent.
var (
	gsoapFull = view{
		"placed": "2026-02-28T18:29:59Z", "exact": "2026-11-26T01:02:03Z", "local": "2026-07-01T12:00:00Z",
	}
	gsoapSparse = view{"local": "2026-07-01T00:00:00Z", "channel": "web"}
	gsoapTexts  = with(gsoapSparse, view{"memo": absent}) // nil is absent where that is allowed

	gsoapSees = map[string]view{
		"full":   with(gsoapFull, view{"kind": "t:Person"}), // the prefix is that of its own table
		"sparse": with(gsoapSparse, view{"version": "1", "kind": `"":plain`}),
		"texts":  with(gsoapTexts, view{"version": "1", "kind": `"":plain`}),
	}
)

func gsoapClient(program string, v soap.Version) foreignClient {
	return foreignClient{
		argv: []string{program, "client"}, version: v,
		sees: map[string]view{
			"GetOrder full": gsoapSees["full"], "GetOrder sparse": gsoapSees["sparse"], "GetOrder texts": gsoapSees["texts"],
		},
		sends: map[string]view{
			"EchoOrder full": gsoapFull, "EchoOrder sparse": gsoapSparse, "EchoOrder texts": gsoapTexts,
		},
	}
}

func gsoapServer(addr string, v soap.Version) foreignServer {
	return foreignServer{
		catalogURL: "http://" + addr, inventoryURL: "http://" + addr, version: v,
		answers: soap.V12, // as the description has a binding for it
		sees: map[string]view{
			"EchoOrder full": gsoapSees["full"], "EchoOrder sparse": gsoapSees["sparse"], "EchoOrder texts": gsoapSees["texts"],
		},
		returns: map[string]view{
			"EchoOrder full": gsoapFull, "EchoOrder sparse": gsoapSparse, "EchoOrder texts": gsoapTexts,
			"Check broken": {"reason": secret}, // there are no errors but with a text for the peer
		},
	}
}
