package interop

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

func TestMono(t *testing.T) {
	t.Parallel()
	mono := testenv.Need(t, "mono")
	client, app := buildCatalogMono(t)
	for _, v := range versions {
		t.Run("client "+v.String(), func(t *testing.T) {
			t.Parallel()
			monoClient(mono, client, v).check(t)
		})
		t.Run("server "+v.String(), func(t *testing.T) {
			t.Parallel()
			addr := freeAddress(t)
			_, port, _ := strings.Cut(addr, ":")
			startServer(t, addr, []string{"HARD=" + hardText}, mono, filepath.Join(app, "bin", "server.dll"), app, port)
			monoServer(addr, v).check(t)
		})
	}
}

// buildCatalogMono generates and compiles the programs of testdata/mono: the client,
// and the server as an application of ASP.NET's, in a directory.
func buildCatalogMono(t *testing.T) (client, app string) {
	t.Helper()
	wsdl, mcs := testenv.Need(t, "wsdl"), testenv.Need(t, "mcs")
	dir := t.TempDir()
	catalog, inventory := filepath.Join(dir, "catalog.cs"), filepath.Join(dir, "inventory.cs")
	const types = "catalog/wsdl/types.xsd"
	testenv.Run(t, nil, "", wsdl, "-out:"+catalog, "-namespace:Demo",
		"catalog/wsdl/catalog.wsdl", "catalog/wsdl/orders.xsd", types, "catalog/wsdl/xml.xsd")
	testenv.Run(t, nil, "", wsdl, "-out:"+inventory, "-namespace:Demo.Inventory", "catalog/wsdl/inventory.wsdl", types)
	client, app = filepath.Join(dir, "client.exe"), filepath.Join(dir, "app")
	writeFiles(t, map[string]string{
		filepath.Join(app, "catalog.asmx"):   `<%@ WebService Class="Catalog" %>`,
		filepath.Join(app, "inventory.asmx"): `<%@ WebService Class="Inventory" %>`,
		// Else faults have a stack trace.
		filepath.Join(app, "web.config"): `<configuration><system.web><customErrors mode="On"/></system.web></configuration>`,
	})
	// ASP.NET looks for classes in libraries; Mono runs those that have a Main.
	server := filepath.Join(app, "bin", "server.dll")
	for out, source := range map[string]string{client: "Client.cs", server: "server/Server.cs"} {
		if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
			t.Fatal(err)
		}
		sources := []string{catalog, inventory, "testdata/mono/View.cs", "testdata/mono/" + source}
		if out == server {
			sources = append(sources, "testdata/mono/server/Host.cs")
		}
		testenv.Run(t, nil, "", mcs, append([]string{"-target:exe", "-out:" + out, "-r:System.Web.Services", "-r:System.Web", "-r:System.Xml"}, sources...)...)
	}
	return client, app
}

func writeFiles(t *testing.T, files map[string]string) {
	t.Helper()
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What Mono's XML serializer does otherwise than the schema says.
var (
	monoDefaults = view{"channel": "web", "version": "1"}        // are filled in
	monoFull     = view{"exact": "2026-11-26T01:02:03.1234568Z"} // 100 ns
	monoTexts    = with(monoDefaults, view{"memo": absent})      // nil is as absent

	// In mixed content, texts and elements are apart.
	monoNote = view{
		"note": absent, "note.items[0]": "this", "note.items[1]": "that",
		"note.itemselementname[0]": "b", "note.itemselementname[1]": "i",
	}
	monoMixed = with(monoNote, view{"note.text[0]": "see ", "note.text[1]": " and ", "note.text[2]": "!"})

	monoSends = map[string]view{
		"EchoOrder full": with(monoFull, view{"cutoff": "18:30:00.25Z"}), // a time gets the zone it is in
		// A date loses its zone, what may be nil is nil, and attributes with a
		// fixed value are sent.
		"EchoOrder sparse": {"due": "2026-12-24", "channel": "web", "memo": isNil},
		// A carriage return is not escaped.
		"EchoOrder texts": {"due": "2026-12-24", "channel": "web", "tag[2]": "\n"},
		"EchoParcel derived": { // the element of the group for the type
			"payment.@type": absent, "payment.account": absent, "payment.amount": absent, "payment.amount.currency": absent,
			"bankpayment.account": "CH93", "bankpayment.amount": "2.00", "bankpayment.amount.currency": "CHF",
		},
		"EchoParcel mixed": {
			"note": "<{" + typesSpace + "}b>this</><{" + typesSpace + "}i>that</>see  and !",
		},
	}
)

func monoClient(mono, program string, v soap.Version) foreignClient {
	due := view{"due": "2026-12-24"}
	return foreignClient{
		argv: []string{mono, program}, version: v,
		sees: map[string]view{
			"GetOrder full":      monoFull,
			"GetOrder sparse":    monoDefaults,
			"EchoOrder sparse":   with(monoDefaults, due),
			"GetOrder texts":     monoTexts,
			"EchoOrder texts":    with(monoTexts, due, view{"tag[2]": "\n"}),
			"EchoParcel derived": {},
			"GetParcel mixed":    monoMixed,
			"EchoParcel mixed":   with(monoNote, view{"note.text[0]": "see  and !"}),
			// In rpc style, what is returned is taken to come first.
			"Store": {
				"shelf": "A-1", "item.sku": absent, "item.quantity": absent, "item.discount": absent,
				"item.price": absent, "item.price.currency": absent,
			},
		},
		sends: monoSends,
	}
}

func monoServer(addr string, v soap.Version) foreignServer {
	returns := map[string]view{
		"Check broken": {"reason": "Server was unable to process request. ---> " + secret}, // an exception's text is told
	}
	maps.Copy(returns, monoSends)
	return foreignServer{
		catalogURL: "http://" + addr + "/catalog.asmx", inventoryURL: "http://" + addr + "/inventory.asmx", version: v,
		sees: map[string]view{
			"EchoOrder full":   monoFull,
			"EchoOrder sparse": monoDefaults,
			"EchoOrder texts":  monoTexts,
			"EchoParcel mixed": monoMixed,
		},
		returns: returns,
		fails:   map[string]string{"Notify": "server understood"}, // a one-way call is answered, and the method not run
	}
}
