package admin

import (
	"context"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/health"
)

// Gateway is what runs.
type Gateway interface {
	// Overview is of the time since, in steps that fit a chart.
	Overview(ctx context.Context, since time.Duration) (*Overview, error)

	Services(ctx context.Context) (*Services, error)

	// Explain tells how a request would be decided, and why.
	Explain(ctx context.Context, q ExplainQuery) (*authz.Explanation, error)

	Roles(ctx context.Context) ([]RoleInfo, error)
	Realms(ctx context.Context) ([]Realm, error)

	// Test tries something of a realm. What fails is in the TestResult; the error
	// is for what could not be tried.
	Test(ctx context.Context, t Test) (*TestResult, error)
}

// An Overview is how things are, and how they went.
type Overview struct {
	Version string        `json:"version"`
	Go      string        `json:"go"`
	Started time.Time     `json:"started"`
	Loaded  time.Time     `json:"loaded"`            // the configuration in force
	Refused string        `json:"refused,omitempty"` // why the last reload was
	Report  health.Report `json:"health"`
	Listens []Listen      `json:"listen"`
	Users   int64         `json:"users"` // about
	Warning []string      `json:"warnings,omitempty"`

	Since time.Time `json:"since"`
	Step  int       `json:"step_seconds"`

	// Logins are those of all nodes, by the time at which a step begins.
	Logins     []LoginCount `json:"logins"`
	DoubleHops int64        `json:"double_hops"`
	RC4        int64        `json:"rc4_logins"`
}

// A Listen is an open address.
type Listen struct {
	Addr      string `json:"addr"`
	Direction string `json:"direction"` // inbound, outbound, admin
	Upstream  string `json:"upstream,omitempty"`
	TLS       bool   `json:"tls"`
}

// A LoginCount is a number of logins within a step.
type LoginCount struct {
	Time      time.Time `json:"time"`
	Mechanism string    `json:"mechanism"`
	Outcome   string    `json:"outcome"`
	N         int64     `json:"n"`
}

// Services are both sides of the gateway.
type Services struct {
	Services  []ServiceInfo `json:"services"`
	Upstreams []Upstream    `json:"upstreams"`
}

// A ServiceInfo is what callers come to.
type ServiceInfo struct {
	Name       string   `json:"name"`
	Host       string   `json:"host,omitempty"`
	Path       string   `json:"path,omitempty"`
	Logins     []string `json:"logins"`
	Backends   []string `json:"backends,omitempty"`
	Operations []string `json:"operations,omitempty"` // in Clark notation, if a description is published
	Elements   []Policy `json:"policy"`               // the service first, then what is below it
	Source     string   `json:"source"`               // file and line
}

// A Policy is what is in force at an element, inherited settings included.
type Policy struct {
	Name     string                   `json:"name"`
	Match    string                   `json:"match"`
	Source   string                   `json:"source,omitempty"`
	Settings []authz.ExplainedSetting `json:"settings"`
	Rules    []authz.ExplainedRule    `json:"rules"`
}

// An Upstream is a server that programs call through the gateway.
type Upstream struct {
	Name   string   `json:"name"`
	Listen string   `json:"listen"`
	URL    string   `json:"url,omitempty"`
	ActAs  []string `json:"act_as"`
	Source string   `json:"source"`
}

// An ExplainQuery is a request that somebody might send.
type ExplainQuery struct {
	Method    string `json:"method,omitempty"` // empty: GET, or POST with an operation
	URL       string `json:"url"`              // with a host, or a path alone
	Operation string `json:"operation,omitempty"`
	Client    string `json:"client,omitempty"` // address
	User      string `json:"user,omitempty"`   // of the store; empty: any caller
	Anonymous bool   `json:"anonymous,omitempty"`
}

// A RoleInfo is a role of the configuration.
type RoleInfo struct {
	Name    string   `json:"name"`
	Groups  []string `json:"groups,omitempty"`
	Users   []string `json:"users,omitempty"`
	Roles   []string `json:"roles,omitempty"`
	Claims  []string `json:"claims,omitempty"` // name=value, or name=value of REALM
	UsedBy  []string `json:"used_by,omitempty"`
	Granted int64    `json:"granted"` // users whom an operator granted it
	Source  string   `json:"source,omitempty"`
}

// A Realm is users and how their logins are proved.
type Realm struct {
	Name    string          `json:"name"`
	Methods []string        `json:"methods"` // kerberos, ntlm, ad, ldap, internal, oidc
	Tests   []TestKind      `json:"tests"`
	Checks  []health.Result `json:"checks,omitempty"`
	Sync    *SyncState      `json:"sync,omitempty"`
	Source  string          `json:"source"`
	Details []Detail        `json:"details,omitempty"`
}

// A Detail is a line about something.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TestKind says what is tried.
type TestKind string

// Kinds of Test.
const (
	TestBind     TestKind = "bind"     // a user's password at the directory
	TestNetlogon TestKind = "netlogon" // a user's password at a domain controller, by NTLM
	TestTicket   TestKind = "ticket"   // a Kerberos ticket for a user, and whether our keytab takes it
	TestInternal TestKind = "internal" // a user's password of ours
	TestProvider TestKind = "provider" // the well-known document and the keys of a provider
)

// A Test is a try of something of a realm.
type Test struct {
	Realm    string       `json:"realm"`
	Kind     TestKind     `json:"kind"`
	User     string       `json:"user,omitempty"`
	Password authn.Secret `json:"-"`
}

// A TestResult is what came of it, step by step.
type TestResult struct {
	OK    bool       `json:"ok"`
	Steps []TestStep `json:"steps"`
}

// A TestStep is a part of a test.
type TestStep struct {
	Name    string   `json:"name"`
	OK      bool     `json:"ok"`
	Text    string   `json:"text"`
	Remedy  string   `json:"remedy,omitempty"`
	Millis  int64    `json:"ms"`
	Details []Detail `json:"details,omitempty"`
}
