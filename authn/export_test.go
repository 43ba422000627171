package authn

import "time"

// LimitBodies has m wait d for the bodies of clients that are not let in.
func (m *Middleware) LimitBodies(d time.Duration) { m.testOnlyBodyTimeout = d }
