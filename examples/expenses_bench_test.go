package examples

import (
	"encoding/xml"
	"testing"
	"time"

	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
)

// list is an answer of about 0.9 MB.
func list() *expenses.ListExpensesResponse {
	res := &expenses.ListExpensesResponse{}
	center := "4711"
	for range 2300 {
		res.Expense = append(res.Expense, expenses.SubmittedExpense{
			ID: "1234", Status: expenses.StatusApproved, SubmittedBy: `CORP\alice`, SubmittedAt: xsd.DateTimeOf(time.Unix(0, 0).UTC()),
			Expense: expenses.Expense{
				Description: "Train to the customer & back", Category: expenses.CategoryTravel, CostCenter: &center,
				SpentOn: xsd.DateOf(time.Unix(0, 0)), Amount: expenses.Money{Value: xsd.DecimalOf(60), Currency: "EUR"},
			},
		})
	}
	return res
}

var listName = xml.Name{Space: "http://example.com/expenses/2026", Local: "ListExpensesResponse"}

func BenchmarkEncode(b *testing.B) {
	v := list()
	var w wire.Writer
	for b.Loop() {
		w.Reset()
		v.MarshalWire(&w, listName)
		doc, err := w.Bytes()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(doc)))
	}
}

func BenchmarkDecode(b *testing.B) {
	doc, err := wire.Marshal(list(), listName)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.Unmarshal(doc, new(expenses.ListExpensesResponse), wire.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
