// Package soapclient calls SOAP operations over any HTTP client.
//
//   - Client is one endpoint.
//   - Call sends a request and decodes the answer, Send expects none.
//     Generated client methods are one line around them.
//   - CallOption adds header blocks, HTTP headers and attachments to one call, or
//     sends it as MTOM.
//   - Interceptor wraps every call. LogCalls, Observe and Retry are ready-made;
//     nothing is sent twice without Retry.
//
// CallXML and StubHTTP serve types and stubs that were written for encoding/xml,
// such as those of gowsdl.
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
// # Binary content
//
// A wire.Binary in an answer is read from the connection, so the answer is not
// over when Call returns: read it, or close it, or end the context.
//
//	res, err := c.GetScan(ctx, &archive.GetScan{ID: 7})
//	if err != nil { ... }
//	err = res.Content.SaveFile("scan.pdf")
//
// Compatibility: exported names keep their meaning within a major version.
// Client may gain fields whose zero value keeps today's behaviour.
package soapclient
