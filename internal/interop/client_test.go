package interop

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/interop/catalog"
	"github.com/soapward/soapward/internal/interop/inventory"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

// foreignClient is a program that calls our server. It is run as
//
//	argv... catalog-URL inventory-URL version hard-text
//
// and makes these calls, one after the other: for each order GetOrder, then
// EchoOrder with what it got, the same with parcels, then the rest. It writes a
// line of JSON for each step, a report.
type foreignClient struct {
	argv    []string
	env     []string
	version soap.Version

	// published is the query of the description that the client gets of the
	// gateway, in front of our server. Empty: it calls our server itself.
	published string

	// What the client understands otherwise than it was meant, and what it
	// sends otherwise then, both by step: "GetOrder full", "EchoOrder full".
	sees, sends map[string]view

	// fails has the steps that the client cannot do, with a part of the error or
	// the fault that it reports.
	fails map[string]string
}

// sameEverywhere is what foreign programs need in their environment to do the
// same on every machine.
var sameEverywhere = []string{"TZ=UTC", "LC_ALL=C.UTF-8"}

// report is what a client says of a step: what it understood, or its error.
type report struct {
	Step  string
	View  view
	Error *string
}

// run runs the client and checks all that it says, and what arrived.
func (f foreignClient) check(t *testing.T) {
	s := startOurs(t)
	if f.published != "" {
		s.url = publishOurs(t, s.url, f.published)
	}
	args := append(f.argv[1:len(f.argv):len(f.argv)], s.catalogURL(), s.inventoryURL(), f.version.String(), hardText)
	out := testenv.Run(t, append(f.env, sameEverywhere...), "", f.argv[0], args...)
	reports := map[string]report{}
	for line := range strings.Lines(out) {
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Logf("client wrote: %s", line)
			continue
		}
		r.View = readXML(r.View)
		reports[r.Step] = r
	}
	c := clientRun{f, s, reports}
	for _, name := range names(orders) {
		o := orders[name]()
		c.step(t, "GetOrder "+name, func(t *testing.T, v view) {
			checkView(t, "client understood", v, o, f.sees["GetOrder "+name])
		})
		c.echo(t, "GetOrder "+name, "EchoOrder "+name, o)
	}
	for _, name := range names(parcels) {
		p := parcels[name]()
		c.step(t, "GetParcel "+name, func(t *testing.T, v view) {
			checkView(t, "client understood", v, p, f.sees["GetParcel "+name])
		})
		c.echo(t, "GetParcel "+name, "EchoParcel "+name, p)
	}
	c.checkRest(t)
	if v := s.versions; len(v) != 1 || v[f.version] == 0 {
		t.Errorf("calls by SOAP version: %v, want all by %v", v, f.version)
	}
}

type clientRun struct {
	foreignClient
	server  *ourServer
	reports map[string]report
}

// step checks the report of one step.
func (c clientRun) step(t *testing.T, name string, check func(*testing.T, view)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		r, ok := c.reports[name]
		reason, fails := c.fails[name]
		switch {
		case !ok:
			t.Error("the client says nothing of it")
		case fails:
			failed := r.View["reason"]
			if r.Error != nil {
				failed = *r.Error
			}
			if !strings.Contains(failed, reason) {
				t.Errorf("client reports %q, want the error %q", failed, reason)
			}
		case r.Error != nil:
			t.Error(*r.Error)
		default:
			check(t, r.View)
		}
	})
}

// echo checks what arrived of a value, and what the client understood of it
// when it came back: unless said otherwise, what it sent, with what it always
// understands otherwise.
func (c clientRun) echo(t *testing.T, get, step string, meant any) {
	t.Helper()
	c.step(t, step, func(t *testing.T, v view) {
		t.Helper()
		arrived, ok := c.server.seen(step)
		if !ok {
			t.Errorf("nothing arrived at the server; client reports %q", v)
			return
		}
		checkView(t, "server understood", arrived, meant, c.sends[step])
		back, ok := c.sees[step]
		if !ok {
			back = with(c.sends[step], c.sees[get])
		}
		checkView(t, "client understood", v, meant, back)
	})
}

func (c clientRun) checkRest(t *testing.T) {
	c.step(t, "Ping", func(t *testing.T, v view) {
		checkText(t, v, view{"text": "hello", "user": hardText, "calls": "42"}, c.sees["Ping"])
		arrived, _ := c.server.seen("Ping")
		checkView(t, "server understood", arrived, catalog.Session{User: hardText, Calls: 41}, c.sends["Ping"])
	})
	for kind, want := range faults() {
		if c.version == soap.V12 {
			want["code"] = map[string]string{"Server": "Receiver", "Client": "Sender"}[want["code"]]
		}
		step := "Check " + kind
		c.step(t, step, func(t *testing.T, v view) {
			if i := strings.LastIndexAny(v["code"], ":}"); i >= 0 { // a qualified name
				v["code"] = v["code"][i+1:]
			}
			checkText(t, v, want, c.sees[step])
		})
	}
	c.step(t, "Check ok", func(t *testing.T, v view) { checkText(t, v, view{"ok": "true"}, nil) })
	c.step(t, "Notify", func(t *testing.T, _ view) {
		arrived, _ := c.server.seen("Notify")
		checkView(t, "server understood", arrived, catalog.Notify{Text: hardText}, nil)
	})
	c.step(t, "Sum", func(t *testing.T, v view) {
		checkView(t, "client understood", v, catalog.SumResponse{Sum: -(1<<40 - 4.75)}, nil)
		arrived, _ := c.server.seen("Sum")
		checkView(t, "server understood", arrived, catalog.Sum{A: -5, B: 1 << 40, C: 0.25, Negative: true}, nil)
	})
	if c.version == soap.V12 {
		return // the description in rpc style has SOAP 1.1 alone
	}
	c.step(t, "Add", func(t *testing.T, v view) {
		checkView(t, "client understood", v, inventory.AddResponse{Sum: 42}, nil)
	})
	c.step(t, "Store", func(t *testing.T, v view) {
		checkView(t, "client understood", v, inventory.StoreResponse{Item: stored().Item, Shelf: shelf}, c.sees["Store"])
		arrived, _ := c.server.seen("Store")
		checkView(t, "server understood", arrived, *stored(), c.sends["Store"])
	})
}
