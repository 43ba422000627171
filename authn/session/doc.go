// Package session keeps people logged in between the requests of a browser.
//
//   - [Manager] starts sessions, recognises them (it is an authn.Authenticator),
//     and ends them. It also makes and checks the tokens that keep other sites
//     from acting in a user's name.
//   - [Store] is where sessions are kept. Package directory/store has one that
//     several nodes share; [Memory] is for one process.
//   - [Granter] says whether a session that an external provider vouches for may go
//     on; Manager.StartGranted begins one.
//   - [Key] seals sessions into cookies, for those who want no row for each.
//
// A service lists the Manager first and starts a session where somebody proved
// who they are. Package authn/password/form does both:
//
//	sessions := &session.Manager{Store: session.NewMemory(0)}
//	mw := &authn.Middleware{Authenticators: []authn.Authenticator{sessions, other}}
//
// # Two kinds
//
// By default a session is a row in the store, and the cookie holds 256 random
// bits of which the store has the SHA-256 only. Somebody who reads the store
// cannot use a session, and whoever deletes the row ends it, on every node at
// once. Most programs want this kind.
//
// With Manager.Keys, a session is in the cookie itself, sealed by AES-256-GCM.
// Nothing is written at a login and while the session is used. What the store
// then keeps is what has ended: a row for each logout, for as long as the cookie
// could have been used. So a logout counts on the server with this kind too, at
// the price of a look into the store at each request. Nobody can list these
// sessions, since nobody knows them; all those of a user can be ended.
//
// # What a session keeps
//
// The identity, its mechanism and the time of the login. It does not keep the
// evidence, which is a password or a Kerberos ticket: a session cannot act as the
// caller at other services, unless Manager.AllowEvidence keeps evidence in the
// memory of this process.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour. Sessions
// that an older minor version began stay usable.
package session
