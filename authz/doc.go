// Package authz says what a caller may do.
//
//   - [Roles] say who belongs to a role: Windows groups, users, claims, other
//     roles. Nested groups count, since an [authn.Identity] carries them.
//   - [Policy] is a tree of elements, such as a gateway, its services and the
//     paths and operations below them. What an element does not set, it
//     inherits. Decide answers for a request, Explain also says why.
//   - [Guard] is the http.Handler that asks a Policy, behind the login, and what
//     a SOAP service asks for each operation.
//
// Code behind a Guard, or behind Roles.Wrap, asks by name:
//
//	ok, err := authz.IsInRole(r.Context(), "payroll")
//
// An error means that nobody could say, such as when a domain controller does
// not answer: it is neither yes nor no, and a Guard answers it with 503.
//
// A known caller without the right gets 403, or a SOAP fault, and never a second
// 401, which would have a browser ask for a password that was right.
//
// Compatibility: exported names keep their meaning within a major version.
// Structs may gain fields whose zero value keeps today's behaviour, interfaces
// gain no methods. The JSON of an Explanation may gain fields.
package authz
