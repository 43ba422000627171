package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl/message"
)

// maxTraced bounds what is shown of a body.
const maxTraced = 1 << 20

// secretName matches names of headers, elements and attributes whose values
// are not shown.
var secretName = regexp.MustCompile(`(?i)pass(word|wd|phrase|code)|passwort|\bpwd|pwd\b|secret|token|credential|api[-_]?key|private[-_]?key|assertion|signaturevalue|cookie|authori[sz]ation|authentication|\bpin\b`)

// tracer shows requests and answers as they pass, without secrets. Logins are
// made below it, so it never sees those.
type tracer struct {
	w    io.Writer
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	fmt.Fprintf(t.w, "> %s %s\n", req.Method, oneLine(req.URL.Redacted()))
	t.headers(">", req.Header)
	if req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			b, _ := io.ReadAll(io.LimitReader(body, maxTraced+1)) // it is in memory
			t.body(">", req.Header.Get("Content-Type"), b)
			_ = body.Close()
		}
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(t.w, "< %s %s\n", oneLine(resp.Proto), oneLine(resp.Status))
	t.headers("<", resp.Header)
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxTraced+1))
	t.body("<", resp.Header.Get("Content-Type"), b)
	resp.Body = &replayed{io.MultiReader(bytes.NewReader(b), failing{err}, resp.Body), resp.Body}
	return resp, nil
}

// replayed is a body whose beginning was read already.
type replayed struct {
	io.Reader
	io.Closer
}

// failing ends with the error that reading met before, if there was one.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (t *tracer) headers(sign string, h http.Header) {
	var names []string
	for n := range h {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		for _, v := range h[n] {
			if secretName.MatchString(n) && !strings.EqualFold(n, "WWW-Authenticate") {
				v = "***"
			}
			fmt.Fprintf(t.w, "%s %s: %s\n", sign, oneLine(n), oneLine(v))
		}
	}
}

func (t *tracer) body(sign, contentType string, b []byte) {
	fmt.Fprintln(t.w, sign)
	text := ""
	switch ct := soap.ParseContentType(contentType); {
	case len(b) > maxTraced:
		text = fmt.Sprintf("(more than %d bytes)", maxTraced)
	case len(b) == 0:
	case !ct.IsXML():
		text = shortened(b)
	default:
		r, err := ct.Open(bytes.NewReader(b), wire.Options{})
		if err == nil {
			text, err = masked(r.Document())
		}
		if err != nil {
			text = fmt.Sprintf("(%d bytes that are not well-formed XML: %v)", len(b), err)
		}
	}
	for line := range strings.Lines(text) {
		fmt.Fprintf(t.w, "%s %s\n", sign, oneLine(strings.TrimSuffix(line, "\n")))
	}
}

// shortened is the beginning of a body that is no XML.
func shortened(b []byte) string {
	const most = 2000
	if len(b) > most {
		return string(b[:most]) + fmt.Sprintf("\n(%d bytes more)", len(b)-most)
	}
	return string(b)
}

// masked returns a document, indented, without the values of elements and
// attributes whose names sound like secrets.
func masked(doc string) (string, error) {
	r := wire.NewReader([]byte(doc), wire.Options{Limits: wire.Limits{Bytes: 2 * maxTraced}})
	var b strings.Builder
	secret := 0 // depth of the element around that is one
	told := false
	for {
		kind := r.Next()
		from, to := r.Span()
		switch kind {
		case wire.Start:
			if secret == 0 && secretName.MatchString(r.Local()) {
				secret, told = r.Depth(), false
			}
			b.WriteString(maskAttributes(r.Document()[from:to], secret > 0))
		case wire.Text:
			switch {
			case secret == 0:
				b.WriteString(r.Document()[from:to])
			case !told:
				b.WriteString("***")
				told = true
			}
		case wire.End:
			if tag := r.Document()[from:to]; strings.HasPrefix(tag, "</") {
				b.WriteString(tag)
			}
			if r.Depth() < secret {
				secret = 0
			}
		default:
			if err := r.Err(); err != nil {
				return "", err
			}
			raw, err := wire.ParseRaw(b.String())
			if err != nil {
				return "", err
			}
			return message.Indent(raw)
		}
	}
}

// attribute matches one in a well-formed start tag.
var attribute = regexp.MustCompile(`([^\s=<>"']+)(\s*=\s*)("[^"]*"|'[^']*')`)

func maskAttributes(tag string, all bool) string {
	return attribute.ReplaceAllStringFunc(tag, func(a string) string {
		m := attribute.FindStringSubmatch(a)
		_, local, ok := strings.Cut(m[1], ":")
		if !ok {
			local = m[1]
		}
		if m[1] == "xmlns" || strings.HasPrefix(m[1], "xmlns:") || local == "type" || local == "Type" || !all && !secretName.MatchString(local) {
			return a
		}
		return m[1] + m[2] + `"***"`
	})
}
