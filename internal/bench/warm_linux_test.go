package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// maxWarm is how much more of a processor a request of somebody who is logged in
// may take at the gateway than at httputil.ReverseProxy, which asks nobody.
const maxWarm = 10 * time.Microsecond

// BenchmarkGatewayWarm measures what a request costs once its caller is logged
// in: in the gateway's process, login, policy, metrics and proxying together,
// beside httputil.ReverseProxy, which does the last alone. Both are in front of the
// same nginx, and get the same requests over 16 connections.
func BenchmarkGatewayWarm(b *testing.B) {
	s := newService(b)
	backend := startNginx(b)
	ours := startSoapward(b, s, backend)
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverRole+"="+proxiesRole, proxyTarget+"=http://"+backend)
	process, next := startAnnouncing(b, cmd)
	next() // our own proxy, without the rest of the gateway
	theirs := &peer{name: "ReverseProxy", process: process, open: place{next(), "/open/"}}
	loads := []*warmLoad{
		{name: "ReverseProxy, no login", peer: theirs, at: theirs.open},
		{name: "soapward, no login", peer: ours, at: ours.open},
		{name: "soapward, NTLM connection", peer: ours, at: ours.connection, ntlm: true},
		{name: "soapward, session", peer: ours, at: ours.session, session: true},
	}
	for _, l := range loads {
		l.prepare(b, s)
	}
	for round := -1; round < gatewayRounds; round++ { // one to warm up
		for i := range loads {
			l := loads[(max(round, 0)+i)%len(loads)]
			runtime.GC()
			before := l.peer.processor(b)
			hammer(b, l.guns, func(int) [][]byte { return same(l.request, 2*gatewayShots) })
			if round >= 0 {
				l.took = append(l.took, (l.peer.processor(b)-before)/(2*gatewayGuns*gatewayShots))
			}
		}
	}
	fmt.Printf("\nA warm request in the gateway, %s, %d connections, time of a processor, median of %d rounds of %d\n",
		runtime.Version(), gatewayGuns, gatewayRounds, 2*gatewayGuns*gatewayShots)
	base := median(loads[0].took, nil)
	for _, l := range loads {
		fmt.Printf("  %-28s %6.1f us  %+6.1f us\n", l.name, median(l.took, nil)/1e3, (median(l.took, nil)-base)/1e3)
		if more := time.Duration(median(l.took, nil) - base); more > maxWarm {
			b.Errorf("%s: a request takes %v more than at ReverseProxy, want at most %v", l.name, more, maxWarm)
		}
	}
	fmt.Println()
}

// warmLoad is one kind of login.
type warmLoad struct {
	name          string
	peer          *peer
	at            place
	ntlm, session bool

	guns    []*gun
	request []byte
	took    []time.Duration
}

// prepare logs the connections in.
func (l *warmLoad) prepare(b *testing.B, s *service) {
	b.Helper()
	l.guns = connect(b, l.at.addr, gatewayGuns)
	l.request = request(l.at.path)
	if l.session {
		l.request = request(l.at.path, "Cookie: "+s.beginSession(b, l.at))
	}
	if !l.ntlm {
		return
	}
	for _, g := range l.guns {
		if err := g.logIn(b, l.at.path); err != nil {
			b.Fatalf("%s: %v", l.name, err)
		}
	}
}
