package backend

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Hop: 1\r\n"

const askWebSocket = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// tunnelled is a server that talks in lines after the change.
func tunnelled(tb testing.TB, first string) (b *fake, ended chan error) {
	ended = make(chan error, 1)
	b = fakeServer(tb, func(_ int, c net.Conn, next func() *http.Request) {
		next()
		_, _ = io.WriteString(c, switching+"\r\n"+first)
		br := bufio.NewReader(c)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				_, _ = io.WriteString(c, "bye\n")
				ended <- err
				return
			}
			if _, err := io.WriteString(c, "echo "+line); err != nil {
				ended <- err
				return
			}
		}
	})
	return b, ended
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	b, ended := tunnelled(t, "hello\n")
	f := serve(t, b.url, as(alice), with(func(c *config.Backend) {
		c.Identity = &config.Identity{Header: "X-Remote-User"}
		c.Timeout = config.Duration(time.Second)
	}))
	c := raw(t, f.addr(), askWebSocket+"early\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if h := resp.Header; resp.StatusCode != 101 || h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" || h.Get("Sec-Websocket-Accept") == "" {
		t.Fatalf("%d %v", resp.StatusCode, h)
	}
	for _, want := range []string{"hello\n", "echo early\n"} {
		if line, err := br.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v, want %q", line, err, want)
		}
	}
	for range 100 {
		_, _ = io.WriteString(c, "a\n")
		if line, err := br.ReadString('\n'); err != nil || line != "echo a\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	for _, want := range []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-Websocket-Key: ", `X-Remote-User: CORP\alice`} {
		if !strings.Contains(b.head(), want) {
			t.Errorf("the server did not get %q:\n%s", want, b.head())
		}
	}
	// The end of one direction is not that of the other.
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("the server got %v", err)
	}
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "bye\n" {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if last := f.lastTrail(t, 1); last.Refusal != "" {
		t.Errorf("%+v", last)
	}
}

// What is silent for too long ends, and what is busy in one direction does not.
func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	b, ended := tunnelled(t, "")
	f := serve(t, b.url, with(func(c *config.Backend) { c.UpgradeIdleTimeout = config.Duration(time.Second) }))
	c := raw(t, f.addr(), askWebSocket)
	br := bufio.NewReader(c)
	if _, err := http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		time.Sleep(250 * time.Millisecond)
		_, _ = io.WriteString(c, "a\n")
		if _, err := br.ReadString('\n'); err != nil {
			t.Fatalf("ended while it was busy: %v", err)
		}
	}
	begin := time.Now()
	_, _ = br.ReadString('\n')
	<-ended
	if took := time.Since(begin); took > wait/2 {
		t.Errorf("took %v", took)
	}
	f.lastTrail(t, 1)
}

// A server that does not want to change answers as always.
func TestTunnelRefused(t *testing.T) {
	t.Parallel()
	b := answering(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
	f := serve(t, b.url)
	for range 2 {
		c := raw(t, f.addr(), askWebSocket)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 403 {
			t.Errorf("%+v, %v", resp, err)
		}
	}
	if b.count() != 1 {
		t.Errorf("%d connections", b.count())
	}
	other := answering(t, strings.Replace(switching, "websocket", "other", 1)+"\r\n")
	g := serve(t, other.url)
	c := raw(t, g.addr(), askWebSocket)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 502 {
		t.Errorf("another protocol: %+v, %v", resp, err)
	}
}
