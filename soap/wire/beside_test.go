package wire

import (
	"encoding/binary"
	"fmt"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func utf16Bytes(s string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = binary.BigEndian.AppendUint16(b, u)
		} else {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
	}
	return string(b)
}

// TestDocumentsBesideJudges has the Reader, libxml2 and encoding/xml read each
// case. The Reader must do what the case says; where a judge does something
// else, the case says why.
func TestDocumentsBesideJudges(t *testing.T) {
	t.Parallel()
	for _, v := range append(documents, namespaces...) {
		t.Run(v.rule+" "+v.name, func(t *testing.T) {
			t.Parallel()
			want, ok := decided(t, v, "")
			std, err := stdInfoset(v.doc)
			compare(t, "encoding/xml", v.std, v.doc, std, err, want, ok)
		})
	}
}

func TestDocumentsBesideLibxml2(t *testing.T) {
	t.Parallel()
	judge := startLibxml2(t)
	var all []encoded
	for _, v := range append(documents, namespaces...) {
		all = append(all, encoded{verdict: v})
	}
	for _, v := range append(all, encodings...) {
		want, ok := decided(t, v.verdict, v.charset)
		got, err := judge.see(t, []byte(v.doc), v.charset)
		compare(t, "libxml2", v.libxml2, v.rule+" "+v.name+": "+v.doc, got, err, want, ok)
	}
}

// decided returns what the Reader sees.
func decided(t *testing.T, v verdict, charset string) (string, bool) {
	t.Helper()
	checkLeaves(t, []byte(v.doc), Options{Charset: charset})
	got, err := infoset(NewReader([]byte(v.doc), Options{Charset: charset}))
	if (err == nil) != v.ok {
		t.Errorf("%s %s: %q: error %v, want one: %v", v.rule, v.name, v.doc, err, !v.ok)
	}
	return got, err == nil
}

// compare reports where a judge differs without reason, or no longer differs.
func compare(t *testing.T, judge, reason, doc, got string, err error, want string, ok bool) {
	t.Helper()
	same := (err == nil) == ok && (!ok || got == want)
	if same == (reason == "") {
		return
	}
	if same {
		t.Errorf("%s: %q: the judge agrees, although %s", judge, doc, reason)
		return
	}
	t.Errorf("%s: %q: the judge sees\n%s%v\nwe see\n%s%v", judge, doc, got, err, want, ok)
}

// TestCharactersBesideLibxml2 puts characters in each place: both ends of every
// range that XML 1.0 names, their neighbours, and a sample of all others.
func TestCharactersBesideLibxml2(t *testing.T) {
	t.Parallel()
	judge := startLibxml2(t)
	ends := []rune{
		0, 9, 0xA, 0xD, 0x20, '-', '.', '0', '9', ':', 'A', 'Z', '_', 'a', 'z', 0x7F, 0xB7, 0xC0, 0xD6, 0xD8, 0xF6, 0xF8, 0x2FF,
		0x300, 0x36F, 0x370, 0x37D, 0x37F, 0x1FFF, 0x200C, 0x200D, 0x203F, 0x2040, 0x2070, 0x218F, 0x2C00, 0x2FEF, 0x3001, 0xD7FF,
		0xE000, 0xF900, 0xFDCF, 0xFDF0, 0xFFFD, 0xFFFF, 0x10000, 0xEFFFF, 0xF0000, 0x10FFFF,
	}
	chars := map[rune]bool{}
	for _, c := range ends {
		for d := range rune(3) {
			chars[c+d-1] = true
		}
	}
	for c := rune(0); c < 0x11000; c += 61 {
		chars[c] = true
	}
	for c := range chars {
		if c < 0 || c > utf8.MaxRune {
			continue
		}
		docs := []string{fmt.Sprintf("<a>&#%d;</a>", c)}
		if utf8.ValidRune(c) {
			for _, f := range []string{"<%c/>", "<a%c/>", "<a %c=''/>", "<a b%c=''/>", "<p:%c xmlns:p='u'/>", "<a>%c</a>", "<a b='%c'/>", "<?%c?><a/>", "<?a%c?><a/>", "<!--%c--><a/>"} {
				docs = append(docs, fmt.Sprintf(f, c))
			}
		}
		for _, doc := range docs {
			want, err := infoset(NewReader([]byte(doc), Options{}))
			got, judged := judge.see(t, []byte(doc), "")
			if (err == nil) != (judged == nil) || err == nil && got != want {
				t.Errorf("%q: libxml2 sees\n%s%v\nwe see\n%s%v", doc, got, judged, want, err)
			}
		}
	}
}
