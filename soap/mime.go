package soap

import (
	"errors"
	"net/textproto"

	"github.com/soapward/soapward/soap/wire"
)

// AttachmentLimits bound what travels beside an envelope: the parts of MTOM
// messages and attachments. A zero field means the default; there is no
// "unlimited".
type AttachmentLimits struct {
	// Total bounds the bytes behind the envelope as sent, all parts with their
	// headers, and once more what is read of parts that several elements refer
	// to, beyond the first time. Zero means the limit of the envelope itself.
	Total int64

	Part   int64 // bytes of one part; Total
	Count  int   // of parts, the envelope included; 256
	Header int   // bytes of the header of one part; 16 KiB

	// Parts that must be kept because another one behind them is wanted first
	// are kept in memory up to Memory bytes for each message (256 KiB), then in
	// a temporary file of at most Spool bytes (Total) in the directory Dir
	// (os.TempDir). The file has no name where the system allows that, and is
	// gone when the message is closed.
	Memory, Spool int64
	Dir           string
}

func (l AttachmentLimits) withDefaults(envelope int64) AttachmentLimits {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Total, envelope)
	def(&l.Part, l.Total)
	def(&l.Memory, 256<<10)
	def(&l.Spool, l.Total)
	if l.Count <= 0 {
		l.Count = 256
	}
	if l.Header <= 0 {
		l.Header = 16 << 10
	}
	return l
}

// Attachment is a part of a message behind its envelope.
type Attachment struct {
	// Name is what the WSDL calls the attachment, empty if it does not know it.
	// On the way it is part of the Content-ID (Attachments Profile 1.0 3.8).
	Name string

	// ID is the Content-ID without angle brackets. Sending makes one.
	ID string

	// Header is the part's MIME header. Sending ignores it.
	Header textproto.MIMEHeader

	wire.Binary
}

// ErrAttachmentsClosed means that an attachment was read after its message was
// closed: at a server after the handler returned, at a client after Close or
// after the end of the call's context.
var ErrAttachmentsClosed = errors.New("soap: attachment read after its message was closed")

// Limits by the name they have in a wire.LimitError.
const (
	limitAttachments = "bytes of attachments"
	limitPart        = "bytes of one attachment"
	limitParts       = "attachments"
	limitHeader      = "bytes of the header of an attachment"
	limitSpool       = "bytes of attachments that are kept"
	limitRepeated    = "bytes of attachments that are read again"
)

func overLimit(what string, most int64) error { return &wire.LimitError{Limit: what, Max: most} }

// A ContentError says why a multipart message cannot be read.
type ContentError struct {
	Msg string
	Err error // of reading it; may be nil
}

func (e *ContentError) Error() string {
	s := "soap: multipart message: " + e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ContentError) Unwrap() error { return e.Err }
