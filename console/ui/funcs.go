package ui

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Funcs are those that templates may use:
//
//	ago TIME NOW     a time element: 5 minutes ago
//	at TIME          a time element: 26 Nov 2026 13:04:05, in UTC
//	n NUMBER         1,234,567
//	plural N ONE MANY
//	q K V ...        a query string, without what is empty
//	icon NAME
//	show NAME        with what cannot be seen, or turns text round, made visible
//	bare VALUE       without the brackets of a list
//	join LIST, lower TEXT, short N TEXT, json RAW
func Funcs() template.FuncMap {
	return template.FuncMap{
		"ago": ago, "at": at, "n": Number, "plural": plural, "q": query,
		"show": show, "bare": bare, "icon": icon, "join": strings.Join, "lower": strings.ToLower, "short": short, "json": indented,
	}
}

// timeElement has a text and, for whoever points at it, the whole time. Both are
// of digits and letters of ours.
func timeElement(t time.Time, text string) template.HTML {
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format("2006-01-02 15:04:05") + ` UTC">` + text + `</time>`) // see above
}

func at(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return timeElement(t, t.UTC().Format("2 Jan 2006 15:04:05"))
}

func ago(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return timeElement(t, Relative(t.Sub(now)))
}

// Relative says in words how far away a time is.
func Relative(d time.Duration) string {
	before := d < 0
	if before {
		d = -d
	}
	var text string
	switch {
	case d < 5*time.Second:
		return "now"
	case d < 90*time.Second:
		text = fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 90*time.Minute:
		text = fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		text = fmt.Sprintf("%d h", int(d.Hours()))
	case d < 60*24*time.Hour:
		text = fmt.Sprintf("%d days", int(d.Hours()/24))
	case d < 730*24*time.Hour:
		text = fmt.Sprintf("%d months", int(d.Hours()/24/30))
	default:
		text = fmt.Sprintf("%d years", int(d.Hours()/24/365))
	}
	if before {
		return text + " ago"
	}
	return "in " + text
}

// Number writes a whole number with commas.
func Number(v any) string {
	var s string
	switch v := v.(type) {
	case int64:
		s = strconv.FormatInt(v, 10)
	case int:
		s = strconv.Itoa(v)
	default:
		s = fmt.Sprint(v)
	}
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func plural(v any, one, many string) string {
	if s := Number(v); s != "1" {
		return s + " " + many
	}
	return "1 " + one
}

func query(pairs ...any) template.URL {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if s := fmt.Sprint(pairs[i+1]); s != "" && s != "0" && s != "false" {
			v.Set(fmt.Sprint(pairs[i]), s)
		}
	}
	return template.URL(v.Encode()) // that escapes everything
}

// show makes a name visible that somebody else chose: without it, two that differ
// look the same, and one can show another file, user or domain than it is.
func show(v any) string {
	s := fmt.Sprint(v)
	if !strings.ContainsFunc(s, invisible) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if invisible(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func invisible(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || unicode.IsSpace(r) && r != ' ' || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func bare(v any) string {
	s := fmt.Sprint(v)
	if in, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(in, "]") {
		return strings.ReplaceAll(in[:len(in)-1], " ", ", ")
	}
	return s
}

func short(limit int, s string) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// indented is JSON for people, as it is if it is none.
func indented(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// icons are strokes on a square of 16.
var icons = map[string]string{
	"pulse":  `<path d="M1.5 8.5h3l2-6 3 11 2-5h3"/>`,
	"layers": `<path d="m8 1.8 6.2 3.2L8 8.2 1.8 5zM1.8 8 8 11.2 14.2 8M1.8 11 8 14.2l6.2-3.2"/>`,
	"file":   `<path d="M9.5 1.5h-5a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h7a1 1 0 0 0 1-1v-9zM9.5 1.5v3h3M5.8 8h4.4M5.8 11h4.4"/>`,
	"users":  `<circle cx="6" cy="5" r="2.6"/><path d="M1.5 14c0-2.8 2-4.5 4.5-4.5s4.5 1.7 4.5 4.5M10.5 2.6a2.6 2.6 0 0 1 0 4.8M12.2 9.9c1.5.7 2.3 2.1 2.3 4.1"/>`,
	"user":   `<circle cx="8" cy="5" r="2.8"/><path d="M2.8 14.2c0-3 2.3-4.7 5.2-4.7s5.2 1.7 5.2 4.7"/>`,
	"key":    `<circle cx="5" cy="11" r="3"/><path d="m7.2 8.8 6.3-6.3M10.5 5.5l2 2"/>`,
	"screen": `<rect x="1.5" y="2.5" width="13" height="9" rx="1"/><path d="M5.5 14.2h5M8 11.5v2.7"/>`,
	"block":  `<circle cx="8" cy="8" r="6.2"/><path d="m3.7 3.7 8.6 8.6"/>`,
	"list":   `<path d="M5.5 3.5h9M5.5 8h9M5.5 12.5h9M1.7 3.5h.6M1.7 8h.6M1.7 12.5h.6"/>`,
	"pen":    `<path d="m10.8 2.2 3 3L5.3 13.7l-3.8.8.8-3.8zM9 4l3 3"/>`,
	"tree":   `<rect x="5.8" y="1.5" width="4.4" height="3.6" rx=".8"/><rect x="1.2" y="10.9" width="4.4" height="3.6" rx=".8"/><rect x="10.4" y="10.9" width="4.4" height="3.6" rx=".8"/><path d="M8 5.1V8M3.4 10.9V8h9.2v2.9"/>`,
	"badge":  `<rect x="2" y="3.5" width="12" height="10.5" rx="1.2"/><path d="M6.2 3.5V1.8h3.6v1.7"/><circle cx="8" cy="7.6" r="1.5"/><path d="M5.2 11.8c.4-1.3 1.5-1.9 2.8-1.9s2.4.6 2.8 1.9"/>`,
	"menu":   `<path d="M2 4h12M2 8h12M2 12h12"/>`,
	"search": `<circle cx="7" cy="7" r="4.8"/><path d="m10.6 10.6 3.9 3.9"/>`,
	"warn":   `<path d="M8 1.8 14.8 14H1.2zM8 6.2v3.6M8 11.9v.2"/>`,
	"ok":     `<path d="m2.5 8.5 3.7 3.7 7.3-8"/>`,
	"bad":    `<path d="m3.5 3.5 9 9M12.5 3.5l-9 9"/>`,
	"out":    `<path d="M6 2.2H2.8v11.6H6M6.5 8h7.7M11.2 4.8 14.4 8l-3.2 3.2"/>`,
	"next":   `<path d="m6 3 5 5-5 5"/>`,
	"plus":   `<path d="M8 2.5v11M2.5 8h11"/>`,
	"reload": `<path d="M13.8 7.2A6 6 0 1 0 14 9M14 2.8v4.4H9.6"/>`,
	"save":   `<path d="M8 2v8M4.6 6.8 8 10.2l3.4-3.4M2.5 13.5h11"/>`,
}

// icon returns one of ours, which assistive technology does not see.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`) // a constant
}
