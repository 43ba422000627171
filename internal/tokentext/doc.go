// Package tokentext says in words what is in a login token: what stands behind
// Negotiate, NTLM, Kerberos or Basic in an Authorization or WWW-Authenticate
// header.
//
// Inspect takes whatever somebody has at hand, such as the output of curl -v,
// finds the tokens in it, and returns a Report: for each token a tree of Nodes
// in the terms of the specifications, to be printed with WriteText or as JSON.
// It decodes with the codecs of authn/ntlm, authn/spnego and internal/krb5, so
// what it shows is what an acceptor of this module sees. A token that is
// damaged is shown up to the damage.
//
// Nothing is verified, except what a keytab can: whether a key opens the ticket
// and whether the PAC is signed with it. What is shown must not decide anything.
//
// Output is made for being pasted elsewhere: keys, responses, challenges and
// proofs are given by their length only, passwords not at all, and names are
// escaped so that they cannot steer a terminal.
package tokentext
