package interop

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/interop/catalog"
	"github.com/soapward/soapward/internal/interop/inventory"
	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapclient"
)

// foreignServer is a server that our client calls.
type foreignServer struct {
	catalogURL, inventoryURL string
	version                  soap.Version
	answers                  soap.Version // zero: the same

	// What the server understands otherwise than it was meant, and what it
	// returns then, both by step: "EchoOrder full". What it understands
	// otherwise is returned so, unless returns has the step.
	sees, returns map[string]view

	// fails has the steps that the server cannot do, with a part of the error
	// that our client reports.
	fails map[string]string
}

// understood returns the peculiarities of a step's answer.
func (f foreignServer) understood(step string) view {
	if v, ok := f.returns[step]; ok {
		return v
	}
	return f.sees[step]
}

// check makes all calls, one after the other.
func (f foreignServer) check(t *testing.T) {
	c := catalog.NewCatalogClient(&soapclient.Client{URL: f.catalogURL, Version: f.version, HTTP: oneVersion{t, cmp.Or(f.answers, f.version)}})
	seen := func(t *testing.T, step string, meant any) {
		t.Helper()
		checkView(t, "server understood", f.askSeen(t, c), meant, f.sees[step])
	}
	f.checkMessages(t, c, seen)

	f.step(t, "Ping", func(t *testing.T) error {
		session := catalog.Session{User: hardText, Calls: 41}
		var got []soap.Header
		answer, err := c.Ping(t.Context(), &catalog.Ping{Text: "hello"}, soapclient.ReceiveHeaders(&got),
			soapclient.WithHeader(soap.Header{Name: sessionName, MustUnderstand: true, Value: &session}))
		if err != nil {
			return err
		}
		back, err := catalog.FindSession(got)
		if err != nil {
			return err
		}
		if answer.Text != "hello" || back == nil || back.User != hardText || back.Calls != 42 {
			t.Errorf("answer = %+v, session = %+v, want hello and one call more", answer, back)
		}
		return nil
	})
	f.checkFaults(t, c)
	f.step(t, "Notify", func(t *testing.T) error {
		n := catalog.Notify{Text: hardText}
		if err := c.Notify(t.Context(), &n); err != nil {
			return err
		}
		// A server may answer before it has done anything.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return testenv.Poll(ctx, func() error {
			if lines := compare(f.askSeen(t, c), n, nil); len(lines) > 0 {
				return fmt.Errorf("server understood: %q", lines)
			}
			return nil
		})
	})
	f.step(t, "Sum", func(t *testing.T) error {
		answer, err := c.Sum(t.Context(), &catalog.Sum{A: -5, B: 1 << 40, C: 0.25, Negative: true})
		if err == nil && answer.Sum != -(1<<40-4.75) {
			t.Errorf("sum = %v", answer.Sum)
		}
		return err
	})
	f.checkInventory(t)
}

// askSeen returns what the server understood last.
func (f foreignServer) askSeen(t *testing.T, c *catalog.CatalogClient) view {
	t.Helper()
	answer, err := c.Seen(t.Context(), &catalog.Seen{})
	if err != nil {
		t.Fatal(err)
	}
	var v view
	if err := json.Unmarshal([]byte(answer.JSON), &v); err != nil {
		t.Fatalf("server reports %q: %v", answer.JSON, err)
	}
	return readXML(v)
}

// oneVersion is an HTTP client that expects answers in one SOAP version, where
// they are XML.
type oneVersion struct {
	t       *testing.T
	version soap.Version
}

func (s oneVersion) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		ct := soap.ParseContentType(resp.Header.Get("Content-Type"))
		if ct.IsXML() && ct.Version != s.version {
			s.t.Errorf("answer is not in SOAP %v: %s", s.version, resp.Header.Get("Content-Type"))
		}
	}
	return resp, err
}

// sessionName is a header block.
var sessionName = xml.Name{Space: ordersSpace, Local: "Session"}

// step runs one step, which must fail if fails says so.
func (f foreignServer) step(t *testing.T, name string, call func(*testing.T) error) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		err := call(t)
		reason, fails := f.fails[name]
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), reason)):
			t.Errorf("error = %v, want %q", err, reason)
		case !fails && err != nil:
			t.Error(err)
		}
	})
}

func (f foreignServer) checkMessages(t *testing.T, c *catalog.CatalogClient, seen func(*testing.T, string, any)) {
	for _, name := range names(orders) {
		step := "EchoOrder " + name
		f.step(t, step, func(t *testing.T) error {
			o := orders[name]()
			answer, err := c.EchoOrder(t.Context(), &catalog.EchoOrder{Order: o})
			if err != nil {
				return err
			}
			got, _ := viewOf(answer.Order)
			checkView(t, "server returned", got, o, f.understood(step))
			seen(t, step, o)
			return nil
		})
	}
	for _, name := range names(parcels) {
		step := "EchoParcel " + name
		f.step(t, step, func(t *testing.T) error {
			p := parcels[name]()
			answer, err := c.EchoParcel(t.Context(), &p)
			if err != nil {
				return err
			}
			got, _ := viewOf(*answer)
			checkView(t, "server returned", got, p, f.understood(step))
			seen(t, step, p)
			return nil
		})
	}
}

func (f foreignServer) checkFaults(t *testing.T, c *catalog.CatalogClient) {
	for kind, want := range faults() {
		step := "Check " + kind
		f.step(t, step, func(t *testing.T) error {
			answer, err := c.Check(t.Context(), &catalog.Check{Kind: kind})
			var fault *soap.Fault
			switch {
			case err == nil:
				t.Errorf("answer = %+v, want a fault", answer)
				return nil
			case !errors.As(err, &fault):
				return err
			}
			checkText(t, faultView(fault), want, f.returns[step])
			return nil
		})
	}
	f.step(t, "Check ok", func(t *testing.T) error {
		answer, err := c.Check(t.Context(), &catalog.Check{Kind: "ok"})
		if err == nil && !answer.Ok {
			t.Error("the answer is not ok")
		}
		return err
	})
}

// faultView tells what our client understood of a fault.
func faultView(f *soap.Fault) view {
	v := view{"code": f.Code.String(), "reason": f.Reason}
	var (
		stock   *catalog.OutOfStock
		invalid *catalog.InvalidOrder
		detail  view
	)
	switch {
	case errors.As(f, &stock):
		detail, _ = viewOf(*stock)
		detail["@name"] = stock.DetailName().Local
	case errors.As(f, &invalid):
		detail, _ = viewOf(*invalid)
		detail["@name"] = invalid.DetailName().Local
	}
	for path, text := range detail {
		v["detail."+path] = text
	}
	return v
}

// faults are what Check answers by kind.
func faults() map[string]view {
	return map[string]view{
		faultStock: {"code": "Server", "reason": "OutOfStock", "detail.@name": "OutOfStock",
			"detail.sku": "A-1", "detail.available": "3"},
		faultInvalid: {"code": "Server", "reason": "InvalidOrder", "detail.@name": "InvalidOrder",
			"detail.reason[0]": "no <id>", "detail.reason[1]": "größer"},
		faultDenied: {"code": "Client", "reason": hardText},
		faultBroken: {"code": "Server", "reason": "internal error (reference ...)"},
	}
}

// checkText compares views in which all texts are strings.
func checkText(t *testing.T, got, want, differs view) {
	t.Helper()
	got, want = maps.Clone(got), maps.Clone(want)
	if reason, rest, ok := strings.Cut(got["reason"], "(reference "); ok {
		_, rest, _ = strings.Cut(rest, ")")
		got["reason"] = reason + "(reference ...)" + rest
	}
	for path, text := range differs {
		if want[path] == text {
			t.Errorf("%s is said to differ, and to be %q, which is what is meant", path, text)
		}
		want[path] = text
		if text == absent {
			delete(want, path)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (f foreignServer) checkInventory(t *testing.T) {
	if f.inventoryURL == "" {
		return
	}
	i := inventory.NewInventoryClient(&soapclient.Client{URL: f.inventoryURL})
	f.step(t, "Add", func(t *testing.T) error {
		answer, err := i.Add(t.Context(), &inventory.Add{A: 40, B: 2})
		if err == nil && answer.Sum != 42 {
			t.Errorf("sum = %d, want 42", answer.Sum)
		}
		return err
	})
	f.step(t, "Store", func(t *testing.T) error {
		answer, err := i.Store(t.Context(), stored())
		if err != nil {
			return err
		}
		got, _ := viewOf(*answer)
		checkView(t, "server returned", got, inventory.StoreResponse{Item: stored().Item, Shelf: shelf}, f.understood("Store"))
		return nil
	})
}

// freeAddress returns an address of 127.0.0.1 that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// startServer starts a program that listens on addr, as long as the test runs.
func startServer(t *testing.T, addr string, env []string, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = slices.Concat(os.Environ(), env, sameEverywhere)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	p, err := testenv.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.WaitListening(ctx, addr); err != nil {
		t.Fatal(err)
	}
}

// wsdlDir returns the directory of the descriptions.
func wsdlDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("catalog/wsdl")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
