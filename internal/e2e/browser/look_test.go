package browser

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/password/form"

	"github.com/soapward/soapward/internal/e2e/peers"
)

var (
	screenshots = flag.String("screenshots", "", "write pictures of the form into this `directory`")
	update      = flag.Bool("update", false, "make docs/login-form.png again")
)

// colours are those of an element and of what is behind it.
type colours struct{ What, Text, Back, Border, Around string }

// readColours runs in the page.
const readColours = `
const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(", 0)") && c != "transparent") return c } return "rgb(255, 255, 255)" };
return [...document.querySelectorAll("h1, p, label, small, a, button, input:not([type=hidden])")].filter(e => e.offsetParent).map(e => {
	const s = getComputedStyle(e);
	return { What: e.tagName + "#" + e.id + "." + e.className, Text: s.color, Back: back(e), Border: e.type == "text" || e.type == "password" ? s.borderTopColor : "", Around: back(e.parentElement) }
})`

// TestLook: contrast by WCAG 2.2 AA in light and dark, targets for fingers, and
// nothing beside the window at 320 pixels (WCAG 1.4.3, 1.4.10, 1.4.11, 2.5.8).
func TestLook(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{Service: "Payroll", Windows: offering{{Scheme: "Negotiate"}}, WindowsByLink: true})
	b := borrowChrome(t)
	b.DevTools("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true})
	var pictures []image.Image
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1000, 320} {
			b.Window(width, 720, scheme)
			for _, page := range []string{"first", "German", "error", "signed out", "sign out"} {
				name := fmt.Sprintf("%s, %d, %s", scheme, width, page)
				switch page {
				case "first":
					b.Open(s.at("web.corp.test", "/login?return=/pay"))
				case "German":
					b.DevTools("Network.enable", map[string]any{})
					b.DevTools("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{"Accept-Language": "de"}})
					b.Open(s.at("web.corp.test", "/login/windows?return=/pay"))
					if got := b.Text("#message"); !strings.HasPrefix(got, "Ihr Windows-Konto") {
						t.Errorf("%s: message %q", name, got)
					}
					b.DevTools("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{}})
				case "error":
					b.Open(s.at("web.corp.test", "/login?return=/pay"))
					b.SignIn(aliceName, "wrong")
				case "sign out":
					b.Open(s.at("web.corp.test", "/login"))
					b.SignIn(aliceName, alicePass)
					b.Open(s.at("web.corp.test", "/login/out"))
				case "signed out":
					b.Open(s.at("web.corp.test", "/login?out="))
				}
				checkColours(t, b, name)
				checkSizes(t, b, name, width)
				shot := b.Screenshot()
				if *screenshots != "" {
					file := filepath.Join(*screenshots, strings.ReplaceAll(name, ", ", "-")+".png")
					if err := os.WriteFile(file, shot, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if page == "sign out" {
					b.Submit("button")
				}
			}
		}
		if *update {
			b.Window(500, 640, scheme)
			b.Open(s.at("web.corp.test", "/login?return=/pay"))
			pic, err := png.Decode(bytes.NewReader(b.Screenshot()))
			if err != nil {
				t.Fatal(err)
			}
			pictures = append(pictures, pic)
		}
	}
	if *update {
		writeSideBySide(t, pictures, filepath.Join("..", "..", "..", "docs", "login-form.png"))
	}
}

func checkColours(t *testing.T, b *peers.Chrome, name string) {
	t.Helper()
	var all []colours
	b.Script(readColours, &all)
	if len(all) < 3 {
		t.Errorf("%s: %d elements", name, len(all))
	}
	for _, c := range all {
		if r := contrast(t, c.Text, c.Back); r < 4.5 {
			t.Errorf("%s: %s has contrast %.2f (%s on %s), want 4.5", name, c.What, r, c.Text, c.Back)
		}
		if c.Border != "" {
			if r := contrast(t, c.Border, c.Around); r < 3 {
				t.Errorf("%s: the border of %s has contrast %.2f, want 3", name, c.What, r)
			}
		}
	}
}

func checkSizes(t *testing.T, b *peers.Chrome, name string, width int) {
	t.Helper()
	var got struct {
		Wide, Inner int
		Small       []string
	}
	b.Script(`return { Wide: document.documentElement.scrollWidth, Inner: innerWidth, Small:
		[...document.querySelectorAll("button, a, input[type=text], input[type=password], .box")].filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML) }`, &got)
	if got.Inner != width || got.Wide > width {
		t.Errorf("%s: the page is %d wide in a window of %d", name, got.Wide, got.Inner)
	}
	if len(got.Small) != 0 {
		t.Errorf("%s: lower than 44 pixels: %s", name, got.Small)
	}
}

// contrast is the ratio of WCAG 2.2 between two CSS colours without alpha.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var c [3]float64
	if _, err := fmt.Sscanf(colour, "rgb(%f, %f, %f)", &c[0], &c[1], &c[2]); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	for i, v := range c {
		if v /= 255; v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

func writeSideBySide(t *testing.T, pictures []image.Image, file string) {
	t.Helper()
	var size image.Point
	for _, p := range pictures {
		size.X, size.Y = size.X+p.Bounds().Dx(), max(size.Y, p.Bounds().Dy())
	}
	all, x := image.NewRGBA(image.Rectangle{Max: size}), 0
	for _, p := range pictures {
		draw.Draw(all, p.Bounds().Add(image.Pt(x, 0)), p, p.Bounds().Min, draw.Src)
		x += p.Bounds().Dx()
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, all); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 80<<10 {
		t.Errorf("%s has %d bytes", file, b.Len())
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
