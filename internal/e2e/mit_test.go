package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/mittest"
	"github.com/soapward/soapward/internal/testenv"
)

const (
	mitPassword = "pw-of-Alice 42"
	mitHost     = "web.a.test"
	mitService  = "HTTP@" + mitHost // as GSS-API writes it
)

// startMITRealm starts a realm of MIT's with a user alice and two services.
// settings are lines of its kdc.conf.
func startMITRealm(t *testing.T, settings string) *mittest.KDCs {
	t.Helper()
	return mittest.Start(t, mittest.Realm{
		Name:       "A.TEST",
		Principals: []string{`-pw "` + mitPassword + `" +requires_preauth alice`, "-randkey HTTP/" + mitHost, "-randkey HTTP/back.a.test"},
		Keytabs:    map[string]string{"web": "HTTP/" + mitHost, "back": "HTTP/back.a.test"},
		Settings:   settings,
	})
}

// mitKerberos accepts tickets of the realm, which say nothing of groups.
func mitKerberos(t *testing.T, k *mittest.KDCs, keytab string) *kerberos.Mechanism {
	t.Helper()
	kt, err := kerberos.LoadKeytab(k.Keytab(keytab))
	if err != nil {
		t.Fatal(err)
	}
	return &kerberos.Mechanism{Keytab: kt, AllowNoPAC: []string{"A.TEST"}}
}

// checkMITAlice: a caller of such a realm has a name and nothing else.
func checkMITAlice(t *testing.T, body, status, sent string) whoami {
	t.Helper()
	if status != "200" {
		t.Fatalf("status = %s, body %q, want 200", status, body)
	}
	me := decodeWhoami(t, body)
	if me.User != `A.TEST\alice` || me.Mechanism != authn.MechanismKerberos || me.SID != "" || len(me.Groups) != 0 || me.UPN != "" {
		t.Errorf("caller = %+v, want alice of A.TEST without SID and groups", me)
	}
	checkBody(t, me, sent)
	return me
}

// curl in a realm that is not Active Directory, from the ticket to the answer.
// From 1.20 on MIT's KDC puts a PAC into tickets for the sake of its signatures.
func TestMITRealm(t *testing.T) {
	t.Parallel()
	tokens := map[string]int{} // size, by settings
	for _, settings := range []string{"  disable_pac = true", "  disable_pac = false"} {
		k := startMITRealm(t, settings)
		env := append(k.Env(), "KRB5CCNAME=FILE:"+k.Kinit(t, k.Env(), "alice", mitPassword))
		call := func(t *testing.T, m *kerberos.Mechanism) (s *server, body, status string) {
			t.Helper()
			s = startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: m}})
			body, status = curl(t, env, ":", "--negotiate", "--resolve", mitHost+":"+s.Port+":127.0.0.1", "-d", "<a/>", s.At(mitHost, "/"))
			return s, body, status
		}
		t.Run(strings.TrimSpace(settings), func(t *testing.T) {
			s, body, status := call(t, mitKerberos(t, k, "web"))
			checkMITAlice(t, body, status, "<a/>")
			if sent := s.Tokens(t, "Negotiate"); len(sent) > 0 {
				tokens[settings] = len(sent[len(sent)-1])
			}
			if log := s.log.String(); !strings.Contains(log, "level=INFO msg=login") || !strings.Contains(log, `user.name=A.TEST\alice`) {
				t.Error("log does not say that alice logged in")
			}

			for name, allowed := range map[string][]string{"no realm": nil, "another realm": {"B.TEST"}} {
				m := mitKerberos(t, k, "web")
				m.AllowNoPAC = allowed
				s, body, status := call(t, m)
				checkRefused(t, s, status, body, authn.ReasonPolicy)
				if !strings.Contains(s.log.String(), "AllowNoPAC") || !strings.Contains(s.log.String(), "KDC of A.TEST") {
					t.Errorf("%s: log does not name the setting and the realm", name)
				}
			}
			m := mitKerberos(t, k, "web")
			m.Realms = []string{"B.TEST"}
			s, body, status = call(t, m)
			checkRefused(t, s, status, body, authn.ReasonPolicy)
		})
	}
	if without, with := tokens["  disable_pac = true"], tokens["  disable_pac = false"]; with < without+150 {
		t.Errorf("tokens of %d bytes with and %d without a PAC: the KDC has put none in", with, without)
	}
}

// gssClient is gss_client.py.
type gssClient struct {
	t     *testing.T // of the case that it works for
	lines *testenv.Lines
}

type (
	gssCall struct {
		URL      string   `json:"url"`
		CA       string   `json:"ca,omitempty"`
		Service  string   `json:"service"`
		Mech     string   `json:"mech"`
		List     []string `json:"list,omitempty"`
		Binding  string   `json:"binding,omitempty"` // "right", "wrong"
		Delegate bool     `json:"delegate,omitempty"`
		Body     string   `json:"body"`
	}
	gssAnswer struct {
		Error        string
		Status, Body string
		Legs         int  // requests it took
		Proved       bool // the client was done because of the server's last token
		Complete     bool
		Left         int // bytes the client has to say after the login
	}
)

// startGSSClient starts the program as alice, with more lines for the section
// libdefaults of its krb5.conf.
func startGSSClient(t *testing.T, k *mittest.KDCs, libdefaults string) *gssClient {
	t.Helper()
	cmd := exec.Command(testenv.NeedPython(t, "gssapi", "requests"), "testdata/gss_client.py")
	env := k.EnvFor(k.WriteConf(t, "[domain_realm]\n .a.test = A.TEST\n[libdefaults]\n"+libdefaults+"\n"))
	cmd.Env = append(append(cmd.Environ(), env...), "KRB5CCNAME=FILE:"+k.Kinit(t, env, "alice", mitPassword),
		"NTLM_USER_FILE="+writeFile(t, "ntlm", "CORP:alice:x\n"))
	return &gssClient{t: t, lines: testenv.StartLines(t, cmd)}
}

func (c *gssClient) call(s *server, r gssCall) gssAnswer {
	c.t.Helper()
	r.URL, r.CA, r.Service, r.Body = s.URL, s.CAFile, mitService, "<a/>"
	var a gssAnswer
	c.lines.AskJSON(c.t, r, &a)
	if a.Error != "" {
		c.t.Fatalf("client: %s", a.Error)
	}
	return a
}

// Python's requests with MIT's GSS-API, in each framing. The login is complete
// for the client only when the server has proved itself.
func TestGSSAPIClient(t *testing.T) {
	t.Parallel()
	k := startMITRealm(t, "")
	c := startGSSClient(t, k, "")
	for _, tt := range []struct {
		name    string
		call    gssCall
		forward bool // taken where it comes
		legs    int
		ntlm    bool
	}{
		{name: "krb5", call: gssCall{Mech: "krb5"}, legs: 1},
		{name: "Microsoft's OID", call: gssCall{Mech: "ms-krb5"}, legs: 1},
		{name: "SPNEGO", call: gssCall{Mech: "spnego"}, legs: 1},
		{name: "SPNEGO, NTLM first", call: gssCall{Mech: "spnego", List: []string{"ntlm", "krb5"}}, legs: 3, ntlm: true},
		{name: "forwarded, taken", call: gssCall{Mech: "spnego", Delegate: true}, legs: 1, forward: true},
		{name: "forwarded, not taken", call: gssCall{Mech: "spnego", Delegate: true}, legs: 1},
		{name: "not forwarded", call: gssCall{Mech: "spnego"}, legs: 1, forward: true},
	} {
		// One after the other, hence no t.Parallel: there is one client.
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			if tt.ntlm {
				testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
			}
			m := mitKerberos(t, k, "web")
			m.AllowForwardedTGT = tt.forward
			s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: m}})
			a := c.call(s, tt.call)
			me := checkMITAlice(t, a.Body, a.Status, "<a/>")
			if !a.Complete || !a.Proved || a.Left != 0 || a.Legs != tt.legs {
				t.Errorf("client says %+v, want %d legs and the server's proof", a, tt.legs)
			}
			want := "Kerberos ticket"
			if tt.forward && tt.call.Delegate {
				want = "Kerberos ticket and forwarded TGT"
			}
			if me.Evidence != want {
				t.Errorf("evidence = %q, want %q", me.Evidence, want)
			}
		})
	}
}

// TestGSSAPIBinding is the whole table of channel bindings (RFC 5929, RFC 4121
// 4.1.1.2, MS-KILE 3.4.5): what the server demands, what the client sends, and
// whether it says that it would send bindings over TLS.
func TestGSSAPIBinding(t *testing.T) {
	t.Parallel()
	const (
		relayed  = "somebody relays the login of a client that is connected elsewhere"
		noTLS    = "the client is on TLS and we are not"
		sendNone = "the client sends no channel bindings"
		stripped = "the client knows channel bindings and believes it is not on TLS"
	)
	policies := map[authn.BindingPolicy]string{
		authn.BindingOff: "off", authn.BindingSupported: "supported", authn.BindingRequired: "required",
	}
	type row struct {
		tls     bool
		policy  authn.BindingPolicy
		binding string
		// The hint in the log if it is refused, from a client that knows bindings
		// and from one that does not say so.
		aware, unaware string
	}
	table := []row{
		{true, authn.BindingOff, "right", "", ""},
		{true, authn.BindingOff, "wrong", "", ""},
		{true, authn.BindingOff, "", "", ""},
		{true, authn.BindingSupported, "right", "", ""},
		{true, authn.BindingSupported, "wrong", relayed, relayed},
		{true, authn.BindingSupported, "", stripped, ""},
		{true, authn.BindingRequired, "right", "", ""},
		{true, authn.BindingRequired, "wrong", relayed, relayed},
		{true, authn.BindingRequired, "", sendNone, sendNone},
		{false, authn.BindingOff, "wrong", "", ""},
		{false, authn.BindingOff, "", "", ""},
		{false, authn.BindingSupported, "wrong", noTLS, noTLS},
		{false, authn.BindingSupported, "", "", ""},
		{false, authn.BindingRequired, "wrong", noTLS, noTLS},
		{false, authn.BindingRequired, "", "", ""},
	}
	k := startMITRealm(t, "")
	for _, aware := range []bool{false, true} {
		libdefaults := ""
		if aware {
			libdefaults = " client_aware_channel_bindings = true"
		}
		c := startGSSClient(t, k, libdefaults)
		for _, tt := range table {
			hint := tt.unaware
			if aware {
				hint = tt.aware
			}
			for _, mech := range []string{"krb5", "spnego"} {
				name := "http "
				if tt.tls {
					name = "https "
				}
				name += policies[tt.policy] + " binding " + tt.binding + " " + mech
				if aware {
					name += " aware"
				}
				t.Run(name, func(t *testing.T) {
					c.t = t
					m := mitKerberos(t, k, "web")
					m.Binding = tt.policy
					s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: m}, tls: tt.tls})
					a := c.call(s, gssCall{Mech: mech, Binding: tt.binding})
					if hint == "" {
						checkMITAlice(t, a.Body, a.Status, "<a/>")
						if !a.Proved {
							t.Error("the client has no proof of the server")
						}
						return
					}
					checkRefused(t, s, a.Status, a.Body, authn.ReasonChannelBinding)
					if !strings.Contains(s.log.String(), hint) {
						t.Errorf("log does not say %q", hint)
					}
				})
			}
		}
	}
}
