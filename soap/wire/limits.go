package wire

// Limits bound what a Reader accepts, and with it the memory and time that a
// message can cost. A zero field means the default; there is no "unlimited".
type Limits struct {
	Bytes      int64 // of the whole message, as sent and again as UTF-8; 10 MiB
	Depth      int   // of nested elements; 256
	Elements   int   // in the whole message; 524288
	Attributes int   // of one element, namespace declarations included; 256
	Namespaces int   // declarations in scope at one place; 256
	Name       int   // bytes of a name with its prefix, or of a namespace; 2048
	References int64 // bytes that references of SOAP encoding read again, and items that its arrays leave out hold; as Bytes
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	if l.Bytes <= 0 {
		l.Bytes = 10 << 20
	}
	if l.References <= 0 {
		l.References = l.Bytes
	}
	def(&l.Depth, 256)
	def(&l.Elements, 1<<19)
	def(&l.Attributes, 256)
	def(&l.Namespaces, 256)
	def(&l.Name, 2048)
	return l
}

// Options say how a Reader reads. The zero value is right for most messages.
type Options struct {
	Limits Limits

	// Charset is the charset parameter of the message's Content-Type, if it
	// has one. It wins over the XML declaration (RFC 7303 3).
	Charset string

	// Strict makes Child and Unknown refuse text and elements that no schema
	// allows. Without it they are skipped, as peers with a newer or a sloppier
	// idea of the schema need, elements in a wrong namespace are taken for what
	// they must mean (see Reader.In), and xsi:nil where the schema does not allow
	// it means no element, or no text.
	Strict bool

	// Parts are the other parts of a multipart message, nil if it is none.
	Parts Parts

	// XOP says that an xop:Include stands for one of Parts. Codecs see the
	// content in its place.
	XOP bool
}

// WithDefaults returns o with each limit that is not set at its default.
func (o Options) WithDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	return o
}
