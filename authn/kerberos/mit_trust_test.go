package kerberos

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/mittest"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	// mitPath says that the way from A to C is over B (MIT krb5.conf, capaths).
	mitPath  = "[capaths]\n A.TEST = {\n  C.TEST = B.TEST\n }\n"
	mitHosts = "[domain_realm]\n .a.test = A.TEST\n .b.test = B.TEST\n .c.test = C.TEST\n"
)

// chain is three realms of which A and B, and B and C, trust each other. change
// alters what they are made of.
func chain(t *testing.T, change func(a, b, c *mittest.Realm)) *mitKDC {
	t.Helper()
	a := mittest.Realm{
		Name:       "A.TEST",
		Principals: []string{`-pw "` + mitPassword + `" +requires_preauth alice`},
		Krb5Conf:   mitHosts + mitPath,
	}
	b := mittest.Realm{Name: "B.TEST", ReachedBy: []string{"A.TEST"}, Krb5Conf: mitHosts + mitPath}
	c := mittest.Realm{
		Name: "C.TEST", ReachedBy: []string{"B.TEST"}, Krb5Conf: mitHosts + mitPath,
		Principals: []string{"-randkey HTTP/app.c.test"}, Keytabs: map[string]string{"app": "HTTP/app.c.test"},
	}
	if change != nil {
		change(&a, &b, &c)
	}
	k := mittest.Start(t, a, b, c)
	return &mitKDC{KDCs: k, dir: t.TempDir(), env: k.Env()}
}

// alice returns a client of realm A that knows what is in conf.
func (m *mitKDC) alice(t *testing.T, conf string) *Client {
	t.Helper()
	cfg, err := LoadConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewPasswordClient(*cfg, "alice", authn.NewSecret(mitPassword))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const chainSPN = "HTTP/app.c.test"

// TestMITChain: a client of realm A gets to a service in realm C over two
// hops: where it knows the service's realm, where the KDCs have to tell, and
// where it knows the way and the KDCs do not.
func TestMITChain(t *testing.T) {
	t.Parallel()
	m := chain(t, nil)
	t.Run("the client knows the realm", func(t *testing.T) {
		t.Parallel()
		m.checkChain(t, m.Conf)
	})
	t.Run("the KDCs tell", func(t *testing.T) {
		t.Parallel()
		m.checkChain(t, m.WriteConf(t, ""))
	})
	t.Run("the client knows the way", func(t *testing.T) {
		t.Parallel()
		m := chain(t, func(a, b, _ *mittest.Realm) { a.Krb5Conf, b.Krb5Conf = "", "" })
		m.checkChain(t, m.WriteConf(t, mitHosts+mitPath))
	})
}

// checkChain: with what is in conf, our client gets the ticket that MIT's kvno
// gets, and the service takes both, unless the client's realm is not allowed.
func (m *mitKDC) checkChain(t *testing.T, conf string) {
	t.Helper()
	client := m.alice(t, conf)
	ours, err := client.Ticket(t.Context(), chainSPN)
	if err != nil {
		t.Fatal(err)
	}
	theirs := kvno(t, m, m.EnvFor(conf), chainSPN)
	theirTicket, err := theirs.Ticket(t.Context(), chainSPN)
	if err != nil {
		t.Fatal(err)
	}
	got, want := ours.open(), theirTicket.open()
	if ours.String() != "ticket of alice@A.TEST for HTTP/app.c.test@C.TEST" || ours.String() != theirTicket.String() {
		t.Errorf("got %v, kvno got %v", ours, theirTicket)
	}
	flags := want.flags &^ krb5.FlagRenewable // which kinit asks for where the lifetime is cut
	if got.flags != flags || got.key.EType() != want.key.EType() || !got.flags.Has(krb5.FlagTransited) {
		t.Errorf("flags %x and key of type %v, kvno got %x and %v; want the path checked", got.flags, got.key.EType(), flags, want.key.EType())
	}
	// The acceptor takes both, and nobody of a realm that is not allowed.
	for who, c := range map[string]*Client{"ours": client, "kvno's": theirs} {
		for _, realms := range [][]string{nil, {"A.TEST"}, {"B.TEST", "C.TEST"}} {
			mech := m.mechanism(t, "app")
			mech.Realms = realms
			id, err := runExchange(t, c.NewInitiator(chainSPN, InitiatorConfig{}), mech, authn.Exchange{})
			if realms == nil || slices.Contains(realms, "A.TEST") {
				if err != nil || id.String() != `A.TEST\alice` {
					t.Errorf("%s, realms %v: %v, %v", who, realms, id, err)
				}
				continue
			}
			wantRefused(t, id, err, authn.ReasonPolicy, "the client's realm is not among those allowed here: B.TEST, C.TEST")
		}
	}
}

// kvno has MIT's kvno get a ticket, and returns a client with what it got.
func kvno(t *testing.T, m *mitKDC, env []string, spn string) *Client {
	t.Helper()
	cache := m.Kinit(t, env, "alice", mitPassword)
	testenv.Run(t, append(env, "KRB5CCNAME=FILE:"+cache), "", testenv.Need(t, "kvno"), kvnoArgs(spn)...)
	cfg := m.config(t)
	cfg.Realms = nil // what is not in the cache cannot be had
	c, err := NewCacheClient(cfg, cache)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kvnoArgs has kvno find the service's realm out, where spn does not tell.
func kvnoArgs(spn string) []string {
	if class, host, _ := strings.Cut(spn, "/"); !strings.Contains(spn, "@") {
		return []string{"-S", class, host}
	}
	return []string{spn}
}

// TestAttackMITUncheckedTransit: where the KDC of the service does not know the
// path and gives a ticket out all the same, the acceptor refuses it.
func TestAttackMITUncheckedTransit(t *testing.T) {
	t.Parallel()
	m := chain(t, func(_, _, c *mittest.Realm) {
		c.Krb5Conf, c.Settings = mitHosts, "  reject_bad_transit = false"
	})
	client := m.alice(t, m.Conf)
	id, err := runExchange(t, client.NewInitiator(chainSPN, InitiatorConfig{}), m.mechanism(t, "app"), authn.Exchange{})
	wantRefused(t, id, err, authn.ReasonPolicy, "capaths")
	for _, realms := range [][]string{{"A.TEST"}, {"A.TEST", "B.TEST", "C.TEST"}} {
		mech := m.mechanism(t, "app")
		mech.Realms = realms // to be on the list is no check of the path
		id, err = runExchange(t, client.NewInitiator(chainSPN, InitiatorConfig{}), mech, authn.Exchange{})
		wantRefused(t, id, err, authn.ReasonPolicy, "capaths")
	}
}

// TestMITChainRefused: ends without a ticket are errors that say what is wrong.
func TestMITChainRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		change   func(a, b, c *mittest.Realm)
		hosts    string // that the client knows
		spn      string
		code     string // of the KDC, if it refuses
		contains []string
	}{
		{
			name:   "the KDC of the service does not know the path",
			change: func(_, _, c *mittest.Realm) { c.Krb5Conf = mitHosts },
			hosts:  mitHosts, spn: chainSPN,
			code: "KDC_ERR_POLICY", contains: []string{"KDC of C.TEST", "capaths"},
		},
		{
			name:   "no trust",
			change: func(_, _, c *mittest.Realm) { c.ReachedBy = nil },
			hosts:  mitHosts, spn: chainSPN,
			code: "KDC_ERR_S_PRINCIPAL_UNKNOWN", contains: []string{"KDC of B.TEST", "no trust between the realms"},
		},
		{
			name:   "the KDC of the client does not know the path",
			change: func(a, _, _ *mittest.Realm) { a.Krb5Conf = mitHosts },
			hosts:  mitHosts, spn: chainSPN,
			code: "KDC_ERR_S_PRINCIPAL_UNKNOWN", contains: []string{"KDC of A.TEST", "krbtgt/C.TEST", "needs the path (capaths)"},
		},
		{
			name:   "a realm that nobody knows",
			change: nil,
			hosts:  mitHosts, spn: "HTTP/app.d.test@D.TEST",
			code: "KDC_ERR_S_PRINCIPAL_UNKNOWN", contains: []string{"krbtgt/D.TEST", "misspelt"},
		},
		{
			name: "KDCs refer in a circle",
			change: func(a, b, _ *mittest.Realm) {
				a.ReachedBy = []string{"B.TEST"}
				a.Krb5Conf, b.Krb5Conf = "[domain_realm]\n .loop.test = B.TEST\n", "[domain_realm]\n .loop.test = A.TEST\n"
			},
			spn: "HTTP/app.loop.test", contains: []string{"in a circle: A.TEST to B.TEST, then A.TEST again"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := chain(t, tt.change)
			ticket, err := m.alice(t, m.WriteConf(t, tt.hosts)).Ticket(t.Context(), tt.spn)
			if err == nil {
				t.Fatalf("got %v", ticket)
			}
			var ke *KDCError
			if errors.As(err, &ke) != (tt.code != "") || ke != nil && ke.Name != tt.code {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
			for _, s := range tt.contains {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %v lacks %q", err, s)
				}
			}
			// MIT's client fails there as well.
			env := m.EnvFor(m.WriteConf(t, tt.hosts))
			env = append(env, "KRB5CCNAME=FILE:"+m.Kinit(t, env, "alice", mitPassword))
			if out, err := testenv.Try(t, env, "", testenv.Need(t, "kvno"), kvnoArgs(tt.spn)...); err == nil {
				t.Errorf("kvno got a ticket: %s", out)
			}
		})
	}
}
