package backend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel passes bytes both ways after the server agreed to another protocol
// (RFC 9110 7.8). It returns when both sides have ended.
func (x *exchange) tunnel(s *server, c *conn) *failure {
	h := &x.head
	if x.upgrade == "" || !strings.EqualFold(h.upgrade, x.upgrade) || !containsFold(h.options, "upgrade") {
		err := protocolError("it changes to a protocol that nobody asked for")
		return &failure{http.StatusBadGateway, ReasonProtocol, fmt.Errorf("backend %s: its answer is refused: %w", s.url, err)}
	}
	header := x.w.Header()
	x.copyFields(header)
	header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{h.upgrade}
	client, buffered, err := x.control().Hijack()
	if err != nil {
		clear(header)
		return &failure{http.StatusBadGateway, ReasonProtocol, fmt.Errorf("the client's connection cannot change its protocol: %w", err)}
	}
	defer func() { _ = client.Close() }()
	_ = client.SetDeadline(time.Time{})
	_ = c.SetDeadline(time.Time{})

	var head strings.Builder
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(&head)
	head.WriteString("\r\n")
	t := &tunnel{idle: x.p.tunnel, end: func() { _ = client.Close(); c.kill() }}
	t.last.Store(time.Now().UnixNano())
	_ = client.SetWriteDeadline(time.Now().Add(t.idle))
	if _, err := io.WriteString(client, head.String()); err != nil {
		return nil
	}
	early := c.in.buf[c.in.r:c.in.w]
	if len(early) > 0 {
		if _, err := client.Write(early); err != nil {
			return nil
		}
		c.in.r = c.in.w
	}
	var both sync.WaitGroup
	both.Go(func() {
		// What the client sent behind its request is in buffered.
		from := io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), client)
		t.pass(c.Conn, from, client)
	})
	t.pass(client, c.Conn, c.Conn)
	both.Wait()
	return nil
}

// A tunnel is two connections without a protocol that we know.
type tunnel struct {
	idle time.Duration
	last atomic.Int64 // when a byte passed, either way
	end  func()
}

// pass sends on what comes from one side. Its end is the end of that direction
// only.
func (t *tunnel) pass(to net.Conn, from io.Reader, source net.Conn) {
	space := large.Get().(*[largeSize]byte)
	defer large.Put(space)
	for {
		_ = source.SetReadDeadline(time.Now().Add(t.idle))
		n, err := from.Read(space[:])
		if n > 0 {
			t.last.Store(time.Now().UnixNano())
			_ = to.SetWriteDeadline(time.Now().Add(t.idle))
			if _, err := to.Write(space[:n]); err != nil {
				t.end()
				return
			}
		}
		switch {
		case err == nil:
		case timedOut(err) && time.Since(time.Unix(0, t.last.Load())) < t.idle:
			// The other direction is busy.
		case errors.Is(err, io.EOF):
			half, ok := to.(interface{ CloseWrite() error })
			if !ok || half.CloseWrite() != nil {
				t.end()
			}
			return
		default:
			t.end()
			return
		}
	}
}
