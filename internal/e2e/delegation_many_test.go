package e2e

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/krb5"
)

// countingKDC stands between clients and a domain controller's KDC, and counts
// what is asked.
type countingKDC struct {
	addr string
	to   string

	mu                   sync.Mutex
	as, tgs, self, proxy int
	err                  error
}

// startCountingKDC takes requests over TCP until the test ends.
func startCountingKDC(t *testing.T, dc *adtest.DC) *countingKDC {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &countingKDC{addr: l.Addr().String(), to: net.JoinHostPort(dc.IP, "88")}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				if err := k.serve(c); err != nil {
					k.mu.Lock()
					defer k.mu.Unlock()
					k.err = errors.Join(k.err, err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		if k.err != nil {
			t.Errorf("on the way to the KDC: %v", k.err)
		}
	})
	return k
}

// serve passes one request on, and the answer back.
func (k *countingKDC) serve(c net.Conn) error {
	req, err := readFrame(c)
	if err != nil {
		return err
	}
	if err := k.count(req[4:]); err != nil {
		return err
	}
	up, err := net.Dial("tcp", k.to)
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	if _, err := up.Write(req); err != nil {
		return err
	}
	rep, err := readFrame(up)
	if err != nil {
		return err
	}
	_, err = c.Write(rep)
	return err
}

// readFrame reads a message with the length before it (RFC 4120 7.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > 1<<20 {
		return nil, fmt.Errorf("message of %d bytes", n)
	}
	b := append(head, make([]byte, n)...)
	_, err := io.ReadFull(r, b[4:])
	return b, err
}

func (k *countingKDC) count(b []byte) error {
	req, err := krb5.ParseKDCReq(b)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if req.Type == krb5.MsgASReq {
		k.as++
		return nil
	}
	k.tgs++
	if _, ok := krb5.FindPAData(req.PAData, krb5.PAForUser); ok {
		k.self++
	}
	if req.Body.Options.Has(krb5.OptionCNameInAddl) {
		k.proxy++
	}
	return nil
}

// Threat 22. Many callers at many upstreams at once: nobody is seen under
// another's name, and the KDC is asked once for each caller and once for each
// pair of caller and upstream, however often they call.
func TestAttackManyDelegatedCallers(t *testing.T) {
	t.Parallel()
	const callers, upstreams, rounds = 64, 4, 3
	const atOnce = 16 // in the first round: a KDC on a busy machine has five seconds for each
	dc := adtest.Start(t)
	front := adtest.Service{Name: "svc-many", Password: "many-s3cret", SPNs: []string{"HTTP/many.corp.test"}, EncTypes: 24, Transition: true}
	var services []adtest.Service
	var users []adtest.User
	for i := range upstreams {
		name := fmt.Sprintf("many%d", i)
		services = append(services, adtest.Service{Name: "svc-" + name, Password: name + "-s3cret", SPNs: []string{"HTTP/" + name + ".corp.test"}, EncTypes: 24})
		front.DelegateTo = append(front.DelegateTo, services[i].SPNs[0])
	}
	for i := range callers {
		name := fmt.Sprintf("caller%02d", i)
		users = append(users, adtest.User{Name: name, Password: name + "-s3cret"})
	}
	begin := time.Now()
	dc.Add(t, users, append(services, front))
	t.Logf("made %d accounts in %v", callers+upstreams+1, time.Since(begin))

	vouched := bearer{}
	for _, u := range users {
		vouched[u.Name] = authn.Identity{Account: u.Name, Domain: adtest.NetBIOS, SID: authn.SID(dc.SID(t, u.Name)), Mechanism: authn.MechanismNTLM}
	}
	k := startCountingKDC(t, dc)
	keytab, err := kerberos.LoadKeytab(dc.Keytab(front.Name))
	if err != nil {
		t.Fatal(err)
	}
	cfg := kerberos.Config{DefaultRealm: adtest.Realm, Realms: map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{"tcp/" + k.addr}}}}
	client, err := kerberos.NewKeytabClient(cfg, front.Name, keytab)
	if err != nil {
		t.Fatal(err)
	}
	d := &delegation.Delegator{Client: client, Domains: map[string]string{adtest.NetBIOS: adtest.Realm}}
	for _, spn := range front.DelegateTo {
		d.Upstreams = append(d.Upstreams, delegation.Upstream{SPN: spn, ProtocolTransition: true})
	}
	onward := ourClient(t, dc, delegation.Source(d))
	mux := http.NewServeMux()
	for i, s := range services {
		back := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, s.Name)}})
		mux.Handle(fmt.Sprintf("/%d", i), relay(onward, back.At(fmt.Sprintf("many%d.corp.test", i), "/")))
	}
	at := serveTo(t, withLog(t.Output(), mux), vouched)

	for round := range rounds {
		var wg sync.WaitGroup
		slots := make(chan struct{}, atOnce)
		if round > 0 {
			slots = make(chan struct{}, callers*upstreams)
		}
		for _, u := range users {
			for i := range upstreams {
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					status, answer, err := answerTo(as(t.Context(), t, fmt.Sprintf("%s/%d", at, i), "Bearer "+u.Name))
					var me whoami
					if err == nil {
						err = json.Unmarshal([]byte(answer), &me)
					}
					if err != nil || status != http.StatusOK {
						t.Errorf("%s at %d: status %d, %v: %.200s", u.Name, i, status, err, answer)
						return
					}
					if me.User != `CORP\`+u.Name || me.SID != vouched[u.Name].SID || me.Mechanism != authn.MechanismKerberos {
						t.Errorf("%s is %s (%s) at %d", u.Name, me.User, me.SID, i)
					}
				})
			}
		}
		wg.Wait()
		k.mu.Lock()
		t.Logf("%v after round %d: %d AS, %d TGS requests: %d S4U2Self, %d S4U2Proxy", time.Since(begin), round+1, k.as, k.tgs, k.self, k.proxy)
		if k.self != callers || k.proxy != callers*upstreams || k.tgs != k.self+k.proxy || k.as > 2 {
			t.Errorf("want %d S4U2Self and %d S4U2Proxy, and one login", callers, callers*upstreams)
		}
		k.mu.Unlock()
	}
}
