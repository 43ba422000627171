package interop

import (
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

func TestZeepClient(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "zeep")
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			zeepClient(python, v).check(t)
		})
	}
}

// zeepClient has all that zeep does otherwise than the schema says.
func zeepClient(python string, v soap.Version) foreignClient {
	// An empty element is None, as an absent one is, and one that is nil. Where
	// it is required, zeep does not send None: the program has to put the empty
	// value there, as the client here does.
	lost := func(paths ...string) view {
		v := view{}
		for _, p := range paths {
			v[p] = absent
		}
		return v
	}
	sparse := with(lost("title", "blank", "remark", "picture", "checksum", "link", "sizes"), view{
		"due":     "2026-12-24", // no time zone in dates
		"version": "1",          // the default is filled in
	})
	full := with(lost("blank", "items.item[1].quantity"), view{
		"exact": "2026-11-26T01:02:03.123457Z", // microseconds
		"kind":  "n2:Person",                   // what the prefix means is lost
	})
	texts := with(sparse, lost("memo", "items", "tag[0]", "delivery"))
	delete(texts, "title")
	note := "<{" + typesSpace + "}b>this</><{" + typesSpace + "}i>that</>"
	const noSubstitution = "Unexpected element '{http://example.com/catalog/types}cardPayment'"
	f := foreignClient{
		argv: []string{python, "testdata/zeep/client.py"}, version: v,
		sees: map[string]view{
			"GetOrder full":   full,
			"EchoOrder full":  with(full, view{"kind": "{}Person"}),
			"GetOrder sparse": sparse,
			"GetOrder texts":  texts,
			"GetParcel mixed": {"note": absent, "note[0].b": "this", "note[1].i": "that"}, // no text between elements
			"Store":           lost("item.quantity"),
		},
		sends: map[string]view{
			"EchoOrder full":   {"exact": full["exact"], "kind": "{}Person"},
			"EchoOrder sparse": {"due": sparse["due"], "version": "1"},
			"EchoOrder texts":  {"due": sparse["due"], "version": "1", "remark": isNil, "memo": absent, "items": absent},
			"EchoParcel mixed": {"note": note},
		},
		fails: map[string]string{
			"GetParcel substituted":  noSubstitution, // substitution groups are not known
			"EchoParcel substituted": "'NoneType'",   // there is none
		},
	}
	f.sees["EchoParcel mixed"] = f.sees["GetParcel mixed"]
	return f
}
