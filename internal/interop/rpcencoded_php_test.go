package interop

import (
	"bufio"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

// TestEncodedPHPServer calls PHP's SoapServer, which writes an object that it
// meets again as a reference.
func TestEncodedPHPServer(t *testing.T) {
	t.Parallel()
	php := testenv.NeedPHP(t, "soap")
	wsdl, err := filepath.Abs(encodedWSDL)
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	startServer(t, addr, []string{"WSDL=" + wsdl}, php, "-d", "serialize_precision=-1", "-S", addr, "testdata/encoded/server.php")
	url := "http://" + addr + "/"
	for _, v := range []soap.Version{soap.V11, soap.V12} {
		t.Run(v.String(), func(t *testing.T) { checkEncodedServer(t, url, v, nil) })
	}
}

const (
	phpAda = `{"name":"Ada <&>","age":36,"height":1.65,"born":"1815-12-10T00:00:00Z","nick":null,"member":true}`
	phpBob = `{"name":"","age":-1,"height":0,"born":"2000-02-29T12:00:00+02:00","nick":"b","member":false}`
)

// phpWant is what PHP's SoapClient gets from our server, in order.
var phpWant = []string{
	`["echoStruct",` + phpAda + `]`,
	`["echoStruct",null]`,
	`["echoStrings",["a","","c"]]`,
	`["echoStrings",[]]`,
	`["echoNumbers",[1,-2]]`,
	`["echoPeople",[` + phpAda + `,` + phpBob + `,` + phpAda + `]]`,
	`["echoTable",[[1,2],[],[3]]]`,
	`["echoTeam",{"name":"t","lead":` + phpAda + `,"deputy":` + phpAda + `,"members":[` + phpAda + `,` + phpBob + `],"tags":["x"]}]`,
	`["echoTeam",{"name":"t","lead":null,"deputy":null,"members":[],"tags":[]}]`,
	`["echoAny",42]`,
	`["echoAny","text"]`,
	`["echoAny",{"k":"v","n":1}]`,
	`["echoAny",[` + phpBob + `,` + phpBob + `]]`,
	`["echoAny",null]`,
	`["echoChain",{"link":"1","next":{"link":"2","next":null}}]`,
	`["echoChain","fault: malformed message: next: reference to an element from within itself: values that contain themselves are not supported: line 2, column `,
	`["divide",{"remainder":2,"quotient":3}]`,
	`["divide","fault: division by zero"]`,
	`["ping",null]`,
}

func TestEncodedPHPClient(t *testing.T) {
	t.Parallel()
	php := testenv.NeedPHP(t, "soap")
	for _, version := range []string{"1.1", "1.2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			url, seen := serveEncoded(t)
			out := testenv.Run(t, nil, "", php, "-d", "serialize_precision=-1", "testdata/encoded/client.php", encodedWSDL, url, version)
			sc := bufio.NewScanner(strings.NewReader(out))
			for _, want := range phpWant {
				if !sc.Scan() {
					t.Fatalf("no more answers, want %s; all: %s\n%s", want, out, seen)
				}
				got := sc.Text()
				if !json.Valid([]byte(got)) {
					t.Errorf("not JSON: %s", got)
				}
				if got != want && (!strings.Contains(want, ", column ") || !strings.HasPrefix(got, want)) {
					t.Errorf("got %s\nwant %s", got, want)
				}
			}
			if !strings.Contains(seen.String(), `"#ref1"`) {
				t.Errorf("no references in %s", seen)
			}
		})
	}
}
