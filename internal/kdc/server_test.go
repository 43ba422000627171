package kdc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// asRequest is a valid AS request of alice's.
func asRequest(t testing.TB, k *KDC) []byte {
	t.Helper()
	b, err := asCall(t, k, "alice", "pw", krb5.AES256SHA1, 0).req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dialTCP(t *testing.T, k *KDC) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", k.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func sendTCP(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if err := writeFramed(c, b); err != nil {
		t.Fatal(err)
	}
}

func readTCP(t *testing.T, c net.Conn) []byte {
	t.Helper()
	var h [4]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(h[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func wantType(t *testing.T, b []byte, want krb5.MsgType) {
	t.Helper()
	if got, _ := krb5.TypeOf(b); got != want {
		t.Errorf("got message type %d, want %d", got, want)
	}
}

func wantError(t *testing.T, b []byte, want krb5.ErrorCode) {
	t.Helper()
	m, err := krb5.ParseErrorMessage(b)
	if err != nil || m.Code != want {
		t.Errorf("got %+v, %v, want %v", m, err, want)
	}
}

func TestTCPKeepsConnection(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	c := dialTCP(t, k)
	for range 3 {
		sendTCP(t, c, asRequest(t, k))
		wantType(t, readTCP(t, c), krb5.MsgASRep)
	}
	sendTCP(t, c, []byte("nonsense"))
	wantError(t, readTCP(t, c), krb5.CodeMsgType)
	sendTCP(t, c, nil)
	wantError(t, readTCP(t, c), krb5.CodeMsgType)
	if s := k.Stats(); s.TCP != 5 || s.AS != 3 || s.Errors != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestAttackOversizedRequest(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	for _, n := range []uint32{maxRequest + 1, 1 << 31, 1<<32 - 1} {
		c := dialTCP(t, k)
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
			t.Fatal(err)
		}
		wantError(t, readTCP(t, c), krb5.CodeFieldTooLong)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("length %#x: connection stays open: %v", n, err)
		}
	}
}

func TestAttackManyConnections(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	conns := make([]net.Conn, maxConns)
	for i := range conns {
		conns[i] = dialTCP(t, k)
		sendTCP(t, conns[i], asRequest(t, k)) // so that it is counted in for sure
		wantType(t, readTCP(t, conns[i]), krb5.MsgASRep)
	}
	more := dialTCP(t, k)
	if _, err := more.Read(make([]byte, 1)); err == nil {
		t.Error("one connection too many is served")
	}
	sendTCP(t, conns[0], asRequest(t, k))
	wantType(t, readTCP(t, conns[0]), krb5.MsgASRep)
}

// A connection on which nothing comes is closed after idleTimeout.
func TestAttackSlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKDC(t, Config{})
		ours, theirs := net.Pipe()
		start := time.Now()
		go func() { _, _ = theirs.Write([]byte{0, 0}) }() // half a length
		k.serveConn(ours)
		if d := time.Since(start); d != idleTimeout {
			t.Errorf("served for %v, want %v", d, idleTimeout)
		}
		_ = ours.Close()
		_ = theirs.Close()
	})
}

// An answer that is delayed comes no sooner.
func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKDC(t, Config{})
		k.SetFault(Fault{Delay: 3 * time.Second})
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			k.serveConn(ours)
		}()
		start := time.Now()
		sendTCP(t, theirs, []byte("x"))
		wantError(t, readTCP(t, theirs), krb5.CodeMsgType)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("answered after %v", d)
		}
		_ = theirs.Close()
		<-served
	})
}

func TestUDP(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	mustAdd(t, k, Account{Name: "small", Password: "pw", NoPAC: true})
	big := Account{Name: "big", Password: "pw"}
	for i := range uint32(300) {
		big.Groups = append(big.Groups, 2000+i)
	}
	mustAdd(t, k, big)
	c, err := net.Dial("udp", k.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	exchange := func(b []byte) []byte {
		t.Helper()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return buf[:n]
	}
	for user, want := range map[string]krb5.MsgType{"small": krb5.MsgASRep, "big": krb5.MsgError} {
		b, err := asCall(t, k, user, "pw", krb5.AES256SHA1, 0).req.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		rep := exchange(b)
		wantType(t, rep, want)
		if want == krb5.MsgError {
			wantError(t, rep, krb5.CodeResponseTooBig)
		}
	}
	wantError(t, exchange([]byte("x")), krb5.CodeMsgType)
	k.SetFault(Fault{SmallUDP: true})
	wantError(t, exchange(asRequest(t, k)), krb5.CodeResponseTooBig)
	if got := k.Stats().UDP; got != 4 {
		t.Errorf("counted %d datagrams", got)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	k := newKDC(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:88", "[::]:0", ":0", "localhost:88"} {
		if err := k.Start(addr); err == nil {
			t.Errorf("listens on %s", addr)
		}
	}
	if k.Addr() != "" {
		t.Error("has an address before Start")
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := k.Start("127.0.0.1:0"); err == nil {
		t.Error("started twice")
	}
	if !strings.Contains(log.String(), "for demonstration and tests") {
		t.Errorf("log does not say what this is: %s", &log)
	}
	c := dialTCP(t, k)
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("connection outlives Close")
	}
	if err := k.Start("127.0.0.1:0"); err == nil {
		t.Error("started after Close")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tgt := login(t, k, "alice", "pw")
	as := func() *call { return asCall(t, k, "alice", "pw", krb5.AES256SHA1, 0) }
	tgs := func() *call { return tgsCall(k, tgt, "HTTP/front.corp.test", 0).seal(t) }

	k.SetFault(Fault{Silent: true})
	if b := k.Handle(asRequest(t, k)); b != nil {
		t.Errorf("Silent: got %d bytes", len(b))
	}
	k.SetFault(Fault{Silent: true, Only: krb5.MsgTGSReq})
	as().must(t, k)
	k.SetFault(Fault{Error: krb5.CodeServiceUnavailable, Only: krb5.MsgTGSReq})
	as().must(t, k)
	tgs().wantCode(t, k, krb5.CodeServiceUnavailable)
	k.SetFault(Fault{Skew: 6 * time.Minute})
	as().wantCode(t, k, krb5.CodeSkew)
	tgs().wantCode(t, k, krb5.CodeSkew)
	k.SetFault(Fault{WrongNonce: true})
	if r := tgs().must(t, k); r.enc.Nonce == 54321 {
		t.Error("WrongNonce: nonce is right")
	}
	k.SetFault(Fault{WrongServer: true})
	if r := tgs().must(t, k); r.enc.SName.String() == "HTTP/front.corp.test" {
		t.Error("WrongServer: service is right")
	}
	k.SetFault(Fault{IgnoreS4UUser: true})
	if r := s4uSelf(t, k, login(t, k, "front", "f"), "front", "alice").must(t, k); r.rep.CName.String() != "front" {
		t.Errorf("IgnoreS4UUser: ticket for %s", r.rep.CName)
	}
	k.SetFault(Fault{Corrupt: true})
	b, err := tgs().req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	rep, err := krb5.ParseKDCRep(k.Handle(b))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rep.EncPart.Open(tgt.key, krb5.UsageTGSRepPartKey); err == nil {
		t.Error("Corrupt: reply is intact")
	}
	k.SetFault(Fault{})
	tgs().must(t, k)
}

func TestWrittenFiles(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	for range 2 { // the second one replaces the first
		if err := k.WriteKeytab(path, "front"); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", fi, err)
		}
	}
	if err := k.WriteKeytab(path, "nobody"); err == nil {
		t.Error("keytab of nobody")
	}
	if err := k.WriteKrb5Conf(filepath.Join(dir, "no", "such")); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if l, err := os.ReadDir(dir); err != nil || len(l) != 1 {
		t.Errorf("left over: %v, %v", l, err)
	}
}

func TestPasswordsDoNotPrint(t *testing.T) {
	t.Parallel()
	a := Account{Name: "alice", Password: "s3cret"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "account", a, "pointer", &a)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", a, a, a, a), fmt.Sprintf("%v %+v %#v", &a, &a, &a), log.String()} {
		if strings.Contains(s, "s3cret") {
			t.Errorf("prints the password: %s", s)
		}
	}
	if b, err := json.Marshal(a); err != nil || strings.Contains(string(b), "s3cret") {
		t.Errorf("%s, %v", b, err)
	}
}

func FuzzHandle(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := newKDC(f, Config{Now: func() time.Time { return now }})
	addPeople(f, k)
	f.Add(asRequest(f, k))
	front := login(f, k, "front", "f")
	for _, c := range []*call{
		tgsCall(k, front, "HTTP/back.corp.test", 0).seal(f),
		s4uSelf(f, k, front, "front", "alice"),
		s4uProxy(f, k, front, "HTTP/back.corp.test", s4uSelf(f, k, front, "front", "alice").must(f, k).ticket),
	} {
		b, err := c.req.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rep := k.Handle(b)
		typ, ok := krb5.TypeOf(rep)
		if !ok {
			t.Fatalf("no reply to %x", b)
		}
		if typ == krb5.MsgError {
			if _, err := krb5.ParseErrorMessage(rep); err != nil {
				t.Fatalf("malformed error: %v", err)
			}
		} else if _, err := krb5.ParseKDCRep(rep); err != nil {
			t.Fatalf("malformed reply: %v", err)
		}
	})
}
