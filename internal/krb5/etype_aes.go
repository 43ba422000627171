package krb5

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

const (
	blockSize = aes.BlockSize
	sha1MAC   = 12 // hmac-sha1-96 (RFC 3962 6)
)

var zeroIV [blockSize]byte

// mustAES returns AES for a key whose length NewKey or a derivation fixed.
func mustAES(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic("krb5: AES key of impossible length: " + err.Error())
	}
	return b
}

// dk is DK of the AES-SHA1 types (RFC 3961 5.1, RFC 3962 6): the folded
// constant encrypted again and again until there is enough of it. Random-to-key
// is the identity.
func (k *keyState) dk(folded []byte) []byte {
	out := make([]byte, len(k.raw))
	k.block.Encrypt(out[:blockSize], folded)
	for i := blockSize; i < len(out); i += blockSize {
		k.block.Encrypt(out[i:i+blockSize], out[i-blockSize:i])
	}
	return out
}

// usageConstant is the well-known constant of RFC 3961 5.3.
func usageConstant(u Usage, c byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 5), uint32(u)), c)
}

func (k *keyState) deriveSHA1(u Usage, p purpose) *derived {
	key := func(purpose byte) []byte {
		folded := foldUsage(u, purpose)
		return k.dk(folded[:])
	}
	d := &derived{}
	var mac []byte
	if p == forEncryption {
		d.block, mac = mustAES(key(0xAA)), key(0x55)
	} else {
		mac = key(byte(forChecksum))
	}
	d.newMAC = func() hash.Hash { return hmac.New(sha1.New, mac) }
	return d
}

// encryptSHA1 follows RFC 3961 5.3: the HMAC is over confounder and plain text.
func (k *keyState) encryptSHA1(u Usage, plain []byte) []byte {
	d := k.derive(u, forEncryption)
	n := blockSize + len(plain)
	b := make([]byte, n, n+blockSize+sha1.Size)
	_, _ = rand.Read(b[:blockSize]) // never fails (crypto/rand)
	copy(b[blockSize:], plain)

	m := d.takeMAC()
	defer d.giveMAC(m)
	m.Write(b)
	var mac [sha1.Size]byte
	m.Sum(mac[:0])
	return append(ctsEncrypt(d.block, b), mac[:sha1MAC]...)
}

func (k *keyState) decryptSHA1(u Usage, sealed []byte) ([]byte, error) {
	if len(sealed) < blockSize+sha1MAC {
		return nil, ErrIntegrity
	}
	n := len(sealed) - sha1MAC
	d := k.derive(u, forEncryption)
	b := ctsDecrypt(d.block, sealed[:n])

	m := d.takeMAC()
	defer d.giveMAC(m)
	m.Write(b)
	var mac [sha1.Size]byte
	if subtle.ConstantTimeCompare(m.Sum(mac[:0])[:sha1MAC], sealed[n:]) != 1 {
		return nil, ErrIntegrity
	}
	return b[blockSize:], nil
}

// hash2 returns the hash and the length of the truncated HMAC (RFC 8009 5).
func (e EType) hash2() (h func() hash.Hash, mac int) {
	if e == AES128SHA2 {
		return sha256.New, 16
	}
	return sha512.New384, 24
}

// kdf2 is KDF-HMAC-SHA2(key, label, k) for k up to the length of the hash, as
// all derivations but the pseudo-random function need (RFC 8009 3).
func kdf2(h func() hash.Hash, key, label []byte, n int) []byte {
	m := hmac.New(h, key)
	m.Write([]byte{0, 0, 0, 1})
	m.Write(label)
	m.Write([]byte{0})
	m.Write(binary.BigEndian.AppendUint32(nil, uint32(8*n)))
	return m.Sum(nil)[:n]
}

func (k *keyState) deriveSHA2(u Usage, p purpose) *derived {
	d := &derived{}
	h, n := k.etype.hash2()
	var mac []byte
	if p == forEncryption {
		d.block = mustAES(kdf2(h, k.raw, usageConstant(u, 0xAA), len(k.raw)))
		mac = kdf2(h, k.raw, usageConstant(u, 0x55), n)
	} else {
		mac = kdf2(h, k.raw, usageConstant(u, byte(forChecksum)), n)
	}
	d.newMAC = func() hash.Hash { return hmac.New(h, mac) }
	return d
}

// encryptSHA2 follows RFC 8009 5: the HMAC is over the cipher state, which is
// always zero here, and the cipher text.
func (k *keyState) encryptSHA2(u Usage, plain []byte) []byte {
	d := k.derive(u, forEncryption)
	n := blockSize + len(plain)
	b := make([]byte, n, n+blockSize+sha512.Size384)
	_, _ = rand.Read(b[:blockSize]) // never fails (crypto/rand)
	copy(b[blockSize:], plain)
	b = ctsEncrypt(d.block, b)

	_, size := k.etype.hash2()
	m := d.takeMAC()
	defer d.giveMAC(m)
	m.Write(zeroIV[:])
	m.Write(b)
	return m.Sum(b)[:n+size]
}

func (k *keyState) decryptSHA2(u Usage, sealed []byte) ([]byte, error) {
	_, size := k.etype.hash2()
	if len(sealed) < blockSize+size {
		return nil, ErrIntegrity
	}
	n := len(sealed) - size
	d := k.derive(u, forEncryption)

	m := d.takeMAC()
	defer d.giveMAC(m)
	m.Write(zeroIV[:])
	m.Write(sealed[:n])
	var mac [sha512.Size384]byte
	if subtle.ConstantTimeCompare(m.Sum(mac[:0])[:size], sealed[n:]) != 1 {
		return nil, ErrIntegrity
	}
	return ctsDecrypt(d.block, sealed[:n])[blockSize:], nil
}

// ctsEncrypt encrypts b, of at least one block, in CBC mode with cipher text
// stealing and a zero initial vector (RFC 3962 5): the last two blocks are
// always swapped and the final one is cut to the length of the input. It works
// in place and may use the capacity of b beyond its length.
func ctsEncrypt(c cipher.Block, b []byte) []byte {
	n := len(b)
	padded := (n + blockSize - 1) / blockSize * blockSize
	b = append(b, zeroIV[:padded-n]...)
	cbcEncrypt(c, b)
	if padded == blockSize {
		return b
	}
	last, prev := b[padded-blockSize:], b[padded-2*blockSize:padded-blockSize]
	var t [blockSize]byte
	copy(t[:], prev)
	copy(prev, last)
	copy(last, t[:])
	return b[:n]
}

// cbcEncrypt encrypts whole blocks in place with a zero initial vector. What
// crypto/cipher has for it copies the expanded key, 500 bytes for each message,
// and goes block by block too.
func cbcEncrypt(c cipher.Block, b []byte) {
	prev := zeroIV[:]
	for i := 0; i < len(b); i += blockSize {
		subtle.XORBytes(b[i:], b[i:i+blockSize], prev)
		c.Encrypt(b[i:], b[i:])
		prev = b[i : i+blockSize]
	}
}

// ctsDecrypt undoes ctsEncrypt into new memory.
func ctsDecrypt(c cipher.Block, in []byte) []byte {
	n := len(in)
	out := make([]byte, n)
	if n == blockSize {
		c.Decrypt(out, in)
		return out
	}
	tail := n % blockSize
	if tail == 0 {
		tail = blockSize
	}
	head := n - blockSize - tail // what plain CBC covers
	iv := zeroIV[:]
	for i := 0; i < head; i += blockSize {
		c.Decrypt(out[i:], in[i:])
		subtle.XORBytes(out[i:], out[i:i+blockSize], iv)
		iv = in[i : i+blockSize]
	}
	swapped, cut := in[head:head+blockSize], in[head+blockSize:]
	var d, last [blockSize]byte
	c.Decrypt(d[:], swapped)
	copy(last[:], cut)
	copy(last[tail:], d[tail:]) // the stolen end of the last but one block
	subtle.XORBytes(out[head+blockSize:], d[:tail], cut)
	c.Decrypt(d[:], last[:])
	subtle.XORBytes(out[head:], d[:], iv)
	return out
}
