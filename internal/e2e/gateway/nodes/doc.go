// Package nodes tests several gateways with one store, behind the load balancers
// that people have: one that passes TCP connections on, with and without the
// PROXY protocol, and those that look into HTTP and send any client's request
// over any connection. It has tests only.
package nodes
