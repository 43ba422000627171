package iwa

import (
	"log/slog"
	"net"
	"time"
)

// SetClock has a tell the time by now.
func (a *Authenticator) SetClock(now func() time.Time) { a.testOnlyNow = now }

// Waiting returns how many handshakes wait for their client's answer, and of
// how many addresses.
func (a *Authenticator) Waiting() (handshakes, addresses int) {
	a.waiting.mu.Lock()
	defer a.waiting.mu.Unlock()
	for _, l := range a.waiting.of {
		handshakes += l.Len()
	}
	return handshakes, len(a.waiting.of)
}

// AddressOf is addressOf.
var AddressOf = addressOf

// SetListenerLogger has l, which NewTLSListener made, log there.
func SetListenerLogger(l net.Listener, log *slog.Logger) { l.(*tlsListener).testOnlyLogger = log }
