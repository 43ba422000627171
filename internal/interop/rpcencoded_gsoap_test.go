package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

// soap12Binding is what gSOAP's tools do not get: they would take it for more
// operations of the same names.
var soap12Binding = regexp.MustCompile(`(?s)  <wsdl:binding name="Encoded12".*?</wsdl:binding>\n|    <wsdl:port name="Encoded12".*?</wsdl:port>\n`)

// buildGSOAP has gSOAP's tools make code of the description, and compiles it
// with the program in testdata.
func buildGSOAP(t *testing.T) string {
	t.Helper()
	wsdl2h, soapcpp2, cc := testenv.Need(t, "wsdl2h"), testenv.Need(t, "soapcpp2"), testenv.Need(t, "cc")
	testenv.NeedFile(t, "/usr/include/stdsoap2.h")
	dir := t.TempDir()
	doc, err := os.ReadFile(encodedWSDL)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "encoded.wsdl"), soap12Binding.ReplaceAll(doc, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	main, err := filepath.Abs("testdata/encoded/gsoap.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{
		{wsdl2h, "-c", "-o", "encoded.h", "encoded.wsdl"},
		{soapcpp2, "-c", "-L", "-x", "encoded.h"},
		{cc, "-O0", "-I.", "-o", "gsoap", main, "soapC.c", "soapClient.c", "soapServer.c", "-lgsoap"},
	} {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(argv[0]), err, out)
		}
	}
	return filepath.Join(dir, "gsoap")
}

// TestEncodedGSOAP runs gSOAP's server under our client, and its client at our
// server. It writes each struct that is met twice once, behind the call or
// where it is met first, and refers to it.
func TestEncodedGSOAP(t *testing.T) {
	t.Parallel()
	bin := buildGSOAP(t)
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		addr := freeAddress(t)
		_, port, _ := strings.Cut(addr, ":")
		startServer(t, addr, nil, bin, "serve", port)
		url := "http://" + addr + "/"
		for _, v := range []soap.Version{soap.V11, soap.V12} {
			t.Run(v.String(), func(t *testing.T) { checkEncodedServer(t, url, v, gsoapLacks) })
		}
	})
	for v, reference := range map[string]string{"1": `href="#_`, "2": `SOAP-ENC:ref="_`} {
		t.Run("client 1."+v, func(t *testing.T) {
			t.Parallel()
			url, seen := serveEncoded(t)
			out := testenv.Run(t, nil, "", bin, "call", url, v)
			got := strings.Split(strings.TrimSpace(out), "\n")
			for i, want := range gsoapWant {
				if i >= len(got) || got[i] != want && (!strings.HasSuffix(want, "...") || !strings.HasPrefix(got[i], strings.TrimSuffix(want, "..."))) {
					t.Errorf("line %d of\n%s\nwant %s\n%s", i+1, out, want, seen)
					break
				}
			}
			if len(got) != len(gsoapWant) || !strings.Contains(seen.String(), reference) {
				t.Errorf("%d answers; or no references in %s", len(got), seen)
			}
		})
	}
}

// gsoapLacks: gSOAP has no type for a value of xsd:anyType, and answers without
// an element around it. Of an array of arrays it wants the type of the inner
// items, where SOAP 1.1 5.4.2 has brackets: xsd:int[3] for xsd:int[][3].
var gsoapLacks = map[string]string{"any int": "xsd:anyType", "any string": "xsd:anyType", "arrays": "arrayType"}

// gsoapWant is what gSOAP's client prints.
var gsoapWant = []string{
	"struct: (Ada 36 1.65 1000000000 nil 1)",
	"no struct: nil",
	"strings: 'a' '' 'c'",
	"no strings: 0",
	"numbers: 1 -2 3",
	"people: [ (Ada 36 1.65 1000000000 nil 1) ( -1 0 951829200 b 0) (Ada 36 1.65 1000000000 nil 1) ]",
	"table: fault: ...", // see gsoapLacks; what it sent is checked by itself
	"team: t (Ada 36 1.65 1000000000 nil 1) (Ada 36 1.65 1000000000 nil 1) [ (Ada 36 1.65 1000000000 nil 1) ( -1 0 951829200 b 0) (Ada 36 1.65 1000000000 nil 1) ] 3",
	"any: <return><x>1</x></return>",
	"chain: 1 2 end",
	"circle: fault: malformed message: next: reference to an element from within itself: values that contain themselves are not supported: line 2, ...",
	"divide: 3 2",
	"by zero: fault: division by zero",
	"ping: ok",
}
