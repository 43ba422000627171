// Package gateway tests the gateway as a whole: a configuration, clients that
// others wrote, a real Active Directory, and a backend that says what it was
// told. It has tests only.
package gateway
