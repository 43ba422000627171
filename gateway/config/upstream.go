package config

import (
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// An Upstream is a server that the gateway calls for others, with a login.
type Upstream struct {
	Listen Address `yaml:"listen"` // where others call it
	Mode   Mode    `yaml:"mode"`
	URL    URL     `yaml:"url"`   // for ModeLocal
	Hosts  []Host  `yaml:"hosts"` // for ModeForwardProxy: those that may be called

	ActAs        []ActAs     `yaml:"act_as"` // the first that can be
	OnDoubleHop  OnDoubleHop `yaml:"on_double_hop"`
	Service      *Account    `yaml:"service"`
	Fixed        *Account    `yaml:"fixed"`
	AllowedRoles []string    `yaml:"allowed_roles"` // who may call; empty: anybody who reaches it

	// Who the caller is: a token of ours in a header, else a login.
	IdentityHeader string    `yaml:"identity_header"`
	Services       []string  `yaml:"services"` // whose tokens are taken; empty: those of all
	Login          []Login   `yaml:"login"`
	Networks       []Network `yaml:"networks"` // from where it may be called; empty: this machine
	Names          []string  `yaml:"names"`    // that programs call it by, besides addresses and localhost

	// How a caller is passed on.
	Delegation         *Account           `yaml:"delegation"` // asks the KDC; nil: Service
	Methods            []DelegationMethod `yaml:"methods"`    // empty: all
	ProtocolTransition bool               `yaml:"protocol_transition"`
	SPN                string             `yaml:"spn"` // empty: HTTP/ and the host of URL

	// AllowNTLM lets accounts with a principal and a password log in by NTLM
	// where Kerberos cannot be; AllowBasic lets accounts with a user send the
	// password itself, over TLS.
	AllowNTLM  bool `yaml:"allow_ntlm"`
	AllowBasic bool `yaml:"allow_basic"`

	Proxy   *Proxy   `yaml:"proxy"`
	CAFile  Path     `yaml:"ca_file"`      // empty: the authorities of the system
	Timeout Duration `yaml:"timeout"`      // until the head of the answer; zero: none
	Idle    Duration `yaml:"idle_timeout"` // of connections that are kept
	Replay  Replay   `yaml:"replay"`
}

func (u *Upstream) decode(d *decoder, n *yaml.Node, path string) {
	type plain Upstream
	u.Mode, u.OnDoubleHop, u.IdentityHeader = ModeLocal, DoubleHopFault, "X-Identity"
	u.Idle = Duration(time.Minute)
	u.Replay = Replay{Memory: 256 << 10, Disk: 64 << 20}
	decodeStruct(d, n, (*plain)(u), path)
}

// Mode says how programs call an upstream.
type Mode string

// Modes.
const (
	ModeLocal        Mode = "local"         // as if it were the server
	ModeForwardProxy Mode = "forward_proxy" // as an HTTP proxy
)

func (Mode) choices() []string { return []string{string(ModeLocal), string(ModeForwardProxy)} }

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

// A DelegationMethod is a way to pass a caller on.
type DelegationMethod string

// Ways to pass callers on.
const (
	MethodConstrained DelegationMethod = "constrained" // with the ticket the caller presented
	MethodForwarded   DelegationMethod = "forwarded"   // with the ticket-granting ticket the caller forwarded
	MethodPassword    DelegationMethod = "password"    // with the password the caller typed
	MethodTransition  DelegationMethod = "transition"  // on our word
)

func (DelegationMethod) choices() []string {
	return []string{string(MethodConstrained), string(MethodForwarded), string(MethodPassword), string(MethodTransition)}
}

// Account is one that the gateway logs in with.
type Account struct {
	Principal string `yaml:"principal"` // svc-gw@CORP.TEST
	User      string `yaml:"user"`      // CORP\svc-gw, for NTLM and Basic
	Keytab    Path   `yaml:"keytab"`
	Password  Secret `yaml:"password"`
}

// A Proxy is an HTTP proxy on the way to an upstream.
type Proxy struct {
	URL     URL      `yaml:"url"`
	Account *Account `yaml:"account"` // nil: it wants no login
}

// Replay is where bodies of requests are kept that a login may need once more.
type Replay struct {
	Memory Size `yaml:"memory"` // of each request
	Disk   Size `yaml:"disk"`   // of each request, besides
	Dir    Path `yaml:"dir"`    // empty: that of the system
}

// A Size is a number of bytes, written as 256KiB, 64MiB or 1GiB.
type Size int64

var size = regexp.MustCompile(`^([0-9]{1,7})(B|KiB|MiB|GiB)$`)

func (v *Size) decode(d *decoder, n *yaml.Node, path string) {
	const want = "a size such as 256KiB or 64MiB"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	m := size.FindStringSubmatch(s)
	if m == nil {
		d.want(n, want, path)
		return
	}
	i, _ := strconv.ParseInt(m[1], 10, 64)
	*v = Size(i << map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[m[2]])
}

// A Host is a name or address of a server, *.corp.test for all below a domain,
// with a port if it is another than 80 and 443.
type Host string

var host = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)

func (v *Host) decode(d *decoder, n *yaml.Node, path string) {
	const want = "a host such as sharepoint.corp.test, *.corp.test or app.corp.test:8080"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	if !host.MatchString(s) {
		d.want(n, want, path)
		return
	}
	*v = Host(s)
}
