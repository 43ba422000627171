package soapclient

import (
	"io"
	"net/http"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// StubHTTP makes stubs that hooklift/gowsdl generated work with servers as they
// are. It is the HTTP client to give them:
//
//	soap.NewClient(url, soap.WithHTTPClient(&soapclient.StubHTTP{HTTP: client}))
//
// Those stubs close the connection after each call, which NTLM cannot live with;
// send SOAPAction without quotes; take a fault with status 500 for a failure of
// HTTP; and cannot read SOAP 1.2, an empty 202, or anything but UTF-8. With
// StubHTTP none of this is so: a fault is a *soap.SOAPFault of theirs, with its
// detail. Answers are bounded, and hold no document type declaration. Redirects
// are followed as a Client does it.
//
// It is safe for concurrent use. New code generates stubs with soapward.
type StubHTTP struct {
	HTTP Doer // nil means http.DefaultClient

	// Limits bound an answer, as in Client.
	Limits wire.Limits
}

var _ Doer = (*StubHTTP)(nil)

// Do sends a request of a stub and returns an answer that it understands.
func (s *StubHTTP) Do(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Close = false
	r.Header.Del("Connection")
	if a, ok := r.Header["Soapaction"]; ok && len(a) == 1 && !strings.HasPrefix(a[0], `"`) {
		if a[0] == "''" { // what a stub has for no action
			a[0] = ""
		}
		r.Header.Set("SOAPAction", soap.QuoteAction(a[0]))
	}
	resp, err := (&Client{HTTP: s.HTTP}).doer().Do(r)
	if err != nil {
		return nil, err
	}
	ct := soap.ParseContentType(resp.Header.Get("Content-Type"))
	ok := resp.StatusCode >= 200 && resp.StatusCode < 300
	switch {
	case needsLogin(resp.StatusCode), ok && ct.Type == "multipart/related": // the stub reads that itself
		return resp, nil
	case ok && !ct.IsXML() && (resp.StatusCode == http.StatusAccepted || resp.ContentLength == 0):
		_ = resp.Body.Close()
		return replace(resp, emptyEnvelope), nil
	case !ct.IsXML():
		return resp, nil
	}
	doc, err := s.read(resp, ct, ok)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	return replace(resp, doc), nil
}

const emptyEnvelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`

// read returns the answer as SOAP 1.1 in UTF-8. The status of an answer that is
// no fault stays what it is.
func (s *StubHTTP) read(resp *http.Response, ct soap.Content, ok bool) (string, error) {
	c := Client{Limits: s.Limits}
	r, err := ct.Open(resp.Body, c.wireOptions())
	if err != nil {
		return "", err
	}
	if ok && r.Document() == "" && r.Err() == nil {
		return emptyEnvelope, nil
	}
	m, err := soap.Read(r)
	if err != nil {
		if ok {
			return "", err
		}
		return r.Document(), nil
	}
	if m.IsFault() {
		resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	}
	if m.Version == soap.V11 {
		return withoutDeclaration(r.Document()), nil
	}
	w := wire.NewWriter(make([]byte, 0, len(r.Document())+256))
	if m.IsFault() {
		f, err := m.Fault(&soap.Operation{})
		if err != nil {
			return "", err
		}
		soap.WriteFault(w, soap.V11, nil, f)
	} else {
		body := new(wire.Any)
		if err := m.Decode(m.Body, body); err != nil {
			return "", err
		}
		soap.Write(w, soap.V11, nil, nil, m.Body, body)
	}
	b, err := w.Bytes()
	return string(b), err
}

// withoutDeclaration drops the XML declaration, which may name an encoding that
// the text no longer has.
func withoutDeclaration(doc string) string {
	if strings.HasPrefix(doc, "<?xml") {
		_, doc, _ = strings.Cut(doc, "?>")
	}
	return doc
}

// replace gives a response another body.
func replace(resp *http.Response, doc string) *http.Response {
	resp.Body = io.NopCloser(strings.NewReader(doc))
	resp.ContentLength = int64(len(doc))
	resp.Header = resp.Header.Clone()
	resp.Header.Set("Content-Type", "text/xml; charset=utf-8")
	resp.Header.Del("Content-Length")
	return resp
}
