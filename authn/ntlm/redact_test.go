package ntlm

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// TestAttackSecretsDoNotPrint prints everything that holds a secret, in every
// way that programs print, and looks for the secrets in every form they take.
func TestAttackSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	m, _ := newMechanism(t, Mechanism{})
	a := m.NewAcceptor(authn.Exchange{}).(*acceptor)
	hash := HashPassword(testPassword)
	cred, err := NewCredential(`CORP\alice`, authn.NewSecret(testPassword))
	if err != nil {
		t.Fatal(err)
	}
	hashed, err := NewHashCredential(`CORP\alice`, hash)
	if err != nil {
		t.Fatal(err)
	}
	i := &Initiator{Credential: cred}
	if _, err := login(t, a, i); err != nil {
		t.Fatal(err)
	}
	var base SessionBaseKey
	copy(base[:], "base-key-of-16-b")
	attempt := &Attempt{User: "alice", Response: []byte("response to crack offline")}

	secrets := map[string][]byte{
		"password":     []byte(testPassword),
		"hash":         hash.Reveal(),
		"base key":     base[:],
		"exported key": a.signer.exported[:],
		"signing key":  a.signer.derive().out.signKey[:],
		"response":     attempt.Response,
	}
	values := []any{
		hash, &hash, struct{ H NTHash }{hash}, struct{ h NTHash }{hash}, []NTHash{hash}, map[string]NTHash{"a": hash},
		base, &base, struct{ K SessionBaseKey }{base}, []SessionBaseKey{base},
		cred, &cred, cred.Password, hashed, &hashed, &Initiator{Credential: hashed}, i, a, m, m.Verifier,
		Account{Name: "alice", Password: authn.NewSecret(testPassword), Hash: hash},
		attempt,
	}
	var out strings.Builder
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x", "%X", "%d", "%#v", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		if _, isMechanism := v.(*Mechanism); !isMechanism { // it has functions, which JSON cannot show
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
			if _, ok := v.(*Attempt); !ok {
				j, err := json.Marshal(v)
				if err != nil && !strings.Contains(err.Error(), "unsupported type") {
					t.Errorf("%T: %v", v, err)
				}
				log.Write(j)
			}
		}
		out.Write(log.Bytes())
	}
	printed := out.String()
	for name, s := range secrets {
		decimal := strings.Trim(fmt.Sprint(s), "[]")
		goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s), "[]byte{"), "}")
		for form, text := range map[string]string{
			"as it is": string(s), "hex": hex.EncodeToString(s), "HEX": strings.ToUpper(hex.EncodeToString(s)),
			"decimal": decimal, "decimal list": strings.ReplaceAll(decimal, " ", ","), "Go": goSyntax,
			"base64": base64.StdEncoding.EncodeToString(s),
		} {
			if i := strings.Index(printed, text); i >= 0 {
				begin := strings.LastIndexByte(printed[:i], '\n') + 1
				t.Errorf("%s printed (%s): %.200s", name, form, printed[begin:])
			}
		}
	}
}
