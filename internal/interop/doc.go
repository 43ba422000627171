// Package interop is where code that we generate meets SOAP stacks that others
// wrote: their clients at our server, our client at their servers. Everything is
// in its tests and in their testdata, where each stack has a directory.
//
// Package catalog is generated from a description that has one of each thing
// that travels in practice, package inventory from one in rpc style. An order
// is compared value by value: either side reports what it understood as a view,
// a map from path to text.
package interop
