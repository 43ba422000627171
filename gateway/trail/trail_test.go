package trail

import (
	"context"
	"testing"
)

// What is written into the trail of a request is found by its context, and that of
// a context without one is nobody's.
func TestFrom(t *testing.T) {
	t.Parallel()
	own := new(Trail)
	ctx := context.WithoutCancel(With(t.Context(), own))
	From(ctx).Refuse("denied", "no rule")
	if own.Refusal != "denied" || own.Cause != "no rule" {
		t.Errorf("trail %+v", own)
	}
	From(t.Context()).Refuse("lost", "")
	if a, b := From(t.Context()), From(t.Context()); a == nil || a == b || a.Refusal != "" {
		t.Errorf("trails of a context without one: %p %+v, %p", a, a, b)
	}
}
