// Package site finds out why logins to a web service fail, from its URL and from
// where a client stands: names, connection, TLS, what the server offers, what
// stands in between, tickets, and logins that are really tried.
//
//	report, err := site.Run(ctx, site.Config{URL: "https://app.corp.test/Service.svc"})
//
// Each step leaves a finding in the report, in the order in which it was taken,
// also where all is well. Texts and remedies of all findings are in the Catalog;
// their IDs are stable.
//
// The server is asked by GET for the URL and nothing else. Without a user and
// without tickets nothing is sent that could count as a failed login. With a
// user at most one login of each mechanism fails: what follows a refusal is left
// out. No credential goes to a server whose certificate does not verify, to
// another host that the server names, or through a proxy that takes part in the
// conversation.
//
// What the server says is not trusted: it is bounded in size and time, and none
// of its bytes reach the report but letters, digits and signs that can be
// printed.
package site
