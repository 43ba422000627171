package peers

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// watch has a page keep what its policy refused, and what failed in a script.
const watch = `window.wrong = [];
addEventListener("securitypolicyviolation", e => wrong.push("policy: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));
addEventListener("error", e => wrong.push("error: " + e.message));
addEventListener("unhandledrejection", e => wrong.push("rejection: " + e.reason));`

// Watch has each page that is opened from now on keep what Watched looks for.
func (b *Chrome) Watch() {
	b.t.Helper()
	b.DevTools("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watch})
}

// Watched fails the test if the page's policy refused something, or a script failed.
func (b *Chrome) Watched(name string) {
	b.t.Helper()
	var wrong []string
	b.Script(`return window.wrong`, &wrong)
	if len(wrong) > 0 {
		b.t.Errorf("%s: %q", name, wrong)
	}
}

// WithAxe has axe-core in each page that is opened from now on, for Accessible, and
// watches them.
func (b *Chrome) WithAxe() {
	b.t.Helper()
	b.DevTools("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": watch + axe(b.t)})
}

func axe(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	modules := testenv.NodeModules(t, filepath.Join(filepath.Dir(file), "testdata", "axe"))
	text, err := os.ReadFile(filepath.Join(modules, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Settle ends what moves or fades in the page.
func (b *Chrome) Settle() {
	b.t.Helper()
	b.Script(`for (const a of document.getAnimations()) { try { a.finish() } catch { a.cancel() } }`, nil) // one without an end
}

// Accessible fails the test if axe-core finds anything in the page, by WCAG 2.2 AA
// and its best practice, with all details open. WithAxe comes
// first, or axe-core is put into the page now, which has to run scripts.
func (b *Chrome) Accessible(name string) {
	b.t.Helper()
	var got struct {
		Passed int
		Found  []struct {
			ID, Impact, Help string
			Nodes            []string
		}
	}
	b.Settle()
	var there bool
	if b.Script(`return "axe" in window`, &there); !there {
		b.Script(axe(b.t), nil)
	}
	b.Script(`document.querySelectorAll("details").forEach(d => d.open = true);
return axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(r => ({ Passed: r.passes.length, Found: r.violations.map(v =>
	({ ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + (n.any[0] || n.all[0] || n.none[0] || {}).message) })) }))`, &got)
	if got.Passed < 15 {
		b.t.Errorf("%s: only %d rules had anything to look at", name, got.Passed)
	}
	for _, v := range got.Found {
		b.t.Errorf("%s: %s, %s: %s: %q", name, v.Impact, v.ID, v.Help, v.Nodes)
	}
	b.Watched(name)
}
