package winbind

import "time"

// SetNow sets the clock.
func SetNow(v *Verifier, now func() time.Time) { v.testOnlyNow = now }
