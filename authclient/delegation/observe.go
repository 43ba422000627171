package delegation

import (
	"context"
	"fmt"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
)

// A Decision is what Delegate decided about one request, for an audit log and
// for metrics. Method and Reason take few values each, so they may be labels of
// a counter; Identity and Target may not.
type Decision struct {
	Identity *authn.Identity // nil: anonymous
	Target   authclient.Target
	Method   Method        // how the request is made; empty: not at all
	Reason   Reason        // why not in the caller's name; empty: it is
	Err      *Error        // the whole of Reason, with the remedies; nil if Reason is empty
	Took     time.Duration // most of it the KDC's; microseconds if the ticket was there
}

func (d *Delegator) observe(ctx context.Context, begin time.Time, m Method, e *Error, err error) {
	if d.Observe == nil {
		return
	}
	dec := Decision{Identity: e.Identity, Target: e.Target, Method: m, Took: time.Since(begin)}
	if err != nil {
		dec.Reason, dec.Err = e.Reason, e
	}
	d.Observe(ctx, dec)
}

// Format implements fmt.Formatter: every verb prints the type alone. fmt would
// otherwise walk through the tickets kept, which are in use meanwhile.
func (d *Delegator) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("delegation.Delegator")) }
