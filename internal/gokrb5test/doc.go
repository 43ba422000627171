// Package gokrb5test holds one test for each defect that was found in
// github.com/jcmturner/gokrb5 8.4.4, the library that Go programs speak Kerberos
// with today. Each runs the same scenario against gokrb5's own code and against
// ours: gokrb5's half shows the defect, and says so when a later version has it
// no more; ours shows that we do not have it. docs/interop.md has the list.
package gokrb5test
