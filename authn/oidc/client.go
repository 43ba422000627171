package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/soapward/soapward/internal/jwt"
)

const (
	maxAnswer    = 256 << 10 // bytes, of all but the keys
	maxURL       = 2 << 10
	maxRedirects = 3
)

var (
	errTooLong   = errors.New("its answer is too long")
	errElsewhere = errors.New("it leads to another place, which is not followed")
)

// newClient makes a client whose answers are bounded, and that does not carry what
// it sends to another server.
func newClient(config *Config) (*http.Client, error) {
	c := &http.Client{}
	if config.HTTP != nil {
		*c = *config.HTTP
	}
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy, t.MaxResponseHeaderBytes = nil, 64<<10
		c.Transport = t
	}
	var err error
	if c.Transport, err = throughProxy(c.Transport, config.Proxy); err != nil {
		return nil, err
	}
	c.Transport = bounded{c.Transport}
	c.Jar = nil
	if c.Timeout == 0 || c.Timeout > config.Timeout {
		c.Timeout = config.Timeout
	}
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		first := via[0]
		if first.Method != http.MethodGet || r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host || len(via) > maxRedirects {
			return errElsewhere
		}
		return nil
	}
	return c, nil
}

// bounded cuts off answers with an error.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := int64(maxAnswer)
	if r.Method == http.MethodGet {
		limit = jwt.MaxKeySet
	}
	res.Body = &boundedBody{res.Body, limit}
	return res, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(buf []byte) (int, error) {
	if int64(len(buf)) > b.left+1 {
		buf = buf[:b.left+1]
	}
	n, err := b.ReadCloser.Read(buf)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// get fetches an address, with an access token if there is one.
func (p *Provider) get(ctx context.Context, at, access string, limit int) ([]byte, *http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, nil, causeOf(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, int64(limit)+1))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, res, fmt.Errorf("it answered with status %d, want 200", res.StatusCode)
	case err != nil:
		return nil, res, causeOf(err)
	case len(raw) > limit:
		return nil, res, errTooLong
	}
	return raw, res, nil
}

// causeOf leaves the address out, which may have something in it.
func causeOf(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// checkURL accepts https, and http on this machine if the issuer is there too.
func checkURL(text, issuer string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%.200q is not an address such as https://host/path", text)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("the address at %.200q must have neither user nor fragment", u.Host)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && onThisMachine(u) && strings.HasPrefix(issuer, "http://"):
		return nil
	}
	return fmt.Errorf("%.200q: want https", text)
}

func onThisMachine(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
