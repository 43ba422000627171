// Package delegation passes a caller's identity on to another server.
//
// A Delegator turns the authn.Identity of an inbound request into a credential
// for an outbound one, in the caller's name, by the first method that fits:
//
//   - Constrained: the caller came by Kerberos with a forwardable ticket; a
//     KDC exchanges it for one to the upstream (S4U2Proxy).
//   - Forwarded: the caller handed over a ticket-granting ticket.
//   - Password: the caller typed a password, with which a KDC gives us tickets
//     as it would to the caller.
//   - Transition: the caller came by NTLM or otherwise without a ticket; a KDC
//     takes our word for who it is (S4U2Self, then S4U2Proxy). Only where the
//     upstream's entry switches it on.
//   - AsService: not in the caller's name but in our own. Only where the
//     upstream's entry names the account, and every use is logged.
//
// If none fits, the error is an *Error. It has a Reason to branch on. It says
// how the caller logged in, what was tried, why that failed and which commands
// mend it, for the log; and it knows what a SOAP or REST client may learn of
// that. After an NTLM login it is ErrDoubleHop. CheckRoute tells the same
// before the first call fails, as far as the settings tell it, and Observe is
// the place for an audit log and a metric.
//
//	d := &delegation.Delegator{Client: client, Upstreams: []delegation.Upstream{
//		{SPN: "HTTP/back.corp.test", ProtocolTransition: true},
//	}}
//	http.Client{Transport: &authclient.Transport{Source: delegation.Source(d)}}
//
// Compatibility: as package authn.
package delegation
