package wsdl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Text returns the document in UTF-8 as every parser takes it: without XML
// declaration and document type declaration, and with the prefixes declared that
// loading took for known. The rest stays as it is, but that characters of an
// encoding that is not supported are replaced, which only documentation has.
func (d *Document) Text() (string, error) {
	utf8, _, err := toUTF8(d.Content)
	if err != nil {
		return "", err
	}
	x := xml.NewDecoder(bytes.NewReader(utf8))
	x.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var (
		prolog  strings.Builder
		root    = -1 // behind the name of the document element
		missing []string
		open    [][]string // prefixes that each open element declares
	)
	need := func(prefix string) {
		declared := func(of []string) bool { return slices.Contains(of, prefix) }
		if usualPrefixes[prefix] != "" && !slices.ContainsFunc(open, declared) && !slices.Contains(missing, prefix) {
			missing = append(missing, prefix)
		}
	}
	for {
		from := x.InputOffset()
		t, err := x.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root < 0 {
				root = int(from) + 1
				for root < len(utf8) && !strings.ContainsRune(" \t\r\n/>", rune(utf8[root])) {
					root++
				}
				prolog.Write(utf8[from:root])
			}
			var decls []string
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" {
					decls = append(decls, a.Name.Local)
				}
			}
			open = append(open, decls)
			need(t.Name.Space)
			for _, a := range t.Attr {
				need(a.Name.Space)
			}
		case xml.EndElement:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case xml.Directive:
		case xml.ProcInst:
			if root < 0 && t.Target != "xml" {
				prolog.Write(utf8[from:x.InputOffset()])
			}
		default:
			if root < 0 {
				prolog.Write(utf8[from:x.InputOffset()])
			}
		}
	}
	if root < 0 {
		return "", errors.New("the document is empty")
	}
	for _, p := range missing {
		fmt.Fprintf(&prolog, ` xmlns:%s="%s"`, p, usualPrefixes[p])
	}
	return strings.TrimLeft(prolog.String(), " \t\r\n") + string(utf8[root:]), nil
}
