package kdc

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/internal/krb5"
)

// Fault is how the KDC misbehaves, for tests. The zero value is good
// behaviour.
type Fault struct {
	// Only limits Silent and Error to requests of one type; 0 means all.
	Only krb5.MsgType

	Silent bool           // requests are read and not answered
	Error  krb5.ErrorCode // every request is refused with it

	Skew  time.Duration // the KDC's clock is off by this much
	Delay time.Duration // answers come this much later

	WrongNonce  bool // the reply answers another request
	WrongServer bool // the reply is for another service than was asked for
	Corrupt     bool // one bit of each reply is flipped

	// IgnoreS4UUser has S4U2Self return a ticket in the service's own name, as
	// Samba does for a request it does not understand.
	IgnoreS4UUser bool

	// SmallUDP has every UDP request answered with KRB_ERR_RESPONSE_TOO_BIG.
	SmallUDP bool
}

// SetFault changes how the KDC misbehaves from the next request on.
func (k *KDC) SetFault(f Fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault = f
}

func (f *Fault) hits(t krb5.MsgType) bool { return f.Only == 0 || f.Only == t }

// spoil flips a bit in the last quarter of a reply, which is inside its sealed
// part.
func (f *Fault) spoil(rep []byte) []byte {
	if !f.Corrupt || len(rep) < 8 {
		return rep
	}
	rep = bytes.Clone(rep)
	rep[len(rep)-len(rep)/8] ^= 1
	return rep
}

// Stats is what a KDC was asked for so far.
type Stats struct {
	AS, TGS                                       int64 // requests, refused ones included
	Renew, Forward, S4U2Self, S4U2Proxy, Referral int64 // TGS requests granted, by kind
	Errors                                        int64 // requests refused
	UDP, TCP                                      int64 // requests, by transport
}

type counters struct {
	as, tgs, renew, forward, s4u2self, s4u2proxy, referral, errors, udp, tcp atomic.Int64
}

// Stats returns the counts of requests so far.
func (k *KDC) Stats() Stats {
	s := &k.stats
	return Stats{
		AS: s.as.Load(), TGS: s.tgs.Load(), Renew: s.renew.Load(), Forward: s.forward.Load(),
		S4U2Self: s.s4u2self.Load(), S4U2Proxy: s.s4u2proxy.Load(), Referral: s.referral.Load(),
		Errors: s.errors.Load(), UDP: s.udp.Load(), TCP: s.tcp.Load(),
	}
}
