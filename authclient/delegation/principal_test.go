package delegation

import (
	"testing"

	"github.com/soapward/soapward/authn"
)

func TestDomainPrincipal(t *testing.T) {
	t.Parallel()
	domains := map[string]string{"CORP": "CORP.TEST"}
	const sid = "S-1-5-21-1-2-3-1104"
	for _, tc := range []struct {
		name string
		id   authn.Identity
		want string // "" means refused
	}{
		{"mapped", authn.Identity{Account: "alice", Domain: "corp", SID: sid, UPN: "a@x.test"}, "alice@CORP.TEST"},
		{"DNS domain", authn.Identity{Account: "alice", Domain: "sub.corp.test", SID: sid}, "alice@SUB.CORP.TEST"},
		{"UPN", authn.Identity{Account: "alice", Domain: "OTHER", SID: sid, UPN: "a@x.test"}, "a@x.test"},
		{"not mapped", authn.Identity{Account: "alice", Domain: "OTHER", SID: sid}, ""},
		{"no SID", authn.Identity{Account: "alice", Domain: "CORP", UPN: "a@x.test"}, ""},
		{"well-known SID", authn.Identity{Account: "SYSTEM", Domain: "CORP", SID: "S-1-5-18"}, ""},
	} {
		got, err := DomainPrincipal(&tc.id, domains)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}
