// Package soapclient calls SOAP operations over any HTTP client.
//
//   - Client is one endpoint.
//   - Call sends a request and decodes the answer, Send expects none.
//     Generated client methods are one line around them.
//   - CallOption adds header blocks and HTTP headers to one call.
//   - Interceptor wraps every call. LogCalls, Observe and Retry are ready-made;
//     nothing is sent twice without Retry.
//
// A fault comes back as a *soap.Fault. If the operation declares its detail,
// errors.As finds that too:
//
//	var missing *orders.NotFound
//	if errors.As(err, &missing) { ... }
//
// An answer that is not SOAP is a *StatusError.
//
// A Client knows nothing of authentication. For servers that want a Windows
// login, give it an http.Client whose Transport is an authclient.Transport;
// requests can be replayed as that needs it.
//
// Compatibility: exported names keep their meaning within a major version.
// Client may gain fields whose zero value keeps today's behaviour.
package soapclient
