// Package authclient makes authenticated HTTP requests to Windows servers.
//
//   - Transport is an http.RoundTripper that logs in. A connection that was
//     logged in as one principal never carries a request of another.
//   - Credential can log in as one principal: NTLM, Kerberos, Basic. With
//     KerberosFirst, NTLM takes the place of Kerberos where that is allowed.
//   - Source chooses the credential of each request; Static always takes the
//     same one, and package delegation's passes the caller's identity on.
//
// A client in full:
//
//	client := &http.Client{Transport: &authclient.Transport{
//		Source: authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: password}),
//	}}
//	resp, err := client.Get("https://app.corp.test/")
//
// Where an HTTP proxy on the way wants a login of its own, Transport.Proxy
// chooses the credential for that. On the way to https servers the transport
// then makes the tunnel itself, as all of a login has to go over one connection.
//
// Credentials never follow a redirect to another scheme, host or port. A
// login is tried with the first of the credential's schemes that the server
// offers; nothing falls back to another one.
//
// Compatibility: as package authn.
package authclient
