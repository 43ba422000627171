// Package rig runs gateways as processes, as their users do, with what stands
// around them: load balancers, a server behind, a protected one, and clients of
// each kind of login. It is for tests of several nodes and of long runs.
//
//   - Build makes the program, StartNode runs it with a configuration.
//   - HAProxy and NGINX balance between nodes.
//   - Backend is a server that answers who it was told the caller is, and Apache
//     one that wants a login by Kerberos.
//   - Client sends requests as one user, by one kind of login.
//
// Everything runs on loopback addresses, and all names lead there. Only tests
// import this package.
package rig
