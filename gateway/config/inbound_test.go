package config

import (
	"strings"
	"testing"
)

const inboundText = `listen: [{addr: ":8080"}]
forward_auth: {proxies: [127.0.0.1]}
defaults:
  login: [none]
services:
  hr:
    match: {path: /hr/}
    case_insensitive_paths: true
    soap: {max_head: 8}
    allow:
      - {operation: "{urn:hr}Get*", roles: [any]}
      - {path: /hr/, roles: [any]}
    elements:
      - {path: /hr/in/, networks: [10.0.0.0/8]}
    upstream: {url: "http://127.0.0.1:1"}
  web:
    match: {path: /web/}
    forward_auth: true
`

func TestPosition(t *testing.T) {
	t.Parallel()
	c, err := Parse("gw.yaml", []byte(inboundText))
	if err != nil {
		t.Fatal(err)
	}
	hr := c.Services["hr"]
	for _, tt := range []struct {
		name string
		v    any
		want string
	}{
		{"service", hr, "gw.yaml:7"}, // where its table begins
		{"rule", &hr.Allow[1], "gw.yaml:12"},
		{"element", &hr.Elements[0], "gw.yaml:14"},
		{"field of an element", &hr.Elements[0].Networks, "gw.yaml:14"},
		{"defaults", &c.Defaults.Login, "gw.yaml:4"},
		{"not written", &hr.Login, ""},
		{"not of the configuration", new(int), ""},
	} {
		if got := c.Position(tt.v); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if hr.SOAP.MaxHead != 8 || !hr.CaseInsensitivePaths || !c.Services["web"].ForwardAuth {
		t.Errorf("got %+v", hr)
	}
}

func TestInboundErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, from, to, want string }{
		{"max_head", "max_head: 8", "max_head: 2000", "services.hr.soap.max_head is 2000: want 1 to 1024 KiB"},
		{"nobody may ask", "forward_auth: {proxies: [127.0.0.1]}\n", "", "services.web.forward_auth wants to know who may ask"},
		{"no proxies", "{proxies: [127.0.0.1]}", "{}", "forward_auth: want proxies"},
		{"operation", "    forward_auth: true", "    forward_auth: true\n    allow: [{operation: Pay, roles: [any]}]", "services.web.allow[0]: a service with forward_auth cannot have operations"},
		{"element", "    forward_auth: true", "    forward_auth: true\n    elements: [{operation: Pay, roles: [any]}]", "unknown key"},
		{"operation of an element", "    forward_auth: true", "    forward_auth: true\n    elements: [{operation: Pay, networks: [10.0.0.0/8]}]", "services.web.elements[0]: a service with forward_auth cannot have operations"},
		{"path of another service", "/hr/in/", "/web/in/", `services.hr.elements[0].path is "/web/in/": want a path below that of the service, "/hr/"`},
		{"no upstream", "    forward_auth: true", "    login: [none]", "services.web: want upstream"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(inboundText, tt.from, tt.to, 1)
			if _, err := Parse("gw.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
