package soap

import "testing"

func TestOperationString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		op   Operation
		want string
	}{
		{Operation{Service: "{urn:x}Orders", Name: "Get"}, "{urn:x}Get"},
		{Operation{Service: "Orders", Name: "Get"}, "Get"},
		{Operation{Name: "Get"}, "Get"},
	}
	for _, tt := range tests {
		if got := tt.op.String(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.op, got, tt.want)
		}
	}
}

// Web Services Addressing 1.0 Metadata 4.4.
func TestActions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		op        Operation
		in, reply string
	}{
		{"url", Operation{Service: "{http://example.com/stock}Quote", Name: "Get"}, "http://example.com/stock/Quote/GetRequest", "http://example.com/stock/Quote/GetResponse"},
		{"slash at the end", Operation{Service: "{http://example.com/}Quote", Name: "Get"}, "http://example.com/Quote/GetRequest", "http://example.com/Quote/GetResponse"},
		{"urn", Operation{Service: "{urn:stock}Quote", Name: "Get"}, "urn:stock:Quote:GetRequest", "urn:stock:Quote:GetResponse"},
		{"soapAction", Operation{Service: "{urn:stock}Quote", Name: "Get", Action: "urn:get"}, "urn:get", "urn:stock:Quote:GetResponse"},
		{"one-way", Operation{Service: "{urn:stock}Quote", Name: "Put", OneWay: true}, "urn:stock:Quote:Put", "urn:stock:Quote:PutResponse"},
		{"told", Operation{Action: "a", InputAction: "in", OutputAction: "out"}, "in", "out"},
	} {
		if in, reply := tt.op.WantAction(), tt.op.ReplyAction(); in != tt.in || reply != tt.reply {
			t.Errorf("%s: got %s and %s, want %s and %s", tt.name, in, reply, tt.in, tt.reply)
		}
	}
}
