package bench

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/soapward/soapward/internal/bench/orders"
	"github.com/soapward/soapward/soapserver"
)

// echoOrders implements orders.OrdersServer.
type echoOrders struct{}

func (echoOrders) Echo(_ context.Context, req *orders.Echo) (*orders.EchoResponse, error) {
	return &orders.EchoResponse{Order: req.Order}, nil
}

// The same types as people write them for encoding/xml.
type (
	stdLine struct {
		SKU      string  `xml:"http://example.com/orders/2026 sku"`
		Text     *string `xml:"http://example.com/orders/2026 text"`
		Quantity int32   `xml:"http://example.com/orders/2026 quantity"`
		Price    string  `xml:"http://example.com/orders/2026 price"`
	}
	stdOrder struct {
		Number   int64     `xml:"http://example.com/orders/2026 number"`
		Customer string    `xml:"http://example.com/orders/2026 customer"`
		Placed   string    `xml:"http://example.com/orders/2026 placed"`
		Express  bool      `xml:"http://example.com/orders/2026 express"`
		Line     []stdLine `xml:"http://example.com/orders/2026 line"`
		State    string    `xml:"state,attr"`
	}
	stdOrders struct {
		Order []stdOrder `xml:"http://example.com/orders/2026 order"`
	}
	stdEchoRequest struct {
		XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		Body    struct {
			Echo *stdOrders `xml:"http://example.com/orders/2026 Echo"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	stdEchoAnswer struct {
		XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		Body    struct {
			Answer *stdOrders `xml:"http://example.com/orders/2026 EchoResponse"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
)

// serveStdOrders is the service on encoding/xml.
func serveStdOrders(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var in stdEchoRequest
	if err == nil {
		err = xml.Unmarshal(b, &in)
	}
	if err != nil || in.Body.Echo == nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	var out stdEchoAnswer
	out.Body.Answer = in.Body.Echo
	if b, err = xml.Marshal(out); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(b)
}

// ordersRole is the role of serveOrders; see serverRole.
const ordersRole = "orders"

// serveOrders serves the orders with generated code, with encoding/xml, and
// what net/http itself can do, sending back the bytes. It tells where and ends
// with its standard input.
func serveOrders() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	s := &soapserver.Service{Logger: slog.New(slog.NewTextHandler(null, nil))}
	orders.RegisterOrders(s, echoOrders{})
	for _, h := range []http.Handler{s, http.HandlerFunc(serveStdOrders), http.HandlerFunc(serveEcho)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go func() { _ = (&http.Server{Handler: h}).Serve(l) }() // until the process ends
		fmt.Println(l.Addr())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// orderXML returns orders of so many lines each, without envelope.
func orderXML(count, lines int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, `<o:order state="open"><o:number>%d</o:number><o:customer>Muster</o:customer>`+
			`<o:placed>2026-01-02T03:04:05Z</o:placed><o:express>true</o:express>`, i)
		for n := range lines {
			fmt.Fprintf(&b, `<o:line><o:sku>A-%d</o:sku>`, n)
			if n > 0 {
				b.WriteString(`<o:text>Box &amp; lid</o:text>`)
			}
			fmt.Fprintf(&b, `<o:quantity>%d</o:quantity><o:price>9.5</o:price></o:line>`, n%7)
		}
		b.WriteString(`</o:order>`)
	}
	return b.String()
}

const ordersEnvelope = `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">` +
	`<s:Body><o:Echo xmlns:o="http://example.com/orders/2026">%s</o:Echo></s:Body></s:Envelope>`
