// Package demo shows what soapward does, in one process on loopback and with
// nothing installed: a KDC (package kdc, for demonstration), two SOAP services
// behind Windows authentication, and their client.
//
//   - Start brings everything up. The service expenses calls the service
//     ledger in the name of its own callers.
//   - Demo.Run acts as a client that logs in in every way, and checks each time
//     what the service saw.
//   - Demo.Commands has lines to paste into a shell, for who wants to try curl.
//
// The command "soapward demo" is this package with an output for people.
package demo
