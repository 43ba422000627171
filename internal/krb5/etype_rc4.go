package krb5

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"crypto/subtle"
	"encoding/binary"
)

const rc4Confounder = 8

// rc4Usage maps usage numbers to Microsoft's (RFC 4757 3).
func rc4Usage(u Usage) []byte {
	switch u {
	case UsageASRepPart, UsageTGSRepPartSub:
		u = UsageTGSRepPartKey
	case UsageAcceptorSign:
		u = UsagePrivPart
	}
	return binary.LittleEndian.AppendUint32(nil, uint32(u))
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	m := hmac.New(md5.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// encryptRC4 follows RFC 4757 5.
func (k *keyState) encryptRC4(u Usage, plain []byte) []byte {
	k1 := hmacMD5(k.raw, rc4Usage(u))
	b := make([]byte, md5.Size+rc4Confounder+len(plain))
	body := b[md5.Size:]
	_, _ = rand.Read(body[:rc4Confounder]) // never fails (crypto/rand)
	copy(body[rc4Confounder:], plain)
	copy(b, hmacMD5(k1, body))
	rc4XOR(hmacMD5(k1, b[:md5.Size]), body, body)
	return b
}

func (k *keyState) decryptRC4(u Usage, sealed []byte) ([]byte, error) {
	if len(sealed) < md5.Size+rc4Confounder {
		return nil, ErrIntegrity
	}
	k1 := hmacMD5(k.raw, rc4Usage(u))
	sum, body := sealed[:md5.Size], make([]byte, len(sealed)-md5.Size)
	rc4XOR(hmacMD5(k1, sum), body, sealed[md5.Size:])
	if subtle.ConstantTimeCompare(hmacMD5(k1, body), sum) != 1 {
		return nil, ErrIntegrity
	}
	return body[rc4Confounder:], nil
}

func rc4XOR(key, dst, src []byte) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic("krb5: RC4 key of impossible length: " + err.Error())
	}
	c.XORKeyStream(dst, src)
}

// hmacMD5Checksum is the checksum of RFC 4757 4.
func hmacMD5Checksum(key []byte, u Usage, data []byte) []byte {
	sign := hmacMD5(key, []byte("signaturekey\x00"))
	h := md5.New()
	h.Write(rc4Usage(u))
	h.Write(data)
	return hmacMD5(sign, h.Sum(nil))
}

// HMACMD5 returns the KERB_CHECKSUM_HMAC_MD5 of data, which PA-FOR-USER carries
// whatever the type of the key (MS-SFU 2.2.1). Everything else uses Checksum.
func (k Key) HMACMD5(u Usage, data []byte) ([]byte, error) {
	s := k.state()
	if s == nil {
		return nil, ErrNoKey
	}
	return hmacMD5Checksum(s.raw, u, data), nil
}

// VerifyHMACMD5 checks what HMACMD5 made.
func (k Key) VerifyHMACMD5(u Usage, data, sum []byte) error {
	s := k.state()
	if s == nil {
		return ErrNoKey
	}
	if subtle.ConstantTimeCompare(hmacMD5Checksum(s.raw, u, data), sum) != 1 {
		return ErrIntegrity
	}
	return nil
}
