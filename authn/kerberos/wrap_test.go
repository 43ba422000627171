package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/soapward/soapward/internal/krb5"
)

// wrapPair is both ends of a context.
func wrapPair(t *testing.T, e krb5.EType, subkey bool) (client, server *signer) {
	t.Helper()
	key, err := krb5.RandomKey(e)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key: key, acceptorSubkey: subkey, seq: 7, next: 1000},
		&signer{key: key, acceptorSubkey: subkey, seq: 1000, next: 7, acceptor: true}
}

func TestWrapTokens(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES128SHA2, krb5.AES256SHA2} {
		for _, subkey := range []bool{false, true} {
			client, server := wrapPair(t, e, subkey)
			for n, msg := range [][]byte{nil, []byte("m"), bytes.Repeat([]byte("m"), 1<<16)} {
				for _, seal := range []bool{true, false} {
					token, err := client.wrap(msg, seal)
					if err != nil {
						t.Fatal(err)
					}
					if len(token) > len(msg)+WrapOverhead || seal && len(msg) > 9 && bytes.Contains(token, msg[:9]) {
						t.Errorf("%v: token of %d bytes for %d", e, len(token), len(msg))
					}
					// Windows rotates what it sends (RFC 4121 4.2.5).
					turned := bytes.Clone(token)
					binary.BigEndian.PutUint16(turned[6:], uint16(28+n))
					body := turned[wrapHeader:]
					k := (28 + n) % len(body)
					copy(body, append(bytes.Clone(body[len(body)-k:]), body[:len(body)-k]...))
					got, sealed, err := server.unwrap(turned)
					if err != nil || !bytes.Equal(got, msg) || sealed != seal {
						t.Errorf("%v, %d bytes: %.20q, sealed %v, %v", e, len(msg), got, sealed, err)
					}
				}
			}

			// gokrb5 knows those that are signed only.
			token, err := server.wrap([]byte("message"), false)
			if err != nil {
				t.Fatal(err)
			}
			var wt gssapi.WrapToken
			if err := wt.Unmarshal(token, true); err != nil {
				t.Fatal(err)
			}
			if ok, err := wt.Verify(types.EncryptionKey{KeyType: int32(e), KeyValue: client.key.Bytes()}, uint32(krb5.UsageAcceptorSeal)); !ok || string(wt.Payload) != "message" {
				t.Errorf("%v: gokrb5 refuses our token: %v", e, err)
			}
		}
	}
}

// What is between must not change, repeat, leave out, exchange, reflect or open
// messages.
func TestAttackWrapTokens(t *testing.T) {
	t.Parallel()
	for _, seal := range []bool{true, false} {
		client, server := wrapPair(t, krb5.AES256SHA1, true)
		first, err := client.wrap([]byte("first message"), seal)
		if err != nil {
			t.Fatal(err)
		}
		second, err := client.wrap([]byte("second message"), seal)
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(what string, by *signer, token []byte) {
			t.Helper()
			before := by.next
			if msg, _, err := by.unwrap(token); err == nil {
				t.Errorf("%s: taken as %q", what, msg)
			}
			if by.next != before {
				t.Errorf("%s: it was counted", what)
			}
		}
		refuse("one was left out", server, second)
		refuse("reflected", client, first)
		other := *server
		other.acceptorSubkey = false
		refuse("another key's", &other, first)
		for i := range first {
			b := bytes.Clone(first)
			b[i] ^= 1
			// Rotation by one is undone by no other one, and is signed by nothing.
			refuse("a bit was changed", server, b)
			refuse("cut", server, first[:i])
		}
		refuse("longer", server, append(bytes.Clone(first), 0))
		if msg, sealed, err := server.unwrap(first); err != nil || string(msg) != "first message" || sealed != seal {
			t.Errorf("control: %q, %v, %v", msg, sealed, err)
		}
		refuse("repeated", server, first)
	}
	rc4, _ := wrapPair(t, krb5.RC4HMAC, false)
	if _, err := rc4.wrap(nil, true); !errors.Is(err, errNoWrap) {
		t.Errorf("RC4: %v", err)
	}
	if _, _, err := rc4.unwrap(make([]byte, 64)); !errors.Is(err, errNoWrap) {
		t.Errorf("RC4: %v", err)
	}
	if _, err := new(Initiator).Wrap(nil, true); err == nil {
		t.Error("wrapped without a context")
	}
	notMutual := &Initiator{cfg: InitiatorConfig{InsecureNoMutual: true}, mic: rc4}
	if _, _, err := notMutual.Unwrap(nil); !errors.Is(err, errNoContext) {
		t.Errorf("not mutual: %v", err)
	}
}
