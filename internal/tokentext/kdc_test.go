package tokentext

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/kdc"
)

// find returns the first node of the name below l.
func (n *Node) find(name string) *Node {
	for _, c := range n.Children {
		if c.Name == name {
			return c
		}
		if f := c.find(name); f != nil {
			return f
		}
	}
	return nil
}

// TestLogin reads both tokens of a login by our client at our acceptor, through
// a KDC: what is on the wire is the same as what recorded tokens have.
func TestLogin(t *testing.T) {
	t.Parallel()
	const app = "HTTP/app.corp.test"
	k := must(kdc.New(kdc.Config{Realm: "CORP.TEST", DomainSID: "S-1-5-21-7-8-9"}))(t)
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "pw-alice", RID: 2001, Groups: []uint32{2500}},
		{Name: "svc-app", Password: "pw-app", SPNs: []string{app}},
		{Name: "svc-other", Password: "pw-other", SPNs: []string{"HTTP/other.corp.test"}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	cfg := kerberos.Config{DefaultRealm: k.Realm(), Realms: map[string]kerberos.Realm{k.Realm(): {KDCs: []string{k.Addr()}}}}
	alice := must(kerberos.NewPasswordClient(cfg, "alice", authn.NewSecret("pw-alice")))(t)
	keys := func(name string) *kerberos.Keytab {
		return must(kerberos.ParseKeytab(must(k.Keytab(name))(t)))(t)
	}
	i := spnego.NewInitiator(spnego.OIDKerberos, alice.NewInitiator(app, kerberos.InitiatorConfig{}))
	token, _, err := i.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := spnego.NewAcceptor([]authn.Mechanism{&kerberos.Mechanism{Keytab: keys("svc-app"), SPNs: []string{app}}}, authn.Exchange{})
	reply, _, err := a.Step(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	inspect := func(b []byte, name string) *Node {
		t.Helper()
		r, err := Inspect(b, Options{Keytab: keys(name)})
		if err != nil || r.Damaged || len(r.Tokens) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		return &Node{Children: r.Tokens[0].Parts}
	}
	check := func(root *Node, name, value string) {
		t.Helper()
		if n := root.find(name); n == nil || !strings.HasPrefix(n.Value, value) {
			t.Errorf("%s is %+v, want %q", name, n, value)
		}
	}
	root := inspect(token, "svc-app")
	check(root, "sname", app)
	check(root, "keytab", "opened with the key of svc-app@CORP.TEST")
	check(root, "UserId", "2001")
	check(root.find("GroupIds"), "Sid", "S-1-5-21-7-8-9-")
	check(root, "verified", "yes")
	check(root, "Flags", "GSS_C_MUTUAL_FLAG")
	check(inspect(reply, "svc-app"), "negState", "accept-completed")
	if inspect(reply, "svc-app").find("AP-REP") == nil {
		t.Error("no AP-REP in the reply")
	}
	root = inspect(token, "svc-other")
	check(root, "keytab", "no key opens the ticket")
	check(root, "has keys of", "svc-other@CORP.TEST")
	if root.find("EncTicketPart") != nil {
		t.Error("opened with a key of another account")
	}
}
