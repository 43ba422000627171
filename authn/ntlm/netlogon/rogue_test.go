package netlogon_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
)

// rogue is somebody in a controller's place, as by DNS. It listens where all
// connections go, whatever their port.
type rogue struct {
	address string
	bind    func(ack []byte) []byte            // may change the answer to a bind
	answer  func(op int, call uint32) [][]byte // to a request; the connection is closed if nil
	pause   time.Duration                      // after each byte
}

func startRogue(t *testing.T, r rogue) *rogue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return &r
}

func (r *rogue) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, r.address)
}

func (r *rogue) serve(conn net.Conn) {
	defer conn.Close()
	for {
		pdu, err := readPDU(conn)
		if err != nil {
			return
		}
		call := binary.LittleEndian.Uint32(pdu[12:])
		var out [][]byte
		switch {
		case isType(pdu, 11):
			ack := bindAck(call)
			if r.bind != nil {
				ack = r.bind(ack)
			}
			out = [][]byte{ack}
		case isType(pdu, 0) && r.answer != nil:
			out = r.answer(opnum(pdu), call)
		}
		if out == nil {
			return
		}
		for _, b := range out {
			if r.pause > 0 {
				b = dribble(conn, b, r.pause)
			}
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	}
}

// dribble sends b byte by byte, and returns what could not be sent.
func dribble(conn net.Conn, b []byte, pause time.Duration) []byte {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for len(b) > 0 {
		<-tick.C
		if _, err := conn.Write(b[:1]); err != nil {
			break
		}
		b = b[1:]
	}
	return b
}

// rpcPDU is one that go-msrpc takes (C706 12.6.4).
func rpcPDU(typ, flags byte, call uint32, body []byte) []byte {
	b := append([]byte{5, 0, typ, flags, 0x10, 0, 0, 0}, make([]byte, 8)...)
	binary.LittleEndian.PutUint16(b[8:], uint16(16+len(body)))
	binary.LittleEndian.PutUint32(b[12:], call)
	return append(b, body...)
}

// bindAck accepts NDR, and fragments of 4,096 bytes.
func bindAck(call uint32) []byte {
	body := []byte{0, 16, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	body = append(body, 0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 2, 0, 0, 0)
	return rpcPDU(12, 3, call, body)
}

// response is a part of an answer: flags are 1 for the first and 2 for the last.
func response(flags byte, call, hint uint32, stub []byte) []byte {
	return rpcPDU(2, flags, call, append(binary.LittleEndian.AppendUint32(nil, hint), append(make([]byte, 4), stub...)...))
}

// uint32s are numbers in a row.
func uint32s(ns ...uint32) (b []byte) {
	for _, n := range ns {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// TestAttackRogueController: nobody has proven anything yet when the endpoint
// mapper and the first messages are read. Whatever is sent, the program goes on,
// with little memory, and in time. It is not parallel, so as to count its own
// memory and goroutines.
func TestAttackRogueController(t *testing.T) {
	sizes := func(xmit, recv uint16) func([]byte) []byte {
		return func(ack []byte) []byte {
			binary.LittleEndian.PutUint16(ack[16:], xmit)
			binary.LittleEndian.PutUint16(ack[18:], recv)
			return ack
		}
	}
	whole := func(hint uint32, stub []byte) func(int, uint32) [][]byte {
		return func(_ int, call uint32) [][]byte { return [][]byte{response(3, call, hint, stub)} }
	}
	handle := make([]byte, 20)
	// One entry, without a tower, whose annotation is long.
	entry := append(uint32s(1, 1, 0, 1), append(make([]byte, 16), uint32s(0, 0, math.MaxUint32)...)...)
	endless := func(call func(uint32) uint32, stub []byte) func(int, uint32) [][]byte {
		return func(_ int, id uint32) [][]byte {
			return slices.Repeat([][]byte{response(1, call(id), 0, stub)}, 1<<14)
		}
	}
	same, other := func(id uint32) uint32 { return id }, func(id uint32) uint32 { return id + 7 }
	for _, tt := range []struct {
		name string
		rogue
		want string // in the error
	}{
		{"no room to send in", rogue{bind: sizes(0, 0)}, "fragments of 0 bytes"},
		{"room for nothing but headers", rogue{bind: sizes(24, 4096)}, "fragments of 24 bytes"},
		{"no room to receive in", rogue{bind: sizes(4096, 15)}, "fragments of 15 bytes"},
		{"bind answer cut off", rogue{bind: func(ack []byte) []byte { return rpcPDU(12, 3, binary.LittleEndian.Uint32(ack[12:]), nil) }}, "bind"},
		{"no result", rogue{bind: func(ack []byte) []byte { ack[28] = 0; return ack }, answer: whole(0, nil)}, ""},
		{"four thousand million entries", rogue{answer: whole(0, append(handle, uint32s(0, math.MaxUint32, 0, math.MaxUint32)...))}, "more than 65536"},
		{"four thousand million entries, told before", rogue{answer: whole(math.MaxUint32, append(handle, uint32s(0, math.MaxUint32, 0, math.MaxUint32)...))}, "more than 65536"},
		{"an annotation of 4 GiB", rogue{answer: whole(0, append(handle, entry...))}, "more than 65536"},
		{"answer that ends too early", rogue{answer: whole(0, handle)}, "unexpected EOF"},
		{"empty answer", rogue{answer: whole(0, nil)}, "unexpected EOF"},
		{"a byte now and then", rogue{pause: 100 * time.Millisecond}, ""},
		{"parts without end", rogue{answer: endless(same, make([]byte, 4000))}, ""},
		{"empty parts without end", rogue{answer: endless(same, nil)}, ""},
		{"answers to other calls without end", rogue{answer: endless(other, make([]byte, 4000))}, "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := netlogon.Config{
				Account: "GW01", Secrets: netlogon.Password(authn.NewSecret("x")), Domain: "CORP",
				Controllers: []string{"dc1"}, Dialer: startRogue(t, tt.rogue), Timeout: 3 * time.Second,
				Logger: slog.New(slog.DiscardHandler),
			}
			check := nothingLeft(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := netlogon.Probe(t.Context(), c)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err %v, want %q in it", err, tt.want)
			}
			if took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 64 {
				t.Errorf("%d MiB were allocated", n)
			}
			check()
		})
	}
}
