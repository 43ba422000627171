// Package client is package admin over the network: it calls the API of a
// gateway. A Client is what commands use with --server, in place of an
// admin.Service.
//
// What a gateway refuses is an *admin.Error, as an admin.Service returns it; what
// keeps a Client from it is a *TransportError. An answer is bounded, is of the
// address that was asked, and is JSON, or it is an error.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
)

// prefix is where the API is.
const prefix = "/admin/v1"

// Bounds of answers.
const (
	maxAnswer = 64 << 20 // bytes; a page of 1000 users with their groups is some of them
	maxError  = 64 << 10
	maxLine   = 1 << 20
	maxHead   = 3 * time.Minute // until an answer begins
	maxClear  = time.Hour       // that of ClearPasswords, of which there may be millions
	maxQuiet  = 4 * wire.Heartbeat
)

// A Client calls the API of one gateway. It is safe for concurrent use.
type Client struct {
	// URL is that of the admin listener: https://gw.corp.test:9180. Plain HTTP is
	// for this machine.
	URL string

	// Token returns the bearer token, a new one if renew is set because the last
	// one was refused. Nil sends none.
	Token func(ctx context.Context, renew bool) (authn.Secret, error)

	HTTP *http.Client // nil: http.DefaultTransport; redirects are never followed

	Agent string // what the server lists sessions with; empty means soapward
}

// A TransportError is why a gateway could not be asked, or did not answer as one.
type TransportError struct {
	Server string // URL
	Err    error
}

func (e *TransportError) Error() string { return fmt.Sprintf("client: %s: %v", e.Server, e.Err) }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Causes of a TransportError.
var (
	ErrURL      = errors.New("not the address of a gateway")
	ErrPlain    = errors.New("plain HTTP to another machine: a token would be read on the way")
	ErrRedirect = errors.New("the server leads elsewhere, where the token must not go")
	ErrAnswer   = errors.New("the answer is not that of a gateway")
)

// CheckURL returns the address that a gateway's URL has in its simplest form:
// scheme, host and port. It refuses plain HTTP to other machines.
func CheckURL(server string) (string, error) {
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: want https://HOST[:PORT]", ErrURL)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.Opaque != "":
		return "", fmt.Errorf("%w: want https://HOST[:PORT], not %q", ErrURL, u.Redacted())
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.Path != "" && u.Path != "/":
		return "", fmt.Errorf("%w: want https://HOST[:PORT] and nothing else", ErrURL)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", ErrPlain
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && (u.Scheme != "https" || port != "443") && (u.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}

// loopback reports whether a host is this machine, without asking anybody.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// A request is one to the API. Its body can be sent again.
type request struct {
	method, path string
	query        url.Values
	body         any
	header       http.Header
	head         time.Duration // until the answer begins; zero means maxHead
}

// Call sends a request that this package has no method for, and decodes the
// answer into out, if it is not nil. path is below /admin/v1.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	return c.do(ctx, request{method: method, path: path, body: body}, out)
}

// do sends a request and decodes the answer into out, if it is not nil.
func (c *Client) do(ctx context.Context, q request, out any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := c.send(ctx, q, func() { cancel(errQuiet) })
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if out == nil || r.StatusCode == http.StatusNoContent {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return c.fail(fmt.Errorf("%w: Content-Type %.60q", ErrAnswer, r.Header.Get("Content-Type")))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.fail(err)
	case len(b) > maxAnswer:
		return c.fail(fmt.Errorf("%w: more than %d bytes", ErrAnswer, maxAnswer))
	}
	if err := json.Unmarshal(b, out); err != nil {
		return c.fail(fmt.Errorf("%w: %w", ErrAnswer, err))
	}
	return nil
}

func (c *Client) fail(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	server := "the gateway"
	if u, parsed := url.Parse(c.URL); parsed == nil { // else there may be a password anywhere
		server = u.Redacted()
	}
	return &TransportError{server, err}
}

// send sends a request, once more with a new token if the first was refused. The
// answer is one of success. cancel ends it, with errQuiet, if it does not begin.
func (c *Client) send(ctx context.Context, q request, cancel func()) (*http.Response, error) {
	server, err := CheckURL(c.URL)
	if err != nil {
		return nil, c.fail(err)
	}
	var body []byte
	if q.body != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(q.body); err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		body = b.Bytes()
	}
	for renew := false; ; renew = true {
		var token authn.Secret
		if c.Token != nil {
			if token, err = c.Token(ctx, renew); err != nil {
				return nil, err
			}
		}
		timer := time.AfterFunc(cmp.Or(q.head, maxHead), cancel)
		r, err := c.once(ctx, server, q, body, token)
		timer.Stop()
		switch {
		case err != nil && errors.Is(context.Cause(ctx), errQuiet):
			return nil, c.fail(errQuiet)
		case err != nil:
			return nil, err
		}
		if r.StatusCode >= 200 && r.StatusCode < 300 {
			return r, nil
		}
		err = c.refusal(r)
		_ = r.Body.Close()
		if r.StatusCode == http.StatusUnauthorized && c.Token != nil && !renew {
			continue
		}
		return nil, err
	}
}

func (c *Client) once(ctx context.Context, server string, q request, body []byte, token authn.Secret) (*http.Response, error) {
	address := server + prefix + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, address, content)
	if err != nil {
		return nil, c.fail(err)
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	agent := c.Agent
	if agent == "" {
		agent = "soapward"
	}
	r.Header.Set("User-Agent", agent)
	r.Header.Set("Accept", "application/json, "+wire.JSONLines)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if !token.IsEmpty() {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	answer, err := c.http().Do(r)
	if err != nil {
		var wrapped *url.Error // whose text has the address twice
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, c.fail(err)
	}
	return answer, nil
}

// http is the client to use, made so that it goes nowhere else, and keeps no
// cookies.
func (c *Client) http() *http.Client {
	h := http.Client{}
	if c.HTTP != nil {
		h.Transport, h.Timeout = c.HTTP.Transport, c.HTTP.Timeout
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// refusal is the error that an answer stands for.
func (c *Client) refusal(r *http.Response) error {
	if r.StatusCode >= 300 && r.StatusCode < 400 {
		return c.fail(fmt.Errorf("%w: %.200q", ErrRedirect, r.Header.Get("Location")))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxError))
	if err != nil {
		return c.fail(err)
	}
	e := &admin.Error{}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" || json.Unmarshal(b, e) != nil || e.Kind == "" || e.Text == "" {
		return c.fail(fmt.Errorf("%w: %s", ErrAnswer, r.Status))
	}
	return e
}

// Unreachable reports whether an error says that nobody answers there.
func Unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns)
}
