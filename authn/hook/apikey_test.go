package hook_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
)

func TestAttackAPIKeys(t *testing.T) {
	t.Parallel()
	key, hash := hook.NewAPIKey()
	old, oldHash := hook.NewAPIKey()
	if key.Reveal() == old.Reveal() || len(key.Reveal()) < 40 {
		t.Fatal("keys are not random")
	}
	keys := func(query string) *hook.APIKeys {
		return &hook.APIKeys{
			Keys: []hook.APIKey{
				{Name: "reports", SHA256: hash},
				{Name: "nightly", SHA256: oldHash, Identity: &authn.Identity{Account: "job", Domain: "APP"}, Expires: now},
			},
			AllowQuery: query, Now: func() time.Time { return now },
		}
	}
	k := key.Reveal()
	tests := []struct {
		name, query, url string
		header           []string
		want             string // the identity, or the reason
	}{
		{"right", "", "https://x/", []string{"X-Api-Key", k}, "reports"},
		{"none", "", "https://x/", nil, "no credentials"},
		{"wrong", "", "https://x/", []string{"X-API-Key", k + "x"}, "unknown-user"},
		{"other case", "", "https://x/", []string{"X-API-Key", strings.ToUpper(k)}, "unknown-user"},
		{"the hash", "", "https://x/", []string{"X-API-Key", fmt.Sprintf("%x", hash)}, "unknown-user"},
		{"the bytes of the hash", "", "https://x/", []string{"X-API-Key", string(hash[:])}, "unknown-user"},
		{"empty", "", "https://x/", []string{"X-API-Key", ""}, "malformed-token"},
		{"long", "", "https://x/", []string{"X-API-Key", strings.Repeat("x", 1<<20)}, "malformed-token"},
		{"twice", "", "https://x/", []string{"X-API-Key", k, "X-API-Key", k}, "malformed-token"},
		{"expired", "", "https://x/", []string{"X-API-Key", old.Reveal()}, "expired"},
		{"plain HTTP", "", "http://x/", []string{"X-API-Key", k}, "policy"},
		{"in the address", "", "https://x/?key=" + k, nil, "no credentials"},
		{"in the address, allowed", "key", "https://x/?key=" + k, nil, "reports"},
		{"in both", "key", "https://x/?key=" + k, []string{"X-API-Key", k}, "malformed-token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", tt.url, nil)
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Add(tt.header[i], tt.header[i+1])
			}
			res, err := keys(tt.query).Authenticate(r)
			var re *authn.RefusedError
			switch {
			case err == nil:
				if res.Identity.String() != tt.want || res.Identity.Mechanism != "API key" {
					t.Errorf("%+v, want %s", res.Identity, tt.want)
				}
			case errors.As(err, &re):
				if string(re.Reason) != tt.want || strings.Contains(fmt.Sprintf("%v %+v", err, re.LogValue()), k) {
					t.Errorf("%v, want %s", err, tt.want)
				}
			case !errors.Is(err, authn.ErrNoCredentials) || tt.want != "no credentials":
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%v %+v %#v %s", key, key, key, key)
	if strings.Contains(text.String(), k) {
		t.Error("a new key prints")
	}
	res, _, _ := serve(keys(""), secure())
	if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || got != `ApiKey header="X-API-Key"` {
		t.Errorf("%d, %q", res.StatusCode, got)
	}
}

func TestAPIKeysCheck(t *testing.T) {
	t.Parallel()
	_, hash := hook.NewAPIKey()
	for want, keys := range map[string][]hook.APIKey{
		"has no name": {{SHA256: hash}}, "hash of nothing": {{Name: "a"}}, "are the same": {{Name: "a", SHA256: hash}, {Name: "b", SHA256: hash}},
		"has no account": {{Name: "a", SHA256: hash, Identity: &authn.Identity{}}},
	} {
		if err := (&hook.APIKeys{Keys: keys}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := (&hook.APIKeys{Keys: []hook.APIKey{{Name: "a", SHA256: sha256.Sum256([]byte("x"))}}}).Check(); err != nil {
		t.Error(err)
	}
}
