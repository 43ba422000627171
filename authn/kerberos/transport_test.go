package kerberos

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// scriptedKDC answers each request with what its function returns, over UDP
// and TCP on one port. A nil answer is silence; over TCP "raw:" stands for
// bytes sent without framing before the connection is closed.
type scriptedKDC struct {
	addr     string
	requests atomic.Int64
}

func startScriptedKDC(t *testing.T, answer func(network string, req []byte) []byte) *scriptedKDC {
	t.Helper()
	var tcp net.Listener
	var udp net.PacketConn
	for range 20 { // until a port is free for both
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			break
		}
		_ = tcp.Close()
	}
	if udp == nil {
		t.Fatal("no port free for UDP and TCP")
	}
	t.Cleanup(func() { _ = tcp.Close(); _ = udp.Close() })
	s := &scriptedKDC{addr: tcp.Addr().String()}
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			s.requests.Add(1)
			if out := answer("udp", append([]byte(nil), b[:n]...)); out != nil {
				_, _ = udp.WriteTo(out, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var head [4]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				req := make([]byte, binary.BigEndian.Uint32(head[:]))
				if _, err := io.ReadFull(c, req); err != nil {
					return
				}
				s.requests.Add(1)
				out := answer("tcp", req)
				if out == nil {
					_, _ = c.Read(head[:]) // until the client gives up
					return
				}
				if raw, ok := strings.CutPrefix(string(out), "raw:"); ok {
					_, _ = c.Write([]byte(raw))
					return
				}
				_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(out))), out...))
			}()
		}
	}()
	return s
}

func transportTo(addrs ...string) *transport {
	return newTransport(&Config{Realms: map[string]Realm{"R": {KDCs: addrs}}})
}

func krbError(t *testing.T, code krb5.ErrorCode) []byte {
	t.Helper()
	m := krb5.ErrorMessage{STime: time.Now(), Code: code, Realm: "R", SName: krb5.TGSName("R")}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An address on which nothing listens, and one on which nobody answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func silent(string, []byte) []byte { return nil }

func TestFailoverFromSilentKDC(t *testing.T) {
	t.Parallel()
	want := krbError(t, krb5.CodeGeneric)
	for name, limit := range map[string]int{"UDP": 0, "TCP": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dead := startScriptedKDC(t, silent)
			good := startScriptedKDC(t, func(string, []byte) []byte { return want })
			tr := transportTo(dead.addr, good.addr)
			tr.cfg.UDPLimit = limit
			begin := time.Now()
			if _, err := tr.exchange(t.Context(), "R", []byte("request")); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d > 2*time.Second {
				t.Errorf("took %v", d)
			}
			// The one that answered is asked first from now on.
			asked := dead.requests.Load()
			begin = time.Now()
			if _, err := tr.exchange(t.Context(), "R", []byte("request")); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d > hedge/2 || dead.requests.Load() != asked {
				t.Errorf("second exchange took %v, the silent one was asked %d times", d, dead.requests.Load()-asked)
			}
		})
	}
}

func TestFailoverIsImmediateWhereNothingListens(t *testing.T) {
	t.Parallel()
	good := startScriptedKDC(t, func(string, []byte) []byte { return krbError(t, krb5.CodeGeneric) })
	tr := transportTo(closedPort(t), closedPort(t), good.addr)
	tr.cfg.UDPLimit = -1
	begin := time.Now()
	if _, err := tr.exchange(t.Context(), "R", []byte("request")); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > hedge {
		t.Errorf("took %v", d)
	}
}

func TestFailoverFromBusyKDC(t *testing.T) {
	t.Parallel()
	busy := startScriptedKDC(t, func(string, []byte) []byte { return krbError(t, krb5.CodeServiceUnavailable) })
	good := startScriptedKDC(t, func(string, []byte) []byte { return krbError(t, krb5.CodeGeneric) })
	b, err := transportTo(busy.addr, good.addr).exchange(t.Context(), "R", []byte("request"))
	if err != nil || !isError(b, krb5.CodeGeneric) {
		t.Errorf("%x, %v", b, err)
	}
	_, err = transportTo(busy.addr).exchange(t.Context(), "R", []byte("request"))
	if !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("only a busy one: %v", err)
	}
}

func TestTransportSaysWhatItTried(t *testing.T) {
	t.Parallel()
	gone := closedPort(t)
	_, err := transportTo(gone).exchange(t.Context(), "R", []byte("request"))
	if !errors.Is(err, authn.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	for _, s := range []string{"no KDC of R answered", gone + " over udp", gone + " over tcp", "refused"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v: does not say %q", err, s)
		}
	}
}

func TestTransportUnknownRealm(t *testing.T) {
	t.Parallel()
	tr := transportTo()
	tr.cfg.Realms["P"] = Realm{KDCs: []string{"https://proxy.corp.test/KdcProxy"}}
	for realm, says := range map[string]string{"R": "has no KDCs configured", "S": "not configured", "P": "MS-KKDCP"} {
		if _, err := tr.exchange(t.Context(), realm, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", realm, err)
		}
	}
}

func TestTransportFindsKDCsByDNS(t *testing.T) {
	t.Parallel()
	good := startScriptedKDC(t, func(string, []byte) []byte { return krbError(t, krb5.CodeGeneric) })
	_, port, err := net.SplitHostPort(good.addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string][]*net.SRV{
		"R.TEST":    {{Target: "127.0.0.1.", Port: uint16(n)}},
		"NONE.TEST": {{Target: "."}},
	}
	tr := transportTo()
	tr.testOnlyLookupSRV = func(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
		if l := records[name]; service == "kerberos" && proto == "tcp" && l != nil {
			return "", l, nil
		}
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if _, err := tr.exchange(t.Context(), "R.TEST", nil); err == nil || errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("DNS was asked without being enabled: %v", err)
	}
	tr.cfg.LookupKDC = true
	if _, err := tr.exchange(t.Context(), "R.TEST", []byte("request")); err != nil {
		t.Error(err)
	}
	for _, realm := range []string{"NONE.TEST", "ABSENT.TEST"} {
		if _, err := tr.exchange(t.Context(), realm, nil); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %v", realm, err)
		}
	}
}

func TestTransportObeysContext(t *testing.T) {
	t.Parallel()
	tr := transportTo(startScriptedKDC(t, silent).addr)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := tr.exchange(ctx, "R", []byte("request"))
	if !errors.Is(err, authn.ErrUnavailable) || time.Since(begin) > time.Second {
		t.Errorf("deadline: %v after %v", err, time.Since(begin))
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = tr.exchange(ctx, "R", []byte("request"))
	if !errors.Is(err, context.Canceled) || errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

// docs/threat-model.md 20a: what a false KDC can send costs neither memory nor time.
func TestAttackKDCReplies(t *testing.T) {
	t.Parallel()
	good := krbError(t, krb5.CodeGeneric)
	for name, answer := range map[string]func(network string, req []byte) []byte{
		"length of 4 GiB": func(string, []byte) []byte { return []byte("raw:\xff\xff\xff\xff") },
		"length over the bound": func(string, []byte) []byte {
			return append([]byte("raw:\x00\x10\x00\x01"), append(good, make([]byte, maxReply+1-len(good))...)...)
		},
		"length without bytes": func(string, []byte) []byte { return []byte("raw:\x00\x0f\xff\xff") },
		"length cut short":     func(string, []byte) []byte { return []byte("raw:\x00\x00") },
		"nothing":              func(string, []byte) []byte { return []byte("raw:") },
		"empty":                func(string, []byte) []byte { return []byte{} },
		"not Kerberos":         func(string, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n") },
		"the request itself":   func(_ string, req []byte) []byte { return req },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := []byte{0x6a, 2, 0x30, 0}
			bad := startScriptedKDC(t, answer)
			tr := transportTo("tcp/" + bad.addr)
			begin := time.Now()
			_, err := tr.exchange(t.Context(), "R", req)
			if !errors.Is(err, authn.ErrUnavailable) || time.Since(begin) > attemptTimeout {
				t.Errorf("alone: %v after %v", err, time.Since(begin))
			}
			honest := startScriptedKDC(t, func(string, []byte) []byte { return good })
			if b, err := transportTo("tcp/"+bad.addr, "tcp/"+honest.addr).exchange(t.Context(), "R", req); err != nil || string(b) != string(good) {
				t.Errorf("before an honest one: %v", err)
			}
		})
	}
}
