package wsdl

// Drafts of XML Schema are read like the recommendation, under their old names.

const (
	nsXSD1999    = "http://www.w3.org/1999/XMLSchema"
	nsXSD2000    = "http://www.w3.org/2000/10/XMLSchema"
	nsXSD2000Jan = "http://www.w3.org/2000/XMLSchema"
)

func isDraft(space string) bool {
	return space == nsXSD1999 || space == nsXSD2000 || space == nsXSD2000Jan
}

// draftTypes maps types of the drafts to what they are called now.
var draftTypes = map[string]string{
	"timeInstant": "dateTime", "timeDuration": "duration", "uriReference": "anyURI", "uri": "anyURI",
	"CDATA": "normalizedString", "binary": "base64Binary", "ur-type": xsdAnyType, "urType": xsdAnyType,
	"recurringDate": "gMonthDay", "recurringDay": "gDay", "month": "gYearMonth", "year": "gYear",
	"century": "string", "recurringDuration": "string", "timePeriod": "string", "real": "double",
	"non-positive-integer": "nonPositiveInteger", "non-negative-integer": "nonNegativeInteger",
	"positive-integer": "positiveInteger", "negative-integer": "negativeInteger",
	"unsigned-long": "unsignedLong", "unsigned-int": "unsignedInt",
	"unsigned-short": "unsignedShort", "unsigned-byte": "unsignedByte",
}

// current returns a name of a draft as it is now, and other names as they are.
func current(q QName) QName {
	if !isDraft(q.Space) {
		return q
	}
	if now, ok := draftTypes[q.Local]; ok {
		q.Local = now
	}
	q.Space = nsXSD
	return q
}

// rename moves the elements of a schema from a namespace to that of XML Schema.
func (n *node) rename(from string) {
	if n.name.Space == from {
		n.name.Space = nsXSD
	}
	for _, k := range n.kids {
		k.rename(from)
	}
}

// draftDerived fills a complex type that has its base in an attribute.
func (l *loader) draftDerived(t *Type, n *node) {
	t.Derivation = Extension
	if n.get("derivedBy") == "restriction" {
		t.Derivation = Restriction
	}
	b := l.base(t, n)
	switch {
	case b == nil:
		l.open(t)
		return
	case b.Simple != nil && b.Content == nil:
		t.Base, t.Simple = b, b.Simple
		if t.Derivation == Restriction {
			t.Simple = l.restrictSimple(b.Simple, n)
		}
	default:
		t.Base = b
		l.derivedContent(t, b, l.content(t, n))
	}
	l.inherit(t, b, n)
}
