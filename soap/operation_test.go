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
