package peers

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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// Chrome is a Chromium that a chromedriver of its own presses the keys of, by the
// WebDriver protocol (W3C WebDriver 2018). One goroutine uses it at a time.
type Chrome struct {
	t       *testing.T
	profile string
	session string // URL
	proc    *testenv.Process
	log     *bytes.Buffer // of chromedriver; to be read when it ended
}

// ChromeConfig says what is unusual about a Chromium.
type ChromeConfig struct {
	Profile string   // directory of its user; empty: a new one
	Env     []string // added to the test's own
	Args    []string
}

// StartChrome opens a browser without a window, that ends with the test or by
// Quit. Host names below test are all on 127.0.0.1.
func StartChrome(t *testing.T, c ChromeConfig) *Chrome {
	t.Helper()
	if c.Profile == "" {
		c.Profile = t.TempDir()
	}
	b := LaunchChrome(t, c)
	t.Cleanup(func() {
		if err := b.Quit(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("chromedriver: %s", b.log)
		}
	})
	return b
}

// PageLoad is how long a page may take.
const PageLoad = 30 * time.Second

// LaunchChrome starts a driver and its browser.
func LaunchChrome(t *testing.T, c ChromeConfig) *Chrome {
	t.Helper()
	driver, program := testenv.Need(t, "chromedriver"), testenv.Need(t, "chromium")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	b := &Chrome{t: t, profile: c.Profile, log: new(bytes.Buffer)}
	cmd := exec.Command(driver, "--port="+strconv.Itoa(port))
	cmd.Env = append(slices.Concat(os.Environ(), c.Env), "HOME="+c.Profile)
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
	capabilities := map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName": "chrome", "acceptInsecureCerts": true,
		"timeouts": map[string]any{"pageLoad": PageLoad.Milliseconds(), "script": 30_000},
		"goog:chromeOptions": map[string]any{
			"binary": program,
			"args": append([]string{
				"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
				"--disable-dev-shm-usage", "--user-data-dir=" + c.Profile, "--no-proxy-server", "--force-device-scale-factor=1",
				"--host-resolver-rules=MAP *.test 127.0.0.1", "--lang=en-US", "--window-size=1000,800",
			}, c.Args...),
			// The library for Kerberos is loaded from the start only where a server
			// was seen that asked for it, and the mapping above is not a host's other
			// name.
			"localState": map[string]any{
				"net.received_http_auth_negotiate_headers": true, "auth.disable_negotiate_cname_lookup": true,
			},
		},
	}}}
	// A loaded machine may take longer to start a browser than its driver waits.
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err = b.Try(ctx, http.MethodPost, "", capabilities, &made)
		cancel()
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("no browser starts: %v", err)
	}
	b.session += "/" + made.SessionID
	return b
}

// For hands the browser to another test.
func (b *Chrome) For(t *testing.T) { b.t = t }

// Quit closes the browser as its user would, ends the driver, and returns when
// the profile is free for another browser.
func (b *Chrome) Quit() error {
	if b.proc == nil {
		return nil
	}
	lock, _ := os.Readlink(filepath.Join(b.profile, "SingletonLock"))        // HOST-PID; none if it never ran
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // a test's own may be over
	defer cancel()
	_ = b.Try(ctx, http.MethodDelete, "", nil, nil) // it is ended below in any case
	err := b.proc.Stop()
	b.proc = nil
	if pid := lock[strings.LastIndexByte(lock, '-')+1:]; pid != "" {
		// The browser has a process group of its own, and the driver does not wait.
		err = errors.Join(err, testenv.Poll(ctx, func() error {
			if _, err := os.Readlink("/proc/" + pid + "/exe"); err == nil { // one that nobody waited for has none
				return fmt.Errorf("the browser, process %s, still runs", pid)
			}
			return nil
		}))
	}
	return err
}

// Do runs a command and fails the test if it fails.
func (b *Chrome) Do(method, path string, in, out any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.Try(ctx, method, path, in, out); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// Try runs a command that may fail.
func (b *Chrome) Try(ctx context.Context, method, path string, in, out any) error {
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

// Open goes to a page.
func (b *Chrome) Open(url string) {
	b.t.Helper()
	b.Do(http.MethodPost, "/url", map[string]string{"url": url}, nil)
}

// URL is that of the page.
func (b *Chrome) URL() (u string) {
	b.t.Helper()
	b.Do(http.MethodGet, "/url", nil, &u)
	return u
}

// elementKey names elements (W3C WebDriver 12.2).
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// Element returns the one element that a CSS selector means.
func (b *Chrome) Element(css string) string {
	b.t.Helper()
	var found []map[string]string
	b.Do(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": css}, &found)
	if len(found) != 1 {
		b.t.Fatalf("%d elements %q at %s, want one: %s", len(found), css, b.URL(), b.Text("body"))
	}
	return "/element/" + found[0][elementKey]
}

// Has reports whether there is such an element.
func (b *Chrome) Has(css string) bool {
	b.t.Helper()
	var found []map[string]string
	b.Do(http.MethodPost, "/elements", map[string]string{"using": "css selector", "value": css}, &found)
	return len(found) > 0
}

// Text is that of an element.
func (b *Chrome) Text(css string) (text string) {
	b.t.Helper()
	b.Do(http.MethodGet, b.Element(css)+"/text", nil, &text)
	return text
}

// Click clicks on an element.
func (b *Chrome) Click(css string) {
	b.t.Helper()
	b.Do(http.MethodPost, b.Element(css)+"/click", nil, nil)
}

// Submit clicks on what leads to another page, and returns when that is there:
// the driver waits only if the answer comes at once.
func (b *Chrome) Submit(css string) {
	b.t.Helper()
	b.Leave(func() { b.Click(css) })
}

// Leave returns when the page that act leads to is there.
func (b *Chrome) Leave(act func()) {
	b.t.Helper()
	b.Script(`window.leaving = true`, nil)
	act()
	b.Wait("another page", func() bool {
		var there bool
		in := map[string]any{"script": `return !window.leaving && document.readyState == "complete"`, "args": []any{}}
		return b.Try(b.t.Context(), http.MethodPost, "/execute/sync", in, &there) == nil && there // fails in between
	})
}

// Fill puts text into a field.
func (b *Chrome) Fill(css, text string) {
	b.t.Helper()
	e := b.Element(css)
	b.Do(http.MethodPost, e+"/clear", nil, nil)
	b.Do(http.MethodPost, e+"/value", map[string]string{"text": text}, nil)
}

// Keys that are no characters (W3C WebDriver 17.4.2).
const (
	KeyTab   = "\ue004"
	KeyEnter = "\ue007"
	KeySpace = " "
)

// Press types on the keyboard, wherever the focus is.
func (b *Chrome) Press(keys string) {
	b.t.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": string(k)}, map[string]string{"type": "keyUp", "value": string(k)})
	}
	b.Do(http.MethodPost, "/actions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": actions},
	}}, nil)
}

// Focus returns the accessible role and name of what has the focus.
func (b *Chrome) Focus() (role, name string) {
	b.t.Helper()
	var e map[string]string
	b.Do(http.MethodGet, "/element/active", nil, &e)
	b.Do(http.MethodGet, "/element/"+e[elementKey]+"/computedrole", nil, &role)
	b.Do(http.MethodGet, "/element/"+e[elementKey]+"/computedlabel", nil, &name)
	return role, name
}

// Script runs the body of a function in the page. What that returns, or resolves
// to, goes to out.
func (b *Chrome) Script(body string, out any, args ...any) {
	b.t.Helper()
	if args == nil {
		args = []any{}
	}
	b.Do(http.MethodPost, "/execute/sync", map[string]any{"script": body, "args": args}, out)
}

// DevTools runs a command of the DevTools protocol.
func (b *Chrome) DevTools(cmd string, params map[string]any) {
	b.t.Helper()
	b.Do(http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": cmd, "params": params}, nil)
}

// Window sets the size of the page, and light or dark.
func (b *Chrome) Window(width, height int, scheme string) {
	b.t.Helper()
	b.DevTools("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
	b.DevTools("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}})
}

// Screenshot returns the window as PNG.
func (b *Chrome) Screenshot() []byte {
	b.t.Helper()
	var text string
	b.Do(http.MethodGet, "/screenshot", nil, &text)
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// Cookie is one that the browser keeps.
type Cookie struct {
	Name, Value, Path, Domain, SameSite string
	Secure, HTTPOnly                    bool
	Expiry                              int64 // in seconds; zero: until the browser closes
}

// Cookie returns a cookie of the page, or nil.
func (b *Chrome) Cookie(name string) *Cookie {
	b.t.Helper()
	var cs []Cookie
	b.Do(http.MethodGet, "/cookie", nil, &cs)
	for _, c := range cs {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

// Wait asks cond until it returns true.
func (b *Chrome) Wait(what string, cond func() bool) {
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
		b.t.Fatalf("%s: %v; at %s: %s", what, err, b.URL(), b.Text("body"))
	}
}

// SignIn fills in the form that is open and sends it.
func (b *Chrome) SignIn(user, pw string) {
	b.t.Helper()
	b.Fill("#user", user)
	b.Fill("#password", pw)
	b.Submit("button")
}
