package wire_test

import (
	"encoding/xml"
	"fmt"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
)

// The message of the benchmarks: 5000 items, 0.9 MB, once as encoding/xml
// reads and writes it and once as generated code does.

type item struct {
	ID     int32  `xml:"urn:svc Id"`
	Name   string `xml:"urn:svc Name"`
	Amount string `xml:"urn:svc Amount"`
	When   string `xml:"urn:svc When"`
	Flag   bool   `xml:"urn:svc Flag"`
	State  string `xml:"state,attr"`
}

type list struct {
	XMLName xml.Name `xml:"urn:svc ListResponse"`
	Items   []*item  `xml:"urn:svc Item"`
}

const svc = "urn:svc"

var (
	listName   = xml.Name{Space: svc, Local: "ListResponse"}
	itemName   = xml.Name{Space: svc, Local: "Item"}
	idName     = xml.Name{Space: svc, Local: "Id"}
	nameName   = xml.Name{Space: svc, Local: "Name"}
	amountName = xml.Name{Space: svc, Local: "Amount"}
	whenName   = xml.Name{Space: svc, Local: "When"}
	flagName   = xml.Name{Space: svc, Local: "Flag"}
	stateName  = xml.Name{Local: "state"}
)

func (x *list) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	for _, it := range x.Items {
		it.MarshalWire(w, itemName)
	}
	w.End()
}

func (x *list) UnmarshalWire(r *wire.Reader) {
	for r.Child() {
		if !r.Is(svc, "Item") {
			r.Unknown()
			continue
		}
		it := new(item)
		it.UnmarshalWire(r)
		x.Items = append(x.Items, it)
	}
}

func (x *item) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Attr(stateName, x.State)
	wire.Put(w, idName, xsd.AppendInt32, x.ID)
	w.Element(nameName, x.Name)
	w.Element(amountName, x.Amount)
	w.Element(whenName, x.When)
	wire.Put(w, flagName, xsd.AppendBool, x.Flag)
	w.End()
}

func (x *item) UnmarshalWire(r *wire.Reader) {
	for _, a := range r.Attrs() {
		if a.Name == stateName {
			x.State = r.Keep(a.Value)
		}
	}
	for r.Child() {
		switch r.Name() {
		case idName:
			x.ID = wire.Value(r, xsd.ParseInt32)
		case nameName:
			x.Name = r.Text()
		case amountName:
			x.Amount = r.Text()
		case whenName:
			x.When = r.Text()
		case flagName:
			x.Flag = wire.Value(r, xsd.ParseBool)
		default:
			r.Unknown()
		}
	}
}

func sample() *list {
	x := &list{XMLName: listName}
	for i := range 5000 {
		x.Items = append(x.Items, &item{
			ID: int32(i), Name: fmt.Sprintf("Customer number %d & sons", i), Amount: fmt.Sprintf("%d.25", 3*i),
			When: "2024-05-06T07:08:09Z", Flag: true, State: "open",
		})
	}
	return x
}

func message(tb testing.TB) []byte {
	tb.Helper()
	b, err := wire.Marshal(sample(), listName)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestBenchmarkedCodecsAgree(t *testing.T) {
	t.Parallel()
	b := message(t)
	var ours, std list
	if err := wire.Unmarshal(b, &ours, wire.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, &std); err != nil {
		t.Fatal(err)
	}
	if len(ours.Items) != 5000 || len(std.Items) != 5000 {
		t.Fatalf("%d and %d items", len(ours.Items), len(std.Items))
	}
	for i := range ours.Items {
		if *ours.Items[i] != *std.Items[i] {
			t.Fatalf("item %d: %+v, encoding/xml %+v", i, *ours.Items[i], *std.Items[i])
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	doc := message(b)
	b.Run("wire", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var x list
			if err := wire.Unmarshal(doc, &x, wire.Options{}); err != nil || len(x.Items) != 5000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-xml", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var x list
			if err := xml.Unmarshal(doc, &x); err != nil || len(x.Items) != 5000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			r := wire.NewReader(doc, wire.Options{})
			for r.Next() != wire.EOF {
			}
			if r.Err() != nil {
				b.Fatal(r.Err())
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	x := sample()
	size := int64(len(message(b)))
	b.Run("wire", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		var w wire.Writer
		for b.Loop() {
			w.Reset()
			x.MarshalWire(&w, listName)
			if _, err := w.Bytes(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-xml", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := xml.Marshal(x); err != nil {
				b.Fatal(err)
			}
		}
	})
}
