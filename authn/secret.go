package authn

import "log/slog"

const redacted = "[redacted]"

// Secret is a password or key in text form that does not print: fmt, slog and
// encoding/json see "[redacted]". The zero value is an empty secret.
type Secret struct {
	// A pointer, because fmt prints an unexported field by its content without
	// asking for its String method.
	text *string
}

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == nil || *s.text == "" }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler, which encoding/json and
// encoding/xml use as well.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
