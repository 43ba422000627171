// Package form is a login page for browsers: user name, password, "keep me
// logged in". It needs no script in the browser.
//
//   - [Form] shows the page, checks what was typed and begins a session. Its
//     Wrap puts a whole service behind the login.
//   - [Link] leads to other places to log in, such as an external provider's.
//   - [Config] says who knows the users and where sessions are kept.
//   - [Texts] are the words of the page in a language; [English] and [German]
//     come with the package.
//
// A service that people log in to needs a verifier and sessions:
//
//	login, err := form.New(form.Config{
//		Verifier: accounts,
//		Sessions: &session.Manager{Store: session.NewMemory(0)},
//	})
//	...
//	http.ListenAndServeTLS(addr, cert, key, login.Wrap(app))
//
// # Together with integrated login
//
// With Config.Windows, members of the domain are logged in by Negotiate and
// never see the page: it is the body of the 401 that asks for Negotiate, so that
// it is what a browser shows which cannot do that. There is no offer of Basic or
// NTLM beside a form: browsers answer those with a window of their own, in front
// of the page.
//
// Browsers on Windows that do not trust the service (it is not in the Intranet
// zone, nor on the list of the policy AuthServerAllowlist) show that window for
// Negotiate as well. Where that matters, Config.WindowsByLink asks nobody for
// Negotiate who did not click the link on the page.
//
// Compatibility: exported names keep their meaning within a major version.
// Structs may gain fields whose zero value keeps today's behaviour, except that
// Texts may gain words, which New asks for.
package form
