package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/admin/access"
	"github.com/soapward/soapward/internal/testenv"
)

// wholeAt is whole at an address of its own, which is %ADDR% in text.
func wholeAt(t *testing.T, text string, files map[string]string) (addr string, log *testenv.Log) {
	t.Helper()
	addr = freeAddr(t)
	return addr, whole(t, strings.ReplaceAll(text, "%ADDR%", addr), files).log
}

// send sends a request as it is written, and returns the answer.
func send(t *testing.T, addr, text string) (status int, header http.Header, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// A server behind that notes what it got.
type noting struct {
	*httptest.Server
	mu  sync.Mutex
	got []*http.Request
}

func newNoting(t *testing.T, answer http.Header) *noting {
	t.Helper()
	n := new(noting)
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.got = append(n.got, r)
		n.mu.Unlock()
		for name, values := range answer {
			w.Header()[name] = values
		}
	}))
	t.Cleanup(n.Close)
	return n
}

func (n *noting) requests() []*http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*http.Request(nil), n.got...)
}

// 3b. The cookies of our sessions have the realm in their name: neither do those
// go on, nor can a server give one to a browser, without a name in front either.
func TestAttackSessionToBackend(t *testing.T) {
	t.Parallel()
	b := newNoting(t, http.Header{"Set-Cookie": {
		"soapward-corp=planted; Path=/", "__Host-soapward-corp=planted; Secure; Path=/", "soapward+corp=planted", "soapward-corp-form=planted",
		"=soapward-corp=planted", " = soapward-corp=planted", "soapward-corp", "fine=1; Path=/",
	}})
	addr, _ := wholeAt(t, fmt.Sprintf(`
listen: [{addr: "%%ADDR%%"}]
services: {open: {match: {path: /}, login: [none], upstream: {url: "%s"}}}
`, b.URL), map[string]string{})
	_, header, _ := send(t, addr, "GET / HTTP/1.1\r\nHost: h\r\n"+
		"Cookie: a=1; soapward-corp=secret; __Host-soapward-corp=secret;soapward+corp=secret\r\nCookie: __Host-soapward+corp=secret; soapward-corp-form=secret; b=2\r\n\r\n")
	if got := header["Set-Cookie"]; len(got) != 1 || got[0] != "fine=1; Path=/" {
		t.Errorf("the client got the cookies %q", got)
	}
	for _, r := range b.requests() {
		if got := strings.Join(r.Header["Cookie"], " | "); got != "a=1 | b=2" && got != "a=1; b=2" {
			t.Errorf("the server got the cookies %q", got)
		}
	}
}

// 3b. Nor do they go to upstreams: browsers send the cookies of one port of a
// machine to all others.
func TestAttackSessionToUpstream(t *testing.T) {
	t.Parallel()
	b := newNoting(t, http.Header{"Set-Cookie": {"soapward-corp=planted", "=__Host-soapward-corp=planted", "fine=1"}})
	up := freeAddr(t)
	_, _ = wholeAt(t, fmt.Sprintf(`
listen: [{addr: "%%ADDR%%"}]
upstreams: {up: {listen: "%s", url: "%s", act_as: [fixed], fixed: {user: x, password: {file: secret}}}}
`, up, b.URL), map[string]string{"secret": "pw"})
	_, header, _ := send(t, up, "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=1; soapward-corp=secret\r\nCookie: __Host-soapward+corp=secret; b=2\r\n\r\n")
	if got := header["Set-Cookie"]; len(got) != 1 || got[0] != "fine=1" {
		t.Errorf("the client got the cookies %q", got)
	}
	for _, r := range b.requests() {
		if got := r.Header["Cookie"]; len(got) != 1 || got[0] != "a=1; b=2" {
			t.Errorf("the server got the cookies %q", got)
		}
	}
	if len(b.requests()) == 0 {
		t.Error("the server got nothing")
	}
}

// startPHP serves testdata/soap.php with PHP's own server.
func startPHP(t *testing.T) (addr string) {
	t.Helper()
	php := testenv.NeedPHP(t, "soap", "zlib")
	addr = freeAddr(t)
	p, err := testenv.StartProcess(exec.Command(php, "-S", addr, "testdata/soap.php"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.WaitListening(ctx, addr); err != nil {
		t.Fatal(err)
	}
	return addr
}

// 31e. A SOAP server of PHP, that is asked for an operation which the gateway takes
// for another one, or for none. Each message works without the gateway.
func TestAttackOperationPHP(t *testing.T) {
	t.Parallel()
	php := startPHP(t)
	addr, _ := wholeAt(t, fmt.Sprintf(`
listen: [{addr: "%%ADDR%%"}]
services:
  hr:
    match: {path: /}
    login: [none]
    allow:
      - {operation: "{urn:hr}Pay", roles: [nobody]}
      - {operation: "*", roles: [anonymous]}
      - {path: /, roles: [anonymous]}
    upstream: {url: "http://%s"}
roles: {nobody: {users: ['CORP\nobody']}}
`, php), map[string]string{})
	envelope := func(body string) string {
		return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:h="urn:hr"><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, envelope("<h:Pay/>"))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, header, body, direct string }{
		{"as it is", "Content-Type: text/xml", envelope("<h:Pay/>"), "paid"},
		{"allowed", "Content-Type: text/xml", envelope("<h:Get/>"), "got"},
		{"compressed", "Content-Type: text/xml\r\nContent-Encoding: gzip", zipped.String(), "paid"},
		{"compressed, in another spelling", "Content-Type: application/octet-stream\r\nContent_Encoding: gzip", zipped.String(), "paid"},
		{"compressed, with a dot", "Content-Type: application/octet-stream\r\nContent.Encoding: gzip", zipped.String(), ""},
		{"in UTF-7", "Content-Type: text/xml; charset=utf-8", `<?xml version="1.0" encoding="UTF-7"?>` + envelope("+ADw-h:Pay/+AD4-<h:Get/>"), "paid"},
	} {
		text := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", tt.header, len(tt.body), tt.body)
		if _, _, got := send(t, php, text); tt.direct != "" && !strings.Contains(got, tt.direct) {
			t.Errorf("%s: PHP itself says %s, want %s", tt.name, got, tt.direct)
		}
		if _, _, got := send(t, addr, text); strings.Contains(got, "paid") || tt.direct == "got" && !strings.Contains(got, "got") {
			t.Errorf("%s: through the gateway: %s", tt.name, got)
		}
	}
}

// 35i. The console is on a port of the same machine, so that browsers send its cookies
// to services and take those that they set: a server behind one gets to see, and to
// plant, no session of an administrator.
func TestAttackConsoleCookies(t *testing.T) {
	t.Parallel()
	names := []string{access.CookieName, access.CookieName + "-code", access.CookieName + "-login", access.CookieName + "-form"}
	for _, n := range names {
		names = append(names, "__Host-"+n)
	}
	seen := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- strings.Join(r.Header["Cookie"], "; ")
		for _, n := range append(names, "mine") {
			w.Header().Add("Set-Cookie", n+"=planted; Path=/; Secure")
			w.Header().Add("Set-Cookie", "="+n+"=planted; Path=/")
		}
	}))
	t.Cleanup(backend.Close)
	addr, _ := wholeAt(t, `
listen: [{addr: "%ADDR%"}]
services: {hr: {match: {path: /}, login: [none], upstream: {url: "`+backend.URL+`"}}}
`, nil)
	cookies := "mine=1"
	for _, n := range names {
		cookies += "; " + n + "=stolen"
	}
	status, header, _ := send(t, addr, "GET / HTTP/1.1\r\nHost: gw\r\nCookie: "+cookies+"\r\nCookie: "+names[0]+"=stolen\r\nConnection: close\r\n\r\n")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if got := <-seen; got != "mine=1" {
		t.Errorf("the server behind sees %q", got)
	}
	if got := strings.Join(header["Set-Cookie"], "\n"); strings.Contains(got, "soapward") || !strings.Contains(got, "mine=planted") {
		t.Errorf("it sets\n%s", got)
	}
}
