// Package soak runs a gateway for a long time under all kinds of logins, inbound
// and outbound, while its configuration is read again and what it depends on ends
// and comes back: the domain controller, PostgreSQL, the server behind, the
// protected server. It has tests only:
//
//	make soak                      half an hour
//	make soak DURATION=8h OUT=DIR  longer; the table and the log stay in DIR
//
// go test runs it for 20 seconds.
//
// What must hold: each answer is that of the right user, or a refusal (429, 502,
// 503) whose reference is in the log with a reason; goroutines, memory and open
// files do not grow; in the end everything works, and nothing is left. The table
// has a line for each minute, and the summary one for each kind of login.
package soak
