package authn_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAttackSecretPrints looks for the secret in every form a careless line of
// code may print it in.
func TestAttackSecretPrints(t *testing.T) {
	t.Parallel()
	const marked = "hunter2-marked"
	s := authn.NewSecret(marked)
	type inside struct {
		Exported authn.Secret
		hidden   authn.Secret
		p        *authn.Secret
	}
	values := []any{s, &s, inside{s, s, &s}, []authn.Secret{s}, map[string]authn.Secret{"k": s}}
	var out bytes.Buffer
	for _, v := range values {
		for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, f+"\n", v)
		}
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	if err := xml.NewEncoder(&out).Encode(s); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, leak := range []string{marked, fmt.Sprintf("%x", marked), fmt.Sprint([]byte(marked))} {
		if strings.Contains(text, leak) {
			t.Errorf("output contains %q:\n%s", leak, text)
		}
	}
	if s.Reveal() != marked {
		t.Errorf("Reveal() = %q, want the secret", s.Reveal())
	}
}

func TestSecretZero(t *testing.T) {
	t.Parallel()
	var s authn.Secret
	if !s.IsEmpty() || s.Reveal() != "" || !authn.NewSecret("").IsEmpty() || authn.NewSecret("x").IsEmpty() {
		t.Error("IsEmpty does not tell empty secrets from others")
	}
}
