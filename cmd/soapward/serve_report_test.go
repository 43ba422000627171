package main

import (
	"testing"

	"github.com/soapward/soapward/gateway/config"
)

// The summary names all servers, and what a forward proxy calls.
func TestServersInSummary(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("gw.yaml", []byte(`
listen: [{addr: ":80"}]
defaults: {login: [none]}
forward_auth: {proxies: [127.0.0.1]}
services:
  many: {match: {path: /m/}, upstream: {urls: ["http://a:1", "http://b:2"]}}
  asked: {match: {host: x.test}, forward_auth: true}
upstreams:
  one: {listen: "127.0.0.1:1", url: "https://a.test/x", act_as: [caller]}
  all: {listen: "127.0.0.1:2", mode: forward_proxy, hosts: [a.test, "b.test:81"], act_as: [caller]}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"many":  "many: /m/, login none -> http://a:1, http://b:2",
		"asked": "asked: x.test, login none",
	} {
		if got := serviceText(c, name); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for name, want := range map[string]string{"one": "https://a.test/x", "all": "forward proxy to a.test, b.test:81"} {
		if got := calledServer(c.Upstreams[name]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
