package bench

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	gatewayGuns   = 16
	gatewayRounds = 9
	gatewayShots  = 1000 // of each gun in a round
	gatewayIdle   = 5000 // connections that are logged in and wait

	minTickets = 2.5 // requests/s beside Apache, each with a new ticket
	minWarm    = 1.2 // on connections that are logged in, and with sessions
	maxIdle    = 0.5 // memory beside Apache
)

// BenchmarkGatewayBesideApache has soapward and Apache httpd with mod_auth_gssapi
// and mod_proxy stand in front of the same nginx, each in processes of its own,
// and sends them the same requests over 16 connections. The client, the gateway
// and the backend share the machine.
func BenchmarkGatewayBesideApache(b *testing.B) {
	s := newService(b)
	backend := startNginx(b)
	peers := []*peer{startSoapward(b, s, backend), startApache(b, s, backend)}
	loads := []*gatewayLoad{
		{name: "no login", at: func(p *peer) place { return p.open }},
		{name: "a new Kerberos token each", at: func(p *peer) place { return p.tickets }, fresh: true, min: minTickets},
		{name: "NTLM, warm connections", at: func(p *peer) place { return p.connection }, ntlm: true, min: minWarm},
		{name: "session of a Kerberos login", at: func(p *peer) place { return p.session }, session: true, min: minWarm},
	}
	fmt.Printf("\nGateways in front of nginx, %d connections, requests/s and p99, median of %d rounds of %d\n", gatewayGuns, gatewayRounds, gatewayGuns*gatewayShots)
	fmt.Printf("  %-28s %10s %10s %9s %9s %9s\n", "", "soapward", "Apache", "ratio", "p99", "p99")
	for _, l := range loads {
		ours, theirs := l.run(b, s, peers)
		ratio := ours.perSecond / theirs.perSecond
		fmt.Printf("  %-28s %8.0f/s %8.0f/s %6.2f x %6.2f ms %6.2f ms\n", l.name, ours.perSecond, theirs.perSecond, ratio,
			ours.p99.Seconds()*1e3, theirs.p99.Seconds()*1e3)
		if ratio < l.min {
			b.Errorf("%s: %.2f x the requests of Apache, want at least %.1f", l.name, ratio, l.min)
		}
		if l.min > 0 && ours.p99 > theirs.p99 {
			b.Errorf("%s: p99 is %v, want at most Apache's %v", l.name, ours.p99, theirs.p99)
		}
	}
	ours, theirs := idleMemory(b, peers[0]), idleMemory(b, peers[1])
	fmt.Printf("  %d idle connections after an NTLM login: %d MB, Apache %d MB, %.2f x\n\n", gatewayIdle, ours>>20, theirs>>20, float64(ours)/float64(theirs))
	if float64(ours) > maxIdle*float64(theirs) {
		b.Errorf("idle connections take %d MB, want at most half of Apache's %d MB", ours>>20, theirs>>20)
	}
}

// gatewayLoad is one kind of login that both peers take.
type gatewayLoad struct {
	name                 string
	at                   func(*peer) place
	fresh, ntlm, session bool
	min                  float64 // requests beside the other peer; zero: not judged
}

// run has the peers take the load in turn, round by round.
func (l *gatewayLoad) run(b *testing.B, s *service, peers []*peer) (ours, theirs volley) {
	b.Helper()
	guns := make([][]*gun, len(peers))
	plain := make([][]byte, len(peers))
	for i, p := range peers {
		at := l.at(p)
		guns[i] = connect(b, at.addr, gatewayGuns)
		plain[i] = request(at.path)
		if l.session {
			plain[i] = request(at.path, "Cookie: "+s.beginSession(b, at))
		}
		for _, g := range guns[i] {
			if !l.ntlm {
				break
			}
			if err := g.logIn(b, at.path); err != nil {
				b.Fatalf("%s: %v", p.name, err)
			}
		}
	}
	all := make([][]volley, len(peers))
	for round := -1; round < gatewayRounds; round++ { // one to warm up
		for i := range peers {
			i = (max(round, 0) + i) % len(peers)
			runtime.GC()
			v := hammer(b, guns[i], func(int) [][]byte {
				if l.fresh {
					return s.withTickets(b, l.at(peers[i]).path, gatewayShots)
				}
				return same(plain[i], gatewayShots)
			})
			if round >= 0 {
				all[i] = append(all[i], v)
			}
		}
	}
	return medianVolley(all[0]), medianVolley(all[1])
}

func medianVolley(vs []volley) (m volley) {
	rates, tails := make([]float64, len(vs)), make([]time.Duration, len(vs))
	for i, v := range vs {
		rates[i], tails[i] = v.perSecond, v.p99
	}
	slices.Sort(rates)
	slices.Sort(tails)
	m.perSecond, m.p99 = rates[len(vs)/2], tails[len(vs)/2]
	return m
}

// idleMemory is what a peer takes with many connections that are logged in.
func idleMemory(b *testing.B, p *peer) int64 {
	b.Helper()
	var open []*gun
	for i := range gatewayIdle { // one after the other: Apache gives a thread to each that is silent
		g := connect(b, p.connection.addr, 1)[0]
		if err := g.logIn(b, p.connection.path); err != nil {
			b.Fatalf("%s, connection %d: %v", p.name, i, err)
		}
		open = append(open, g)
	}
	most := p.memory(b)
	for _, g := range []*gun{open[0], open[len(open)-1]} { // nobody was thrown out
		if a, err := g.fire(request(p.connection.path)); err != nil || a.status != 200 {
			b.Fatalf("%s: an idle connection is not logged in: status %d, %v", p.name, a.status, err)
		}
	}
	for _, g := range open {
		g.close()
	}
	return most
}

var soapwardConf = template.Must(template.New("soapward.yaml").Parse(`
listen: [{addr: "{{.Addr}}"}]
sessions: {allow_insecure_http: true, idle: 1h}
log: {level: error}
access_log: {file: off}
store: {driver: sqlite, dsn: {{.Dir}}/bench.db}
realms:
  corp: {kerberos: {realm: CORP.TEST, keytab: {{.Keytab}}}}
  staff: {internal: {ntlm: true}}
services:
  open: {match: {path: /open/}, login: [none], upstream: {url: "http://{{.Backend}}"}}
  tickets: {match: {path: /tickets/}, login: [corp/negotiate], upstream: {url: "http://{{.Backend}}", identity: {header: X-Remote-User}}}
  session: {match: {path: /session/}, login: [corp/negotiate], session: true, upstream: {url: "http://{{.Backend}}", identity: {header: X-Remote-User}}}
  connection: {match: {path: /connection/}, login: [staff/ntlm], upstream: {url: "http://{{.Backend}}", identity: {header: X-Remote-User}}}
`))

// startSoapward builds the program and starts it.
func startSoapward(b *testing.B, s *service, backend string) *peer {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "soapward")
	testenv.Run(b, []string{"CGO_ENABLED=0"}, "", "go", "build", "-o", program, "github.com/soapward/soapward/cmd/soapward")
	addr := freeAddr(b)
	var conf bytes.Buffer
	if err := soapwardConf.Execute(&conf, map[string]string{"Addr": addr, "Dir": dir, "Keytab": s.keytab, "Backend": backend}); err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "soapward.yaml")
	if err := os.WriteFile(file, conf.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	testenv.Run(b, []string{"SOAPWARD_PASSWORD=violet tractor lagoon"}, "", program, "user", "add", "alice", "-c", file)
	p := &peer{name: "soapward"}
	for path, at := range map[string]*place{"/open/": &p.open, "/tickets/": &p.tickets, "/session/": &p.session, "/connection/": &p.connection} {
		*at = place{addr, path}
	}
	p.process = startPeer(b, exec.Command(program, "serve", "-c", file), addr)
	return p
}

// request is a call without a body, as small as clients make them.
func request(path string, header ...string) []byte {
	r := "GET " + path + " HTTP/1.1\r\nHost: app.corp.test\r\nUser-Agent: bench\r\nAccept: */*\r\n"
	for _, h := range header {
		r += h + "\r\n"
	}
	return []byte(r + "\r\n")
}

// withTickets returns requests that each have a new token.
func (s *service) withTickets(b *testing.B, path string, n int) [][]byte {
	b.Helper()
	all := make([][]byte, n)
	for i := range all {
		token, _, err := s.ticket.NewInitiator(kerberos.InitiatorConfig{}).Step(b.Context(), nil)
		if err != nil {
			b.Fatal(err)
		}
		all[i] = request(path, "Authorization: Negotiate "+base64.StdEncoding.EncodeToString(token))
	}
	return all
}

// same returns n times a request.
func same(r []byte, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = r
	}
	return all
}

// connect opens connections.
func connect(b *testing.B, addr string, n int) []*gun {
	b.Helper()
	guns := make([]*gun, n)
	for i := range guns {
		g, err := newGun(addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(g.close)
		guns[i] = g
	}
	return guns
}

// logIn logs the connection in by NTLM, inside of Negotiate or as a scheme of its
// own: whichever the server takes.
func (g *gun) logIn(b *testing.B, path string) error {
	for _, scheme := range []string{"NTLM", "Negotiate"} {
		credential, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret("violet tractor lagoon"))
		if err != nil {
			return err
		}
		i := &ntlm.Initiator{Credential: credential}
		var challenge []byte
		for leg := 0; ; leg++ {
			token, _, err := i.Step(b.Context(), challenge)
			if err != nil {
				return err
			}
			a, err := g.fire(request(path, "Authorization: "+scheme+" "+base64.StdEncoding.EncodeToString(token)))
			if err != nil {
				return err
			}
			if a.status == 200 {
				return nil
			}
			param, ok := a.value("WWW-Authenticate", scheme+" ")
			if !ok || leg > 0 {
				break // the next scheme
			}
			if challenge, err = base64.StdEncoding.DecodeString(param); err != nil {
				return err
			}
		}
	}
	return errors.New("the login was refused")
}

// beginSession logs in by Kerberos and returns the cookie of the session.
func (s *service) beginSession(b *testing.B, at place) string {
	b.Helper()
	g := connect(b, at.addr, 1)[0]
	a, err := g.fire(s.withTickets(b, at.path, 1)[0])
	cookie, ok := a.value("Set-Cookie", "")
	if err != nil || a.status != 200 || !ok {
		b.Fatalf("session: status %d, cookie %v, %v", a.status, ok, err)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	return cookie
}
