package krb5

import (
	"encoding/binary"
	"math/bits"
)

// foldUsage is nFold of a usage constant (RFC 3961 5.3), which every use of a
// session key needs several of: 16 copies of 40 bits make five pieces of 128.
func foldUsage(u Usage, purpose byte) (out [16]byte) {
	v := uint64(u)<<8 | uint64(purpose)
	var copies [16*5 + 3]byte // the last copy is written with 3 bytes to spare
	for i := range 16 {
		binary.BigEndian.PutUint64(copies[5*i:], v<<24)
		v = (v>>13 | v<<27) & (1<<40 - 1)
	}
	var hi, lo, carry uint64
	for i := 0; i < 80; i += 16 {
		lo, carry = bits.Add64(lo, binary.BigEndian.Uint64(copies[i+8:]), carry)
		hi, carry = bits.Add64(hi, binary.BigEndian.Uint64(copies[i:]), carry)
	}
	for carry != 0 {
		lo, carry = bits.Add64(lo, 0, carry)
		hi, carry = bits.Add64(hi, 0, carry)
	}
	binary.BigEndian.PutUint64(out[:], hi)
	binary.BigEndian.PutUint64(out[8:], lo)
	return out
}

// nFold stretches or shrinks in to n bytes (RFC 3961 5.1): copies of in, each
// turned 13 bits further right, are laid end to end, cut into pieces of n
// bytes, and the pieces are added in ones' complement.
func nFold(in []byte, n int) []byte {
	sum := make([]int, n)
	total := lcm(len(in), n)
	bits := 8 * len(in)
	for c := range total / len(in) {
		turn := 13 * c % bits
		q, r := turn/8, uint(turn%8)
		for i := range in {
			hi := in[(i-q-1+2*len(in))%len(in)] // its low r bits come first
			lo := in[(i-q+len(in))%len(in)]
			sum[(c*len(in)+i)%n] += int(byte(uint(hi)<<(8-r) | uint(lo)>>r))
		}
	}
	carry := 0
	for range 2 { // the carry out of the first byte comes in at the last
		for i := n - 1; i >= 0; i-- {
			sum[i] += carry
			carry = sum[i] >> 8
			sum[i] &= 0xff
		}
	}
	out := make([]byte, n)
	for i, v := range sum {
		out[i] = byte(v)
	}
	return out
}

func lcm(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}
