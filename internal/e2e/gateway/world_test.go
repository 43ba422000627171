package gateway

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	host       = "gw.corp.test"
	account    = "svc-gw"    // the gateway's, which may act for callers that came by Kerberos
	proxyName  = "localhost" // of the proxy, since the gateway looks names up by itself
	proxyOwner = "svc-proxy"
)

// Ports of the gateway.
const (
	plainPort  = "8080"
	tlsPort    = "8443"
	adminPort  = "9180"
	callerPort = "9300" // of the upstream that acts as the caller
	proxyPort  = "9301" // of the upstream behind Squid
)

// world is a gateway among servers, proxies and users that others wrote: "soapward
// serve" as a child, in the domain CORP.TEST.
type world struct {
	*peers.Gateway
	dc      *adtest.DC
	env     []string // for clients: names and krb5.conf
	ip      string   // of the gateway, which nothing else has: others would take its ports while it starts
	squid   *peers.Squid
	archive *recorder // in front of the gSOAP server
	peer    string    // the gSOAP program
}

const worldConfig = `
listen:
  - {addr: "%[1]s:8080"}
  - {addr: "%[1]s:8443", tls: {cert: %[2]q, key: gw.key}}
admin: {addr: "%[1]s:9180"}
log: {level: debug}
access_log: {file: access.log}
store: {driver: sqlite, dsn: users.db}
passwords: {memory_kib: 8192, passes: 1}
forward_auth: {proxies: [127.0.0.1]}
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: [%[3]q], keytab: %[4]q}
    ntlm: {verifier: netlogon, computer: GW02$, secret: {file: gw02.secret}}
    ad: {url: "ldaps://%[3]s", domain: corp.test, default_domain: CORP, ca_file: %[2]q, bind_user: jill@corp.test, bind_password: {file: jill.secret}, timeout: 20s}
roles:
  payroll: {groups: ['CORP\Payroll']}
defaults: {login: [corp/negotiate, corp/ntlm, corp/basic]}
services:
  hr:
    match: {host: gw.corp.test, path: /hr/}
    wsdl: hr.wsdl
    allow: [{operation: "{urn:hr}Pay", roles: [payroll]}, {operation: "*", roles: [any]}, {path: /, methods: [GET], roles: [any]}]
    upstream: {url: %[5]q, identity: {header: X-Remote-User, jwt: {header: X-Identity, key: {file: ec.key}}}}
  stock:
    match: {host: gw.corp.test, path: /stock/}
    wsdl: stock.wsdl
    allow: [{operation: "{urn:stock}Pay", roles: [payroll]}, {operation: "*", roles: [any]}]
    upstream: {url: %[6]q, strip_prefix: /stock, host: backend, identity: {header: X-Remote-User, jwt: {header: X-Identity, key: {file: rsa.key}}}}
  archive:
    match: {host: gw.corp.test, path: /archive}
    wsdl: archive.wsdl
    allow: [{operation: "*", roles: [payroll]}]
    upstream: {url: %[7]q, identity: {header: X-Remote-User}}
  live:
    match: {host: gw.corp.test, path: /live/}
    session: true
    allow: [{path: /live/pay, roles: [payroll]}, {path: /, roles: [any]}]
    upstream: {url: %[8]q, identity: {header: X-Remote-User}}
  web:
    match: {host: gw.corp.test, path: /web/}
    forward_auth: true
    allow: [{path: /web/pay, roles: [payroll]}, {path: /, roles: [any]}]
    upstream: {identity: {header: X-Remote-User}}
upstreams:
  backend: {listen: "%[1]s:9300", url: %[9]q, spn: HTTP/backend.corp.test, act_as: [caller], delegation: {principal: svc-gw@CORP.TEST, keytab: %[4]q}}
  through: {listen: "%[1]s:9301", url: %[9]q, spn: HTTP/backend.corp.test, act_as: [service], service: {principal: svc-gw@CORP.TEST, keytab: %[4]q}, proxy: {url: %[10]q, account: {principal: svc-gw@CORP.TEST, keytab: %[4]q}}}
`

func startWorld(t *testing.T) *world {
	t.Helper()
	dc := adtest.Start(t)
	lo, err := testenv.ClaimLoopback(8080, 8443, 9180, 9300, 9301)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lo.Release() })
	w := &world{dc: dc, ip: lo.IP}
	dc.Add(t, nil, []adtest.Service{
		{Name: account, Password: "gw violet tractor", SPNs: []string{"HTTP/" + host}, EncTypes: 24, DelegateTo: []string{adtest.BackendSPN}},
		{Name: proxyOwner, Password: "proxy violet tractor", SPNs: []string{"HTTP/" + proxyName}, EncTypes: 24},
	})
	w.env = append(peers.Names(t, w.ip, host), dc.Env()...)
	keys := "http://" + w.addr(plainPort) + "/.soapward/jwks.json"
	var (
		wait         sync.WaitGroup
		php, mono    string
		stock, store string
		backend      *peers.Apache
	)
	wait.Go(func() { php = startPHP(t, keys, "http://"+w.addr(callerPort)) })
	wait.Go(func() { mono, stock = startMono(t, keys) })
	wait.Go(func() { w.archive, w.peer, store = startGSOAP(t) })
	wait.Go(func() {
		backend = peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", false, nil)
		w.squid = peers.StartSquid(t, dc, proxyName, false, peers.SquidKerberos(dc, proxyOwner, "HTTP/"+proxyName))
	})
	wait.Go(func() { peers.Soapward(t) })
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	live := httptest.NewServer(http.HandlerFunc(serveLive))
	t.Cleanup(live.Close)
	key, err := os.ReadFile(dc.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	hr := readDir(t, "testdata/hr")
	files := map[string]string{
		"gw.key": string(key), "gw02.secret": adtest.Password(t, adtest.GW02), "jill.secret": adtest.Password(t, adtest.Jill),
		"hr.wsdl": hr["hr.wsdl"], "hr.xsd": hr["hr.xsd"], "stock.wsdl": stock, "archive.wsdl": store,
	}
	files["ec.key"], files["rsa.key"] = signingKeys(t)
	w.Gateway = peers.StartGateway(t, fmt.Sprintf(worldConfig, w.ip, dc.CAFile, dc.IP, dc.Keytab(account),
		php, mono, w.archive.URL, live.URL, backend.Address(), w.squid.URL.String()), files, w.addr(plainPort))
	return w
}

// at returns a URL of the gateway, with TLS.
func (w *world) at(path string) string { return "https://" + host + ":" + tlsPort + path }

// addr is one of the gateway's addresses.
func (w *world) addr(port string) string { return w.ip + ":" + port }

// ticket is the environment of a client that is logged in to the domain.
func (w *world) ticket(t *testing.T, user string) []string {
	t.Helper()
	return append(w.env[:len(w.env):len(w.env)], "KRB5CCNAME=FILE:"+w.dc.Kinit(t, user))
}

func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// signingKeys are one of each kind that programs behind the gateway verify by.
func signingKeys(t *testing.T) (ec, rs string) {
	t.Helper()
	encode := func(k crypto.PrivateKey, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec = encode(e, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	return ec, encode(r, err)
}

// startPHP serves the service HR.
func startPHP(t *testing.T, keys, upstream string) string {
	t.Helper()
	php := testenv.NeedPHP(t, "soap", "curl")
	port := peers.FreePort(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	peers.StartChild(t, []string{"JWKS=" + keys, "UPSTREAM=" + upstream, "PHP_CLI_SERVER_WORKERS=4"}, addr, php, "-q", "-S", addr, "testdata/hr/server.php")
	return "http://" + addr
}

// startMono serves the service Stock by ASP.NET, and returns its description as
// that makes it.
func startMono(t *testing.T, keys string) (at, wsdl string) {
	t.Helper()
	mcs, mono := testenv.Need(t, "mcs"), testenv.Need(t, "mono")
	app, port := t.TempDir(), peers.FreePort(t)
	for name, text := range map[string]string{
		"service.asmx": `<%@ WebService Class="Stock" %>`,
		"web.config":   `<configuration><system.web><customErrors mode="On"/></system.web></configuration>`,
	} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(app, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := filepath.Join(app, "bin", "server.dll") // see buildCatalogMono of internal/interop
	testenv.Run(t, nil, "", mcs, "-target:exe", "-out:"+server, "-r:System.Web", "-r:System.Web.Services", "-r:System.Web.Extensions",
		"testdata/mono/Stock.cs", "../../interop/testdata/mono/server/Host.cs")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	peers.StartChild(t, []string{"JWKS=" + keys}, addr, mono, server, app, strconv.Itoa(port))
	at = "http://" + addr
	status, wsdl := get(t, at+"/service.asmx?WSDL")
	if status != http.StatusOK {
		t.Fatalf("ASP.NET's description: %d %.500s", status, wsdl)
	}
	return at, wsdl
}

// A recorder passes requests on to a server and keeps the last one.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	user string
	mime string
	body []byte
}

func newRecorder(t *testing.T, server string) *recorder {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	r := new(recorder)
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.user, r.mime, r.body = strings.Join(req.Header["X-Remote-User"], ","), req.Header.Get("Content-Type"), b
		r.mu.Unlock()
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		proxy.ServeHTTP(rw, req)
	}))
	t.Cleanup(r.Close)
	return r
}

// last returns what came last.
func (r *recorder) last() (user, mime string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.user, r.mime, r.body
}

// startGSOAP builds the program that internal/interop has for MTOM, and serves with
// it.
func startGSOAP(t *testing.T) (r *recorder, program, wsdl string) {
	t.Helper()
	wsdl2h, soapcpp2, cc := testenv.Need(t, "wsdl2h"), testenv.Need(t, "soapcpp2"), testenv.Need(t, "cc")
	testenv.NeedFile(t, "/usr/include/stdsoap2.h")
	const description = "../../interop/archive/wsdl/archive.wsdl"
	b, err := os.ReadFile(description)
	if err != nil {
		t.Fatal(err)
	}
	dir, port := t.TempDir(), peers.FreePort(t)
	program = filepath.Join(dir, "peer")
	testenv.Run(t, nil, "", wsdl2h, "-c", "-o", filepath.Join(dir, "archive.h"), description)
	testenv.Run(t, nil, "", soapcpp2, "-c", "-x", "-d", dir, filepath.Join(dir, "archive.h"))
	testenv.Run(t, nil, "", cc, "-w", "-I", dir, "-o", program, "../../interop/testdata/gsoap-mtom/peer.c",
		filepath.Join(dir, "soapC.c"), filepath.Join(dir, "soapClient.c"), filepath.Join(dir, "soapServer.c"), "-lgsoap")
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	peers.StartChild(t, nil, addr, program, "serve", strconv.Itoa(port))
	return newRecorder(t, "http://"+addr), program, string(b)
}

// serveLive shows a page that opens a WebSocket, which says who opened it, and then
// what it is told (RFC 6455).
func serveLive(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-Remote-User")
	if r.Header.Get("Upgrade") != "websocket" {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>Live</title><link rel="icon" href="data:,"><p id="who">%s</p>`, user)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	say := func(text string) { _, _ = c.Write(append([]byte{0x81, byte(len(text))}, text...)) }
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	say(user)
	for { // short frames, masked
		head := make([]byte, 6)
		if _, err := io.ReadFull(rw, head); err != nil || head[0] != 0x81 || head[1]&0x7f > 125 {
			return
		}
		text := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(rw, text); err != nil {
			return
		}
		for i := range text {
			text[i] ^= head[2+i%4]
		}
		say("you said " + string(text))
	}
}
