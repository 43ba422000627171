package soapclient

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// gzipAbove is the size up to which a request is not worth compressing: it fits
// into one packet anyway.
const gzipAbove = 1400

// compress returns a body compressed, if that was asked for and is worth it.
func (c *Client) compress(b []byte) (body []byte, encoding string, err error) {
	if !c.Gzip || len(b) <= gzipAbove {
		return b, "", nil
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return buf.Bytes(), "gzip", nil
}

// decompress makes the body of a response plain. net/http does so by itself
// unless its transport, or one around it, was told not to. What comes out is
// bounded by whoever reads it.
func decompress(resp *http.Response) error {
	switch ce := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); ce {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(resp.Body)
		if err == io.EOF { // no body at all
			return nil
		}
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{z, resp.Body}
		resp.ContentLength = -1
		return nil
	default:
		return fmt.Errorf("read answer: content encoding %q is not supported", printable([]byte(ce)))
	}
}

// doer returns what sends the requests. Of an http.Client only redirects are
// changed: see followOnly.
func (c *Client) doer() Doer {
	hc := http.DefaultClient
	switch d := c.HTTP.(type) {
	case nil:
	case *http.Client:
		hc = d
	default:
		return d
	}
	d := *hc
	d.CheckRedirect = followOnly(hc.CheckRedirect)
	return &d
}

const maxRedirects = 5

// followOnly follows a redirect only if the same message goes to the same
// origin once more (307, 308): another one must not get what the message holds,
// nor be asked to log in to, and a GET is no call. The response with any other
// redirect becomes a StatusError.
func followOnly(more func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		if r.Method != http.MethodPost || len(via) > maxRedirects || !sameOrigin(r.URL, via[0].URL) {
			return http.ErrUseLastResponse
		}
		if more != nil {
			return more(r, via)
		}
		return nil
	}
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && origin(a) == origin(b) }

func origin(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
