package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// chrome is a Chromium that a chromedriver of its own presses the keys of, by the
// WebDriver protocol (W3C WebDriver 2018). One goroutine uses it at a time.
type chrome struct {
	t       *testing.T
	session string // URL
	proc    *testenv.Process
	log     *bytes.Buffer // of chromedriver; to be read when it ended
}

// chromeConfig says what is unusual about a Chromium.
type chromeConfig struct {
	profile string   // directory of its user; empty: a new one
	env     []string // added to the test's own
	args    []string
}

// startChrome opens a browser without a window, that ends with the test or by
// quit. Host names below test are all on 127.0.0.1.
func startChrome(t *testing.T, c chromeConfig) *chrome {
	t.Helper()
	if c.profile == "" {
		c.profile = t.TempDir()
	}
	b := launch(t, c)
	t.Cleanup(func() {
		if err := b.quit(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("chromedriver: %s", b.log)
		}
	})
	return b
}

// shared is the browser of the tests that need nothing unusual: to start one
// takes seconds.
var shared struct {
	sync.Mutex
	*chrome
	profile string
}

// borrowChrome waits for the browser that tests share, as nobody has used it yet.
func borrowChrome(t *testing.T) *chrome {
	t.Helper()
	shared.Lock()
	t.Cleanup(shared.Unlock)
	if shared.chrome == nil {
		var err error
		if shared.profile, err = os.MkdirTemp("", "browser"); err != nil {
			t.Fatal(err)
		}
		shared.chrome = launch(t, chromeConfig{profile: shared.profile})
	}
	b := shared.chrome
	b.t = t
	b.do(http.MethodPost, "/timeouts", map[string]any{"pageLoad": pageLoad.Milliseconds()}, nil)
	b.open("about:blank")
	b.devTools("Network.clearBrowserCookies", map[string]any{})
	b.devTools("Page.setBypassCSP", map[string]any{"enabled": false})
	b.devTools("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": false})
	b.window(1000, 800, "light")
	return b
}

// endShared closes the browser that tests shared.
func endShared() error {
	if shared.chrome == nil {
		return nil
	}
	return errors.Join(shared.quit(), os.RemoveAll(shared.profile))
}

// pageLoad is how long a page may take.
const pageLoad = 30 * time.Second

// launch starts a driver and its browser.
func launch(t *testing.T, c chromeConfig) *chrome {
	t.Helper()
	driver, program := testenv.Need(t, "chromedriver"), testenv.Need(t, "chromium")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := &chrome{t: t, log: new(bytes.Buffer)}
	cmd := exec.Command(driver, "--port="+strconv.Itoa(port))
	cmd.Env = append(slices.Concat(os.Environ(), c.env), "HOME="+c.profile)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if b.proc, err = testenv.StartProcess(cmd); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := b.proc.WaitListening(ctx, addr); err != nil {
		t.Fatal(err)
	}
	b.session = "http://" + addr + "/session"
	var made struct {
		SessionID string `json:"sessionId"`
	}
	b.do(http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "acceptInsecureCerts": true,
		"timeouts": map[string]any{"pageLoad": pageLoad.Milliseconds(), "script": 30_000},
		"goog:chromeOptions": map[string]any{
			"binary": program,
			"args": append([]string{
				"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
				"--disable-dev-shm-usage", "--user-data-dir=" + c.profile, "--no-proxy-server", "--force-device-scale-factor=1",
				"--host-resolver-rules=MAP *.test 127.0.0.1", "--lang=en-US", "--window-size=1000,800",
			}, c.args...),
			// The library for Kerberos is loaded from the start only where a server
			// was seen that asked for it, and the mapping above is not a host's other
			// name.
			"localState": map[string]any{
				"net.received_http_auth_negotiate_headers": true, "auth.disable_negotiate_cname_lookup": true,
			},
		},
	}}}, &made)
	b.session += "/" + made.SessionID
	return b
}

// quit closes the browser as its user would, and ends the driver.
func (b *chrome) quit() error {
	if b.proc == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // a test's own may be over
	defer cancel()
	_ = b.try(ctx, http.MethodDelete, "", nil, nil) // it is ended below in any case
	err := b.proc.Stop()
	b.proc = nil
	return err
}

// do runs a command and fails the test if it fails.
func (b *chrome) do(method, path string, in, out any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.try(ctx, method, path, in, out); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (b *chrome) try(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if method == http.MethodPost {
		if in == nil {
			in = struct{}{}
		}
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, b.session+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failed struct{ Error, Message string }
		_ = json.Unmarshal(answer.Value, &failed) // its zero value says nothing then
		return fmt.Errorf("%s: %s", failed.Error, failed.Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, out)
}

func (b *chrome) open(url string) {
	b.t.Helper()
	b.do(http.MethodPost, "/url", map[string]string{"url": url}, nil)
}

func (b *chrome) url() (u string) {
	b.t.Helper()
	b.do(http.MethodGet, "/url", nil, &u)
	return u
}

// elementKey names elements (W3C WebDriver 12.2).
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// element returns the one element that a CSS selector means.
func (b *chrome) element(css string) string {
	b.t.Helper()
	var found []map[string]string
	b.do(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": css}, &found)
	if len(found) != 1 {
		b.t.Fatalf("%d elements %q at %s, want one: %s", len(found), css, b.url(), b.text("body"))
	}
	return "/element/" + found[0][elementKey]
}

// has reports whether there is such an element.
func (b *chrome) has(css string) bool {
	b.t.Helper()
	var found []map[string]string
	b.do(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": css}, &found)
	return len(found) > 0
}

func (b *chrome) text(css string) (text string) {
	b.t.Helper()
	b.do(http.MethodGet, b.element(css)+"/text", nil, &text)
	return text
}

func (b *chrome) click(css string) {
	b.t.Helper()
	b.do(http.MethodPost, b.element(css)+"/click", nil, nil)
}

// submit clicks on what leads to another page, and returns when that is there:
// the driver waits only if the answer comes at once.
func (b *chrome) submit(css string) {
	b.t.Helper()
	b.leave(func() { b.click(css) })
}

// leave returns when the page that act leads to is there.
func (b *chrome) leave(act func()) {
	b.t.Helper()
	b.script(`window.leaving = true`, nil)
	act()
	b.wait("another page", func() bool {
		var there bool
		in := map[string]any{"script": `return !window.leaving && document.readyState == "complete"`, "args": []any{}}
		return b.try(b.t.Context(), http.MethodPost, "/execute/sync", in, &there) == nil && there // fails in between
	})
}

func (b *chrome) fill(css, text string) {
	b.t.Helper()
	e := b.element(css)
	b.do(http.MethodPost, e+"/clear", nil, nil)
	b.do(http.MethodPost, e+"/value", map[string]string{"text": text}, nil)
}

// Keys that are no characters (W3C WebDriver 17.4.2).
const (
	keyTab   = "\ue004"
	keyEnter = "\ue007"
	keySpace = " "
)

// press types on the keyboard, wherever the focus is.
func (b *chrome) press(keys string) {
	b.t.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": string(k)}, map[string]string{"type": "keyUp", "value": string(k)})
	}
	b.do(http.MethodPost, "/actions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": actions},
	}}, nil)
}

// focus returns the accessible role and name of what has the focus.
func (b *chrome) focus() (role, name string) {
	b.t.Helper()
	var e map[string]string
	b.do(http.MethodGet, "/element/active", nil, &e)
	b.do(http.MethodGet, "/element/"+e[elementKey]+"/computedrole", nil, &role)
	b.do(http.MethodGet, "/element/"+e[elementKey]+"/computedlabel", nil, &name)
	return role, name
}

// script runs the body of a function in the page. What that returns, or resolves
// to, goes to out.
func (b *chrome) script(body string, out any, args ...any) {
	b.t.Helper()
	if args == nil {
		args = []any{}
	}
	b.do(http.MethodPost, "/execute/sync", map[string]any{"script": body, "args": args}, out)
}

// devTools runs a command of the DevTools protocol.
func (b *chrome) devTools(cmd string, params map[string]any) {
	b.t.Helper()
	b.do(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": cmd, "params": params}, nil)
}

// window sets the size of the page, and light or dark.
func (b *chrome) window(width, height int, scheme string) {
	b.t.Helper()
	b.devTools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
	b.devTools("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}})
}

func (b *chrome) screenshot() []byte {
	b.t.Helper()
	var text string
	b.do(http.MethodGet, "/screenshot", nil, &text)
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// cookie is one that the browser keeps.
type cookie struct {
	Name, Value, Path, Domain, SameSite string
	Secure, HTTPOnly                    bool
	Expiry                              int64 // in seconds; zero: until the browser closes
}

func (b *chrome) cookie(name string) *cookie {
	b.t.Helper()
	var cs []cookie
	b.do(http.MethodGet, "/cookie", nil, &cs)
	for _, c := range cs {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

// wait asks cond until it returns true.
func (b *chrome) wait(what string, cond func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		if cond() {
			return nil
		}
		return errors.New("not yet")
	})
	if err != nil {
		b.t.Fatalf("%s: %v; at %s: %s", what, err, b.url(), b.text("body"))
	}
}
