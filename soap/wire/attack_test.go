package wire

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// hostile makes messages of about n bytes that are as expensive as the default
// limits let them be.
func hostile(n int) map[string]string {
	fill := func(s string) string { return strings.Repeat(s, n/len(s)) }
	decls := numbered(255, `xmlns:p%d="u%[1]d"`)
	deep := strings.Repeat("<a>", 255)
	return map[string]string{
		"small elements":      "<a>" + fill("<a/>") + "</a>",
		"depth, then wide":    deep + fill("<a/>") + strings.Repeat("</a>", 255),
		"only start tags":     fill("<a>"),
		"attributes":          "<a>" + fill("<a "+numbered(256, `a%d=""`)+"/>") + "</a>",
		"attributes of one":   "<a " + numbered(n/10, `a%d=""`) + "/>",
		"long namespaces":     "<a xmlns:p='" + strings.Repeat("u", 2000) + "'>" + fill("<p:a/>") + "</a>",
		"long default":        "<a xmlns='" + strings.Repeat("u", 2000) + "'>" + fill("<a/>") + "</a>",
		"far prefix":          "<a " + decls + ">" + fill("<p0:a p0:b=''/>") + "</a>",
		"declarations":        "<a>" + fill("<a "+decls+"/>") + "</a>",
		"references":          "<a>" + fill("&#x41;") + "</a>",
		"references in value": "<a b='" + fill("&amp;") + "'/>",
		"pieces of text":      "<a>" + fill("x<!---->") + "</a>",
		"cdata":               "<a>" + fill("<![CDATA[]]>x") + "</a>",
		"comments":            fill("<!---->") + "<a/>",
		"instructions":        fill("<?p?>") + "<a/>",
		"long name":           "<" + fill("a") + "/>",
		"long text":           "<a>" + fill("x") + "</a>",
		"line ends":           "<a>" + fill("\r") + "</a>",
		"open comment":        "<a>" + fill("<!-") + "</a>",
		"brackets":            "<a>" + fill("]]") + "</a>",
		"prefixes in text":    "<a " + decls + "><b>" + fill("p0:p1:p254:") + "</b></a>",
		"prefixes in a value": "<a " + decls + "><b c='" + fill("p0:p1:p254:") + "'/></a>",
		"attributes, far":     "<a " + numbered(200, `xmlns:p%d="u%[1]d"`) + ">" + fill("<a "+numbered(200, `p%d:a=""`)+"/>") + "</a>",
		"utf-16":              "\xFE\xFF\x00<\x00a\x00>" + fill("\x4e\x00") + "\x00<\x00/\x00a\x00>",
	}
}

// uses are the ways to read an element whose content is not known beforehand.
var uses = map[string]func(r *Reader){
	"read":    func(r *Reader) { r.Next(); r.Skip() },
	"text":    func(r *Reader) { r.Next(); r.Text() },
	"capture": func(r *Reader) { r.Next(); r.Raw() },
	"content": func(r *Reader) { r.Next(); r.Content() },
	"peek": func(r *Reader) {
		for r.Next() != EOF {
			r.Peek()
		}
	},
}

// TestAttackMemory shows that reading a hostile message, or capturing it,
// allocates no more than a small multiple of its size.
func TestAttackMemory(t *testing.T) {
	const size = 1 << 20
	for name, doc := range hostile(size) {
		for use, f := range uses {
			t.Run(name+"/"+use, func(t *testing.T) { // not parallel: it measures
				b := []byte(doc)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := NewReader(b, Options{Limits: Limits{Bytes: size * 3 / 2}})
				f(r)
				runtime.ReadMemStats(&after)
				// What growing buffers allocate in all is several times what is
				// kept.
				if used := after.TotalAlloc - before.TotalAlloc; used > 18*size {
					t.Errorf("%d bytes allocated for %d: %v", used, len(b), r.Err())
				}
			})
		}
	}
}

// TestAttackTime shows that no message takes more than time in proportion to its
// size: sixteen times the message takes about sixteen times as long, where
// quadratic work would take 256 times.
func TestAttackTime(t *testing.T) { // not parallel: it measures
	const small, large, most = 16 << 10, 16 * 16 << 10, 80
	at := hostile(large)
	for name, doc := range hostile(small) {
		for use, f := range uses {
			took := func(doc string) time.Duration {
				begin := processorTime(t)
				f(NewReader([]byte(doc), Options{}))
				return max(processorTime(t)-begin, 50*time.Microsecond) // below that it says little
			}
			a, b := min(took(doc), took(doc)), took(at[name])
			for range 20 { // the collector may run at the same time
				if b <= most*a {
					break
				}
				b = min(b, took(at[name]))
			}
			if b > most*a {
				t.Errorf("%s, %s: %v for %d bytes, %v for %d", name, use, a, len(doc), b, len(at[name]))
			}
		}
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := testenv.ProcessorTime()
	if err != nil {
		testenv.Skip(t, err.Error())
	}
	return d
}

// BenchmarkHostile shows how far from the normal speed a hostile message can
// push the Reader.
func BenchmarkHostile(b *testing.B) {
	for name, doc := range hostile(1 << 20) {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				r := NewReader([]byte(doc), Options{})
				r.Next()
				r.Skip()
			}
		})
		b.Run(fmt.Sprintf("%s-content", strings.ReplaceAll(name, " ", "-")), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				r := NewReader([]byte(doc), Options{})
				r.Next()
				r.Content()
			}
		})
	}
}
