package netlogon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// zone is a resolver of the test's.
type zone struct {
	mu    sync.Mutex
	asked []string
	srv   []*net.SRV
	err   error
}

func (z *zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, fmt.Sprintf("_%s._%s.%s", service, proto, name))
	return "", z.srv, z.err
}

func (z *zone) set(err error, hosts ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.srv, z.err = nil, err
	for _, h := range hosts {
		z.srv = append(z.srv, &net.SRV{Target: h, Port: 389})
	}
}

func hostNames(cs []*controller) []string {
	var names []string
	for _, c := range cs {
		names = append(names, c.host)
	}
	return names
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	z := new(zone)
	v, err := New(Config{
		Account: "GW01$", Secrets: Password(authn.NewSecret("x")), Domain: "CORP", DNSDomain: "corp.test",
		Resolver: z, testOnlyNow: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	z.set(errors.New("no such host"))
	if _, err := v.known(t.Context()); !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "corp.test") || !strings.Contains(err.Error(), "Config.Controllers") {
		t.Errorf("err %v, want ErrUnavailable, the domain and the remedy", err)
	}
	z.set(nil, ".")
	if _, err := v.known(t.Context()); err == nil || !strings.Contains(err.Error(), "names no domain controller") {
		t.Errorf("err %v", err)
	}
	z.set(nil, "DC1.corp.test.", "dc2.corp.test.", "dc1.corp.test.")
	first, err := v.known(t.Context())
	if err != nil || z.asked[0] != "_ldap._tcp.dc._msdcs.corp.test" {
		t.Fatalf("asked %v, %v", z.asked, err)
	}
	if got := hostNames(first); !slices.Equal(got, []string{"dc1.corp.test", "dc2.corp.test"}) {
		t.Errorf("controllers %v", got)
	}
	asked := len(z.asked)
	if _, err := v.known(t.Context()); err != nil || len(z.asked) != asked {
		t.Errorf("asked again at once, %v", err)
	}
	// Anew after a while; what is known of a controller stays.
	z.set(nil, "dc3.corp.test.", "dc2.corp.test.")
	if err := v.find(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := v.known(t.Context())
	if err != nil || !slices.Equal(hostNames(second), []string{"dc3.corp.test", "dc2.corp.test"}) {
		t.Errorf("controllers %v, %v", hostNames(second), err)
	}
	if second[1] != first[1] {
		t.Error("dc2 was forgotten")
	}
	if !first[0].retired || second[1].retired {
		t.Error("dc1 is still in use, or dc2 is not")
	}
	// DNS that fails later changes nothing.
	z.set(errors.New("server failure"))
	now = now.Add(refresh + time.Second)
	third, err := v.known(t.Context())
	if err != nil || !slices.Equal(hostNames(third), hostNames(second)) {
		t.Errorf("controllers %v, %v", hostNames(third), err)
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	good := Config{Account: "GW01", Secrets: Password(authn.NewSecret("x")), Domain: "CORP", DNSDomain: "corp.test"}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"account", func(c *Config) { c.Account = "$" }, "Account"},
		{"account with a domain", func(c *Config) { c.Account = `CORP\GW01$` }, "name of a computer account"},
		{"secrets", func(c *Config) { c.Secrets = nil }, "Secrets"},
		{"domain", func(c *Config) { c.Domain = "" }, "NetBIOS name"},
		{"DNS name as domain", func(c *Config) { c.Domain = "corp.test" }, "goes into DNSDomain"},
		{"no way to a controller", func(c *Config) { c.DNSDomain = "" }, "DNSDomain, or Controllers"},
		{"no name", func(c *Config) { c.Controllers = []string{"dc1", ""} }, `has ""`},
		{"URL", func(c *Config) { c.Controllers = []string{"ldap://dc1"} }, "want a name or an address"},
		{"port", func(c *Config) { c.Controllers = []string{"dc1:ldap"} }, "want a name or an address"},
		{"brackets", func(c *Config) { c.Controllers = []string{"[::1]"} }, "want a name or an address"},
		{"channels", func(c *Config) { c.Channels = 5 }, "want 0 to 4"},
	} {
		c := good
		tt.change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	good.DNSDomain, good.Timeout, good.Patience = "corp.test.", time.Second, time.Minute
	good.Controllers = []string{"dc1", "dc1.corp.test.", "dc1:49155", "10.0.0.1", "10.0.0.1:49155", "fd00::1", "[fd00::1]:49155"}
	v, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if v.cfg.Patience != time.Second {
		t.Errorf("patience %v, more than the timeout", v.cfg.Patience)
	}
	n := v.Names()
	if n.Computer != "GW01" || n.Domain != "CORP" || n.DNS.Computer != "gw01.corp.test" {
		t.Errorf("names %+v", n)
	}
	_ = v.Close()
	if _, err := v.known(t.Context()); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

// TestNameCache: names expire, and the cache stays small.
func TestNameCache(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	var n nameCache
	groups := []authn.Group{{SID: "S-1-5-21-1"}, {SID: "S-1-5-21-2"}}
	if unknown := n.fill(groups, now); len(unknown) != 2 {
		t.Fatalf("unknown %v", unknown)
	}
	n.add([]authn.SID{"S-1-5-21-1", "S-1-5-21-2"}, map[authn.SID]string{"S-1-5-21-1": `CORP\one`}, now)
	if unknown := n.fill(groups, now); len(unknown) != 0 || groups[0].Name != `CORP\one` || groups[1].Name != "" {
		t.Errorf("unknown %v, groups %v", unknown, groups)
	}
	// That there is no name is forgotten first.
	if unknown := n.fill(groups, now.Add(noNameLifetime)); len(unknown) != 1 {
		t.Errorf("unknown %v", unknown)
	}
	if unknown := n.fill(groups, now.Add(nameLifetime)); len(unknown) != 2 {
		t.Errorf("unknown %v", unknown)
	}
	for i := range maxNames + 10 {
		n.add([]authn.SID{authn.SID(fmt.Sprint("S-1-5-", i))}, nil, now)
	}
	if len(n.names) > maxNames {
		t.Errorf("%d names in the cache", len(n.names))
	}
	if !n.failed(now) || n.failed(now) || !n.paused(now) || n.paused(now.Add(lookupPause)) {
		t.Error("failures do not make a pause")
	}
}
