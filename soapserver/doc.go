// Package soapserver serves SOAP operations over net/http.
//
//   - Service is an http.Handler for the operations of one endpoint.
//   - Handle and HandleOneWay add an operation; generated code calls them.
//   - Interceptor wraps every operation. Authorize, LogCalls, Observe, RequireRoles,
//     Timeouts and Validate are ready-made.
//   - FromContext gives a handler the request's header blocks.
//   - HandleXML and RegisterXML serve types and interfaces that were written for
//     encoding/xml, such as those of gowsdl.
//
// A wire.Binary in a request is read from the connection while the handler runs,
// and is gone when it returns; one in the answer is read, and closed, while the
// answer is sent. What a handler leaves unread is read past before that, up to
// the limits: if the message turns out to be malformed there, the caller gets a
// fault, whatever the handler has returned.
//
// A Service knows nothing of authentication: put a middleware in front of it.
//
//	s := &soapserver.Service{}
//	orders.RegisterOrders(s, handler) // of the generated package orders
//	http.ListenAndServe("127.0.0.1:8080", s)
//
// An operation is chosen by the element in the body. A SOAPAction or wsa:Action
// that belongs to another operation is refused, so that whoever looks only at
// the one or the other is not deceived. What a peer learns of an error is decided by
// soap.AsFault and soap.RequestFault; the log has the rest under the same
// reference number.
//
// Compatibility: exported names keep their meaning within a major version.
// Service may gain fields whose zero value keeps today's behaviour.
package soapserver
