package backend

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// told are the headers about callers that the attacks are about.
var told = with(func(c *config.Backend) {
	c.Identity = &config.Identity{
		Header:  "X-Remote-User",
		Headers: &config.IdentityHeaders{Groups: "X-Groups", Roles: "X-Roles", SID: "X-Sid"},
		JWT:     &config.JWT{Header: "X-Identity"},
	}
})

var signing = issuing(tokensFunc(func(id *authn.Identity) (string, error) { return "token.of." + id.Account, nil }))

// forgeries are spellings that some server takes for one of ours.
var forgeries = []string{
	"X-Remote-User: CORP\\admin", "x-remote-user: CORP\\admin", "X_Remote_User: CORP\\admin", "X-Remote_User: CORP\\admin", "X.Remote.User: CORP\\admin",
	"X-REMOTE-USER: CORP\\admin", "x_remote-user: CORP\\admin", "X~Remote!User: CORP\\admin", "X-Groups: CORP\\Admins", "X_groups: CORP\\Admins",
	"X-Roles: admin", "x_ROLES: admin", "X-Sid: S-1-5-21-1-2-3-500", "X-Identity: token.of.admin", "X_Identity: token.of.admin",
	"X-Remote-User: CORP\\admin\r\nX-Remote-User: CORP\\admin", "X-Remote-User:", "X_Remote_User:\tCORP\\admin",
}

// 3. A client says who it is in the headers that we tell servers with, in each
// spelling, several times, among the trailers, or has ours taken away.
func TestAttackIdentityHeader(t *testing.T) {
	t.Parallel()
	b := answering(t, ok)
	attacks := append([]string{
		"Connection: X-Remote-User, X-Groups, X-Roles, X-Sid, X-Identity",
		"Connection: close, x-remote-user\r\nX-Remote-User: CORP\\admin",
		"Transfer-Encoding: chunked\r\nTrailer: X-Remote-User, X_Remote_User, X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Remote-User: CORP\\admin\r\nX_Remote_User: CORP\\admin\r\nX-Groups: CORP\\Admins\r\nX-Sum: 1",
	}, forgeries...)
	for _, tt := range []struct {
		name string
		id   *authn.Identity
		want string
	}{
		{"alice", alice, `X-Groups: CORP\Payroll,S-1-5-21-1-2-3-513,UTF-8''CORP%5Ca%2Cb|X-Identity: token.of.alice|X-Remote-User: CORP\alice|X-Roles: clerk|X-Sid: S-1-5-21-1-2-3-1104`},
		{"anonymous", nil, ""},
	} {
		f := serve(t, b.url, told, signing, as(tt.id))
		for i, attack := range attacks {
			method := "GET"
			if strings.Contains(attack, "chunked") {
				method = "POST"
			}
			c := raw(t, f.addr(), method+" / HTTP/1.1\r\nHost: h\r\n"+attack+"\r\n\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s, %q: %+v, %v", tt.name, attack, resp, err)
			}
			_ = c.Close()
			f.lastTrail(t, i+1)
			if got := strings.Join(aboutCallers(b.head()), "|"); got != tt.want {
				t.Errorf("%s, %q: the server was told\n%s\nwant\n%s", tt.name, attack, got, tt.want)
			}
			if strings.Contains(strings.ToLower(b.head()), "admin") || strings.Contains(b.head(), "Trailer: X-Remote") {
				t.Errorf("%s, %q: the server got\n%s", tt.name, attack, b.head())
			}
		}
	}
}

// aboutCallers are the lines of a head that say who somebody is, sorted.
func aboutCallers(head string) (lines []string) {
	want := []string{"x-groups", "x-identity", "x-remote-user", "x-roles", "x-sid"}
	for _, name := range want {
		for line := range strings.SplitSeq(head, "\r\n") {
			is, _, _ := strings.Cut(line, ":")
			var buf [maxFolded]byte
			if len(is) <= maxFolded && string(fold(&buf, is)) == name {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// 3. The trailer of a request reaches a server without what says who somebody is.
func TestAttackIdentityTrailer(t *testing.T) {
	t.Parallel()
	trailers := make(chan http.Header, 1)
	f := serve(t, handler(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer
	}), told, signing, as(alice))
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Remote-User, X-Sum, X_Groups, Authorization\r\n\r\n1\r\na\r\n0\r\n"+
		"X-Remote-User: CORP\\admin\r\nX_Groups: a\r\nX-Roles: admin\r\nAuthorization: Basic YTpi\r\nX-Sum: 1\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	if got := <-trailers; len(got) != 1 || got.Get("X-Sum") != "1" {
		t.Errorf("the server got %v", got)
	}
}

// 3. Real PHP sees only what we tell, under each of its names.
func TestAttackIdentityHeaderPHP(t *testing.T) {
	t.Parallel()
	f := serve(t, startPHP(t), told, signing, as(alice))
	for _, attack := range append([]string{"Proxy: http://evil.example:80", "Connection: X-Remote-User"}, forgeries...) {
		c := raw(t, f.addr(), "GET /hr/x?y=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+attack+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for line := range strings.SplitSeq(string(body), "\n") {
			if name, value, ok := strings.Cut(line, "="); ok {
				got[name] = value
			}
		}
		if got["HTTP_X_REMOTE_USER"] != `CORP\alice` || got["HTTP_X_IDENTITY"] != "token.of.alice" || got["HTTP_X_ROLES"] != "clerk" || got["REQUEST_URI"] != "/hr/x?y=1" || got["HTTP_PROXY"] != "" ||
			strings.Contains(string(body), "admin") {
			t.Errorf("%q: PHP saw\n%s", attack, body)
		}
	}
}

// 3e. A name from a directory that ends the header and begins another.
func TestAttackNameSplitsHeader(t *testing.T) {
	t.Parallel()
	b := answering(t, ok)
	evil := &authn.Identity{
		Account: "a\r\nX-Roles: admin", Domain: "CORP", Mechanism: "Basic", SID: "S-1\r\n\r\nGET / HTTP/1.1",
		Groups: []authn.Group{{Name: `CORP\a,CORP\Admins`}, {Name: "CORP\\b\x00\x7f"}, {Name: "UTF-8''CORP%5CAdmins"}},
	}
	f := serve(t, b.url, told, signing, as(evil), issuing(tokensFunc(func(*authn.Identity) (string, error) { return "t", nil })))
	if a := get(t, f.url); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	want := `X-Groups: UTF-8''CORP%5Ca%2CCORP%5CAdmins,UTF-8''CORP%5Cb%00%7F,UTF-8''UTF-8%27%27CORP%255CAdmins|X-Identity: t|` +
		`X-Remote-User: UTF-8''CORP%5Ca%0D%0AX-Roles%3A%20admin|X-Sid: UTF-8''S-1%0D%0A%0D%0AGET%20%2F%20HTTP%2F1.1`
	if got := strings.Join(aboutCallers(b.head()), "|"); got != want {
		t.Errorf("the server was told\n%s\nwant\n%s", got, want)
	}
	if n := b.count(); n != 1 || strings.Count(b.head(), "HTTP/1.1") != 1 {
		t.Errorf("%d connections, head\n%s", n, b.head())
	}
}

// 3b. What the caller logged in with, and the cookie of his session, are worth
// something elsewhere: they do not go on.
func TestAttackCredentialsToBackend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, send string
		id         *authn.Identity
		keep       bool
		want       []string // in what the server got
		wantNot    []string
	}{
		{"login", "Authorization: Basic YTpi\r\n", alice, false, nil, []string{"Authorization"}},
		{"login, kept", "Authorization: Basic YTpi\r\n", alice, true, []string{"Authorization: Basic YTpi"}, nil},
		{"of the application", "Authorization: Bearer x\r\n", nil, false, []string{"Authorization: Bearer x"}, nil},
		{"windows, anonymous", "Authorization: NTLM TlRMTVNTUAAB\r\n", nil, false, nil, []string{"Authorization"}},
		{"session", "Cookie: soapward-corp=abc; other=1; __Host-soapward-corp=def\r\nCookie: soapward-corp-form=x\r\n", alice, false, []string{"Cookie: other=1"}, []string{"abc", "def", "soapward"}},
		{"proxy", "Proxy-Authorization: Basic YTpi\r\n", alice, true, nil, []string{"Authorization"}},
		{"session in a list", "Cookie: a=b;soapward-corp = abc;c=d\r\n", alice, false, []string{"Cookie: a=b; c=d"}, []string{"soapward"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := answering(t, ok)
			f := serve(t, b.url, as(tt.id), with(func(c *config.Backend) { c.KeepAuthorization = tt.keep }))
			c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\n"+tt.send+"\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.want {
				if !strings.Contains(b.head(), s) {
					t.Errorf("the server did not get %q:\n%s", s, b.head())
				}
			}
			for _, s := range tt.wantNot {
				if strings.Contains(b.head(), s) {
					t.Errorf("the server got %q:\n%s", s, b.head())
				}
			}
		})
	}
	// A server cannot put a session of its choice into the client's browser.
	b := answering(t, "HTTP/1.1 200 OK\r\nSet-Cookie: soapward-corp=evil; Path=/\r\nSet-Cookie: a=b\r\nSet-Cookie: __Host-soapward-corp=evil\r\nContent-Length: 0\r\n\r\n")
	if got := get(t, serve(t, b.url).url).header["Set-Cookie"]; len(got) != 1 || got[0] != "a=b" {
		t.Errorf("client got the cookies %q", got)
	}
}

// 3c. A connection to a server that logs connections in, as IIS does for NTLM,
// would answer the next caller as the one before.
func TestAttackLoginOnPooledConnection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, send, answer string }{
		{"credentials", "Authorization: Negotiate YII=\r\n", ok},
		{"challenge", "", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"},
		{"said so", "", "HTTP/1.1 200 OK\r\nPersistent-Auth: true\r\nContent-Length: 0\r\n\r\n"},
	} {
		b := answering(t, tt.answer)
		f := serve(t, b.url, as(alice), with(func(c *config.Backend) { c.KeepAuthorization = true }))
		for range 3 {
			c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\n"+tt.send+"\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.count(); n != 3 {
			t.Errorf("%s: %d connections for 3 requests", tt.name, n)
		}
	}
}

// 4e. The client's own word about its address, and about how it called us.
func TestAttackForwardedHeaders(t *testing.T) {
	t.Parallel()
	const forged = "X-Forwarded-For: 10.9.9.9\r\nx_forwarded_for: 10.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Server: evil\r\n" +
		"X.Forwarded.Prefix: /evil\r\nX-Real-IP: 10.9.9.9\r\nX_Real_IP: 10.9.9.9\r\nForwarded: for=10.9.9.9;proto=https\r\nForWarded: for=10.9.9.9\r\n"
	for _, tt := range []struct {
		name string
		mode config.Forwarded
		set  []setting
		want string
	}{
		{"from the client", config.ForwardedX, nil, "X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: h:1|X-Forwarded-Proto: http"},
		{"from the client, RFC 7239", config.ForwardedRFC7239, nil, `Forwarded: for=127.0.0.1;host="h:1";proto=http`},
		{"off", config.ForwardedOff, nil, ""},
		{"from a trusted proxy", config.ForwardedX, []setting{trusting("127.0.0.0/8")}, "X-Forwarded-For: 10.9.9.9, 127.0.0.1|X-Forwarded-Host: evil.example|X-Forwarded-Proto: https"},
		{"from a trusted proxy, RFC 7239", config.ForwardedRFC7239, []setting{trusting("127.0.0.0/8")}, `Forwarded: for=10.9.9.9;host="evil.example";proto=https, for=127.0.0.1`},
		{"another is trusted", config.ForwardedX, []setting{trusting("10.0.0.0/8")}, "X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: h:1|X-Forwarded-Proto: http"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := answering(t, ok)
			f := serve(t, b.url, append(tt.set, with(func(c *config.Backend) { c.Forwarded = tt.mode }))...)
			c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h:1\r\n"+forged+"\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
			_, lines, _ := strings.Cut(b.head(), "Host: h:1\r\n")
			if got := strings.ReplaceAll(lines, "\r\n", "|"); got != tt.want {
				t.Errorf("the server got %s\nwant %s", got, tt.want)
			}
		})
	}
	// What a trusted proxy was told by its client stays out of the address.
	b := answering(t, ok)
	f := serve(t, b.url, trusting("127.0.0.0/8"))
	c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1, 192.0.2.7\r\nX-Forwarded-Host: a\" b\r\nX-Forwarded-Proto: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.head(), "X-Forwarded-For: 192.0.2.7, 127.0.0.1\r\nX-Forwarded-Host: h\r\nX-Forwarded-Proto: http") {
		t.Errorf("the server got\n%s", b.head())
	}
}

// 3d. A method whose answer shows what we tell the server, or that has it connect
// to others; a header that becomes the variable HTTP_PROXY of a CGI program.
func TestAttackTrace(t *testing.T) {
	t.Parallel()
	b := answering(t, ok)
	f := serve(t, b.url, told, signing, as(alice))
	for _, method := range []string{"TRACE", "CONNECT"} {
		c := raw(t, f.addr(), method+" /x HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 405 {
			t.Errorf("%s: %+v, %v", method, resp, err)
		}
	}
	if b.count() != 0 {
		t.Errorf("the server got\n%s", b.head())
	}
	r := request(t, "GET", f.url, nil)
	r.Header.Set("Proxy", "http://evil.example")
	do(t, r)
	if strings.Contains(b.head(), "evil") {
		t.Errorf("the server got\n%s", b.head())
	}
}

// 35. What is told about callers, and what they sent, is in no log and no answer.
func TestAttackSecretsInFailures(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-very-secret"
	server := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
		next()
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Secret: "+secret+"\nX: "+secret+"\r\n\r\n")
	})
	f := serve(t, server.url+" "+closedPort(t), told, as(alice), issuing(tokensFunc(func(*authn.Identity) (string, error) { return secret, nil })))
	for i := range 4 {
		r := request(t, "POST", f.url+"/?q="+secret, bytes.NewReader([]byte(secret)))
		r.Header.Set("Authorization", "Bearer "+secret)
		a := do(t, r)
		if last := f.lastTrail(t, i+1); a.status == 200 || strings.Contains(fmt.Sprint(a)+last.Cause+f.log.String(), secret) {
			t.Errorf("%+v\n%s\n%s", a, last.Cause, f.log)
		}
	}
}

// 4f, 31e. Headers that frameworks take for the path, the host or the method, and
// other spellings of those by which it was decided what the request is: neither
// goes on, and Connection cannot take the latter away.
func TestAttackDecidedHeaders(t *testing.T) {
	t.Parallel()
	const (
		kept = "Content-Encoding: identity\r\nContent-Type: text/xml\r\nCookie: a=b\r\nSoapaction: \"urn:get\"\r\n"
		want = "Content-Encoding: identity|Content-Length: 1|Content-Type: text/xml|Cookie: a=b|Host: h|Soapaction: \"urn:get\"|X-Forwarded-For: 127.0.0.1|X-Forwarded-Host: h|X-Forwarded-Proto: http"
	)
	b := answering(t, ok)
	f := serve(t, b.url)
	for _, attack := range []string{
		"X-Original-URL: /admin", "X_Original_URL: /admin", "X-Rewrite-Url: /admin", "x.rewrite.url: /admin", "X-Original-URI: /admin",
		"X-Original-Method: DELETE", "X-Original-Host: admin", "X-Host: admin", "X_Host: admin",
		"Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1", "X-Client-IP: 10.0.0.1", "X_Cluster_Client_IP: 10.0.0.1",
		"Content_Encoding: gzip", "CONTENT.ENCODING: gzip", "content_type: multipart/related", "Content~Type: a/b",
		"Connection: Content-Type, Cookie, Soapaction, content-encoding", "Connection: close\r\nConnection: SOAPAction",
	} {
		c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"+kept+attack+"\r\n\r\nx")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		_, lines, _ := strings.Cut(strings.TrimSuffix(b.head(), "\r\n"), "\r\n")
		got := strings.Split(lines, "\r\n")
		slices.Sort(got)
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: the server got %s\nwant %s", attack, s, want)
		}
	}
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: SOAPAction, Content_Type, X-Rewrite-Url\r\n\r\n1\r\na\r\n0\r\nSOAPAction: urn:pay\r\nContent_Type: a/b\r\nX-Rewrite-Url: /admin\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	if h := strings.ToLower(b.head()); strings.Contains(h, "trailer") {
		t.Errorf("the server got %s", h)
	}
}
