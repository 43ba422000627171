package outbound

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// asService is an upstream that is called as the service.
func asService(url, rest string) string {
	return fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", url: \"%s\", act_as: [service], service: {user: 'CORP\\svc', password: {file: svc.secret}}%s}\n", url, rest)
}

// Addresses of the server in the header of an answer become local ones.
func TestAnswerHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s *server
	s = w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Location", strings.ReplaceAll(r.Header.Get("X-Location"), "SERVER", s.URL))
		for _, c := range r.Header.Values("X-Cookie") {
			h.Add("Set-Cookie", c)
		}
		for _, name := range ofLogin {
			h.Set(name, "x")
		}
		h.Set("X-Path", r.URL.Path)
		w.WriteHeader(http.StatusFound)
	}))
	local := w.gateway(t, asService(s.URL+"/base", "")).start(t, "up")
	for _, tt := range []struct{ location, want string }{
		{"SERVER/base/x?y=z#f", "LOCAL/x?y=z#f"},
		{"SERVER/base", "LOCAL/"},
		{"SERVER/base/a%2Fb", "LOCAL/a%2Fb"},
		{"SERVER/other", "LOCAL/other"},
		{"SERVER/basement", "LOCAL/basement"},
		{"/base/x", "/x"},
		{"/other", "/other"},
		{"x/y", "x/y"},
		{"https://elsewhere.test/base/x", "https://elsewhere.test/base/x"},
		{"http://127.0.0.1:1/base/x", "http://127.0.0.1:1/base/x"},
		{"//elsewhere.test/x", "//elsewhere.test/x"},
	} {
		a := send(t, "GET", local.URL+"/q", nil, "X-Location", tt.location)
		if got, want := a.header.Get("Location"), strings.ReplaceAll(tt.want, "LOCAL", local.URL); got != want {
			t.Errorf("%s: %q, want %q", tt.location, got, want)
		}
		if a.header.Get("X-Path") != "/base/q" || a.status != 302 {
			t.Errorf("%d, path %q", a.status, a.header.Get("X-Path"))
		}
		for _, name := range ofLogin {
			if a.header.Get(name) != "" {
				t.Errorf("%s reached the program", name)
			}
		}
	}
	for cookie, want := range map[string]string{
		"a=b; Path=/base/x; Domain=corp.test; Secure; HttpOnly; SameSite=None": "a=b; Path=/x; HttpOnly",
		"a=b; path=/base": "a=b; Path=/",
		"a=b; Path=/; Expires=Thu, 26 Nov 2026 10:00:00 GMT; SameSite=Lax": "a=b; Path=/; Expires=Thu, 26 Nov 2026 10:00:00 GMT; SameSite=Lax",
		"a=": "a=",
	} {
		if got := send(t, "GET", local.URL, nil, "X-Cookie", cookie).header.Get("Set-Cookie"); got != want {
			t.Errorf("%s: %q, want %q", cookie, got, want)
		}
	}
}

// What a program sends reaches the server, but for what belongs to the login.
func TestRequestHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	local := w.gateway(t, asService(s.URL, "")).start(t, "up")
	a := send(t, "POST", local.URL+"/a%2Fb/../c;d=e?f=%20&g", strings.NewReader("x"),
		"Authorization", "Basic eDp5", "Proxy-Authorization", "Basic eDp5", "Cookie", "a=b; c=d", "Connection", "X-Hop", "X-Hop", "1",
		"X-Forwarded-For", "10.0.0.1", "Accept-Encoding", "br", "User-Agent", "curl/8", "Soapaction", `"urn:x"`)
	if a.status != 200 || !strings.HasPrefix(a.body, `CORP\svc POST /a%2Fb/../c;d=e?f=%20&g "x"`) {
		t.Errorf("%d %q", a.status, a.body)
	}
	h := s.last()
	for name, want := range map[string]string{
		"Proxy-Authorization": "", "Cookie": "a=b; c=d", "X-Hop": "", "X-Forwarded-For": "", "Accept-Encoding": "br", "User-Agent": "curl/8", "Soapaction": `"urn:x"`,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if strings.HasPrefix(h.Get("Authorization"), "Basic") {
		t.Error("the program's own login reached the server")
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	dir := t.TempDir()
	g := w.gateway(t, asService(s.URL, ", replay: {memory: 4KiB, disk: 64KiB, dir: "+dir+"}"))
	local := g.start(t, "up")
	post := func(size int) answer {
		return send(t, "POST", local.URL, io.MultiReader(bytes.NewReader(make([]byte, size))))
	}
	a := post(100 << 10)
	if p := a.problem(t); a.status != http.StatusRequestEntityTooLarge || p.Type != Namespace+":body-too-large" || g.lastTrail().Refusal != "body-too-large" {
		t.Errorf("cold, more than is kept: %d %s", a.status, a.body)
	}
	for _, size := range []int{68 << 10, 100 << 10, 8 << 20} { // the first logs in, the others ride on it
		if a := post(size); a.body != fmt.Sprintf(`CORP\svc POST / "%d bytes" <nil>`, size) {
			t.Errorf("%d bytes: %d %s", size, a.status, a.body)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An answer comes as the server sends it.
func TestStreamedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := make(chan bool)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			_, _ = w.Write([]byte("part\n"))
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	local := w.gateway(t, asService(s.URL, "")).start(t, "up")
	resp, err := http.Get(local.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for range 2 { // the second is not sent before the first came
		if line, err := lines.ReadString('\n'); err != nil || line != "part\n" {
			t.Fatalf("%q, %v", line, err)
		}
		next <- true
	}
}

// A WebSocket passes once the connection is logged in.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("you said " + line)
		_ = rw.Flush()
	}))
	local := w.gateway(t, asService(s.URL, "")).start(t, "up")
	c, err := net.Dial("tcp", strings.TrimPrefix(local.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", resp, err)
	}
	fmt.Fprintf(c, "hello\n")
	if line, err := in.ReadString('\n'); err != nil || line != "you said hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestRepliesOfFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := make(chan bool)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-slow
		case "/break":
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(func() { close(slow) })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	other := newWorld(t)
	tlsURL := strings.Replace(s.URL, "http://", "https://", 1)
	for _, tt := range []struct {
		name, upstream, path string
		status               int
		reason               string
	}{
		{"no server", asService("http://"+closed.Addr().String(), ""), "/", 502, "upstream-down"},
		{"no TLS", asService(tlsURL, ""), "/", 502, "upstream-broken"},
		{"slow", asService(s.URL, ", timeout: 100ms"), "/slow", 504, "upstream-timeout"},
		{"breaks off", asService(s.URL, ""), "/break", 502, "upstream-broken"},
		{"wrong password", strings.Replace(asService(s.URL, ""), "svc.secret", "wrong.secret", 1), "/", 502, "upstream-refused"},
		{"unknown SPN", strings.Replace(asCaller(s.URL, "act_as: [service], service: {principal: front@CORP.TEST, keytab: front.keytab}"), "HTTP/back.corp.test", "HTTP/none.corp.test", 1), "/", 502, "account-refused"},
		{"account's password wrong", asCaller(s.URL, "act_as: [service], service: {principal: front@CORP.TEST, password: {file: wrong.secret}}"), "/", 502, "account-refused"},
		{"no proxy", asService(s.URL, ", proxy: {url: \"http://"+closed.Addr().String()+"\"}"), "/", 502, "upstream-down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := w.gateway(t, tt.upstream)
			local := g.start(t, "up")
			a := send(t, "GET", local.URL+tt.path, nil)
			if p := a.problem(t); a.status != tt.status || p.Type != Namespace+":"+tt.reason || p.Ref != "ref-1" || g.lastTrail().Refusal != tt.reason {
				t.Errorf("%d %s, trail %q, want %d %s", a.status, a.body, g.lastTrail().Cause, tt.status, tt.reason)
			}
			if strings.Contains(a.body, "127.0.0.1") || strings.Contains(a.body, "CORP") {
				t.Errorf("internals: %s", a.body)
			}
			if !strings.Contains(g.log.String(), "reason="+tt.reason) || strings.Contains(g.log.String(), "marked-wrong-secret") {
				t.Errorf("log: %s", g.log)
			}
			f := send(t, "POST", local.URL+tt.path, strings.NewReader(soap11), "Content-Type", "text/xml", "Soapaction", `""`)
			if f.status != 500 || !strings.Contains(f.body, ":"+tt.reason+"</faultcode>") || !strings.Contains(f.body, "ref-1") {
				t.Errorf("SOAP: %d %s", f.status, f.body)
			}
		})
	}
	t.Run("no KDC", func(t *testing.T) {
		t.Parallel()
		as, caller := asCaller(s.URL, "act_as: [service], service: {principal: front@CORP.TEST, keytab: front.keytab}"), asCaller(s.URL, "act_as: [caller, service], on_double_hop: next, service: {user: x, password: {file: svc.secret}}")
		gs, gc := other.gateway(t, as), other.gateway(t, caller)
		token := gc.token(t, other.byKerberos(t, "alice"))
		_ = other.Close()
		if a := send(t, "GET", gs.start(t, "up").URL, nil); a.status != 503 || a.problem(t).Type != Namespace+":kdc-down" {
			t.Errorf("as the service: %d %s", a.status, a.body)
		}
		a := send(t, "GET", gc.start(t, "up").URL, nil, "X-Identity", token)
		if a.status != 503 || gc.lastTrail().Refusal != "unavailable" || gc.lastTrail().As != "" {
			t.Errorf("as the caller: %d %s, trail %+v", a.status, a.body, gc.lastTrail())
		}
	})
}

func TestForwardProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := w.gateway(t, fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", mode: forward_proxy, hosts: [\"127.0.0.1:%s\", app.corp.test], act_as: [service], service: {user: 'CORP\\svc', password: {file: svc.secret}}}\n"+
		"  as: {listen: \"127.0.0.1:9301\", mode: forward_proxy, hosts: [\"localhost:%s\"], act_as: [caller], delegation: {principal: front@CORP.TEST, keytab: front.keytab}}\n", u.Port(), u.Port()))
	local := g.start(t, "up")
	at, err := url.Parse(local.URL)
	if err != nil {
		t.Fatal(err)
	}
	through := &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return at, nil }}}
	get := func(url string) answer {
		t.Helper()
		req, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return do(t, through, req)
	}
	if a := get(s.URL + "/x?y"); a.body != `CORP\svc GET /x?y "" <nil>` {
		t.Errorf("%d %s", a.status, a.body)
	}
	for url, want := range map[string]string{
		"http://127.0.0.1:1/": "destination-not-listed", "http://other.corp.test/": "destination-not-listed",
		"http://app.corp.test:8080/": "destination-not-listed", "http://app.corp.test.evil.test/": "destination-not-listed",
	} {
		if a := get(url); a.status != 403 || a.problem(t).Type != Namespace+":"+want {
			t.Errorf("%s: %d %s, want %s", url, a.status, a.body, want)
		}
	}
	if a := send(t, "GET", local.URL+"/x", nil); a.status != 400 || !strings.Contains(a.body, "http://HOST/PATH") {
		t.Errorf("not a proxy request: %d %s", a.status, a.body)
	}
	if _, err := through.Get("https://app.corp.test/"); err == nil || !strings.Contains(err.Error(), "Method Not Allowed") {
		t.Errorf("CONNECT: %v", err)
	}
	if g.lastTrail().Refusal != "connect-not-possible" {
		t.Errorf("trail: %+v", g.lastTrail())
	}

	as := g.start(t, "as") // HTTP/localhost is a name of back, and front may not call it for others
	if at, err = url.Parse(as.URL); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("GET", strings.Replace(s.URL, "127.0.0.1", "localhost", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Identity", g.token(t, w.byKerberos(t, "alice")))
	if a := do(t, through, req); a.status != 502 || g.lastTrail().Refusal != "not-allowed-target" {
		t.Errorf("%d %s, trail %+v", a.status, a.body, g.lastTrail())
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, "  up: {listen: \"127.0.0.1:9300\", mode: forward_proxy, hosts: [app.corp.test, \"*.dept.test\", \"api.test:8080\", \"[::1]:81\", \"[::2]\"], act_as: [service], service: {user: x, password: {file: svc.secret}}}\n")
	for _, tt := range []struct {
		name, port string
		want       bool
	}{
		{"app.corp.test", "80", true}, {"app.corp.test", "443", true}, {"app.corp.test", "8080", false}, {"xapp.corp.test", "80", false},
		{"a.dept.test", "80", true}, {"a.b.dept.test", "443", true}, {"dept.test", "80", false}, {"xdept.test", "80", false}, {".dept.test", "80", false},
		{"api.test", "8080", true}, {"api.test", "80", false}, {"::1", "81", true}, {"::1", "80", false}, {"::2", "80", true},
	} {
		if got := g.upstreams[0].serves(tt.name, tt.port); got != tt.want {
			t.Errorf("%s:%s: %v", tt.name, tt.port, got)
		}
	}
}

const wsdl = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:x">
<import namespace="urn:y" location="SERVER/app/s.svc?wsdl=wsdl0"/><import namespace="urn:z" location="/app/z.wsdl"/><import namespace="urn:r" location="r.wsdl"/>
<service name="s"><port name="p" binding="b"><soap:address location="https://127.0.0.1:8443/app/s.svc"/></port><port name="q" binding="b"><soap:address location="http://elsewhere.test/app/s.svc"/></port></service></definitions>`

// Whoever reads a description through the gateway calls the gateway.
func TestDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s *server
	kind := "text/xml; charset=utf-8"
	s = w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("ETag", `"x"`)
		switch {
		case r.URL.RawQuery == "wsdl&broken":
			_, _ = io.WriteString(w, "<definitions")
			return
		case r.URL.RawQuery == "wsdl&large":
			_, _ = w.Write(bytes.Repeat([]byte(" "), maxDescription+1))
			return
		case r.Header.Get("Accept-Encoding")+r.Header.Get("If-None-Match") != "":
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(wsdl, "SERVER", s.URL))
	}))
	local := w.gateway(t, asService(s.URL+"/app", "")).start(t, "up")
	want := strings.NewReplacer("SERVER/app", local.URL, "/app/z", "/z", "https://127.0.0.1:8443/app", local.URL).Replace(wsdl)
	for _, query := range []string{"wsdl", "WSDL", "singleWsdl", "xsd=xsd0", "a=b&wsdl=wsdl1"} {
		a := send(t, "GET", local.URL+"/s.svc?"+query, nil, "Accept-Encoding", "gzip", "If-None-Match", `"x"`)
		if a.status != 200 || a.body != want || a.header.Get("Content-Length") != fmt.Sprint(len(want)) || a.header.Get("Etag") != "" {
			t.Errorf("%s: %d %v\n%s, want\n%s", query, a.status, a.header, a.body, want)
		}
	}
	asIs := strings.ReplaceAll(wsdl, "SERVER", s.URL)
	for _, query := range []string{"", "wsdlx=1", "x=wsdl"} {
		if a := send(t, "GET", local.URL+"/s.svc?"+query, nil); a.body != asIs {
			t.Errorf("%s: %s, want it unchanged", query, a.body)
		}
	}
	for _, query := range []string{"wsdl&broken", "wsdl&large"} {
		if a := send(t, "GET", local.URL+"/s.svc?"+query, nil); a.status != 502 || a.problem(t).Type != Namespace+":upstream-broken" {
			t.Errorf("%s: %d %.200s", query, a.status, a.body)
		}
	}
	kind = "text/html"
	if a := send(t, "GET", local.URL+"/s.svc?wsdl", nil); a.body != asIs {
		t.Errorf("a page: %s, want it unchanged", a.body)
	}
}

// A server that answers while the request is still coming gets all of it.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	}))
	local := w.gateway(t, asService(s.URL, "")).start(t, "up")
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for range 3 { // the first is kept for the login, the others are not
		if a := send(t, "POST", local.URL, io.MultiReader(bytes.NewReader(body))); a.body != string(body) {
			t.Errorf("%d of %d bytes came back", len(a.body), len(body))
		}
	}
}

// A program that waits to be told to go on with its body gets a refusal at once.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.protect(t, nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for url, want := range map[string]string{s.URL: "HTTP/1.1 100 ", "http://" + closed.Addr().String(): "HTTP/1.1 "} {
		local := w.gateway(t, asService(url, "")).start(t, "up")
		c, err := net.Dial("tcp", strings.TrimPrefix(local.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		in := bufio.NewReader(c)
		line, err := in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			t.Errorf("%q, %v, want %q", line, err, want)
			continue
		}
		if strings.HasPrefix(line, "HTTP/1.1 100 ") {
			fmt.Fprintf(c, "hello")
			for strings.HasPrefix(line, "HTTP/1.1 100 ") { // ours, and the server's
				_, _ = in.ReadString('\n')
				if line, err = in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
		if wantLast := map[bool]string{true: " 200 ", false: " 502 "}[url == s.URL]; !strings.Contains(line, wantLast) {
			t.Errorf("%q, want%s", line, wantLast)
		}
	}
}
