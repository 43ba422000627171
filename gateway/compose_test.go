package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

// whole runs a gateway with its real parts. Files are written beside its
// configuration.
func whole(t *testing.T, text string, files map[string]string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), log: new(testenv.Log), done: make(chan struct{})}
	r.file = filepath.Join(r.dir, "gw.yaml")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.write(r.file, text)
	c, err := config.Load(r.file)
	if err != nil {
		t.Fatal(err)
	}
	if r.Gateway, err = New(c, r.file, Options{Logger: slog.New(slog.NewTextHandler(r.log, nil)), NoWatch: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		r.err = r.Run(ctx)
		close(r.done)
	}()
	t.Cleanup(func() { r.end() })
	return r
}

// do returns status, header and body of an answer.
func (r *running) do(method, url, body string, header ...string) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// A service whose requests another proxy passes on has no server here: a gateway
// with an upstream that only says what that proxy is told did not start.
func TestForwardAuthWithoutServer(t *testing.T) {
	t.Parallel()
	a := freeAddr(t)
	text := `
listen: [{addr: "` + a + `"}]
forward_auth: {proxies: [127.0.0.1]}
services:
  shop: {match: {path: /}, login: [none], forward_auth: true, upstream: {identity: {header: X-Who}}}
`
	r := whole(t, text, nil)
	ask := func() {
		t.Helper()
		status, _, body := r.do("GET", "http://"+a+"/.soapward/auth", "", "X-Original-Method", "GET", "X-Original-URL", "http://shop.test/x")
		if status != 200 {
			t.Errorf("got %d %q, want 200", status, body)
		}
	}
	ask()
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	ask()
}

// wsdlOf describes an operation whose element in the body has no namespace.
const wsdlOf = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" targetNamespace="urn:t">
<message name="m"/><portType name="p"><operation name="%OP%"><input message="t:m"/></operation></portType>
<binding name="b" type="t:p"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="%OP%"><s:operation soapAction="urn:t/%OP%"/><input><s:body use="literal"/></input></operation></binding>
<service name="s"><port name="p" binding="t:b"><s:address location="http://x/"/></port></service></definitions>`

// The metrics know the operations of the configuration in force, not of one that
// was refused.
func TestOperationsOfRefusedReload(t *testing.T) {
	t.Parallel()
	a, admin := freeAddr(t), freeAddr(t)
	text := `
admin: {addr: "` + admin + `"}
listen: [{addr: "` + a + `"}]
services: {x: {match: {path: /}, login: [none], wsdl: x.wsdl, upstream: {url: "http://127.0.0.1:1"}}}
`
	r := whole(t, text, map[string]string{"x.wsdl": strings.ReplaceAll(wsdlOf, "%OP%", "One")})
	call := func() {
		r.do("POST", "http://"+a+"/", `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><One/></e:Body></e:Envelope>`,
			"Content-Type", "text/xml", "SOAPAction", `"urn:t/One"`)
	}
	call()
	r.write(filepath.Join(r.dir, "x.wsdl"), strings.ReplaceAll(wsdlOf, "%OP%", "Two"))
	r.write(r.file, text+"  \nupstreams: {u: {listen: \"192.0.2.1:1\", url: \"http://x\", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}\n")
	if err := r.Reload(); err == nil {
		t.Fatal("an address of another machine was opened")
	}
	call()
	_, _, metrics := r.do("GET", "http://"+admin+"/metrics", "")
	if want := `soapward_operation_seconds_count{operation="{urn:t}One",service="x"} 2`; !strings.Contains(metrics, want) {
		t.Errorf("no %s in\n%s", want, grep(metrics, "operation_seconds_count"))
	}
}

func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Who serves a configuration is told what is dangerous in it, and what does
// nothing, as who checks it is; at a reload by the log.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := whole(t, `
listen: [{addr: "`+freeAddr(t)+`"}]
realms: {id: {oidc: {issuer: "https://id.example", client_id: x}}}
services: {x: {match: {path: /}, login: [none], upstream: {url: "http://127.0.0.1:1"}}}
`, nil)
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"gw.yaml:3: realms.id.oidc: nobody signs in there", "services.x.login: none: everybody"} {
		if !strings.Contains(r.log.String(), want) || !strings.Contains(strings.Join(r.Warnings(), "\n"), want) {
			t.Errorf("no %q in %v and the log\n%s", want, r.Warnings(), r.log)
		}
	}
}
