package ui

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// StaticPrefix is where Static is.
const StaticPrefix = "/console/static/"

var (
	//go:embed style.css
	styleSource string

	//go:embed script.js
	scriptSource string

	//go:embed icon.svg
	iconSource string
)

// assets are the addresses of the files that pages use.
type assets struct {
	Style, Script, Icon string
	files               map[string]asset
}

type asset struct{ kind, text string }

var staticAssets = sync.OnceValue(func() *assets {
	a := &assets{files: map[string]asset{}}
	add := func(name, ext, kind, text string) string {
		sum := sha256.Sum256([]byte(text))
		path := StaticPrefix + name + "." + hex.EncodeToString(sum[:6]) + ext
		a.files[path] = asset{kind, text}
		return path
	}
	a.Style = add("style", ".css", "text/css; charset=utf-8", styleSource)
	a.Script = add("script", ".js", "text/javascript; charset=utf-8", scriptSource)
	a.Icon = add("icon", ".svg", "image/svg+xml", iconSource)
	return a
})

// Static serves style, script and icons, below /console/static/, by names that
// change with what is in them.
func Static() http.Handler {
	a := staticAssets()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		f, ok := a.files[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", f.kind)
		h.Set("Content-Length", strconv.Itoa(len(f.text)))
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.Method == http.MethodGet {
			_, _ = strings.NewReader(f.text).WriteTo(w) // a client that went away needs no answer
		}
	})
}
