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

// CallOut asks a server who the caller is.
type CallOut struct {
	Call    URL      `yaml:"call"`
	Timeout Duration `yaml:"timeout"`
	Cache   Duration `yaml:"cache"` // zero: none
}

func (c *CallOut) decode(d *decoder, n *yaml.Node, path string) {
	type plain CallOut
	c.Timeout = Duration(2e9)
	decodeStruct(d, n, (*plain)(c), path)
}

// Backend is where requests go, and what is said of the caller there.
type Backend struct {
	URL      URL       `yaml:"url"`
	Identity *Identity `yaml:"identity"`
	Timeout  Duration  `yaml:"timeout"` // zero: none
}

// Identity says how a backend learns who the caller is.
type Identity struct {
	Header string `yaml:"header"` // with the name
	JWT    *JWT   `yaml:"jwt"`
}

// JWT is a signed token about the caller.
type JWT struct {
	Header string `yaml:"header"`
	Key    Secret `yaml:"key"`
}

// An Upstream is a server that the gateway calls for others, with a login.
type Upstream struct {
	Listen Address `yaml:"listen"` // where others call it
	URL    URL     `yaml:"url"`

	ActAs        []ActAs     `yaml:"act_as"` // the first that can be
	OnDoubleHop  OnDoubleHop `yaml:"on_double_hop"`
	Service      *Account    `yaml:"service"`
	Fixed        *Account    `yaml:"fixed"`
	AllowedRoles []string    `yaml:"allowed_roles"` // who may call; empty: anybody who reaches it
}

func (u *Upstream) decode(d *decoder, n *yaml.Node, path string) {
	type plain Upstream
	u.OnDoubleHop = DoubleHopFault
	decodeStruct(d, n, (*plain)(u), path)
}

// ActAs says as whom an upstream is called.
type ActAs string

// Ways to act.
const (
	AsCaller  ActAs = "caller"
	AsService ActAs = "service"
	AsFixed   ActAs = "fixed"
)

func (ActAs) choices() []string {
	return []string{string(AsCaller), string(AsService), string(AsFixed)}
}

// OnDoubleHop says what becomes of callers who cannot be passed on.
type OnDoubleHop string

// What becomes of them.
const (
	DoubleHopFault OnDoubleHop = "fault"
	DoubleHopNext  OnDoubleHop = "next" // of act_as, and audited
)

func (OnDoubleHop) choices() []string { return []string{string(DoubleHopFault), string(DoubleHopNext)} }

// Account is one that the gateway logs in with.
type Account struct {
	Principal string `yaml:"principal"` // svc-gw@CORP.TEST
	User      string `yaml:"user"`      // CORP\svc-gw, for NTLM and Basic
	Keytab    Path   `yaml:"keytab"`
	Password  Secret `yaml:"password"`
}
