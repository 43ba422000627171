package interop

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

func TestNodeClient(t *testing.T) {
	t.Parallel()
	node, modules := testenv.Need(t, "node"), testenv.NodeModules(t, "testdata/node")
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			nodeClient(node, modules, v).check(t)
		})
	}
}

// nodeNulls are what is null of the orders sparse and texts when it is read: what
// is empty and of a simple type that is not a string.
func nodeNulls(v soap.Version) (sparse, texts view) {
	nulls := func(paths ...string) view {
		v := view{}
		for _, p := range paths {
			v[p] = isNil
		}
		return v
	}
	sparse = nulls("picture", "checksum", "link", "sizes")
	texts = with(sparse, nulls("items"))
	if v == soap.V12 {
		// It does not find the types of a SOAP 1.2 message: everything that is
		// empty is null.
		sparse = with(sparse, nulls("title", "blank"))
		texts = with(texts, nulls("blank", "remark", "tag[0]", "tag[2]", "delivery"))
	}
	return sparse, texts
}

// nodeClient has all that node-soap's client does otherwise than the schema says.
func nodeClient(node, modules string, v soap.Version) foreignClient {
	sparse, texts := nodeNulls(v)
	prefix := view{"kind": "n2:Person"} // what a prefix means is lost
	full := with(prefix, view{
		// Numbers are JavaScript's.
		"total": "12345678901234567000", "serial": "-1.2345678901234568e+29", "size": "-9223372036854776000",
		"reading[1]": "NaN", "reading[2]": "NaN",
		// All are instants, of milliseconds.
		"due": "2026-12-24T00:00:00.000Z", "local": "2026-07-01T12:00:00.000Z", "exact": "2026-11-26T01:02:03.123Z",
	})
	sparseNow := with(sparse, view{"due": "2026-12-24T00:00:00.000Z", "local": "2026-07-01T00:00:00.001Z"})
	textsNow := with(texts, sparseNow)
	if v == soap.V12 {
		// Without types everything is text, and a list of one is no list.
		prefix = with(prefix, view{
			"blank": isNil, "category.category[0].category.title": "leaf", "category.category[0].category[0].title": absent,
		})
		full, sparseNow, textsNow = prefix, sparse, texts
	}
	const orders = "{" + ordersSpace + "}"
	f := foreignClient{
		argv: []string{node, "testdata/node/client.js", modules}, version: v,
		sees: map[string]view{
			"GetOrder full":   full,
			"GetOrder sparse": sparseNow,
			"GetOrder texts":  textsNow,
			// With values left as text, see the client.
			"EchoOrder full":   with(prefix, view{"kind": "n1:Person"}),
			"EchoOrder sparse": with(sparse, view{"kind": "n1:plain"}),
			"EchoOrder texts":  with(texts, view{"kind": "n1:plain", "tag[2]": "\n"}),
			"GetParcel plain":  {"payment.@type": absent}, // it knows xsi:type only as an attribute
		},
		sends: map[string]view{
			// The schema's namespace is the default one.
			"EchoOrder full":   {"kind": orders + "Person"},
			"EchoOrder sparse": {"kind": orders + "plain"},
			"EchoOrder texts":  {"kind": orders + "plain", "tag[2]": "\n"}, // a carriage return is not escaped
		},
		fails: map[string]string{
			"GetParcel mixed":        "Cannot use 'in' operator", // mixed content
			"EchoParcel mixed":       "no operation takes an empty body",
			"EchoParcel substituted": "cardPayment: element not allowed here", // sent in the namespace of the parent
		},
	}
	if v == soap.V12 {
		// It sends xsi:nil for what is empty, also where a value is needed. A
		// server that is not Strict reads that as empty text.
		for _, order := range []string{"full", "sparse", "texts"} {
			f.fails["EchoOrder "+order] = "xsi:nil where a value is needed"
		}
	}
	return f
}

func TestNodeServer(t *testing.T) {
	t.Parallel()
	node, modules := testenv.Need(t, "node"), testenv.NodeModules(t, "testdata/node")
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			addr := freeAddress(t)
			_, port, _ := strings.Cut(addr, ":")
			startServer(t, addr, nil, node, "testdata/node/server.js", modules, wsdlDir(t), port, v.String(), hardText)
			nodeServer(addr, v).check(t)
		})
	}
}

// nodeServer has all that node-soap's server does otherwise than the schema says.
func nodeServer(addr string, v soap.Version) foreignServer {
	const orders = "{" + ordersSpace + "}"
	sparse, texts := nodeNulls(v)
	trimmed := view{"comment": "line 1\nline 2\tend", "tag[1]": "two  spaces"} // whatever preserveWhitespace says
	full := view{"kind": "n2:Person"}
	f := foreignServer{
		catalogURL: "http://" + addr + "/catalog", inventoryURL: "http://" + addr + "/inventory", version: v,
		sees: map[string]view{
			"EchoOrder full":   full,
			"EchoOrder sparse": sparse,
			"EchoOrder texts":  with(texts, trimmed, view{"tag[2]": ""}),
			"EchoParcel plain": {"payment.@type": absent},
		},
		returns: map[string]view{ // the server here mends what it knows to be lost
			"EchoOrder full":   {"kind": orders + "Person"},
			"EchoOrder sparse": {"kind": orders + "plain"},
			"EchoOrder texts":  with(trimmed, view{"kind": orders + "plain", "tag[2]": ""}),
			"EchoParcel plain": nil,
			"Check broken":     {"reason": "Error: " + secret}, // an exception's text is told
		},
		fails: map[string]string{
			"EchoParcel mixed":       "Cannot use 'in' operator", // mixed content
			"EchoParcel substituted": "exactly one of the elements",
		},
	}
	if v == soap.V12 {
		f.sees["EchoOrder full"] = with(full, view{
			"blank": isNil, "category.category[0].category.title": "leaf", "category.category[0].category[0].title": absent,
		})
		f.sees["EchoOrder texts"] = with(texts, trimmed)
		f.returns["EchoOrder texts"] = with(f.returns["EchoOrder texts"], view{"remark": isNil})
		// Elements that are repeated are in the namespace of the envelope.
		f.returns["Check invalid"] = view{"detail.reason[0]": absent, "detail.reason[1]": absent}
	}
	return f
}
