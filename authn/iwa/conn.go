package iwa

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// connState is what one TCP connection has proved so far. net/http serves the
// requests of an HTTP/1.1 connection one after the other; the mutex is for
// servers that do not.
type connState struct {
	mu       sync.Mutex
	exchange *exchange       // in progress; nil when there is none
	id       *authn.Identity // whom the connection is logged in as
	last     string          // who completed the latest handshake here
}

// exchange is a handshake between its legs.
type exchange struct {
	acceptor authn.Acceptor
	scheme   string // canonical
}

// identity returns whom the connection is logged in as, unless that ended.
func (s *connState) identity(now time.Time) *authn.Identity {
	if s.id != nil && !s.id.Expires.IsZero() && !now.Before(s.id.Expires) {
		s.id = nil
	}
	return s.id
}

// reset forgets what the connection proved.
func (s *connState) reset() { s.exchange, s.id = nil, nil }

type connKey struct{}

// ConnContext gives each connection its own state. Assign it to
// http.Server.ConnContext, or call it from the function that is there.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, new(connState))
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

// Server returns an http.Server for h with what NTLM needs: per-connection
// state, HTTP/1.1 only, room for large Kerberos tickets in the header, and
// time limits on headers and idle connections. Callers set the rest; how long
// a body may take is for h to say.
func Server(h http.Handler) *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		ConnContext:       ConnContext,
		Protocols:         &p,
		MaxHeaderBytes:    128 << 10, // a ticket with 1,015 groups and a forwarded TGT takes 25k
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       120 * time.Second,
	}
}
