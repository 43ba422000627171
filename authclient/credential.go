package authclient

import (
	"context"
	"net"
	"net/url"

	"github.com/soapward/soapward/authn"
)

// The HTTP schemes a credential may speak.
const (
	SchemeNegotiate = "Negotiate"
	SchemeNTLM      = "NTLM"
	SchemeBasic     = "Basic"
)

// Target is what a credential is wanted for.
type Target struct {
	Scheme string // "http" or "https"
	Host   string // always with port: "app.corp.test:443"
	SPN    string // "HTTP/app.corp.test"
}

// Origin returns scheme and host, which is what connections are made to.
func (t Target) Origin() string { return t.Scheme + "://" + t.Host }

// TargetOf returns the target of a URL. The SPN is made of the host name as it
// is written there: no DNS answer decides who gets a token.
func TargetOf(u *url.URL) Target {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return Target{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port), SPN: "HTTP/" + u.Hostname()}
}

// A Credential can log in as one principal. It must be safe for concurrent
// use.
type Credential interface {
	// Key tells principals apart: connections are never shared between
	// credentials whose keys differ. It contains no secret.
	Key() string

	// Schemes lists the HTTP schemes it speaks, the best one first. The first
	// that the server offers is used, and no other.
	Schemes() []string

	// NewInitiator starts an exchange under one of Schemes.
	NewInitiator(scheme string, t Target, cb authn.ChannelBinding) (authn.Initiator, error)
}

// A Source chooses the credential for one request. It must be safe for
// concurrent use.
type Source interface {
	// Credential returns the credential for t. A nil credential sends the
	// request without a login.
	Credential(ctx context.Context, t Target) (Credential, error)
}

// Static returns a Source that always answers c.
func Static(c Credential) Source { return static{c} }

type static struct{ c Credential }

func (s static) Credential(context.Context, Target) (Credential, error) { return s.c, nil }
