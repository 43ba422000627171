package config

import (
	"strings"
	"testing"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	const head = `listen: [{addr: ":443", tls: {cert: c, key: k}}]
services: {a: {match: {path: /}, login: [none], upstream: {url: "http://127.0.0.1:1"}, `
	for _, tt := range []struct {
		text string
		want Publishing
		err  string // part of it
	}{
		{"}}", PublishLogin, ""},
		{"wsdl: a.wsdl}}", PublishLogin, ""},
		{"wsdl: a.wsdl, publish: open}}", PublishOpen, ""},
		{"wsdl: a.wsdl, publish: off}}", PublishOff, ""},
		{"wsdl: a.wsdl, publish: none}}", "", `services.a.publish: "none" is not known: want one of login, open, off`},
		{"publish: open}}", "", "services.a.publish says who gets the description: want wsdl: FILE beside it"},
		{"public_url: https://a.test/x}}", PublishLogin, ""},
		{"public_url: \"https://a.test/x?wsdl\"}}", "", "services.a.public_url: want no ? in it"},
		{"public_url: a.test}}", "", "want a URL that begins with http"},
	} {
		c, err := Parse("c.yaml", []byte(head+tt.text))
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want %s", tt.text, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.text, err)
		case c.Services["a"].Publish != tt.want || c.Publish.Page:
			t.Errorf("%s: %q, page %v", tt.text, c.Services["a"].Publish, c.Publish.Page)
		}
	}
	c, err := Parse("c.yaml", []byte("publish: {page: true}"))
	if err != nil || !c.Publish.Page {
		t.Errorf("page: %v", err)
	}
}
