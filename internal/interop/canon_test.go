package interop

import (
	"encoding/xml"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/soapward/soapward/internal/interop/catalog"
	"github.com/soapward/soapward/internal/interop/inventory"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
)

const (
	ordersSpace = "http://example.com/catalog/orders"
	typesSpace  = "http://example.com/catalog/types"
)

// must is for what is constant in a test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// hardText has what is easily lost: markup, other scripts, what ends a CDATA
// section, spaces.
const hardText = "<b>Zürich</b> &amp; 東京 ]]> \"a\" 'b'  \u05e9\u05dc\u05d5\u05dd e\u0301 \U0001F600"

// orders are what both sides know.
var orders = map[string]func() catalog.Order{
	"full":   fullOrder,
	"sparse": sparseOrder,
	"texts":  textsOrder,
}

// names returns the keys of orders or parcels in a fixed order.
func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func money(amount string) catalog.Money {
	return catalog.Money{Value: must(xsd.ParseDecimal(amount)), Currency: "CHF"}
}

// fullOrder has a value for everything.
func fullOrder() catalog.Order {
	picture := make([]byte, 256)
	for i := range picture {
		picture[i] = byte(i)
	}
	return catalog.Order{
		ID:       "full",
		Title:    "An order",
		Comment:  new("a comment"),
		Remark:   new("a remark"),
		Memo:     wire.Some("a memo"),
		Status:   catalog.StatusInTransit,
		Placed:   must(xsd.ParseDateTime("2026-02-28T23:59:59.5+05:30")),
		Local:    must(xsd.ParseDateTime("2026-07-01T12:00:00")),
		Exact:    new(must(xsd.ParseDateTime("2026-11-26T01:02:03.123456789Z"))),
		Due:      must(xsd.ParseDate("2026-12-24")),
		Cutoff:   must(xsd.ParseTime("18:30:00.25")),
		ValidFor: must(xsd.ParseDuration("P1Y2M3DT4H5M6.75S")),
		Season:   must(xsd.ParseGYearMonth("2026-11")),
		Total:    must(xsd.ParseDecimal("12345678901234567890.123456789")),
		Serial:   must(xsd.ParseInteger("-123456789012345678901234567890")),
		Counter:  math.MaxUint64,
		Size:     math.MinInt64,
		Small:    -128,
		Ratio:    1.5e-7,
		Factor:   math.MaxFloat64,
		Reading:  []float64{0.1, math.Inf(1), math.Inf(-1), math.NaN()},
		Active:   true,
		Picture:  picture,
		Checksum: []byte{0xDE, 0xAD, 0xBE, 0xEF},
		Link:     "http://example.com/a?b=1&c=2",
		Kind:     xml.Name{Space: typesSpace, Local: "Person"},
		Sizes:    []int32{36, -1, 42},
		Colors:   []catalog.Color{catalog.ColorRed, catalog.ColorBlue},
		Weight:   "12.50",
		Customer: &catalog.Company{Name: "Müller & Söhne", TaxNumber: "CH-1", Contact: &catalog.Person{Name: "Anna", Born: new(must(xsd.ParseDate("1990-02-03")))}},
		Items: &catalog.OrderItems{Item: []catalog.Item{
			{Sku: "A-1", Quantity: new(int32(2)), Price: money("19.90"), Discount: new(must(xsd.ParseDecimal("0.05")))},
			{Sku: "B-2", Price: money("0.00")},
		}},
		Tag: []string{"new", "hot"},
		Category: &catalog.Category{Title: "root", Category: []catalog.Category{
			{Title: "left", Category: []catalog.Category{{Title: "leaf"}}},
			{Title: "right"},
		}},
		Choice:   catalog.OrderChoice{Delivery: new("by bike")},
		Version:  new(int32(7)),
		Channel:  new("web"),
		Priority: new(int32(-3)),
		Lang:     new("de-CH"),
	}
}

// sparseOrder lacks what may be lacking, and is nil where it may be nil.
func sparseOrder() catalog.Order {
	return catalog.Order{
		ID:       "sparse",
		Status:   catalog.StatusOpen,
		Placed:   must(xsd.ParseDateTime("1969-12-31T23:59:59Z")),
		Local:    must(xsd.ParseDateTime("2026-07-01T00:00:00.001")),
		Due:      must(xsd.ParseDate("2026-12-24Z")),
		Cutoff:   must(xsd.ParseTime("00:00:00Z")),
		ValidFor: must(xsd.ParseDuration("-PT36H")),
		Season:   must(xsd.ParseGYearMonth("1999-01")),
		Kind:     xml.Name{Local: "plain"},
		Weight:   "unknown",
		Customer: &catalog.Person{Name: "Bob"},
		Choice:   catalog.OrderChoice{Pickup: new(must(xsd.ParseDateTime("2026-11-27T08:00:00+01:00")))},
	}
}

// textsOrder is about text: hard to escape, empty, or nil.
func textsOrder() catalog.Order {
	o := sparseOrder()
	o.ID = "texts"
	o.Title = hardText
	o.Comment = new("line 1\nline 2\tend ")
	o.Remark = new("")
	o.Memo = wire.NilValue[string]()
	o.Items = &catalog.OrderItems{}
	o.Tag = []string{"", " two  spaces ", "\r"}
	o.Choice = catalog.OrderChoice{Delivery: new("")}
	o.Lang = new("he")
	return o
}

// parcels have what many stacks do not know.
var parcels = map[string]func() catalog.Parcel{
	"mixed": func() catalog.Parcel {
		return catalog.Parcel{
			Choice:  catalog.ParcelChoice{Payment: &catalog.Payment{Amount: money("5.00")}},
			Choices: []catalog.ParcelChoice2{{Opened: new("first")}, {Moved: new(int32(2))}, {Opened: new("third")}},
			Note: &catalog.Note{Content: must(wire.ParseRaw(
				`see <b xmlns="` + typesSpace + `">this</b> and <i xmlns="` + typesSpace + `">that</i>!`))},
			Any: []wire.Raw{
				must(wire.ParseRaw(`<x:extra xmlns:x="urn:example:foreign" x:n="1"><x:in>größer</x:in></x:extra>`)),
				must(wire.ParseRaw(`<other xmlns="urn:example:second"/>`)),
			},
		}
	},
	"plain": func() catalog.Parcel {
		return catalog.Parcel{Choice: catalog.ParcelChoice{Payment: &catalog.Payment{Amount: money("1.00")}}}
	},
	"substituted": func() catalog.Parcel { // an element of the substitution group
		return catalog.Parcel{Choice: catalog.ParcelChoice{CardPayment: &catalog.CardPayment{Amount: money("3.00"), Card: "4111"}}}
	},
	"derived": func() catalog.Parcel { // xsi:type in the place of the group's head
		return catalog.Parcel{Choice: catalog.ParcelChoice{Payment: &catalog.BankPayment{Amount: money("2.00"), Account: "CH93"}}}
	},
}

// stored is what goes to Store.
func stored() *inventory.Store {
	return &inventory.Store{
		Item: inventory.Item{
			Sku: "A-1", Price: inventory.Money{Value: must(xsd.ParseDecimal("19.90")), Currency: "CHF"},
			Discount: new(must(xsd.ParseDecimal("0.5"))),
		},
		Category: inventory.Category{Title: "root", Category: []inventory.Category{{Title: "größer"}}},
		Status:   inventory.StatusInTransit,
	}
}

// shelf is what Store answers for stored.
const shelf = "root/größer/in transit"

// What both sides know travels between our own client and server unchanged, so
// that what differs with another stack is that stack's.
func TestCanon(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			s := startOurs(t)
			foreignServer{catalogURL: s.catalogURL(), inventoryURL: s.inventoryURL(), version: v}.check(t)
		})
	}
}
