package winbind

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// The protocol ntlm-server-1 is described in ntlm_auth(1). A request and its
// answer are lines of a key, a colon and a value, and end with a line of one
// dot. After two colons the value is base64.

// maxLines bounds the answer; a real one has two or three.
const maxLines = 16

// request asks for a judgement. What the client chose is encoded, so that it
// cannot end its line.
func request(a *ntlm.Attempt) string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return "LANMAN-Challenge: " + hex.EncodeToString(a.ServerChallenge[:]) + "\n" +
		"NT-Response: " + hex.EncodeToString(a.Response) + "\n" +
		"Username:: " + b64(a.User) + "\n" +
		"NT-Domain:: " + b64(a.Domain) + "\n" +
		"Request-User-Session-Key: Yes\n" +
		".\n"
}

// reply is ntlm_auth's answer.
type reply struct {
	authenticated bool
	key           ntlm.SessionBaseKey
	text          string // why not
}

// judge is nil for a login that succeeded, with a key.
func (r *reply) judge() error {
	switch {
	case !r.authenticated:
		return statusError(r.text)
	case r.key == ntlm.SessionBaseKey{}:
		// Somebody whose password was not looked at has no key.
		return refuse(authn.ReasonRestricted, "disable the guest account of the domain", errors.New("no session key: the domain lets the user in as a guest"))
	}
	return nil
}

// ask gives a request to a helper and returns its answer. The helper is waited
// for after ctx ended, too, so that clients that go away cost no processes.
func (v *Verifier) ask(ctx context.Context, request string) (reply, error) {
	v.init()
	var p *process
	select {
	case <-v.closed: // alone, for the other may be ready as well
		return reply{}, unavailable(errClosed)
	default:
	}
	select {
	case p = <-v.slots:
	case <-v.closed:
		return reply{}, unavailable(errClosed)
	case <-ctx.Done():
		return reply{}, unavailable(fmt.Errorf("all %d helpers are busy: %w", cap(v.slots), ctx.Err()))
	}
	type answer struct {
		reply
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		p, r, err := v.serve(p, request)
		v.slots <- p
		answers <- answer{r, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return reply{}, unavailable(a.err)
		}
		return a.reply, nil
	case <-ctx.Done():
		return reply{}, unavailable(ctx.Err())
	}
}

// serve has p, or a new helper if that is nil, answer a request. It returns the
// helper if that is good for another one.
func (v *Verifier) serve(p *process, request string) (*process, reply, error) {
	for {
		idle := p != nil
		if !idle {
			var err error
			if p, err = v.start("ntlm-server-1"); err != nil {
				return nil, reply{}, err
			}
		}
		var r reply
		err := p.use(v.timeout(), v.closed, func() (err error) {
			r, err = p.exchange(request)
			return err
		})
		if err == nil {
			return p, r, nil
		}
		err = p.explain(err)
		if !idle || !errors.Is(err, errUnsent) {
			return nil, reply{}, err
		}
		p = nil // it died while it was idle, so that nobody has seen the request
	}
}

func (p *process) exchange(request string) (reply, error) {
	// What it says before it is asked would be taken for the answer.
	for p.out.Buffered() > 0 {
		switch l, err := p.line(); {
		case err != nil:
			return reply{}, fmt.Errorf("%w: %w", errUnsent, err)
		case l != ".":
			return reply{}, fmt.Errorf("%w: ntlm_auth spoke unasked", errUnsent)
		}
	}
	if err := p.send(request); err != nil {
		return reply{}, err
	}
	return readReply(p.line)
}

// readReply reads an answer. Its errors do not quote what may be a key.
func readReply(line func() (string, error)) (r reply, err error) {
	judged := false
	for n := range maxLines {
		l, err := line()
		if err != nil {
			return reply{}, err
		}
		if l == "." {
			if n == 0 {
				continue // Samba ends a refusal with two dots; this is the former one's
			}
			if !judged {
				return reply{}, errors.New("ntlm_auth does not say whether the login is right")
			}
			return r, nil
		}
		switch key, value, _ := strings.Cut(l, ": "); key {
		case "Authenticated":
			if judged || value != "Yes" && value != "No" {
				return reply{}, errors.New("ntlm_auth contradicts itself")
			}
			judged, r.authenticated = true, value == "Yes"
		case "User-Session-Key":
			b, err := hex.DecodeString(value)
			if err != nil || len(b) != len(r.key) {
				return reply{}, errors.New("ntlm_auth returns something else than a session key")
			}
			r.key = ntlm.SessionBaseKey(b)
		case "Authentication-Error":
			r.text = value
		case "Error":
			return reply{}, fmt.Errorf("ntlm_auth does not understand: %q", clip(value))
		}
	}
	return reply{}, fmt.Errorf("ntlm_auth wrote more than %d lines", maxLines)
}

// clip bounds a text of another program's for an error.
func clip(s string) string { return s[:min(len(s), 200)] }

// negotiate asks an ntlm_auth of the protocol squid-2.5-ntlmssp for a challenge.
func negotiate() string {
	m := ntlm.Negotiate{Flags: ntlm.FlagUnicode | ntlm.FlagRequestTarget | ntlm.FlagNTLM |
		ntlm.FlagExtendedSecurity | ntlm.FlagAlwaysSign}
	return "YR " + base64.StdEncoding.EncodeToString(m.Append(nil)) + "\n"
}

// parseChallenge reads what ntlm_auth answers to negotiate.
func parseChallenge(line string) (*ntlm.Challenge, error) {
	token, ok := strings.CutPrefix(line, "TT ")
	if !ok {
		return nil, fmt.Errorf("ntlm_auth gives no challenge but %q", clip(line))
	}
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, fmt.Errorf("ntlm_auth's challenge: %w", err)
	}
	return ntlm.ParseChallenge(b)
}
