package kerberos

import (
	"bytes"
	"errors"
	"testing"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/soapward/soapward/internal/krb5"
)

func TestGSSChecksum(t *testing.T) {
	t.Parallel()
	for _, c := range []gssChecksum{
		{flags: ContextMutual | ContextIntegrity},
		{flags: ContextMutual, binding: [16]byte{1, 2, 3}},
		{flags: ContextDelegate | ContextMutual, delegated: []byte("KRB-CRED")},
	} {
		b, err := c.marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseGSSChecksum(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.flags != c.flags || got.binding != c.binding || !bytes.Equal(got.delegated, c.delegated) {
			t.Errorf("got %+v, want %+v", got, c)
		}
		if got.hasBinding() != (c.binding[0] != 0) {
			t.Errorf("hasBinding %v of %v", got.hasBinding(), c.binding)
		}
		for n := range b {
			if _, err := parseGSSChecksum(b[:n]); err == nil {
				t.Errorf("%d of %d bytes were taken", n, len(b))
			}
		}
	}
	long := gssChecksum{flags: ContextDelegate, delegated: make([]byte, 1<<16)}
	if _, err := long.marshal(); err == nil {
		t.Error("a KRB-CRED of 64 KiB does not fit")
	}
}

func TestMICTokens(t *testing.T) {
	t.Parallel()
	msg := []byte("mechanism list")
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES128SHA2, krb5.AES256SHA2} {
		for _, subkey := range []bool{false, true} {
			key, err := krb5.RandomKey(e)
			if err != nil {
				t.Fatal(err)
			}
			client := &signer{key: key, acceptorSubkey: subkey, seq: 7}
			server := &signer{key: key, acceptorSubkey: subkey, seq: 1000, acceptor: true}

			first, err := client.GetMIC(msg)
			if err != nil {
				t.Fatal(err)
			}
			second, err := client.GetMIC(msg)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(first, second) {
				t.Error("the sequence number does not advance")
			}
			if err := server.VerifyMIC(msg, first); err != nil {
				t.Errorf("%v: %v", e, err)
			}
			if err := client.VerifyMIC(msg, first); err == nil {
				t.Error("own token reflected and accepted")
			}
			if err := server.VerifyMIC([]byte("Mechanism list"), first); !errors.Is(err, krb5.ErrIntegrity) {
				t.Errorf("another message: %v", err)
			}
			for i := range first {
				b := bytes.Clone(first)
				b[i] ^= 1
				if err := server.VerifyMIC(msg, b); err == nil {
					t.Errorf("byte %d flipped and accepted", i)
				}
				if err := server.VerifyMIC(msg, first[:i]); err == nil {
					t.Errorf("cut to %d bytes and accepted", i)
				}
			}
			wrong := &signer{key: key, acceptorSubkey: !subkey, acceptor: true}
			if err := wrong.VerifyMIC(msg, first); err == nil {
				t.Error("subkey flag does not count")
			}

			// gokrb5 reads ours and makes the same.
			peer := types.EncryptionKey{KeyType: int32(e), KeyValue: key.Bytes()}
			mic, err := server.GetMIC(msg)
			if err != nil {
				t.Fatal(err)
			}
			var mt gssapi.MICToken
			if err := mt.Unmarshal(mic, true); err != nil {
				t.Fatal(err)
			}
			mt.Payload = msg
			if ok, err := mt.Verify(peer, uint32(krb5.UsageAcceptorSign)); !ok {
				t.Errorf("%v: gokrb5 refuses our MIC: %v", e, err)
			}
			if mt.SndSeqNum != 1000 {
				t.Errorf("sequence number %d, want 1000", mt.SndSeqNum)
			}
		}
	}
}

func TestNoMICWithRC4(t *testing.T) {
	t.Parallel()
	key, err := krb5.RandomKey(krb5.RC4HMAC)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{key: key}
	if _, err := s.GetMIC(nil); !errors.Is(err, errNoMIC) {
		t.Errorf("GetMIC: %v", err)
	}
	if err := s.VerifyMIC(nil, make([]byte, 32)); !errors.Is(err, errNoMIC) {
		t.Errorf("VerifyMIC: %v", err)
	}
}
