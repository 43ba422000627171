package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/realm"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/testenv"
)

const secretsConfig = `
listen: [{addr: "%[1]s"}]
admin: {addr: "%[2]s"}
log: {level: debug}
access_log: {file: access.log}
store: {driver: sqlite, dsn: users.db}
passwords: {memory_kib: 8192, passes: 1}
sessions: {allow_insecure_http: true, allow_evidence: true}
realms:
  corp: {kerberos: {realm: CORP.TEST, kdc: ["%[3]s"], keytab: gw.keytab, spn: [HTTP/127.0.0.1]}, internal: {ntlm: true}}
defaults: {session: true}
services:
  negotiate: {match: {path: /negotiate}, login: [corp/negotiate], upstream: {url: "%[4]s", identity: {jwt: {header: X-Identity, key: {file: id.key}}}}}
  ntlm:      {match: {path: /ntlm}, login: [corp/ntlm], upstream: {url: "%[4]s", identity: {jwt: {header: X-Identity, key: {file: id.key}}}}}
  basic:     {match: {path: /basic}, login: [corp/basic], upstream: {url: "%[4]s"}}
  form:      {match: {path: /form}, login: [corp/form], upstream: {url: "%[4]s"}}
  custom:    {match: {path: /custom}, login: [custom], custom: {call: "%[4]s/hook"}, upstream: {url: "%[4]s"}}
  down:      {match: {path: /down}, login: [corp/basic], upstream: {url: "http://127.0.0.1:1"}}
upstreams:
  fixed:  {listen: "%[5]s", url: "%[4]s", act_as: [fixed], allow_basic: true, fixed: {user: 'CORP\svc', password: {file: svc.secret}}}
  caller: {listen: "%[6]s", url: "%[4]s", act_as: [caller], delegation: {principal: gw@CORP.TEST, password: {env: SOAPWARD_TEST_SECRET}}}
`

// recorder stands between clients and the gateway and notes what they say.
type recorder struct {
	net.Listener
	mu  sync.Mutex
	got bytes.Buffer
}

func newRecorder(t *testing.T, to string) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(io.MultiWriter(r, to), from)
				_ = to.Close()
			}
			go pass(s, c)
			go pass(c, s)
		}
	}()
	return r
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(b)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// 35. Nobody who reads what the gateway writes, shows or leaves in the system finds
// a secret: passwords, hashes, keys, tokens, sessions. Somebody logs in in each way,
// rightly, wrongly and brokenly, on the real program at its most talkative, which
// dumps all its stacks in the end.
func TestAttackSecretsOfServe(t *testing.T) {
	t.Parallel()
	const marked = "Mk7!violet tractor" // begins each password
	secrets := map[string]string{marked: "a password", "Mk7%21violet": "a password in an address", "TWs3IXZpb2xldC": "a password in base64"}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST", NetBIOS: "CORP"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: marked + " alice"}, {Name: "gw", Password: marked + " gw", SPNs: []string{"HTTP/127.0.0.1"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	if err := k.WriteKeytab(filepath.Join(dir, "gw.keytab"), "gw"); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secrets[hex.EncodeToString(private)], secrets[base64.RawURLEncoding.EncodeToString(private)] = "a private key", "a private key"
	secrets[base64.StdEncoding.EncodeToString(der)[60:100]] = "a private key in PEM"
	write("id.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	write("svc.secret", marked+" svc")

	users, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "users.db")})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := (&password.Hasher{Params: password.Params{Memory: 8192, Time: 1}}).Hash(t.Context(), marked+" carol")
	if err != nil {
		t.Fatal(err)
	}
	nt := realm.NTHash(marked + " carol")
	if err := users.CreateUser(t.Context(), &directory.User{Name: "carol", Realm: "corp", Password: hash, NTHash: nt}); err != nil {
		t.Fatal(err)
	}
	if err := users.Close(); err != nil {
		t.Fatal(err)
	}
	secrets[hash.Reveal()] = "a hash"
	secrets[nt.Reveal()] = "an NT hash"

	var told sync.Map // tokens that the server behind got
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get("X-Identity"); v != "" {
			told.Store(v, nil)
		}
		switch {
		case r.URL.Path == "/hook":
			http.Error(w, marked+" said the hook", http.StatusInternalServerError)
		case strings.HasSuffix(r.URL.Path, "/broken"):
			w.Header().Set("X-Broken", marked)
			_, _ = io.WriteString(w, marked)
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/login": // of upstreams
			w.Header().Add("WWW-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(behind.Close)
	var addrs [4]any
	for i := range addrs {
		port, err := testenv.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	file := filepath.Join(dir, "gw.yaml")
	write("gw.yaml", fmt.Sprintf(secretsConfig, addrs[0], addrs[1], k.Addr(), behind.URL, addrs[2], addrs[3]))
	env := append(os.Environ(), "SOAPWARD_TEST_SECRET="+marked+" gw", "GOTRACEBACK=all")

	cmd := exec.Command("soapward", "serve", "-c", file)
	cmd.Env = env
	var stdout buffer
	cmd.Stdout = &stdout
	out := startServe(t, cmd)
	admin := fmt.Sprint("http://", addrs[1])
	eventually(t, "it is ready", func() bool {
		_, err := fetchPage(http.DefaultClient, admin+"/healthz")
		return err == nil
	})
	rec := newRecorder(t, addrs[0].(string))
	base := "http://" + rec.Addr().String()

	seen := make(map[string]int) // by status
	ask := func(c *http.Client, method, to string, body io.Reader, header ...string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, to, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := c.Do(r)
		if err != nil {
			return // which some are to
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		seen[fmt.Sprint(resp.StatusCode)]++
	}
	krb, err := kerberos.NewPasswordClient(kerberos.Config{
		DefaultRealm: "CORP.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{k.Addr()}}},
	}, "alice", authn.NewSecret(marked+" alice"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := authn.NewSecret(marked + " wrong")
	for _, as := range []struct {
		service string
		login   authclient.Credential
	}{
		{"negotiate", &authclient.Kerberos{Client: krb}},
		{"ntlm", &authclient.NTLM{User: "carol", Password: authn.NewSecret(marked + " carol")}},
		{"ntlm", &authclient.NTLM{User: "carol", Password: wrong}},
	} {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Transport: &authclient.Transport{Source: authclient.Static(as.login)}, Jar: jar}
		for _, path := range []string{"/", "/", "/broken", "/.soapward/whoami"} {
			ask(c, "GET", base+"/"+as.service+path, nil)
		}
		c.CloseIdleConnections()
	}
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, user := range []string{"carol", "nobody"} {
		auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+marked+" "+user))
		for _, path := range []string{"/basic/", "/basic/broken", "/basic/?password=" + url.QueryEscape(marked), "/down/", "/custom/x", "/none"} {
			ask(plain, "GET", base+path, nil, "Authorization", auth, "Referer", "http://x/?p="+url.QueryEscape(marked))
		}
	}
	ask(plain, "GET", strings.Replace(base, "://", "://carol:"+url.QueryEscape(marked)+"@", 1)+"/basic/", nil)
	for _, broken := range []string{"Negotiate " + base64.StdEncoding.EncodeToString([]byte(marked)), "NTLM !" + marked, "Basic " + marked, "Bearer " + marked, marked} {
		for _, service := range []string{"/negotiate/", "/ntlm/", "/basic/", "/custom/"} {
			ask(plain, "GET", base+service, nil, "Authorization", broken)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: plain.CheckRedirect}
	for _, pw := range []string{marked + " wrong", marked + " carol"} {
		text, err := fetchPage(browser, base+"/.soapward/login/corp")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no form in %.500s", text)
		}
		secrets[m[1]] = "a token of the form"
		form := url.Values{"csrf": {m[1]}, "user": {"carol"}, "password": {pw}, "return": {"/form/"}}.Encode()
		ask(browser, "POST", base+"/.soapward/login/corp", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded", "Origin", base)
	}
	ask(browser, "GET", base+"/form/", nil)
	for _, up := range addrs[2:] {
		for _, path := range []string{"/", "/login", "/broken"} {
			ask(plain, "GET", fmt.Sprint("http://", up, path), nil)
			told.Range(func(token, _ any) bool {
				ask(plain, "GET", fmt.Sprint("http://", up, path), nil, "X-Identity", token.(string))
				ask(plain, "GET", fmt.Sprint("http://", up, path), nil, "X-Identity", token.(string)+"x")
				return true
			})
		}
	}
	told.Range(func(token, _ any) bool {
		secrets[token.(string)] = "a token about a caller"
		return true
	})
	for line := range strings.Lines(rec.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch strings.ToLower(name) {
		case "authorization", "www-authenticate":
			if _, token, ok := strings.Cut(value, " "); ok && len(token) > 16 {
				secrets[token] = "a token of a login"
			}
		case "set-cookie", "cookie":
			if _, v, ok := strings.Cut(strings.SplitN(value, ";", 2)[0], "="); ok && len(v) > 8 {
				secrets[v] = "a cookie"
			}
		}
	}

	// All that there is to read.
	places := map[string]string{}
	for _, path := range []string{"/", "/readyz", "/metrics", "/healthz"} {
		text, err := fetchPage(http.DefaultClient, admin+path)
		if err != nil {
			t.Error(err)
		}
		places[path] = text
	}
	write("gw.yaml", fmt.Sprintf(secretsConfig, addrs[0], addrs[1], k.Addr(), behind.URL, addrs[2], addrs[3])+"tokens: {issuer: 'x y'}\nnonsense: 1\n")
	_ = cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the reload is refused", func() bool { return strings.Contains(out.String(), "nonsense") })
	write("gw.yaml", fmt.Sprintf(secretsConfig, addrs[0], addrs[1], k.Addr(), behind.URL, addrs[2], addrs[3]))
	for _, args := range [][]string{
		{"check", "-c", file, "--json"}, {"check", "-c", file}, {"check", "-c", file, "--explain", "http://x/basic/"}, {"check", "-c", file, "--explain", "http://x/basic/", "--json"},
		{"user", "list", "-c", file, "--json"}, {"user", "history", "-c", file, "--json"},
	} {
		c := exec.Command("soapward", args...)
		c.Env = env
		b, _ := c.CombinedOutput() // some fail, since the gateway has the addresses
		places["soapward "+strings.Join(args, " ")] = string(b)
	}
	argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	places["the arguments"] = string(argv)
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	_ = cmd.Wait()
	access, err := os.ReadFile(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	places["access.log"], places["standard error"], places["standard output"] = string(access), out.String(), stdout.String()

	for _, want := range []string{"200", "401", "403", "404", "502"} {
		if seen[want] == 0 {
			t.Errorf("nothing was answered with %s: %v", want, seen)
		}
	}
	for place, want := range map[string]string{"standard error": "goroutine ", "access.log": "/basic/", "/metrics": "soapward_logins_total{", "/readyz": "store", "the arguments": "serve"} {
		if !strings.Contains(places[place], want) {
			t.Errorf("%s has no %q: %.2000s", place, want, places[place])
		}
	}
	for _, who := range []string{"alice", "carol"} {
		if !strings.Contains(places["standard error"], who) {
			t.Errorf("the log does not know %s", who)
		}
	}
	kinds := map[string]bool{}
	for secret, what := range secrets {
		kinds[what] = true
		for place, text := range places {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: %.300s", what, place, text[max(i-150, 0):])
			}
		}
	}
	for _, kind := range []string{"a cookie", "a token of a login", "a token about a caller", "a token of the form", "an NT hash"} {
		if !kinds[kind] {
			t.Errorf("there was no %s to look for", kind)
		}
	}
}
