package ntlm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
)

// checkTarget checks that the response was made for this server, this service
// and this TLS connection.
func (a *acceptor) checkTarget(ours, ps AVPairs, av uint32, user string) error {
	for _, p := range ours {
		v, ok := ps.Get(p.ID)
		if !ok || !bytes.Equal(v, p.Value) {
			return refuse(authn.ReasonWrongTarget, user, hintTargetInfo, fmt.Errorf("%v in the target info is not ours", p.ID))
		}
	}
	named, err := a.checkTargetName(ps, av, user)
	if err != nil {
		return err
	}
	return a.checkBinding(ps, named, user)
}

// checkTargetName compares the SPN the client wants to reach with ours.
func (a *acceptor) checkTargetName(ps AVPairs, av uint32, user string) (named bool, err error) {
	v, _ := ps.Get(AVTargetName)
	if len(v) == 0 || av&AVFlagUntrustedName != 0 || len(a.m.TargetNames) == 0 {
		return false, nil
	}
	name, err := decodeUTF16(v)
	if err != nil {
		return false, refuse(authn.ReasonMalformed, user, "", err)
	}
	if !matchesTarget(a.m.TargetNames, name) {
		return false, refuse(authn.ReasonWrongTarget, user, hintTargetName, fmt.Errorf("client wants to reach %q", name))
	}
	return true, nil
}

// checkBinding compares the channel binding with our end of the TLS connection
// (MS-NLMP 3.2.5.1.2). A value of zeros is how a client says that it has none.
func (a *acceptor) checkBinding(ps AVPairs, named bool, user string) error {
	if a.m.Binding == authn.BindingOff {
		return nil
	}
	if a.x.TLS && !a.x.Bindings.Known() {
		// What the client sends cannot be judged. Refusing it for our ignorance
		// helps nobody; accepting it where it is required helps a relay.
		if a.m.Binding == authn.BindingRequired {
			return refuse(authn.ReasonChannelBinding, user, hintBindingUnknown, errors.New("channel binding of our own connection is not known"))
		}
		a.m.warnUnbound()
		return nil
	}
	v, ok := ps.Get(AVChannelBindings)
	switch {
	case ok && len(v) != 16:
		return refuse(authn.ReasonMalformed, user, "", fmt.Errorf("channel binding of %d bytes", len(v)))
	case ok && !bytes.Equal(v, make([]byte, 16)):
		if !a.x.Bindings.Known() {
			return refuse(authn.ReasonChannelBinding, user, hintBindingPlain, errors.New("client is bound to TLS, this connection is not"))
		}
		if !a.x.Bindings.Fit(v) {
			return refuse(authn.ReasonChannelBinding, user, hintBinding, errors.New("client is bound to another TLS connection"))
		}
	case a.m.Binding != authn.BindingRequired:
	case a.x.Bindings.Known():
		return refuse(authn.ReasonChannelBinding, user, hintNoBinding, errors.New("no channel binding"))
	case len(a.m.TargetNames) != 0 && !named:
		return refuse(authn.ReasonWrongTarget, user, hintNoTarget, errors.New("no target name"))
	}
	return nil
}

// matchesTarget reports whether the service principal name is one of ours. A
// port counts only where ours has one.
func matchesTarget(ours []string, name string) bool {
	class, host, port := splitSPN(name)
	for _, our := range ours {
		c, h, p := splitSPN(our)
		if strings.EqualFold(c, class) && strings.EqualFold(h, host) && (p == "" || p == port) {
			return true
		}
	}
	return false
}

// splitSPN splits class/host:port. A name without a class is one of HTTP, as
// configurations like to write it. A third part, the service's name, is left
// with the port, so that it must be equal to match.
func splitSPN(spn string) (class, host, port string) {
	class, rest, ok := strings.Cut(spn, "/")
	if !ok {
		class, rest = "HTTP", spn
	}
	// The colons of an IPv6 address are inside brackets.
	i := strings.LastIndexByte(rest, ':')
	if i < 0 || i < strings.LastIndexByte(rest, ']') {
		return class, rest, ""
	}
	return class, rest[:i], rest[i+1:]
}
