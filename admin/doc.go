// Package admin is what those who run soapward can see and change: users,
// sessions, blocks, the audit record, services and their policy, realms, the
// configuration.
//
//   - Users, Sessions, Blocks, Audit, Gateway, Configuration and Sync are its
//     areas, one interface each. A Service is all of them in this process; package
//     admin/client is all of them over the network.
//   - A Caller says who asks, and what he may: NewContext puts it into a context,
//     and each method looks at it. There is no other place that decides.
//   - Package admin/access finds out who somebody is, admin/api answers programs,
//     console shows pages. None of them knows a store.
//
// Every change is in the audit record, with what was before and after, in the same
// transaction as the change.
//
// Errors that a caller can do something about are an *Error.
//
// Compatibility: exported names keep their meaning within a major version, structs
// may gain fields whose zero value keeps today's behaviour, interfaces may gain
// methods. The JSON of all types is that of the API and may gain fields.
package admin
