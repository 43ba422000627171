package soap

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// remedied is an error that has more for the log than its text.
type remedied struct{}

func (remedied) Error() string        { return "broken" }
func (remedied) LogValue() slog.Value { return slog.GroupValue(slog.String("remedy", "mend it")) }

// The parts of a structured cause reach the log, however it is wrapped.
func TestFaultLogsDetailOfCause(t *testing.T) {
	t.Parallel()
	for _, err := range []error{remedied{}, fmt.Errorf("outer: %w", remedied{})} {
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "fault", &Fault{Reason: "r", Err: err})
		if got := b.String(); !strings.Contains(got, `"detail":{"remedy":"mend it"}`) || !strings.Contains(got, err.Error()) {
			t.Errorf("%v: logged %s", err, got)
		}
	}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "fault", &Fault{Reason: "r", Err: fmt.Errorf("plain")})
	if strings.Contains(b.String(), "detail") {
		t.Errorf("logged %s", &b)
	}
}
