package config

import "go.yaml.in/yaml/v3"

// Settings are what an element inherits from the one above: an operation or
// path from its service, a service from the defaults. What is nil or empty is
// inherited.
type Settings struct {
	Login          []Login  `yaml:"login"`
	ChannelBinding Binding  `yaml:"channel_binding"`
	NotNegotiate   *Clients `yaml:"not_negotiate"` // who is not offered Negotiate
	Allow          []Rule   `yaml:"allow"`

	// Networks are from where requests are taken; others get 403.
	Networks []Network `yaml:"networks"`

	// Session begins a session at the login, which later requests go by; nil is
	// inherited.
	Session *bool `yaml:"session"`

	// ChannelBindingHash are the certificates that a load balancer presents where
	// TLS ends there.
	ChannelBindingHash []CertHash `yaml:"channel_binding_hash"`

	// AllowForwarded takes NTLM through proxies that keep one connection for each
	// client. One that does not mixes its clients up. Nil is inherited.
	AllowForwarded *bool `yaml:"allow_forwarded"`
}

// A Binding says what is demanded of channel bindings.
type Binding string

// Bindings.
const (
	BindingSupported Binding = "supported"
	BindingRequired  Binding = "required"
	BindingOff       Binding = "off"
)

func (Binding) choices() []string {
	return []string{string(BindingSupported), string(BindingRequired), string(BindingOff)}
}

// Clients are those of a network, or whose user agent fits a pattern.
type Clients struct {
	Networks   []Network `yaml:"networks"`
	UserAgents []string  `yaml:"user_agents"` // * is any text
}

// A Rule lets roles call operations or paths. The first that fits decides.
type Rule struct {
	Operation string   `yaml:"operation"` // {namespace}Name, * is any text
	Path      string   `yaml:"path"`
	Methods   []string `yaml:"methods"` // of HTTP; empty: any
	Roles     []string `yaml:"roles"`
}

// A Service is what stands behind the gateway.
type Service struct {
	Settings `yaml:",inline"`

	Match    Match     `yaml:"match"`
	WSDL     Path      `yaml:"wsdl"`
	Elements []Element `yaml:"elements"` // with settings of their own
	Custom   *CallOut  `yaml:"custom"`
	Upstream *Backend  `yaml:"upstream"`

	// CaseInsensitivePaths compares paths of elements and rules without regard to
	// case, as a server on Windows behind the gateway does.
	CaseInsensitivePaths bool `yaml:"case_insensitive_paths"`

	SOAP        SOAP `yaml:"soap"`
	ForwardAuth bool `yaml:"forward_auth"` // another proxy asks, and passes on
	// How it is shown to those who use it.
	Publish     Publishing `yaml:"publish"`
	PublicURL   URL        `yaml:"public_url"` // in place of what Match says of it
	Title       string     `yaml:"title"`
	Description string     `yaml:"description"`
}

// LoginsOf returns the logins that are in force at a service, its elements aside:
// its own, or those of the defaults.
func (c *Config) LoginsOf(s *Service) []Login {
	if len(s.Login) > 0 {
		return s.Login
	}
	return c.Defaults.Login
}

// Match says which requests are for a service.
type Match struct {
	Host string `yaml:"host"` // empty: any
	Path string `yaml:"path"` // it and all below
}

// An Element is an operation of a service, or a path below it.
type Element struct {
	Settings `yaml:",inline"`

	Operation string `yaml:"operation"`
	Path      string `yaml:"path"`
}

// CallOut is the login custom of a service: one of a server that says who the
// caller is, of tokens, and of keys.
type CallOut struct {
	Call    URL      `yaml:"call"`
	Timeout Duration `yaml:"timeout"`
	Cache   Duration `yaml:"cache"` // zero: none

	JWT     *Bearer  `yaml:"jwt"`
	APIKeys []APIKey `yaml:"api_keys"`
}

func (c *CallOut) decode(d *decoder, n *yaml.Node, path string) {
	type plain CallOut
	c.Timeout = Duration(2e9)
	decodeStruct(d, n, (*plain)(c), path)
}

// Identity says how a backend learns who the caller is.
type Identity struct {
	Header  string           `yaml:"header"`  // with the name
	Headers *IdentityHeaders `yaml:"headers"` // with what else is known
	JWT     *JWT             `yaml:"jwt"`
}
