package hook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kept"
)

const (
	defaultTimeout  = 2 * time.Second
	defaultKeep     = time.Minute
	defaultKeepNo   = 5 * time.Second
	maxRemembered   = 1000
	maxQuestion     = 64 << 10 // bytes, of a question
	maxAnswer       = 64 << 10 // bytes, of an answer
	maxCallsAtATime = 64
)

// defaultSend is what Callout.Send is if it is nil.
var defaultSend = []string{"method", "host", "path", "query", "client", "certificate", "header Authorization"}

// A Callout asks a service who sent a request. It sends a POST with a JSON object
// that has what Send lists:
//
//	{"method": "GET", "host": "api.example", "path": "/a", "query": "b=c", "client": "192.0.2.7",
//	 "certificate": {"subject": "CN=x", "sha256": "...", "pem": "...", "verified": true},
//	 "headers": {"Authorization": ["Bearer abc"]}}
//
// or, of a password, {"user": "alice", "password": "secret"}. The service answers
// with status 200 and one of
//
//	{"identity": {"account": "alice", "display_name": "Alice", "groups": [{"name": "staff"}], "claims": {"team": ["a"]}, "expires_in": 300}}
//	{"next": true}
//	{"refuse": {"status": 403, "www_authenticate": "Bearer", "content_type": "text/plain", "body": "Not today."}}
//
// or with 401 or 403 alone, which is a refusal with that status. A refusal with
// 401 of a request that had one of the headers sent counts as a guess (package
// throttle); of one without credentials a service says "next". Anything else,
// redirects, other fields and silence included, means that nobody could say: 503,
// and an error in the log.
//
// An identity may also have domain, upn and sid: see Domains and AllowSID.
//
// The fields must not change after the first request. It is safe for concurrent
// use.
type Callout struct {
	// URL is https, or http on this machine.
	URL string

	// Send lists what the service is sent of a request: method, host, path,
	// query, client, certificate, and "header NAME" for each header. Nil means
	// all of these with the header Authorization. The fewer, the more often an
	// answer is remembered.
	Send []string

	// Token is sent as a bearer token, so that the service knows who asks. It
	// may be empty.
	Token authn.Secret

	// Timeout is how long an answer may take. Zero means two seconds.
	Timeout time.Duration

	// Keep is how long an identity is remembered for what exactly was sent,
	// credentials included; at most for its expires_in. Zero means a minute, less
	// than zero not at all. KeepRefusal is the same for refusals; zero means five
	// seconds. Failures are not remembered.
	Keep, KeepRefusal time.Duration

	// Domains are those for which the service may speak. An identity or a group
	// with another one is an error. Nil: none.
	Domains []string

	// AllowSID takes SIDs of the service. Whoever answers for it can then be
	// anybody of the domain.
	AllowSID bool

	// AllowInsecureHTTP sends credentials to another machine without TLS.
	AllowInsecureHTTP bool

	// Mechanism is that of the identities. Empty means "custom".
	Mechanism string

	// Offer are the challenges for clients that sent no credentials.
	Offer []authn.Challenge

	// ClientAddr returns the address of the client, as proxies that are trusted
	// tell it. Nil means authn.ClientAddr.
	ClientAddr func(*http.Request) netip.Addr

	// Transport makes the calls. Nil means one without a proxy.
	Transport http.RoundTripper

	Now func() time.Time // nil means time.Now

	once     sync.Once
	client   *http.Client
	known    *kept.Cache[*authn.Identity]
	refusals *kept.Cache[error]
	calls    chan struct{}
}

var _ authn.Authenticator = (*Callout)(nil)

// Challenges implements authn.Authenticator.
func (c *Callout) Challenges(*http.Request) []authn.Challenge { return c.Offer }

// Authenticate implements authn.Authenticator.
func (c *Callout) Authenticate(r *http.Request) (*authn.Result, error) {
	q, err := c.question(newRequest(r, c.ClientAddr))
	if err != nil {
		return nil, err
	}
	id, fresh, err := c.ask(r.Context(), q, "")
	if err != nil {
		return nil, err
	}
	return &authn.Result{Identity: id, Fresh: fresh}, nil
}

// VerifyPassword implements password.Verifier.
func (c *Callout) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" {
		return nil, &authn.RefusedError{Mechanism: c.mechanism(), Reason: authn.ReasonWrongPassword, User: user, Err: errors.New("empty name or password")}
	}
	id, _, err := c.ask(ctx, question{User: user, Password: password}, user)
	return id, err
}

// question is what is sent.
type question struct {
	Method      string              `json:"method,omitempty"`
	Host        string              `json:"host,omitempty"`
	Path        string              `json:"path,omitempty"`
	Query       string              `json:"query,omitempty"`
	Client      string              `json:"client,omitempty"`
	Certificate *certificate        `json:"certificate,omitempty"`
	Headers     map[string][]string `json:"headers,omitempty"`
	User        string              `json:"user,omitempty"`
	Password    string              `json:"password,omitempty"`
}

type certificate struct {
	Subject  string `json:"subject"`
	SHA256   string `json:"sha256"`
	PEM      string `json:"pem"`
	Verified bool   `json:"verified"`
}

// question makes what is sent of a request.
func (c *Callout) question(r *Request) (q question, err error) {
	send := c.Send
	if send == nil {
		send = defaultSend
	}
	for _, part := range send {
		name, isHeader := strings.CutPrefix(part, "header ")
		switch {
		case isHeader:
			if values := r.Header.Values(name); len(values) > 0 {
				if q.Headers == nil {
					q.Headers = map[string][]string{}
				}
				q.Headers[http.CanonicalHeaderKey(name)] = values
			}
		case part == "method":
			q.Method = r.Method
		case part == "host":
			q.Host = r.Host
		case part == "path":
			q.Path = r.Path
		case part == "query":
			q.Query = r.Query.Encode()
		case part == "client":
			if r.Client.IsValid() {
				q.Client = r.Client.String()
			}
		case part == "certificate":
			if r.Certificate != nil {
				sum := sha256.Sum256(r.Certificate.Raw)
				q.Certificate = &certificate{
					Subject: r.Certificate.Subject.String(), SHA256: hex.EncodeToString(sum[:]), Verified: r.Verified,
					PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate.Raw})),
				}
			}
		default:
			return q, fmt.Errorf("hook: Callout.Send: %q is not something to send: use %s", part, strings.Join(defaultSend, ", "))
		}
	}
	return q, nil
}

// Check reports what is wrong with the fields.
func (c *Callout) Check() error {
	if err := checkURL(c.URL, c.AllowInsecureHTTP); err != nil {
		return err
	}
	_, err := c.question(&Request{})
	return err
}

// checkURL accepts https, and http on this machine.
func checkURL(text string, allowInsecure bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("hook: %q is not an address such as https://host/path", text)
	}
	if u.User != nil {
		return errors.New("hook: an address must not have a password in it")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if ip := net.ParseIP(u.Hostname()); allowInsecure || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("hook: %s is not on this machine: use https", text)
	}
	return fmt.Errorf("hook: %s: use https", text)
}

func (c *Callout) init() {
	c.once.Do(func() {
		c.client = newClient(c.Transport)
		c.known, c.refusals = kept.NewCache[*authn.Identity](maxRemembered), kept.NewCache[error](maxRemembered)
		c.calls = make(chan struct{}, maxCallsAtATime)
	})
}

// newClient makes a client that follows no redirects, which could lead
// credentials elsewhere, and goes through no proxy that the environment names.
func newClient(rt http.RoundTripper) *http.Client {
	if rt == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy, t.MaxResponseHeaderBytes, t.MaxIdleConnsPerHost = nil, maxAnswer, maxCallsAtATime
		rt = t
	}
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *Callout) mechanism() string { return cmp.Or(c.Mechanism, "custom") }

// ask returns what the service says, or said before. fresh: it said it now.
func (c *Callout) ask(ctx context.Context, q question, user string) (id *authn.Identity, fresh bool, err error) {
	c.init()
	body, err := json.Marshal(q)
	if err != nil {
		return nil, false, fmt.Errorf("hook: %w", err)
	}
	if len(body) > maxQuestion {
		return nil, false, &authn.RefusedError{Mechanism: c.mechanism(), Reason: authn.ReasonMalformed, User: user, Err: fmt.Errorf("%d bytes to send", len(body))}
	}
	now, d := clock(c.Now), c.known.Digest(body)
	if id, ok := c.known.Get(d, now); ok {
		return id, false, nil
	}
	refusal := c.refusals.Digest(body)
	if err, ok := c.refusals.Get(refusal, now); ok {
		return nil, false, err
	}
	select {
	case c.calls <- struct{}{}:
		defer func() { <-c.calls }()
	default:
		return nil, false, fmt.Errorf("%w: %d questions to %s at a time", authn.ErrOverloaded, maxCallsAtATime, c.URL)
	}
	a, err := c.call(ctx, body)
	if err != nil {
		return nil, false, fmt.Errorf("hook: %s: %w: %w", c.URL, authn.ErrUnavailable, err)
	}
	if err := a.refusal(c.mechanism(), q); err != nil {
		c.refusals.Put(refusal, err, now, now.Add(cmp.Or(c.KeepRefusal, defaultKeepNo)))
		return nil, false, err
	}
	id = complete(a.Identity.identity(), c.mechanism(), now)
	keep := cmp.Or(c.Keep, defaultKeep)
	if s := a.Identity.ExpiresIn; s != nil {
		left := time.Duration(*s) * time.Second
		keep, id.Expires = min(keep, left), now.Add(left)
	}
	c.known.Put(d, id, now, now.Add(keep))
	return id, true, nil
}

// answer is what a service says. Exactly one field is set.
type answer struct {
	Identity *answerIdentity `json:"identity"`
	Next     bool            `json:"next"`
	Refuse   *struct {
		Status          int     `json:"status"`
		WWWAuthenticate string  `json:"www_authenticate"`
		ContentType     string  `json:"content_type"`
		Body            *string `json:"body"`
	} `json:"refuse"`
}

type answerIdentity struct {
	Account     string              `json:"account"`
	Domain      string              `json:"domain"`
	UPN         string              `json:"upn"`
	DisplayName string              `json:"display_name"`
	SID         authn.SID           `json:"sid"`
	Groups      []answerGroup       `json:"groups"`
	Claims      map[string][]string `json:"claims"`
	ExpiresIn   *int                `json:"expires_in"` // seconds
}

type answerGroup struct {
	Name string    `json:"name"`
	SID  authn.SID `json:"sid"`
}

// call asks once. Any error means that nobody could say.
func (c *Callout) call(ctx context.Context, body []byte) (*answer, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Timeout, defaultTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if !c.Token.IsEmpty() {
		req.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, errorOf(err)
	}
	defer res.Body.Close()
	a := new(answer)
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // keeps the connection
		return a, json.Unmarshal(fmt.Appendf(nil, `{"refuse": {"status": %d}}`, res.StatusCode), a)
	default:
		return nil, fmt.Errorf("it answered with status %d, want 200, 401 or 403", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, errorOf(err)
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(a); err != nil {
		return nil, errors.New("its answer is not the JSON that is documented: " + shape(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("its answer has more than one JSON value")
	}
	return a, c.check(a)
}

// errorOf leaves the address out, which the caller names.
func errorOf(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// shape describes an error of encoding/json without what was in the answer.
func shape(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("a syntax error at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%s is a %s", cmp.Or(kind.Field, "the value"), kind.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.TrimPrefix(err.Error(), "json: unknown field ")
		return "unknown field " + name[:min(len(name), 64)]
	}
	return "it ends too early"
}

// check refuses answers that say two things, or what the service may not say.
func (c *Callout) check(a *answer) error {
	said := 0
	for _, b := range []bool{a.Identity != nil, a.Next, a.Refuse != nil} {
		if b {
			said++
		}
	}
	if said != 1 {
		return errors.New("its answer has not exactly one of identity, next and refuse")
	}
	if a.Refuse != nil && (a.Refuse.Status < 400 || a.Refuse.Status > 499) {
		return fmt.Errorf("it refuses with status %d, want 400 to 499", a.Refuse.Status)
	}
	id := a.Identity
	if id == nil {
		return nil
	}
	if err := checkNames(c.Domains, id.Domain, id.Account, id.UPN); err != nil {
		return err
	}
	if !c.AllowSID && (id.SID != "" || slices.ContainsFunc(id.Groups, func(g answerGroup) bool { return g.SID != "" })) {
		return errors.New("it names a SID: set AllowSID if it may")
	}
	for _, g := range id.Groups {
		if g.Name == "" && g.SID == "" {
			return errors.New("a group has neither name nor SID")
		}
		if err := checkGroup(c.Domains, g.Name); err != nil {
			return err
		}
	}
	return nil
}

// refusal returns what a refusal or "next" is to an Authenticator, nil for an
// identity.
func (a *answer) refusal(mech string, q question) error {
	switch {
	case a.Next:
		return authn.ErrNoCredentials
	case a.Refuse == nil:
		return nil
	}
	reason := authn.ReasonPolicy
	if a.Refuse.Status == http.StatusUnauthorized { // a guess that counts, if it came with credentials
		switch {
		case q.User != "":
			reason = authn.ReasonWrongPassword
		case len(q.Headers) > 0:
			reason = authn.ReasonUnknownUser
		}
	}
	e := &authn.ResponseError{
		Status: a.Refuse.Status, Header: http.Header{},
		Err: &authn.RefusedError{Mechanism: mech, Reason: reason, User: q.User, Err: errors.New("refused by the service")},
	}
	if a.Refuse.WWWAuthenticate != "" {
		e.Header.Set("WWW-Authenticate", a.Refuse.WWWAuthenticate)
	}
	if a.Refuse.Body != nil {
		e.Body = []byte(*a.Refuse.Body)
		e.Header.Set("Content-Type", cmp.Or(a.Refuse.ContentType, "text/plain; charset=utf-8"))
	}
	return e
}

func (a *answerIdentity) identity() *authn.Identity {
	id := &authn.Identity{Account: a.Account, Domain: a.Domain, UPN: a.UPN, DisplayName: a.DisplayName, SID: a.SID, Claims: a.Claims}
	for _, g := range a.Groups {
		id.Groups = append(id.Groups, authn.Group{Name: g.Name, SID: g.SID})
	}
	return id
}
