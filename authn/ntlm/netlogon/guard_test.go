package netlogon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
)

// pdu is one of a type, with a body, the auth length as told and a signature of
// that length.
func pdu(typ byte, body []byte, auth int) []byte {
	b := make([]byte, pduHeader, pduHeader+len(body)+auth+8)
	b[0], b[2], b[3], b[4] = 5, typ, 3, 0x10
	b = append(b, body...)
	if auth > 0 {
		b = append(b, make([]byte, 8+auth)...)
	}
	binary.LittleEndian.PutUint16(b[pduFragLength:], uint16(len(b)))
	binary.LittleEndian.PutUint16(b[pduAuthLength:], uint16(auth))
	return b
}

// newGuard receives b as an answer.
func newGuard(b []byte) *guardConn {
	g := &guardConn{Conn: readConn{Reader: bytes.NewReader(b)}}
	g.unread.Store(maxAnswer)
	return g
}

type readConn struct {
	net.Conn
	io.Reader
}

func (c readConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func TestGuard(t *testing.T) {
	t.Parallel()
	fault := func(status uint32) []byte { return binary.LittleEndian.AppendUint32(make([]byte, 8), status) }
	sizes := func(xmit, recv uint16) []byte {
		b := make([]byte, 40)
		binary.LittleEndian.PutUint16(b, xmit)
		binary.LittleEndian.PutUint16(b[2:], recv)
		return b
	}
	damage := func(b []byte, at int, v byte) []byte { b[at] = v; return b }
	for _, tt := range []struct {
		name   string
		pdu    []byte
		sealed bool
		ok     bool
	}{
		{"response", pdu(typeResponse, make([]byte, 40), 56), true, true},
		{"response before sealing", pdu(typeResponse, make([]byte, 40), 0), false, true},
		{"bind ack before sealing", pdu(12, sizes(4096, 1432), 12), false, true},
		{"fault", pdu(typeFault, fault(5), 0), true, true},
		{"shutdown", pdu(typeShutdown, nil, 0), true, true},

		{"response without a signature", pdu(typeResponse, make([]byte, 40), 0), true, false},
		{"response with a short signature", pdu(typeResponse, make([]byte, 40), 16), true, false},
		{"fault without an error", pdu(typeFault, fault(0), 0), true, false},
		{"fault cut off", pdu(typeFault, fault(5)[:10], 0), true, false},
		{"bind ack", pdu(12, sizes(4096, 4096), 56), true, false},
		{"request", pdu(0, make([]byte, 40), 56), true, false},

		{"signature longer than the PDU", damage(pdu(typeResponse, make([]byte, 8), 56), pduAuthLength, 200), false, false},
		{"signature over the header", damage(pdu(typeResponse, make([]byte, 8), 56), pduAuthLength, 57), false, false},
		{"shorter than its header", damage(pdu(typeResponse, nil, 0), pduFragLength, 15), false, false},
		{"bind ack with fragments too small to send", pdu(12, sizes(1431, 4096), 0), false, false},
		{"bind ack with fragments too small to receive", pdu(12, sizes(4096, 1431), 0), false, false},
		{"bind ack without sizes", pdu(12, make([]byte, 3), 0), false, false},
		{"alter context response with small fragments", pdu(15, sizes(0, 0), 0), false, false},
		{"another version", damage(pdu(typeResponse, nil, 0), 0, 4), false, false},
		{"big-endian", damage(pdu(typeResponse, nil, 0), 4, 0), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(tt.pdu)
			g.sealed.Store(tt.sealed)
			got, err := io.ReadAll(g)
			if (err == nil) != tt.ok {
				t.Fatalf("err %v, want none %v", err, tt.ok)
			}
			if tt.ok && !bytes.Equal(got, tt.pdu) {
				t.Errorf("got %x\nwant %x", got, tt.pdu)
			}
			if tt.sealed && !tt.ok && !errors.Is(err, errUnsealed) {
				t.Errorf("err %v, want errUnsealed", err)
			}
		})
	}
}

func TestGuardTruncated(t *testing.T) {
	t.Parallel()
	whole := pdu(typeResponse, make([]byte, 40), 56)
	for n := 1; n < len(whole); n++ {
		g := newGuard(whole[:n])
		if got, err := io.ReadAll(g); err == nil || len(got) > 0 {
			t.Fatalf("%d of %d bytes: %x, %v", n, len(whole), got, err)
		}
	}
}

// FuzzGuard: what passes a sealed connection is a signed response, an error or
// the end.
func FuzzGuard(f *testing.F) {
	f.Add(pdu(typeResponse, make([]byte, 40), 56))
	f.Add(append(pdu(typeFault, make([]byte, 12), 0), pdu(typeResponse, make([]byte, 40), 56)...))
	f.Add(pdu(12, make([]byte, 40), 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newGuard(b)
		g.sealed.Store(true)
		got, _ := io.ReadAll(g)
		if !bytes.HasPrefix(b, got) {
			t.Fatalf("%x came out of %x", got, b)
		}
		for len(got) > 0 {
			n := int(binary.LittleEndian.Uint16(got[pduFragLength:]))
			p := got[:n]
			got = got[n:]
			signed := p[pduType] == typeResponse && binary.LittleEndian.Uint16(p[pduAuthLength:]) >= signatureMin
			if !signed && p[pduType] != typeFault && p[pduType] != typeShutdown {
				t.Fatalf("%x passed", p)
			}
		}
	})
}
