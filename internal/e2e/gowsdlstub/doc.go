// Package gowsdlstub is a client that hooklift/gowsdl generated, as people have
// it in their programs, to show that it works with authclient.Transport. It was
// made in examples/wsdl by
//
//	go run github.com/hooklift/gowsdl/cmd/gowsdl@v0.5.0 -p gowsdlstub -o ledger.go ledger.wsdl
//
// and is as that wrote it, but for the name of the file.
package gowsdlstub
