package gateway

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/testenv"
)

// gSOAP's client calls its server through the gateway by MTOM: no byte of the
// message changes.
func testGSOAP(t *testing.T, w *world) {
	t.Parallel()
	status, wsdl := w.curl(t, nil, "basic", adtest.Alice, "--noproxy", "*", w.at("/archive?wsdl"))
	if status != "200" || !strings.Contains(wsdl, `location="`+w.at("/archive")+`"`) {
		t.Errorf("description: %s %.2000s", status, wsdl)
	}
	plain := "http://" + host + ":" + plainPort + "/archive"
	out := testenv.Run(t, w.env, adtest.Password(t, adtest.Alice)+"\n", w.peer, "call", plain, `CORP\`+adtest.Alice)
	user, mime, sent := w.archive.last()
	if !strings.HasPrefix(out, "stored seen: ") || user != `CORP\alice` || !strings.HasPrefix(mime, "multipart/related") || !strings.Contains(mime, "application/xop+xml") {
		t.Fatalf("gSOAP wrote %.500q; its server got %s of %q", out, mime, user)
	}
	// The same message once more, by who can say what was sent.
	file := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(file, sent, 0o600); err != nil {
		t.Fatal(err)
	}
	status, _ = w.curl(t, nil, "ntlm", adtest.Alice, "--noproxy", "*", "-o", os.DevNull, "-H", "Content-Type: "+mime, "--data-binary", "@"+file, w.at("/archive"))
	if _, again, got := w.archive.last(); status != "200" || again != mime || string(got) != string(sent) {
		t.Errorf("status %s; %d bytes of %q became %d of %q", status, len(sent), mime, len(got), again)
	}
	out, err := testenv.Try(t, w.env, adtest.Password(t, adtest.Bob)+"\n", w.peer, "call", plain, `CORP\`+adtest.Bob)
	if err == nil || !strings.Contains(strings.ToLower(out), "access denied") {
		t.Errorf("bob: %v, %.500q, want a fault", err, out)
	}
	if user, _, _ := w.archive.last(); user != `CORP\alice` {
		t.Errorf("a message of %s arrived", user)
	}
}

// Chromium logs in with its user's ticket, opens a page, calls the service from it,
// and opens a WebSocket.
func testBrowser(t *testing.T, w *world) {
	t.Parallel()
	b := peers.StartChrome(t, peers.ChromeConfig{Env: append(w.dc.Env(), "KRB5CCNAME=FILE:"+w.dc.Kinit(t, adtest.Alice)), Args: []string{"--auth-server-allowlist=*.corp.test", "--host-resolver-rules=MAP *.test " + w.ip}})
	b.Open(w.at("/hr/page"))
	if got := b.Text("#who"); got != `CORP\alice` {
		t.Errorf("page: %q", got)
	}
	var wsdl, answer string
	b.Script(`return fetch(arguments[0]).then(r => r.text())`, &wsdl, "/hr/service?wsdl")
	if !strings.Contains(wsdl, `location="`+w.at("/hr/service")+`"`) {
		t.Errorf("description: %.1000s", wsdl)
	}
	const call = `return fetch("/hr/service", {method: "POST", headers: {"Content-Type": "text/xml", SOAPAction: '"urn:hr:Pay"'}, body: arguments[0]}).then(r => r.text())`
	b.Script(call, &answer, envelope("urn:hr", "Pay", "<amount>7</amount>"))
	if got := element(answer, "receipt"); got != `7 to CORP\alice` {
		t.Errorf("Pay: %s", answer)
	}
	b.Open(w.at("/live/page"))
	if got := b.Text("#who"); got != `CORP\alice` {
		t.Errorf("page: %q", got)
	}
	var said []string
	b.Script(`return new Promise((done, failed) => {
		const got = [], s = new WebSocket("wss://" + location.host + "/live/pay");
		s.onmessage = e => { got.push(e.data); if (got.length === 1) s.send("hello"); else done(got); };
		s.onclose = e => failed("closed: " + e.code);
	})`, &said)
	if strings.Join(said, "; ") != `CORP\alice; you said hello` {
		t.Errorf("WebSocket: %q", said)
	}
	testWebSocket(t, w)
}

// testWebSocket opens one as users by Basic, and as nobody.
func testWebSocket(t *testing.T, w *world) {
	t.Helper()
	pem, err := os.ReadFile(w.dc.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for user, want := range map[string]int{adtest.Alice: 101, adtest.Bob: 403, "": 401} {
		c, err := tls.Dial("tcp", w.addr(tlsPort), &tls.Config{RootCAs: roots, ServerName: host})
		if err != nil {
			t.Fatal(err)
		}
		login := ""
		if user != "" {
			login = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(`CORP\`+user+":"+adtest.Password(t, user))) + "\r\n"
		}
		_, _ = fmt.Fprintf(c, "GET /live/pay HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n%s\r\n", host, login)
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%q: %v, %v, want %d", user, res, err, want)
		} else if want == 101 {
			frame := make([]byte, 12)
			if _, err := io.ReadFull(r, frame); err != nil || string(frame[2:]) != `CORP\alice` {
				t.Errorf("WebSocket: %q, %v", frame, err)
			}
		}
		_ = c.Close()
	}
}

// nginx asks the gateway whether its clients may, as documented.
func testNGINX(t *testing.T, w *world) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s %s", strings.Join(r.Header["X-Remote-User"], ","), r.Header.Get("Authorization"), b)
	}))
	t.Cleanup(app.Close)
	port := peers.StartNGINX(t, "../../../gateway/inbound/testdata/nginx.conf", w.addr(plainPort), app.Listener.Addr().String())
	for _, tt := range []struct{ login, user, path, status, body string }{
		{"negotiate", adtest.Alice, "/web/x", "200", `CORP\alice  hello`},
		{"negotiate", adtest.Alice, "/web/pay", "200", `CORP\alice  hello`},
		{"negotiate", adtest.Bob, "/web/x", "200", `CORP\bob  hello`},
		{"negotiate", adtest.Bob, "/web/pay", "403", ""},
		{"negotiate", adtest.Bob, "/web/x/%2e%2e/pay", "403", ""},
		{"", "", "/web/x", "401", ""},
	} {
		var env []string
		if tt.login == "negotiate" {
			env = w.ticket(t, tt.user)
		}
		status, body := w.curl(t, env, tt.login, tt.user, "--noproxy", "*", "--path-as-is", "--connect-to", host+":"+port+":127.0.0.1:"+port, "-d", "hello", "-H", `X-Remote-User: CORP\administrator`, "http://"+host+":"+port+tt.path)
		if status != tt.status || tt.body != "" && body != tt.body {
			t.Errorf("%s at %s: %s %q, want %s %q", tt.user, tt.path, status, body, tt.status, tt.body)
		}
	}
}

// Squid between curl and the gateway: Kerberos goes through, in tunnels NTLM too;
// NTLM on connections that it mixes is refused, and the log says why. And Squid with
// a login of its own between the gateway and Apache.
func testSquid(t *testing.T, w *world) {
	t.Parallel()
	s := peers.StartTellingSquid(t, w.ip, host)
	body := envelope("urn:hr", "WhoAmI", "")
	plain := "http://" + host + ":" + plainPort + "/hr/service"
	for _, tt := range []struct{ name, login, url, status string }{
		{"tunnel, Kerberos", "negotiate", w.at("/hr/service"), "200"},
		{"tunnel, NTLM", "ntlm", w.at("/hr/service"), "200"},
		{"plain, Kerberos", "negotiate", plain, "200"},
		{"plain, NTLM", "ntlm", plain, "401"},
		{"plain, Basic", "basic", plain, "200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var env []string
			args := []string{"--noproxy", "", "--proxy", s.URL.String(), "-H", "Content-Type: text/xml", "-H", `SOAPAction: "urn:hr:WhoAmI"`, "-d", body}
			if tt.login == "negotiate" {
				env = w.ticket(t, adtest.Alice)
			}
			status, answer := w.curl(t, env, tt.login, adtest.Alice, append(args, tt.url)...)
			if status != tt.status || status == "200" && element(answer, "user") != `CORP\alice` {
				t.Errorf("%s %.1000s, want %s", status, answer, tt.status)
			}
		})
	}
	t.Cleanup(func() {
		if lineOf(w.String(), "NTLM", "roxy") == "" {
			t.Error("the log does not say that a proxy is on the way")
		}
	})
	t.Run("on the way out", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			status, answer := w.curl(t, nil, "", "", "--noproxy", "*", "-d", "hello", "http://"+w.addr(proxyPort)+"/x")
			if status != "200" || answer != account+"@CORP.TEST\nhello" {
				t.Errorf("%s %.500q, want what Apache says to %s", status, answer, account)
			}
		}
		for _, r := range w.squid.Requests(t, 2) {
			if r.User != account+"@CORP.TEST" && r.User != account {
				t.Errorf("Squid let %+v pass, want %s", r, account)
			}
		}
	})
}

// A program behind the gateway calls another server as its caller: who came by
// Kerberos is passed on, and of who came by NTLM it is said in all places why not.
func testCaller(t *testing.T, w *world) {
	t.Parallel()
	relay := func(login, user, kind string) (status, body string) {
		t.Helper()
		var env []string
		if login == "negotiate" {
			env = w.ticket(t, user)
		}
		code, answer := w.curl(t, env, login, user, "--noproxy", "*", "-H", "Content-Type: text/xml", "-H", `SOAPAction: "urn:hr:Relay"`,
			"-d", envelope("urn:hr", "Relay", "<kind>"+kind+"</kind>"), w.at("/hr/service"))
		if code != "200" {
			t.Errorf("%s by %s: %s %.1000s", user, login, code, answer)
		}
		return element(answer, "status"), strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(element(answer, "body"))
	}
	for _, user := range []string{adtest.Alice, adtest.Bob} {
		for _, kind := range []string{"rest", "soap"} {
			if status, body := relay("negotiate", user, kind); status != "200" || !strings.HasPrefix(body, user+"@CORP.TEST\n") {
				t.Errorf("%s, %s: %s %q, want Apache to see the caller", user, kind, status, body)
			}
		}
	}
	// 1. When the configuration is checked.
	out, _ := testenv.Try(t, nil, "", w.Program, "check", "-c", w.File)
	if !strings.Contains(out, "backend") || !strings.Contains(out, "NTLM") || !strings.Contains(strings.ToLower(out), "passed on") {
		t.Errorf("check: %s", out)
	}
	// 2. To a REST client, and 3. to a SOAP client, each with the reference of 4.
	var refs []string
	status, body := relay("ntlm", adtest.Alice, "rest")
	var p struct{ Type, Ref string }
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != "502" || p.Type != "urn:soapward:delegation:DoubleHop" {
		t.Errorf("REST: %s %s, %v", status, body, err)
	}
	refs = append(refs, p.Ref)
	status, body = relay("ntlm", adtest.Alice, "soap")
	if status != "500" || !strings.Contains(body, "DoubleHop") || strings.Contains(body, "KDC") {
		t.Errorf("SOAP: %s %s", status, body)
	}
	_, rest, _ := strings.Cut(body, "(reference ")
	ref, _, _ := strings.Cut(rest, ")")
	refs = append(refs, ref)
	// 4. In the log, the access log and the metrics.
	eventually(t, func() error {
		access, err := os.ReadFile(filepath.Join(w.Dir, "access.log"))
		if err != nil {
			return err
		}
		for _, ref := range refs {
			line, hops := lineOf(w.String(), ref, "double-hop"), lineOf(string(access), ref, `"double_hop":true`)
			if ref == "" || line == "" || !strings.Contains(line, "remedy") || !strings.Contains(line, "alice") {
				return fmt.Errorf("log of %q: %s", ref, line)
			}
			if hops == "" {
				return fmt.Errorf("access log has no line of %s", ref)
			}
		}
		_, metrics := get(t, "http://"+w.addr(adminPort)+"/metrics")
		if want := `soapward_double_hops_total{upstream="backend"} 2`; !strings.Contains(metrics, want+"\n") {
			return fmt.Errorf("the metrics have no %s", want)
		}
		return nil
	})
}

// lineOf returns the line that has all of these.
func lineOf(text string, parts ...string) string {
lines:
	for l := range strings.Lines(text) {
		for _, p := range parts {
			if !strings.Contains(l, p) {
				continue lines
			}
		}
		return l
	}
	return ""
}
