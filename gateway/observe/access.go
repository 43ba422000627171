package observe

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// Bounds of what others chose in a line, in bytes.
const (
	maxPath  = 2048
	maxText  = 512
	maxShort = 64
)

// openAccess opens where the access log is written. It is nil for off, and for
// lines of the log.
func (o *Observer) openAccess(target config.LogTarget) (*lines, error) {
	switch {
	case target.IsFile():
		return newLines(string(target), nil, o.logger, &o.metrics.dropped)
	case target == config.TargetStdout:
		return newLines("", os.Stdout, o.logger, &o.metrics.dropped)
	case target == config.TargetStderr:
		return newLines("", os.Stderr, o.logger, &o.metrics.dropped)
	}
	return nil, nil
}

// access writes the line of a request that is over.
func (o *Observer) access(q *request, r *http.Request) {
	s := o.set.Load()
	c := &s.config.AccessLog
	if s.access == nil {
		if c.File != config.TargetOff && o.logger.Enabled(r.Context(), slog.LevelInfo) {
			o.accessRecord(q, r, c.Query)
		}
		return
	}
	b := linePool.Get().(*[]byte)
	if c.Format == config.AccessCombined {
		*b = appendCombined((*b)[:0], q, r, c.Query)
	} else {
		*b = appendLine((*b)[:0], q, r, c.Query)
	}
	for !s.access.write(*b) { // a reload closed it just now
		next := o.set.Load()
		if next == s || next.access == nil {
			break
		}
		s = next
	}
	linePool.Put(b)
}

var linePool = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// line is JSON that is being written. Nothing of it comes from encoding/json,
// which would take longer than all the rest.
type line struct{ b []byte }

func (l *line) key(k string) {
	if len(l.b) > 1 {
		l.b = append(l.b, ',')
	}
	l.b = append(l.b, '"')
	l.b = append(l.b, k...)
	l.b = append(l.b, '"', ':')
}

func (l *line) text(k, v string, most int) {
	l.key(k)
	l.b = appendQuoted(l.b, v, most)
}

// some leaves the key out where there is nothing to say.
func (l *line) some(k, v string, most int) {
	if v != "" {
		l.text(k, v, most)
	}
}

func (l *line) number(k string, n int64) {
	l.key(k)
	l.b = strconv.AppendInt(l.b, n, 10)
}

// seconds has microseconds.
func (l *line) seconds(k string, d time.Duration) {
	l.key(k)
	l.b = appendSeconds(l.b, d)
}

func (l *line) flag(k string, v bool) {
	if v {
		l.key(k)
		l.b = append(l.b, "true"...)
	}
}

// appendLine appends the line of a request as JSON.
func appendLine(b []byte, q *request, r *http.Request, query bool) []byte {
	t := &q.trail
	l := line{append(b, '{')}
	l.key("time")
	l.b = append(l.b, '"')
	l.b = t.Start.UTC().AppendFormat(l.b, "2006-01-02T15:04:05.000Z07:00")
	l.b = append(l.b, '"')
	l.text("ref", t.Ref, maxShort)
	l.text("direction", string(t.Direction), maxShort)
	l.text("listener", t.Listener, maxText)
	l.key("client")
	l.b = append(l.b, '"')
	if t.Client.IsValid() {
		l.b = t.Client.AppendTo(l.b)
	}
	l.b = append(l.b, '"')
	l.text("method", r.Method, maxShort)
	l.text("host", r.Host, maxText)
	l.text("path", pathOf(r), maxPath)
	if query {
		l.some("query", r.URL.RawQuery, maxPath)
	}
	l.number("status", int64(q.status))
	l.number("bytes", q.written)
	l.seconds("dur", q.took)
	l.some("service", t.Service, maxText)
	l.some("operation", t.Operation, maxText)
	if id := t.Identity; id != nil {
		l.key("user")
		l.b = appendUser(l.b, id)
		l.some("mechanism", id.Mechanism, maxShort)
	}
	l.flag("session", t.Session)
	if t.Backend != "" {
		l.text("backend", t.Backend, maxText)
		l.seconds("backend_dur", t.BackendTime)
	}
	if t.Retries > 0 {
		l.number("retries", int64(t.Retries))
	}
	l.some("refusal", t.Refusal, maxShort)
	l.some("cause", t.Cause, maxText)
	l.some("as", t.As, maxShort)
	l.flag("double_hop", t.DoubleHop)
	l.flag("aborted", q.aborted)
	l.some("user_agent", r.UserAgent(), maxText)
	return append(l.b, '}', '\n')
}

// appendUser is Identity.String, quoted, and without what that costs.
func appendUser(b []byte, id *authn.Identity) []byte {
	if id.Account == "" || len(id.Account)+len(id.Domain) > maxText {
		return appendQuoted(b, id.String(), maxText)
	}
	b = append(b, '"')
	if id.Domain != "" {
		b = appendEscaped(b, id.Domain)
		b = append(b, '\\', '\\')
	}
	b = appendEscaped(b, id.Account)
	return append(b, '"')
}

// accessRecord writes the line among those of the log.
func (o *Observer) accessRecord(q *request, r *http.Request, query bool) {
	t := &q.trail
	rec := slog.NewRecord(t.Start.Add(q.took), slog.LevelInfo, "request", 0)
	as := make([]slog.Attr, 0, 26)
	text := func(k, v string, most int) {
		if v != "" {
			as = append(as, slog.String(k, printable(v, most)))
		}
	}
	text("ref", t.Ref, maxShort)
	text("direction", string(t.Direction), maxShort)
	text("listener", t.Listener, maxText)
	if t.Client.IsValid() {
		as = append(as, slog.String("client", t.Client.String()))
	}
	text("method", r.Method, maxShort)
	text("host", r.Host, maxText)
	text("path", pathOf(r), maxPath)
	if query {
		text("query", r.URL.RawQuery, maxPath)
	}
	as = append(as, slog.Int("status", q.status), slog.Int64("bytes", q.written), slog.Float64("dur", q.took.Seconds()))
	text("service", t.Service, maxText)
	text("operation", t.Operation, maxText)
	if t.Identity != nil {
		text("user", t.Identity.String(), maxText)
		text("mechanism", t.Identity.Mechanism, maxShort)
	}
	flag := func(k string, v bool) {
		if v {
			as = append(as, slog.Bool(k, true))
		}
	}
	flag("session", t.Session)
	if t.Backend != "" {
		text("backend", t.Backend, maxText)
		as = append(as, slog.Float64("backend_dur", t.BackendTime.Seconds()))
	}
	if t.Retries > 0 {
		as = append(as, slog.Int("retries", t.Retries))
	}
	text("refusal", t.Refusal, maxShort)
	text("cause", t.Cause, maxText)
	text("as", t.As, maxShort)
	flag("double_hop", t.DoubleHop)
	flag("aborted", q.aborted)
	text("user_agent", r.UserAgent(), maxText)
	rec.AddAttrs(as...)
	_ = o.logger.Handler().Handle(context.WithoutCancel(r.Context()), rec) // as slog.Logger does: nobody could be told
}

// pathOf returns the path as the client sent it, without query. A request for a
// proxy has a whole address, which may have a password in it.
func pathOf(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

// appendCombined appends the line of a request as Apache httpd and nginx write
// it by default.
func appendCombined(b []byte, q *request, r *http.Request, query bool) []byte {
	t := &q.trail
	if t.Client.IsValid() {
		b = t.Client.AppendTo(b)
	} else {
		b = append(b, '-')
	}
	b = append(b, " - "...)
	if t.Identity != nil {
		b = appendHex(b, t.Identity.String(), maxText, ' ')
	} else {
		b = append(b, '-')
	}
	b = append(b, " ["...)
	b = t.Start.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, "] \""...)
	b = appendHex(b, r.Method, maxShort, ' ')
	b = append(b, ' ')
	b = appendHex(b, pathOf(r), maxPath, ' ')
	if query && r.URL.RawQuery != "" {
		b = append(b, '?')
		b = appendHex(b, r.URL.RawQuery, maxPath, ' ')
	}
	b = append(b, ' ')
	b = append(b, r.Proto...)
	b = append(b, "\" "...)
	b = strconv.AppendInt(b, int64(q.status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, q.written, 10)
	b = append(b, " \""...)
	if ref := r.Referer(); query && ref != "" {
		b = appendHex(b, ref, maxPath, '"')
	} else {
		b = append(b, '-')
	}
	b = append(b, "\" \""...)
	if ua := r.UserAgent(); ua != "" {
		b = appendHex(b, ua, maxText, '"')
	} else {
		b = append(b, '-')
	}
	return append(b, "\"\n"...)
}

const hexDigits = "0123456789abcdef"

// appendHex appends s, of which all that could be taken for something else is
// written as \xHH: control characters, what is no ASCII, quotes, and besides.
func appendHex(b []byte, s string, most int, besides byte) []byte {
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f || c == besides:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}

// appendQuoted appends s as a string of JSON, cut to most bytes.
func appendQuoted(b []byte, s string, most int) []byte {
	b = append(b, '"')
	b = appendEscaped(b, clip(s, most))
	return append(b, '"')
}

// appendEscaped appends s within a string of JSON. All that cannot be printed is
// escaped, also where JSON does not demand it, so that a terminal shows it and
// does nothing else. Bytes that are no UTF-8 are U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	begin := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			if r, size = utf8.DecodeRuneInString(s[i:]); unicode.IsPrint(r) && r != utf8.RuneError {
				i += size
				continue
			}
		}
		b = append(b, s[begin:i]...)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', c)
		case r > 0xffff:
			r -= 0x10000
			b = appendUnicode(b, 0xd800+r>>10)
			b = appendUnicode(b, 0xdc00+r&0x3ff)
		default:
			b = appendUnicode(b, r)
		}
		i += size
		begin = i
	}
	return append(b, s[begin:]...)
}

func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendSeconds appends a duration in seconds, with microseconds.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, us/1e6, 10)
	us %= 1e6
	b = append(b, '.')
	for digit := int64(1e5); digit > 0; digit /= 10 {
		b = append(b, byte('0'+us/digit%10))
	}
	return b
}

// clip bounds a text, and says where something is missing.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "..."
}

// printable returns s with all that cannot be printed escaped, cut to most bytes.
func printable(s string, most int) string {
	s = clip(s, most)
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return printableRunes(s)
		}
	}
	return s
}

func printableRunes(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError || !unicode.IsPrint(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
