// Package soap is the vocabulary of SOAP 1.1 and 1.2 that clients, servers and
// generated code share. It does no networking.
//
//   - Operation describes one operation of a service. Generated code holds one
//     per operation.
//   - Message is an envelope being read: its header blocks, then its body.
//     Write and WriteFault write one.
//   - Content is what a Content-Type says of a message. It opens the body, plain
//     or multipart, as an XML reader.
//   - Attachments are the parts of a received multipart message, streamed. Parts
//     collects those of one to send.
//   - Fault is a SOAP fault, in both directions an error. AsFault is the one
//     place that decides what a peer learns of an error.
//
// soapserver and soapclient carry messages over HTTP; package soap/wire is the
// XML below.
//
// # Attachments
//
// Binary content travels beside the envelope in two ways: MTOM, where an element
// that holds base64 is replaced by a reference (xop:Include), and SOAP with
// attachments, where the schema or the WSDL knows of the attachment or nobody
// does. Codecs use wire.Binary for either, or []byte.
//
// Parts are read from the connection when somebody reads the Binary. Whoever
// reads in the order in which the peer sends stores nothing. A part that is
// passed over on the way to another one is kept: in memory while all of them
// are small, then in a temporary file, both bounded by AttachmentLimits. What was
// closed is not kept, and what nobody reads is read past at the end.
//
// # What is refused
//
// An envelope holds at most one Header, then exactly one Body, then nothing.
// The Body holds the one element that the operation says, or, for an operation
// whose Input is the zero Name, whatever its message type reads. A second
// element in Body is refused: a policy that was decided by the first must not
// be walked around by the second. So is a document type declaration.
//
// Compatibility: exported names keep their meaning within a major version.
// Structs may gain fields whose zero value keeps today's behaviour.
package soap

import "strings"

// GeneratedV1 is referred to by generated code. If it is undefined, the code
// was generated for another release of this module: run soapward generate
// again, or update the module.
const GeneratedV1 = true

// Version is the SOAP version of a message.
type Version int

// The versions.
const (
	V11 Version = 11 // SOAP 1.1, W3C Note of 8 May 2000
	V12 Version = 12 // SOAP 1.2, W3C Recommendation of 27 April 2007
)

const (
	space11 = "http://schemas.xmlsoap.org/soap/envelope/"
	space12 = "http://www.w3.org/2003/05/soap-envelope"
)

// Namespace returns the namespace of the envelope.
func (v Version) Namespace() string {
	if v == V12 {
		return space12
	}
	return space11
}

// String returns "1.1" or "1.2".
func (v Version) String() string {
	if v == V12 {
		return "1.2"
	}
	return "1.1"
}

// MediaType returns the media type of a message, without parameters.
func (v Version) MediaType() string {
	if v == V12 {
		return "application/soap+xml" // RFC 3902
	}
	return "text/xml" // SOAP 1.1 6
}

// ContentType returns the value of Content-Type. SOAP 1.2 carries the action
// there, SOAP 1.1 in the SOAPAction header.
func (v Version) ContentType(action string) string {
	if v != V12 {
		return "text/xml; charset=utf-8"
	}
	const ct = "application/soap+xml; charset=utf-8"
	if action == "" {
		return ct
	}
	return ct + "; action=" + QuoteAction(action)
}

// QuoteAction returns an action as a quoted string (RFC 9110 5.6.4), the form
// of the SOAPAction header. Characters that could end a header are dropped.
func QuoteAction(action string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(action); i++ {
		switch c := action[i]; {
		case c == '"', c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c != 0x7F:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
