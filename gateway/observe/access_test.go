package observe

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/trail"
)

// call is a request that is over, with all there can be.
func call() (*request, *http.Request) {
	q := &request{took: 12345678 * time.Nanosecond}
	q.status, q.written = 403, 512
	q.trail = trail.Trail{
		Ref: "0123456789", Start: time.Date(2026, 11, 26, 9, 0, 0, 1e6, time.UTC), Direction: trail.Inbound, Listener: ":443",
		Client: netip.MustParseAddr("192.0.2.7"), Service: "hr", Operation: "{urn:hr}Pay", Identity: alice, Session: true,
		Backend: "127.0.0.1:8080", BackendTime: 1500 * time.Microsecond, Retries: 1,
		Refusal: "denied", Cause: "no rule", As: "s4u2proxy", DoubleHop: true,
	}
	r := httptest.NewRequest(http.MethodPost, "/hr/Pay?ticket=secret", nil)
	r.Host = "hr.corp.test"
	r.Header.Set("User-Agent", "zeep/4")
	r.Header.Set("Referer", "https://x.test/?ticket=secret")
	return q, r
}

func bare() (*request, *http.Request) {
	q := new(request)
	q.status = 200
	q.trail = trail.Trail{Ref: "r", Start: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC), Direction: trail.Outbound}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	return q, r
}

func TestAccessLines(t *testing.T) {
	t.Parallel()
	q, r := call()
	e, re := bare()
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"json", appendLine(nil, q, r, false), `{"time":"2026-11-26T09:00:00.001Z","ref":"0123456789","direction":"inbound","listener":":443","client":"192.0.2.7",` +
			`"method":"POST","host":"hr.corp.test","path":"/hr/Pay","status":403,"bytes":512,"dur":0.012345,"service":"hr","operation":"{urn:hr}Pay",` +
			`"user":"CORP\\alice","mechanism":"Kerberos","session":true,"backend":"127.0.0.1:8080","backend_dur":0.001500,"retries":1,` +
			`"refusal":"denied","cause":"no rule","as":"s4u2proxy","double_hop":true,"user_agent":"zeep/4"}` + "\n"},
		{"json, bare", appendLine(nil, e, re, true), `{"time":"2026-11-26T09:00:00.000Z","ref":"r","direction":"outbound","listener":"","client":"",` +
			`"method":"GET","host":"example.com","path":"/","status":200,"bytes":0,"dur":0.000000}` + "\n"},
		{"combined", appendCombined(nil, q, r, false), `192.0.2.7 - CORP\\alice [26/Nov/2026:09:00:00 +0000] "POST /hr/Pay HTTP/1.1" 403 512 "-" "zeep/4"` + "\n"},
		{"combined, query", appendCombined(nil, q, r, true), `192.0.2.7 - CORP\\alice [26/Nov/2026:09:00:00 +0000] "POST /hr/Pay?ticket=secret HTTP/1.1" 403 512 "https://x.test/?ticket=secret" "zeep/4"` + "\n"},
		{"combined, bare", appendCombined(nil, e, re, true), `- - - [26/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 0 "-" "-"` + "\n"},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
	var m map[string]any
	if err := json.Unmarshal(appendLine(nil, q, r, true), &m); err != nil || m["query"] != "ticket=secret" || m["user"] != `CORP\alice` {
		t.Errorf("JSON with the query: %v, %v", m, err)
	}
}

// The same among the lines of the log.
func TestAccessRecord(t *testing.T) {
	t.Parallel()
	ob, log, _ := observer(t, `access_log: {file: log}`, Options{})
	q, r := call()
	ob.access(q, r)
	_, got, _ := strings.Cut(log.String(), " ")
	want := `level=INFO msg=request ref=0123456789 direction=inbound listener=:443 client=192.0.2.7 method=POST host=hr.corp.test path=/hr/Pay ` +
		`status=403 bytes=512 dur=0.012345678 service=hr operation={urn:hr}Pay user=CORP\alice mechanism=Kerberos session=true ` +
		`backend=127.0.0.1:8080 backend_dur=0.0015 retries=1 refusal=denied cause="no rule" as=s4u2proxy double_hop=true user_agent=zeep/4` + "\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A request for a proxy has an address with a password in it; the log has not.
func TestAttackPasswordInRequestLine(t *testing.T) {
	t.Parallel()
	q, r := bare()
	r.RequestURI = "http://bob:hunter2@host.test/a%20b?token=hunter2"
	r.URL, _ = url.Parse(r.RequestURI)
	for _, line := range [][]byte{appendLine(nil, q, r, false), appendCombined(nil, q, r, false)} {
		if strings.Contains(string(line), "hunter2") || !strings.Contains(string(line), "/a%20b") {
			t.Errorf("line %s", line)
		}
	}
}

// hostile are texts with which clients add lines, leave quotes, steer terminals,
// or fill the disk.
var hostile = []string{
	"\n{\"ref\":\"forged\",\"status\":200}", "\r\n192.0.2.1 - root [x] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"", `"} {"ref":"forged"`, `\`, `\"`, `\\"`,
	"\x1b[2J\x1b]0;owned\x07", "\u009b31m", "\x00", "\x7f", "a\tb", "\u2028\u2029", "\u202egnp.exe", "\ufeff", "\U000e0041", "\xff\xfe\xc0\xaf", "\xed\xa0\x80",
	"é ü 漢", strings.Repeat("x", 100_000), strings.Repeat("é", 50_000), strings.Repeat("\x1b", 10_000),
}

// What clients send cannot forge lines of the access log, nor steer the terminal
// it is shown on, nor fill the disk with one request.
func TestAttackLogInjection(t *testing.T) {
	t.Parallel()
	ob, log, dir := observer(t, `access_log: {file: log, query: true}`, Options{})
	for _, text := range hostile {
		q, r := call()
		r.Method, r.Host, r.RequestURI = text, text, "/"+text
		r.URL = &url.URL{Path: "/" + text, RawQuery: text}
		r.Header.Set("User-Agent", text)
		r.Header.Set("Referer", text)
		q.trail.Operation, q.trail.Cause, q.trail.Backend = text, text, text
		q.trail.Identity = &authn.Identity{Account: text, Domain: text, Mechanism: text}
		printed := func(kind string, line []byte) {
			t.Helper()
			s, ok := strings.CutSuffix(string(line), "\n")
			if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }); !ok || i >= 0 {
				t.Errorf("%.40q: %s has %q at %d", text, kind, s[max(i, 0):min(max(i, 0)+8, len(s))], i)
			}
			if len(line) > 64<<10 {
				t.Errorf("%.40q: %s has %d bytes", text, kind, len(line))
			}
		}
		line := appendLine(nil, q, r, true)
		printed("json", line)
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil || m["ref"] != "0123456789" || len(m) < 20 {
			t.Errorf("%.40q: JSON: %v, %v", text, err, m)
		} else if whole := strings.ToValidUTF8(text, ""); whole == text && len(text) < maxShort && m["user_agent"] != text {
			t.Errorf("%q came as %q", text, m["user_agent"])
		}
		line = appendCombined(nil, q, r, true)
		printed("combined", line)
		if quotes := strings.Count(strings.ReplaceAll(strings.ReplaceAll(string(line), `\\`, ""), `\"`, ""), `"`); quotes != 6 {
			t.Errorf("%.40q: combined has %d quotes that count, want 6: %.300s", text, quotes, line)
		}
		before := len(log.String())
		ob.access(q, r)
		printed("log", []byte(log.String()[before:]))
	}

	// The same over a real connection, where net/http takes some of it.
	if err := ob.Reconfigure(parse(t, dir, `access_log: {file: a.log}`)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(ob.Wrap(trail.Inbound, ":443", http.NotFoundHandler()))
	sent := 0
	for _, text := range hostile {
		r, err := http.NewRequest(http.MethodGet, s.URL+"/x"+url.PathEscape(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", text)
		if len(text) > 1000 {
			r.URL.Path = "/x"
		}
		if resp, err := s.Client().Do(r); err == nil {
			sent++
			_ = resp.Body.Close()
		}
	}
	s.Close()
	_ = ob.Close(t.Context())
	got := 0
	for line := range strings.Lines(read(t, filepath.Join(dir, "a.log"))) {
		got++
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || m["status"] != 404. || m["ref"] == "forged" {
			t.Errorf("line %.200s: %v", line, err)
		}
	}
	if got != sent || sent < 5 {
		t.Errorf("%d lines for %d requests", got, sent)
	}
}

func TestAppendSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.000000", -1: "0.000000", 999: "0.000000", 1000: "0.000001", 1500 * time.Millisecond: "1.500000",
		time.Hour + 42*time.Microsecond: "3600.000042",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// FuzzLine: whatever is in a request, its line is one of JSON, and can be printed.
func FuzzLine(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendQuoted(nil, s, maxText)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		want := clip(s, maxText)
		var valid strings.Builder
		for _, r := range want { // as encoding/json has it
			valid.WriteRune(r)
		}
		if got != valid.String() {
			t.Fatalf("%q came as %q", want, got)
		}
		for _, text := range []string{string(b), string(appendHex(nil, s, maxText, ' ')), printable(s, maxText)} {
			if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }); i >= 0 {
				t.Fatalf("%q has what does not print at %d", text, i)
			}
		}
	})
}
