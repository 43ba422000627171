package bench

import (
	"encoding/xml"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/soapward/soapward/internal/bench/orders"
	"github.com/soapward/soapward/soap/wire"
)

// What generated code must reach beside encoding/xml on the same types.
const (
	minDecode = 6   // times as fast
	minEncode = 6   // likewise
	maxAllocs = 0.2 // of its allocations
)

const spaceOrders = "http://example.com/orders/2026"

// BenchmarkCodecBesideEncodingXML reads and writes an answer of 0.9 MB, a list
// of orders, with generated code and with encoding/xml, which checks less of
// the message and takes decimals and times for strings.
func BenchmarkCodecBesideEncodingXML(b *testing.B) {
	doc := []byte(`<o:EchoResponse xmlns:o="` + spaceOrders + `">` + orderXML(1850, 3) + `</o:EchoResponse>`)
	name := xml.Name{Space: spaceOrders, Local: "EchoResponse"}
	type list struct {
		XMLName xml.Name `xml:"http://example.com/orders/2026 EchoResponse"`
		stdOrders
	}
	var ours orders.EchoResponse
	if err := wire.Unmarshal(doc, &ours, wire.Options{}); err != nil {
		b.Fatal(err)
	}
	var std list
	if err := xml.Unmarshal(doc, &std); err != nil {
		b.Fatal(err)
	}
	if len(ours.Order) != 1850 || len(std.Order) != 1850 {
		b.Fatalf("%d and %d orders", len(ours.Order), len(std.Order))
	}
	for i, o := range ours.Order {
		s := std.Order[i]
		if len(o.Line) != 3 || o.Line[2].Price.String() != s.Line[2].Price || *o.Line[2].Text != *s.Line[2].Text ||
			o.Number != s.Number || o.Placed.String() != s.Placed || string(o.State) != s.State {
			b.Fatalf("order %d: %+v, encoding/xml %+v", i, o, s)
		}
	}
	var w wire.Writer
	sides := []struct {
		name           string
		decode, encode func() error
	}{
		{"generated code", func() error {
			var v orders.EchoResponse
			return wire.Unmarshal(doc, &v, wire.Options{})
		}, func() error {
			w.Reset()
			ours.MarshalWire(&w, name)
			got, err := w.Bytes()
			if err == nil && len(got) < len(doc)*9/10 {
				err = errors.New("less than it should be")
			}
			return err
		}},
		{"encoding/xml", func() error {
			var v list
			return xml.Unmarshal(doc, &v)
		}, func() error {
			_, err := xml.Marshal(&std)
			return err
		}},
	}
	const rounds, calls = 15, 2
	fmt.Printf("\nA list of %d orders, %.2f MB, %s, best of %d rounds of %d\n", len(ours.Order), float64(len(doc))/1e6, runtime.Version(), rounds, calls)
	for _, way := range []struct {
		name string
		min  float64
	}{{"decode", minDecode}, {"encode", minEncode}} {
		var cs []*contestant
		var allocs []float64
		for _, s := range sides {
			call := s.decode
			if way.name == "encode" {
				call = s.encode
			}
			cs = append(cs, &contestant{name: s.name, call: call})
			allocs = append(allocs, testing.AllocsPerRun(2, func() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}))
		}
		race(b, cs, rounds, calls)
		best := slices.Min(cs[1].took)
		for i, c := range cs {
			took := slices.Min(c.took)
			fmt.Printf("  %s  %-15s %7.2f ms  %7.0f MB/s  %8.0f allocations  %5.1f x\n", way.name, c.name, took.Seconds()*1e3,
				float64(len(doc))/1e6/took.Seconds(), allocs[i], best.Seconds()/took.Seconds())
		}
		if got := best.Seconds() / slices.Min(cs[0].took).Seconds(); got < way.min {
			b.Errorf("%s: %.1f times as fast as encoding/xml, want at least %.1f", way.name, got, way.min)
		}
		if got := allocs[0] / allocs[1]; got > maxAllocs {
			b.Errorf("%s: %.2f of the allocations of encoding/xml, want at most %.2f", way.name, got, maxAllocs)
		}
	}
	fmt.Println()
}
