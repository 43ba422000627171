package iwa

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// connState is what one TCP connection has proved so far. net/http serves the
// requests of an HTTP/1.1 connection one after the other; the mutex is for
// handshakes that end by themselves, and for servers that do not.
type connState struct {
	conn net.Conn   // nil only in tests
	tls  *boundConn // nil unless NewTLSListener made it
	ends *ends      // nil unless Server made the server

	mu       sync.Mutex
	exchange *exchange       // that waits for the client's answer; nil when there is none
	id       *authn.Identity // whom the connection is logged in as
	by       *Authenticator  // which took that login; others do not honour it
	last     string          // who completed the latest handshake here
}

// identity returns whom the connection is logged in as at a, unless that ended.
func (s *connState) identity(a *Authenticator) *authn.Identity {
	if s.by != a {
		return nil
	}
	if s.id != nil && !s.id.Expires.IsZero() && !a.now().Before(s.id.Expires) {
		s.id = nil
	}
	return s.id
}

// reset forgets what the connection proved and returns the exchange that was
// in progress.
func (s *connState) reset() *exchange {
	s.id, s.by = nil, nil
	return s.stopWaiting()
}

// stopWaiting ends the wait for the client's answer.
func (s *connState) stopWaiting() *exchange {
	x := s.exchange
	if x != nil {
		s.exchange = nil
		x.timer.Stop()
		x.by.waiting.remove(x)
		if s.ends != nil {
			s.ends.waiting.Delete(s.conn)
		}
	}
	return x
}

type connKey struct{}

// ConnContext gives each connection its own state. Assign it to
// http.Server.ConnContext, or call it from the function that is there.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	s := &connState{conn: c}
	if t, ok := c.(*tls.Conn); ok {
		if s.tls, ok = t.NetConn().(*boundConn); ok {
			s.tls.seen.Store(true)
		}
	}
	s.ends, _ = ctx.Value(endsKey{}).(*ends)
	return context.WithValue(ctx, connKey{}, s)
}

// stateOf returns the state of r's connection, or nil where the connection
// cannot carry one: HTTP/2 streams of several users share a connection.
func stateOf(r *http.Request) *connState {
	if r.ProtoMajor != 1 {
		return nil
	}
	s, _ := r.Context().Value(connKey{}).(*connState)
	return s
}

// ends has connections stop waiting when they end. Without it, which is where
// a program made its http.Server itself, they do when their time is over.
type ends struct {
	waiting sync.Map // net.Conn -> *connState; those between the legs of a handshake
}

type endsKey struct{}

// connState is a http.Server.ConnState.
func (e *ends) connState(c net.Conn, now http.ConnState) {
	if now != http.StateClosed && now != http.StateHijacked {
		return
	}
	if s, ok := e.waiting.Load(c); ok {
		s := s.(*connState)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stopWaiting()
	}
}

// Server returns an http.Server for h with what NTLM needs: per-connection
// state, HTTP/1.1 only, room for large Kerberos tickets in the header, and
// time limits on headers and idle connections. Callers set the rest; how long
// a body may take is for h to say. Whoever sets its BaseContext or ConnState
// calls the function that is there.
func Server(h http.Handler) *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	e := new(ends)
	return &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), endsKey{}, e) },
		ConnContext:       ConnContext,
		ConnState:         e.connState,
		Protocols:         &p,
		MaxHeaderBytes:    128 << 10, // a ticket with 1,015 groups and a forwarded TGT takes 25k
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       120 * time.Second,
	}
}
