package hook_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/testenv"
)

// Tokens and keys that PyJWT and OpenSSL made, in each algorithm.
func TestPeerPyJWT(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "jwt", "cryptography")
	algorithms := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	input, err := json.Marshal(map[string]any{"claims": claims(nil), "algorithms": algorithms})
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		JWKS   json.RawMessage
		Tokens map[string]string
	}
	if err := json.Unmarshal([]byte(testenv.Run(t, nil, string(input), python, "testdata/pyjwt.py")), &made); err != nil {
		t.Fatal(err)
	}
	s := newIssuer(t)
	s.raw = string(made.JWKS)
	for _, alg := range algorithms {
		j := s.jwt()
		j.Algorithms = []string{alg}
		res, err := j.Authenticate(secure("Authorization", "Bearer "+made.Tokens[alg]))
		if err != nil || res.Identity.String() != "u-1" || res.Identity.DisplayName != "Alice" {
			t.Errorf("%s: %+v, %v", alg, res, err)
		}
		for _, other := range algorithms {
			if other == alg {
				continue
			}
			if res, err := j.Authenticate(secure("Authorization", "Bearer "+made.Tokens[other])); !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%s where %s is listed: %+v, %v", other, alg, res, err)
			}
		}
	}
}
