package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SOAP says how the messages of a service are looked at.
type SOAP struct {
	MaxHead int `yaml:"max_head"` // KiB in which the operation must be found; zero: 64

	// AllowAnyAction takes a SOAPAction that does not name the operation in the
	// body. A server that goes by it does another operation than was decided
	// about.
	AllowAnyAction bool `yaml:"allow_any_action"`

	// AllowMultiref takes elements with an id behind the first in the body. A
	// server that does each of them does what nobody decided about.
	AllowMultiref bool `yaml:"allow_multiref"`
}

const maxHead = 1024

func (s *SOAP) decode(d *decoder, n *yaml.Node, path string) {
	type plain SOAP
	s.MaxHead = 64
	decodeStruct(d, n, (*plain)(s), path)
	if s.MaxHead < 1 || s.MaxHead > maxHead {
		d.failAt(&s.MaxHead, "%s.max_head is %d: want 1 to %d KiB", path, s.MaxHead, maxHead)
	}
}

// ForwardAuth answers other proxies that ask whether they may pass a request on.
type ForwardAuth struct {
	Proxies []Network `yaml:"proxies"` // who may ask
}

// checkElementPath looks whether requests of the service can have the path of an
// element.
func (d *decoder) checkElementPath(s *Service, e *Element, at string) {
	path, below := e.Path, strings.TrimRight(s.Match.Path, "/")
	if s.CaseInsensitivePaths {
		path, below = strings.ToLower(path), strings.ToLower(below)
	}
	if e.Path != "" && path != below && !strings.HasPrefix(path, below+"/") {
		d.failAt(&e.Path, "%s.path is %q: want a path below that of the service, %q: the service gets no others", at, clip(e.Path), clip(s.Match.Path))
	}
}

// checkForwardAuth looks at a service whose requests pass another proxy.
func (d *decoder) checkForwardAuth(c *Config, s *Service, path string) {
	if !s.ForwardAuth {
		return
	}
	if c.ForwardAuth == nil {
		d.failAt(&s.ForwardAuth, "%s.forward_auth wants to know who may ask: forward_auth: {proxies: [127.0.0.1]} beside services", path)
	}
	const unseen = "%s: a service with forward_auth cannot have operations: its messages are not seen. Name paths, or let the gateway pass requests on"
	rules := s.Allow
	if len(rules) == 0 {
		rules = c.Defaults.Allow
	}
	for i := range rules {
		if rules[i].Operation != "" {
			d.failAt(&rules[i], unseen, index(path+".allow", i))
		}
	}
	for i := range s.Elements {
		e, at := &s.Elements[i], index(path+".elements", i)
		if e.Operation != "" {
			d.failAt(e, unseen, at)
		}
		for j := range e.Allow {
			if e.Allow[j].Operation != "" {
				d.failAt(&e.Allow[j], unseen, index(at+".allow", j))
			}
		}
	}
}

// Position returns where a value of the configuration is written, as file:line,
// and nothing if it is not. v is the address of a field, an item of a list or an
// entry, such as &service.Allow[2] or config.Services["hr"].
func (c *Config) Position(v any) string {
	m, ok := c.marks[v]
	if !ok {
		return ""
	}
	file, line := filePosition(m.line)
	return fmt.Sprintf("%s:%d", c.Files[file], line)
}
