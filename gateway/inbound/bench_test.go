package inbound

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// many is a configuration of 24 services of 200 operations each.
func many(tb testing.TB) *fixture {
	tb.Helper()
	var b strings.Builder
	b.WriteString("roles: {payroll: {groups: ['CORP\\Payroll']}}\nservices:\n")
	for s := range 24 {
		fmt.Fprintf(&b, "  s%d:\n    match: {host: s%d.corp.test, path: /s%d/}\n    login: [corp/ntlm]\n    upstream: {url: 'http://127.0.0.1:1'}\n    allow:\n", s, s%3, s)
		for o := range 200 {
			fmt.Fprintf(&b, "      - {operation: '{urn:s%d}Operation%d', roles: [payroll]}\n", s, o)
		}
		b.WriteString("    elements:\n")
		for o := range 50 {
			fmt.Fprintf(&b, "      - {operation: '{urn:s%d}Operation%d', networks: [192.0.2.0/24]}\n", s, o*4+3)
		}
	}
	return newFixture(tb, b.String())
}

// maxDecision is what a decision about a request may take.
const maxDecision = 2 * time.Microsecond

// BenchmarkDecision is the whole of a decision but for the message: the path, the
// service, the login chain, the rules, in a configuration of 24 services with 200
// operations each. The caller has 50 groups.
func BenchmarkDecision(b *testing.B) {
	f := many(b)
	h := f.Handler
	r := request("POST", "http://s2.corp.test:8443/s23/Service.svc", "alice", "x")
	id := &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-1104"}
	for i := range 50 {
		id.Groups = append(id.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 3000+i)), Name: fmt.Sprintf(`CORP\Group %d`, i)})
	}
	id.Groups = append(id.Groups, authn.Group{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`})
	client := authn.ClientAddr(r)
	decide := func() {
		path, err := authz.CleanPath(r.URL)
		if err != nil {
			b.Fatal(err)
		}
		s, _ := h.table.find(r.Host, path)
		q := authz.Request{Client: client, Host: r.Host, Method: r.Method, Path: path}
		if err := s.policy.Admit(&q); err != nil {
			b.Fatal(err)
		}
		if c, _ := s.policy.Setting(&q, settingChain).(*chain); c == nil {
			b.Fatal("no chain")
		}
		q.Identity, q.Operation = id, "{urn:s23}Operation199"
		if err := s.policy.Decide(b.Context(), &q); err != nil {
			b.Fatal(err)
		}
	}
	decide()
	best := time.Duration(1 << 62)
	b.ReportAllocs()
	for b.Loop() {
		const calls = 10_000 // "make bench" runs the loop once
		begin := time.Now()
		for range calls {
			decide()
		}
		best = min(best, time.Since(begin)/calls)
	}
	b.ReportMetric(float64(best.Nanoseconds()), "ns/decision")
	if best > maxDecision {
		b.Errorf("%s each, want at most %s", best, maxDecision)
	}
}

// BenchmarkLook finds the operation of a message of 417 bytes, as the server
// behind gets it.
func BenchmarkLook(b *testing.B) {
	body := []byte(envelope("<h:Get>" + strings.Repeat("<a>0123456789</a>", 17) + "</h:Get>"))
	m := newMessages(configSOAP, true, false, nil, false)
	r := httptest.NewRequest("POST", "http://gw/", nil)
	r.Header.Set("Content-Type", xmlType)
	r.Header.Set("SOAPAction", `"urn:hr/Get"`)
	reader := bytes.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
		f, err := m.look(r, nil)
		if err != nil || f.operation != "{urn:hr}Get" {
			b.Fatal(f, err)
		}
	}
}

// BenchmarkPass is what the look at the rest of a message costs.
func BenchmarkPass(b *testing.B) {
	for _, bm := range []struct{ name, piece string }{
		{"elements", "<item><name>Alice</name><amount currency=\"EUR\">12.50</amount></item>\n"},
		{"text", strings.Repeat("QUJDREVGR0g=", 100)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			content := []byte(strings.Repeat(bm.piece, 1<<20/len(bm.piece)))
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				s := newScanner(3, false)
				for _, p := range []string{"<e>", "<b>", "<c>"} {
					if err := s.write([]byte(p)); err != nil {
						b.Fatal(err)
					}
				}
				for rest := content; len(rest) > 0; rest = rest[min(len(rest), 32<<10):] {
					if err := s.write(rest[:min(len(rest), 32<<10)]); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(content))*1024, "ns/KiB")
		})
	}
}

// A decision allocates nothing.
func TestDecisionAllocates(t *testing.T) {
	f := many(t)
	id := &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-1104", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}}}
	q := &authz.Request{Identity: id, Host: "s2.corp.test:8443", Method: http.MethodPost, Operation: "{urn:s23}Operation199"}
	q.Client = authn.ClientAddr(request("POST", "http://gw/", "", ""))
	decide := func() {
		q.Path = "/s23/Service.svc"
		s, _ := f.table.find(q.Host, q.Path)
		if err := s.policy.Decide(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	decide()
	if n := testing.AllocsPerRun(100, decide); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
