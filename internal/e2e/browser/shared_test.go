package browser

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/soapward/soapward/internal/e2e/peers"
)

// shared is the browser of the tests that need nothing unusual: to start one
// takes seconds.
var shared struct {
	sync.Mutex
	*peers.Chrome
	profile string
}

// borrowChrome waits for the browser that tests share, as nobody has used it yet.
func borrowChrome(t *testing.T) *peers.Chrome {
	t.Helper()
	shared.Lock()
	t.Cleanup(shared.Unlock)
	if shared.Chrome == nil {
		var err error
		if shared.profile, err = os.MkdirTemp("", "browser"); err != nil {
			t.Fatal(err)
		}
		shared.Chrome = peers.LaunchChrome(t, peers.ChromeConfig{Profile: shared.profile})
	}
	b := shared.Chrome
	b.For(t)
	b.Do(http.MethodPost, "/timeouts", map[string]any{"pageLoad": peers.PageLoad.Milliseconds()}, nil)
	b.Open("about:blank")
	b.DevTools("Network.clearBrowserCookies", map[string]any{})
	b.DevTools("Page.setBypassCSP", map[string]any{"enabled": false})
	b.DevTools("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": false})
	b.Window(1000, 800, "light")
	return b
}

// endShared closes the browser that tests shared.
func endShared() error {
	if shared.Chrome == nil {
		return nil
	}
	return errors.Join(shared.Quit(), os.RemoveAll(shared.profile))
}
