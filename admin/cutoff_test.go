package admin

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

func TestAttackCutOff(t *testing.T) {
	t.Parallel()
	const base = `
realms: {it: {oidc: {issuer: "https://id.example", client_id: gw}}, ot: {oidc: {issuer: "https://ot.example", client_id: gw}}, staff: {internal: {}}}
roles: {chiefs: {claims: [{name: groups, value: chiefs, realm: it}]}, others: {users: ['it\bob']}}
store: {driver: sqlite, dsn: s.db}
`
	parse := func(admin string) *config.Config {
		t.Helper()
		c, err := config.Parse("c.yaml", []byte(base+admin))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const listener = `admin: {addr: ":9180", url: "https://gw.test", `
	old := parse(listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [chiefs]}}`)
	chief := func() *authn.Identity {
		return &authn.Identity{Domain: "it", Account: "alice", Claims: authn.Claims{"groups": {"chiefs"}}, Roles: []string{"others"}}
	}
	local := &Caller{Name: "root", Role: Administrator, Local: true, Login: "local", Peer: "10.1.1.1"}
	byProvider := &Caller{Name: `it\alice`, Role: Administrator, Login: "it", Peer: "10.1.1.1", Identity: chief()}
	byToken := &Caller{Name: `it\alice`, Role: Administrator, Login: "command line", Peer: "10.1.1.1", Identity: chief()}
	for _, tt := range []struct {
		name, admin string
		caller      *Caller
		want        string // empty: he stays
	}{
		{"nothing of it", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [chiefs]}}`, byProvider, ""},
		{"another role that he has", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [others, chiefs]}}`, byProvider, ""},
		{"another provider beside", listener + `networks: [10.0.0.0/8], login: [ot, it], roles: {administrator: [chiefs]}}`, byProvider, ""},
		{"no listener", "", local, "no admin listener"},
		{"another provider", listener + `networks: [10.0.0.0/8], login: [ot], roles: {administrator: [chiefs]}}`, byProvider, "admin.login does not have it"},
		{"another provider, on the command line", listener + `networks: [10.0.0.0/8], login: [ot], roles: {administrator: [chiefs]}}`, byToken, "admin.login does not have it"},
		{"nobody, on the command line", listener + `networks: [10.0.0.0/8], login: [it]}`, byToken, "has nobody"},
		{"the same, for a local one", listener + `networks: [10.0.0.0/8], login: [ot], roles: {administrator: [chiefs]}}`, local, ""},
		{"nobody", listener + `networks: [10.0.0.0/8], login: [it]}`, byProvider, "has nobody"},
		{"a role that he has not, but was granted", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [others]}}`, byProvider, "none of the roles"},
		{"everybody", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [any]}}`, byProvider, ""},
		{"networks", listener + `networks: [192.168.0.0/16], login: [it], roles: {administrator: [chiefs]}}`, byProvider, "admin.networks does not have your address"},
		{"local ones", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [chiefs]}, local: {disabled: true}}`, local, "admin.local.disabled"},
		{"the same, for others", listener + `networks: [10.0.0.0/8], login: [it], roles: {administrator: [chiefs]}, local: {disabled: true}}`, byProvider, ""},
	} {
		got := cutsOff(t.Context(), tt.caller, old, parse(tt.admin))
		if tt.want == "" && got != "" || tt.want != "" && !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
