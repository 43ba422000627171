// Package oidctest is an OpenID Connect provider for tests. It is honest until a
// test says otherwise.
//
//   - New starts a Provider on this machine, over http or TLS.
//   - Provider.SignIn says who is at the browser: whoever comes to the authorization
//     endpoint then is sent back at once. Without it there is a page with a button
//     for each user.
//   - Provider.Set changes what it does: it is down, slow, or lies. Lies has the lies
//     that each user of tokens must stand.
//   - NewProxy starts a web proxy that stands in front of one.
//   - Provider.IDToken, AccessToken and LogoutToken make tokens without a login.
//
// It is written without the packages that it tests, and signs by hand, so that it
// can sign what no library would.
package oidctest
