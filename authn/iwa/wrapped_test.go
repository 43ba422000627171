package iwa_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// limiter is a listener such as that of netutil.LimitListener: its connections
// have no more methods than they must.
type limiter struct{ net.Listener }

func (l limiter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// TestAttackWrappedTLSConnection: a login under BindingRequired got in without
// a binding where something hid TLS from net/http, which took it for plain HTTP.
func TestAttackWrappedTLSConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.certificate("gw.test", 0)}}
	for _, tt := range []struct {
		name string
		wrap func(net.Listener, *slog.Logger) net.Listener
		ok   bool
	}{
		{"above", func(l net.Listener, log *slog.Logger) net.Listener {
			l = iwa.NewTLSListener(l, config)
			iwa.SetListenerLogger(l, log)
			return limiter{l}
		}, false},
		{"below", func(l net.Listener, _ *slog.Logger) net.Listener { return iwa.NewTLSListener(limiter{l}, config) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			s := serve(t, &iwa.Authenticator{NTLM: m}, nil)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.server.Serve(tt.wrap(l, s.log.logger())) }()
			t.Cleanup(func() { _ = s.server.Close(); <-done })
			alice := &authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("a")}
			login := authclient.Static(alice)
			if !tt.ok { // relayed from where nothing was bound
				login = authclient.Static(otherwise{alice, func(authn.ChannelBinding) authn.Initiator {
					return &ntlm.Initiator{Credential: ntlm.Credential{User: "alice", Domain: "CORP", Password: authn.NewSecret("a")}}
				}})
			}
			tr := &authclient.Transport{Source: login, Base: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}}}
			t.Cleanup(tr.CloseIdleConnections)
			got, err := get(&http.Client{Transport: tr}, "https://"+l.Addr().String())
			if tt.ok != (err == nil) || !tt.ok && !s.log.has("NewTLSListener") {
				t.Errorf("got %q, %v; want let in: %v, and a log that tells why not", got, err, tt.ok)
			}
		})
	}
}
