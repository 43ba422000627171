// Package admin tests administration as a whole: the gateway's binary, its console in
// a real browser, its API by the binary's own command line, a certified provider, a
// real Active Directory, and stores of both kinds. It has tests only.
package admin
