package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// answering is a server in the place of a transport.
type answering func(*http.Request) *http.Response

// RoundTrip implements http.RoundTripper.
func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func exchange(t *testing.T, reqType, req, respType, resp string) (shown, got string) {
	t.Helper()
	var b strings.Builder
	c := http.Client{Transport: &tracer{&b, answering(func(*http.Request) *http.Response {
		h := http.Header{"Content-Type": {respType}, "Set-Cookie": {"session=hunter2"}, "Www-Authenticate": {"Negotiate"}}
		return &http.Response{Proto: "HTTP/1.1", Status: "200 OK", StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(resp))}
	})}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://u:hunter2@127.0.0.1/x", strings.NewReader(req))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", reqType)
	r.Header.Set("Authorization", "Basic hunter2")
	r.Header.Set("X-Session-Token", "hunter2")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), string(body)
}

// -v shows no secret, and nothing that steers the terminal; the program gets
// the answer whole.
func TestAttackTraceSecrets(t *testing.T) {
	t.Parallel()
	const plain = `<a>seen</a>`
	for _, tt := range []struct{ name, contentType, body, want string }{
		{"element", "text/xml", `<r>` + plain + `<Password>hunter2</Password></r>`, "<Password>***</Password>"},
		{"nested", "text/xml", `<r>` + plain + `<x:UserSecret xmlns:x="urn:x"><v a="hunter2">hunter2</v>hunter2</x:UserSecret>` + plain + `</r>`, `<v a="***">***</v>`},
		{"CDATA", "text/xml", `<r>` + plain + `<accessToken><![CDATA[hunter2]]></accessToken></r>`, "<accessToken>***</accessToken>"},
		{"attribute", "text/xml", `<r>` + plain + `<login user="seen" pwd='hunter2'/></r>`, `pwd="***"`},
		{"empty", "text/xml", `<r><password/>` + plain + `</r>`, "<password/>"},
		{"not well-formed", "text/xml", `<r><Password>hunter2</r>`, "bytes that are not well-formed XML"},
		{"document type", "text/xml", `<!DOCTYPE a [<!ENTITY b "hunter2">]><a>&b;</a>`, "not well-formed XML"},
		{"control", "text/plain", "seen \u009b2J\x1b[2J\u202e", "seen ?2J?[2J?"},
		{"long", "text/xml", "<r>" + strings.Repeat("<a/>", maxTraced/4) + "</r>", "more than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shown, got := exchange(t, tt.contentType, tt.body, tt.contentType, tt.body)
			if got != tt.body {
				t.Error("the answer is not whole")
			}
			if strings.Contains(shown, "hunter2") || !strings.Contains(shown, tt.want) || strings.ContainsAny(shown, "\x1b\u009b\u202e") {
				t.Errorf("got %.2000s", shown)
			}
			if strings.Contains(tt.body, plain) && strings.Count(shown, plain) != 2*strings.Count(tt.body, plain) {
				t.Errorf("something else is hidden: %s", shown)
			}
		})
	}
}
