package wsdl

import (
	"bytes"
	"regexp"
)

const maxPage = 1 << 20 // of a page is looked at

var (
	// What may stand before the first element (XML 1.0 2.8), and pages do not
	// close all of it.
	beforePage = regexp.MustCompile(`^(?:\x{FEFF}|\s|<\?[^>]*>|<!--(?s:.*?)-->)*`)
	startPage  = regexp.MustCompile(`(?i)^<(?:!doctype\s+html|html)[\s>/]`)
	loginForm  = regexp.MustCompile(`(?i)<input\s[^>]*type\s*=\s*["']?password`)
)

// webPage reports whether a document is an HTML page, and whether that has a
// form to log in.
func webPage(data []byte) (page, login bool) {
	data = data[:min(len(data), maxPage)]
	rest := data[len(beforePage.Find(data)):]
	if !startPage.Match(rest) {
		return false, false
	}
	return true, loginForm.Match(bytes.ToValidUTF8(rest, nil))
}
