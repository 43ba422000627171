// Package audit keeps the decisions on logins in a store, without logins waiting
// for it.
//
// A Recorder takes decisions in a bounded queue and writes them one after the
// other. Its method Observe is for authn.Middleware:
//
//	rec := audit.New(audit.Config{Store: store})
//	defer rec.Close(ctx)
//	mw := &authn.Middleware{Authenticators: logins, Observe: rec.Observe}
//
// Refusals are recorded up to 120 a minute for an address and 6,000 in all, so that
// nobody fills the disk who needs no password for it. Logins are always recorded.
// What is beyond that, what the queue has no room for, and what the store does
// not take, is counted and logged. The lines that authn.Middleware logs have the
// same references, and are complete.
//
// A store that is a Counter is told every ten seconds how many logins there were,
// by mechanism and outcome, how many of them with a Kerberos ticket of type
// rc4-hmac, and how often DoubleHop was called. These numbers are complete also
// where the record is not.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package audit
