package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// addDocuments gives a fuzz target all cases.
func addDocuments(f *testing.F, add func(doc, charset string)) {
	f.Helper()
	for _, v := range append(documents, namespaces...) {
		add(v.doc, "")
	}
	for _, v := range encodings {
		add(v.doc, v.charset)
	}
}

// charsets are those of a Content-Type that FuzzReaderBesideLibxml2 tries.
var charsets = []string{"", "utf-8", "iso-8859-1", "windows-1252", "utf-16", "us-ascii"}

// FuzzReaderBesideLibxml2: the Reader accepts what libxml2 accepts, and sees the
// same. differs knows the exceptions.
func FuzzReaderBesideLibxml2(f *testing.F) {
	addDocuments(f, func(doc, charset string) {
		for i, c := range charsets {
			if c == charset {
				f.Add([]byte(doc), uint8(i))
			}
		}
	})
	judge := startLibxml2(f)
	f.Fuzz(func(t *testing.T, doc []byte, number uint8) {
		charset := charsets[int(number)%len(charsets)]
		r := NewReader(doc, Options{Charset: charset})
		want, err := infoset(r)
		got, judged := judge.see(t, doc, charset)
		if (err == nil) == (judged == nil) && (err != nil || want == got) {
			return
		}
		if why := differs(doc, charset, r.Document(), want, got, err, judged); why != "" {
			return // both are right, see differs
		}
		t.Fatalf("%q, charset %q: libxml2 sees\n%s%v\nwe see\n%s%v", doc, charset, got, judged, want, err)
	})
}

// differs returns why libxml2 may decide otherwise than the Reader, or "". text
// is the document as UTF-8 if it could be decoded, want and err are what the
// Reader makes of it, got and judged what libxml2 does.
func differs(doc []byte, charset, text, want, got string, err, judged error) string {
	var (
		limit  *LimitError
		syntax *SyntaxError
	)
	said := func(err error, what string) bool { return err != nil && strings.Contains(err.Error(), what) }
	label := strings.ToLower(charset + declared(doc) + declared([]byte(text)))
	switch {
	case errors.As(err, &limit):
		return "limits are ours"
	case said(err, "unsupported encoding"):
		return "libxml2 knows more encodings"
	case said(err, "version is not 1.0"):
		return "libxml2 reads any 1.x as 1.0"
	case errors.As(err, &syntax) && (!utf8.ValidString(text) || text == "" || strings.Contains(text, "\x00")) && rooted(doc, charset) == got:
		return "libxml2 does not see a null behind the root, or bytes that it cannot decode"
	case said(err, "malformed XML declaration") && unspaced.MatchString(text):
		// libxml2 lets standalone follow utf-8 without white space.
		spaced := NewReader([]byte(unspaced.ReplaceAllString(text, "$1 $2")), Options{Charset: "utf-8"})
		want, err := infoset(spaced)
		if err == nil && judged == nil && want == got {
			return "libxml2 lets standalone follow utf-8 without white space"
		}
		return differs([]byte(spaced.Document()), "utf-8", spaced.Document(), want, got, err, judged)
	case marked(doc) && label != "" && label != "utf-8utf-8":
		return charsetWins
	case charset != "" && said(judged, "Unsupported encoding"):
		return "libxml2 refuses a declared encoding that it does not know even if it does not count"
	case charset == "us-ascii" && said(err, "above 0x7F"):
		return "libxml2 lets the declaration win over us-ascii"
	case strings.Contains(label, "utf-16") || strings.Contains(label, "utf16"):
		return lyingLabel
	case err == nil && strings.Contains(want, "{") && spoil(want) == spoil(got):
		return "libxml2 leaves &amp; in a namespace as &#38;"
	}
	return ""
}

// marked reports whether the first bytes of doc tell its encoding, by a byte
// order mark or as two bytes for a character. What a declaration or charset says
// otherwise does not count: XML 1.0 appendix F.
func marked(doc []byte) bool {
	wide := len(doc) >= 2 && (doc[0] == 0 || doc[1] == 0)
	return wide || bytes.HasPrefix(doc, []byte("\xEF\xBB\xBF")) || bytes.HasPrefix(doc, []byte("\xFE\xFF")) || bytes.HasPrefix(doc, []byte("\xFF\xFE"))
}

// rooted returns what the Reader sees of the shortest beginning of doc that is
// well-formed, whatever its size, and nothing if none is.
func rooted(doc []byte, charset string) string {
	const most = 1 << 30
	limits := Limits{Bytes: most, Depth: most, Elements: most, Attributes: most, Namespaces: most, Name: most}
	for i, b := range doc {
		if b != '>' {
			continue
		}
		for _, end := range []int{i + 1, i + 2} { // little-endian UTF-16 has a null behind it
			if end > len(doc) {
				continue
			}
			if seen, err := infoset(NewReader(doc[:end], Options{Charset: charset, Limits: limits})); err == nil {
				return seen
			}
		}
	}
	return ""
}

var unspaced = regexp.MustCompile(`^(<\?xml[^>]*["'])(standalone)`)

func spoil(s string) string { return strings.ReplaceAll(s, "&#38;", "&") }

// FuzzReaderBesideEncodingXML: where encoding/xml accepts a document, the Reader
// does too unless it says why not with one of stdLenient; and the other way
// round with stdStrict. Both see the same.
func FuzzReaderBesideEncodingXML(f *testing.F) {
	addDocuments(f, func(doc, charset string) {
		if charset == "" {
			f.Add([]byte(doc))
		}
	})
	f.Fuzz(func(t *testing.T, doc []byte) {
		r := NewReader(doc, Options{})
		if r.Document() == "" {
			return // not decoded; encoding/xml reads UTF-8 only
		}
		// encoding/xml leaves the white space of attributes alone.
		want, err := (&dump{fold: true}).read(NewReader([]byte(r.Document()), Options{Charset: "utf-8"}))
		got, judged := (&dump{fold: true}).readStd(r.Document())
		switch {
		case err != nil && judged != nil:
		case err != nil:
			var limit *LimitError
			if !errors.As(err, &limit) && known(stdLenient, err) == "" {
				t.Fatalf("%q: encoding/xml sees\n%s\nwe say %v", doc, got, err)
			}
		case judged != nil:
			if known(stdStrict, judged) == "" {
				t.Fatalf("%q: encoding/xml says %v, we see\n%s", doc, judged, want)
			}
		case got != want && !strings.Contains(r.Document(), "<xmlns"):
			t.Fatalf("%q: encoding/xml sees\n%s\nwe see\n%s", doc, got, want)
		}
	})
}

// stdLenient says by our refusal what encoding/xml does not check.
var stdLenient = map[string]string{
	"document type declaration refused":   stdAnyDirective,
	"malformed markup":                    stdAnyDirective + "; " + stdColon + "; " + stdLocal,
	"text outside the root element":       stdOutside,
	"attribute given twice":               stdDuplicates,
	"namespace prefix declared twice":     stdDuplicates,
	"undeclared prefix":                   stdPrefixes,
	"reserved prefix or namespace":        stdDeclares,
	"declared without namespace":          stdDeclares,
	"malformed attribute name":            stdColon + "; " + stdLocal,
	"malformed processing instruction":    stdTarget,
	"XML declaration not at the start":    stdTarget + "; " + stdDeclaration,
	"malformed XML declaration":           stdDeclaration,
	"XML version is not 1.0":              stdDeclaration,
	"malformed start tag":                 stdSpace,
	"illegal control character":           "does not check the characters of comments and instructions",
	"illegal character":                   "does not check the characters of comments and instructions; makes U+FFFD of a reference to a surrogate",
	"invalid UTF-8":                       "does not check the characters of comments and instructions",
	"processing instruction does not end": stdTarget,
	"reference to an illegal character":   "makes U+FFFD of a reference to a surrogate",
}

// stdStrict says by the refusal of encoding/xml what it does not take.
var stdStrict = map[string]string{
	"invalid XML name": stdEdition,
}

func known(reasons map[string]string, err error) string {
	for text, why := range reasons {
		if strings.Contains(err.Error(), text) {
			return why
		}
	}
	return ""
}

// FuzzWriterBesideLibxml2: what the Writer writes, libxml2 reads back; what it
// refuses, XML cannot hold.
func FuzzWriterBesideLibxml2(f *testing.F) {
	for _, s := range []string{
		"", "x", "a\tb\nc\rd\r\ne", "]]>", "]]", ">", `"'<>&`, "\x00", "\x1F", "\x7F", "\u0085\u2028", "\xFF", "\xED\xA0\x80",
		"\uFFFE", "\uFFFF", "\uFFFD", "😀", "\U0010FFFF", "&amp;", "&#13;", " \t ", "<![CDATA[", "-->", "?>", "\uFEFF",
	} {
		f.Add(s, s, s, s)
		f.Add(s, "", "", "")
		f.Add("", s, "", "urn:x")
		f.Add("", "", s, "")
		f.Add("", "", "", s)
	}
	judge := startLibxml2(f)
	f.Fuzz(func(t *testing.T, text, attr, more, space string) {
		if space == XML || space == xmlnsSpace || strings.Contains(space, "&") {
			return // programs do not choose reserved namespaces; libxml2 2.9.14 spoils the other
		}
		name, late := xml.Name{Space: space, Local: "a"}, xml.Name{Space: space + "2", Local: "b"}
		w := NewWriter(nil)
		w.Start(name)
		w.Attr(name, attr)
		w.Text(text)
		w.Start(late)
		w.Attr(xml.Name{Local: "c"}, more)
		w.End()
		w.Text(more)
		w.End()
		doc, err := w.Bytes()
		legal := true
		for _, s := range []string{text, attr, more, space} {
			for i, r := range s {
				legal = legal && isChar(r) && (r != '\uFFFD' || strings.HasPrefix(s[i:], "\uFFFD"))
			}
		}
		if (err == nil) != legal {
			t.Fatalf("%q, %q, %q, %q: %v", text, attr, more, space, err)
		}
		if err != nil {
			return
		}
		var d dump
		d.start(name, []xml.Attr{{Name: name, Value: attr}})
		d.text.WriteString(text)
		d.start(late, []xml.Attr{{Name: xml.Name{Local: "c"}, Value: more}})
		d.end(late)
		d.text.WriteString(more)
		d.end(name)
		if got, err := judge.see(t, doc, ""); err != nil || got != d.out.String() {
			t.Fatalf("%q: libxml2 sees\n%s%v\nwritten was\n%s", doc, got, err, d.out.String())
		}
		if got, err := infoset(NewReader(doc, Options{Limits: Limits{Name: 1 << 20}})); err != nil || got != d.out.String() {
			t.Fatalf("%q: we see\n%s%v\nwritten was\n%s", doc, got, err, d.out.String())
		}
	})
}
