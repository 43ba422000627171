package ntlm

import (
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// What an operator can do about a refusal.
const (
	hintV1 = "the client must send NTLMv2: on Windows set \"Network security: LAN Manager authentication level\" " +
		"to send NTLMv2 responses only (LmCompatibilityLevel 3 or higher), in Mono NtlmSettings.DefaultAuthLevel = NtlmAuthLevel.NTLMv2_only (Mono.Security.dll)"
	hintOEM = "the client sends names in a code page it does not tell; it must offer Unicode for names outside ASCII"

	hintAnonymous  = "the client has no credentials to send: check that a user is logged on and that the site is trusted for integrated authentication"
	hintOutOfOrder = "each exchange needs a connection of its own; a proxy that shares connections between clients breaks NTLM, and so does a client that sends a body of more than 256 KiB before it is logged in"
	hintNoMIC      = "a MIC is required here and this client sends none (curl, go-ntlmssp); use another client or relax the policy"
	hintMIC        = "the messages changed on their way, or the client computes its MIC wrongly"
	hintTargetInfo = "the response was made for another server or another challenge; a proxy may be mixing connections"

	hintTargetName     = "add the name to the service's target names if clients may use it"
	hintNoTarget       = "the policy requires channel bindings, and without TLS a target name; this client sends neither"
	hintBinding        = "a TLS proxy sits between: give iwa.FixedBinding the certificate that the client sees, or switch channel binding off"
	hintBindingPlain   = "TLS ends in front of this server: give iwa.FixedBinding the certificate that the client sees, or switch channel binding off"
	hintBindingUnknown = "the server does not know the channel binding of its TLS connections: listen with iwa.NewTLSListener, or set iwa.Authenticator.Binding"
	hintNoBinding      = "the client sends no channel binding, as curl never does for NTLM: use another client, on Windows see SuppressExtendedProtection, or set the policy to \"supported\""
)

func refuse(r authn.Reason, user, hint string, err error) *authn.RefusedError {
	return &authn.RefusedError{Mechanism: mechName, Reason: r, User: user, Hint: hint, Err: err}
}

// claimed is the user in a message as a refusal shows it.
func claimed(m *Authenticate) string { return joinName(m.Domain, m.User) }

func joinName(domain, user string) string {
	if domain == "" {
		return user
	}
	return domain + `\` + user
}

// verifierError completes a verifier's refusal with what only the acceptor
// knows, and keeps the other kinds of error apart from refusals.
func verifierError(err error, user string) error {
	var re *authn.RefusedError
	if !errors.As(err, &re) {
		return fmt.Errorf("ntlm: verify: %w", err)
	}
	c := *re // the verifier may hold on to its own
	c.Mechanism = mechName
	if c.User == "" {
		c.User = user
	}
	return &c
}
