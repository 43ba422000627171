package kerberos

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

// gssPeer is MIT's GSS-API in a process of its own, either end of one exchange
// after the other.
type gssPeer struct {
	t     *testing.T // of the case that it works for
	lines *testenv.Lines
}

type (
	gssRequest struct {
		Do      string   `json:"do"`
		Service string   `json:"service,omitempty"`
		Mech    string   `json:"mech,omitempty"`
		List    []string `json:"list,omitempty"`
		Flags   []string `json:"flags,omitempty"`
		Binding []byte   `json:"binding,omitempty"`
		Token   []byte   `json:"token,omitempty"`
		Message []byte   `json:"message,omitempty"`
		MIC     []byte   `json:"mic,omitempty"`
		Seal    bool     `json:"seal,omitempty"`
	}
	gssAnswer struct {
		Error    string
		Token    []byte
		Complete bool
		Name     string
		Mech     string
		Flags    []string
		MIC      []byte
		Message  []byte
		Sealed   bool
	}
)

// startGSSPeer starts a peer that is alice as a client and HTTP/app.a.test as a
// server. more are lines for the section libdefaults of its krb5.conf.
func startGSSPeer(t *testing.T, m *mitKDC, more ...string) *gssPeer {
	t.Helper()
	cmd := exec.Command(testenv.NeedPython(t, "gssapi"), "testdata/gss_peer.py")
	conf := m.WriteConf(t, "[domain_realm]\n .a.test = A.TEST\n .b.test = B.TEST\n[libdefaults]\n"+strings.Join(more, "\n")+"\n")
	env := m.EnvFor(conf)
	cache := m.Kinit(t, env, "alice", mitPassword)
	cmd.Env = append(append(cmd.Environ(), env...), "KRB5CCNAME=FILE:"+cache, "KRB5_KTNAME="+m.Keytab("app"),
		"NTLM_USER_FILE="+writeNTLMUser(t))
	return &gssPeer{t: t, lines: testenv.StartLines(t, cmd)}
}

// try asks the peer and returns its answer, which may be an error.
func (p *gssPeer) try(r gssRequest) gssAnswer {
	p.t.Helper()
	var a gssAnswer
	p.lines.AskJSON(p.t, r, &a)
	return a
}

// ask asks for what must not fail.
func (p *gssPeer) ask(r gssRequest) gssAnswer {
	p.t.Helper()
	a := p.try(r)
	if a.Error != "" {
		p.t.Fatalf("MIT: %s: %s", r.Do, a.Error)
	}
	return a
}

// GetMIC and VerifyMIC make the peer an authn.MessageSigner.
func (p *gssPeer) GetMIC(msg []byte) ([]byte, error) {
	a := p.try(gssRequest{Do: "sign", Message: msg})
	return a.MIC, gssError(a)
}

func (p *gssPeer) VerifyMIC(msg, mic []byte) error {
	return gssError(p.try(gssRequest{Do: "verify", Message: msg, MIC: mic}))
}

var _ authn.MessageSigner = (*gssPeer)(nil)

func gssError(a gssAnswer) error {
	if a.Error != "" {
		return fmt.Errorf("MIT: %s", a.Error)
	}
	return nil
}

func (m *mitKDC) mechanism(t *testing.T, keytab string) *Mechanism {
	t.Helper()
	return &Mechanism{Keytab: m.keytab(t, keytab), AllowNoPAC: []string{"A.TEST"}}
}

// atOurs has the peer log in to a and returns who that says it is, and what the
// peer says of the context in the end.
func (p *gssPeer) atOurs(a authn.Acceptor, r gssRequest) (*authn.Identity, gssAnswer, error) {
	p.t.Helper()
	r.Do, r.Service = "initiate", "HTTP@app.a.test"
	answer := p.ask(r)
	if answer.Complete && slices.Contains(r.Flags, "mutual") {
		p.t.Error("the client was done before the server's proof")
	}
	checkFraming(p.t, r, answer.Token)
	for range 4 {
		reply, id, err := a.Step(p.t.Context(), answer.Token)
		if err != nil {
			return nil, answer, err
		}
		if len(reply) > 0 {
			checkFraming(p.t, r, reply)
			answer = p.ask(gssRequest{Do: "step", Token: reply})
		}
		if id != nil {
			if len(reply) > 0 && len(answer.Token) > 0 {
				p.t.Errorf("the client has %d bytes to say after the login", len(answer.Token))
			}
			return id, answer, nil
		}
	}
	return nil, answer, errors.New("no end after four legs")
}

// checkFraming: a raw token is of the mechanism that was asked for, and so is
// the answer.
func checkFraming(t *testing.T, r gssRequest, token []byte) {
	t.Helper()
	oid, _, _, err := krb5.UnframeToken(token)
	switch {
	case r.Mech == "spnego" && spnego.KindOf(token) != spnego.KindInit && spnego.KindOf(token) != spnego.KindResp,
		r.Mech == "krb5" && (err != nil || !oid.Equal(krb5.OIDKerberos())),
		r.Mech == "ms-krb5" && (err != nil || !oid.Equal(krb5.OIDMicrosoftKerberos())):
		t.Errorf("token %.20x is not of mechanism %s: %v, %v", token, r.Mech, oid, err)
	}
}

// TestPeerMITClient has MIT's GSS-API log in to our acceptor, in each framing.
func TestPeerMITClient(t *testing.T) {
	t.Parallel()
	m := startMIT(t)
	p := startGSSPeer(t, m)
	all := []string{"mutual", "replay", "sequence", "confidentiality", "integrity"}
	for _, tt := range []struct {
		name    string
		request gssRequest
		forward bool // a forwarded ticket is taken
		ntlm    bool
	}{
		{name: "krb5", request: gssRequest{Mech: "krb5", Flags: all}},
		{name: "krb5 without mutual", request: gssRequest{Mech: "krb5", Flags: []string{"integrity"}}},
		{name: "Microsoft's OID", request: gssRequest{Mech: "ms-krb5", Flags: all}},
		{name: "SPNEGO", request: gssRequest{Mech: "spnego", Flags: all}},
		{name: "SPNEGO without mutual", request: gssRequest{Mech: "spnego", Flags: []string{"integrity"}}},
		// What was not chosen first has to be protected by mechListMIC.
		{name: "SPNEGO, NTLM first", request: gssRequest{Mech: "spnego", List: []string{"ntlm", "krb5"}, Flags: all}, ntlm: true},
		{name: "forwarded, taken", request: gssRequest{Mech: "krb5", Flags: append([]string{"delegate"}, all...)}, forward: true},
		{name: "forwarded, not taken", request: gssRequest{Mech: "krb5", Flags: append([]string{"delegate"}, all...)}},
		{name: "forwarded in SPNEGO, taken", request: gssRequest{Mech: "spnego", Flags: append([]string{"delegate"}, all...)}, forward: true},
	} {
		// One after the other, hence no t.Parallel: there is one peer.
		t.Run(tt.name, func(t *testing.T) {
			p.t = t
			if tt.ntlm {
				testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
			}
			mech := m.mechanism(t, "app")
			mech.AllowForwardedTGT = tt.forward
			a := mech.NewAcceptor(authn.Exchange{})
			signer, _ := a.(authn.MessageSigner)
			if tt.request.Mech == "spnego" {
				a, signer = spnego.NewAcceptor([]authn.Mechanism{mech}, authn.Exchange{}), nil
			}
			id, answer, err := p.atOurs(a, tt.request)
			if err != nil {
				t.Fatal(err)
			}
			if id.String() != `A.TEST\alice` || id.SID != "" || len(id.Groups) != 0 || !answer.Complete {
				t.Errorf("identity %+v, client says %+v", id, answer)
			}
			ev := id.Evidence.(*Evidence)
			for name, flag := range map[string]ContextFlags{
				"delegate": ContextDelegate, "mutual": ContextMutual, "replay": ContextReplay, "sequence": ContextSequence,
				"confidentiality": ContextConfidential, "integrity": ContextIntegrity,
			} {
				asked := slices.Contains(tt.request.Flags, name)
				// MIT asks for these two in any case.
				if got := ev.ContextFlags().Has(flag); got != asked && name != "integrity" && name != "confidentiality" {
					t.Errorf("flag %s: %v, want %v", name, got, asked)
				}
			}
			if ev.HasForwardedTGT() != tt.forward {
				t.Errorf("forwarded ticket: %v, want %v", ev.HasForwardedTGT(), tt.forward)
			}
			if tt.forward {
				checkForwarded(t, m, ev)
			}
			if signer != nil {
				checkBothSign(t, signer, p)
			}
		})
	}
}

// checkForwarded uses what a caller forwarded: it reaches a service in another
// realm as the caller.
func checkForwarded(t *testing.T, m *mitKDC, ev *Evidence) {
	t.Helper()
	c, err := NewForwardedClient(m.config(t), ev)
	if err != nil {
		t.Fatal(err)
	}
	id, err := runExchange(t, c.NewInitiator("HTTP/app.b.test", InitiatorConfig{}), m.mechanism(t, "app-b"), authn.Exchange{})
	if err != nil || id.String() != `A.TEST\alice` {
		t.Errorf("with the forwarded ticket: %v, %v", id, err)
	}
}

// checkBothSign sends messages both ways.
func checkBothSign(t *testing.T, server, client authn.MessageSigner) {
	t.Helper()
	for n, pair := range [][2]authn.MessageSigner{{client, server}, {server, client}, {client, server}, {server, client}} {
		msg := fmt.Appendf(nil, "message %d", n)
		mic, err := pair[0].GetMIC(msg)
		if err != nil {
			t.Fatalf("message %d: GetMIC: %v", n, err)
		}
		if err := pair[1].VerifyMIC(msg, mic); err != nil {
			t.Fatalf("message %d: VerifyMIC: %v", n, err)
		}
		if pair[1].VerifyMIC([]byte("another"), mic) == nil {
			t.Errorf("message %d: the signature was taken for another", n)
		}
	}
}

// TestPeerMITServer has our initiator log in to MIT's GSS-API.
func TestPeerMITServer(t *testing.T) {
	t.Parallel()
	m := startMIT(t)
	p := startGSSPeer(t, m)
	client, err := NewPasswordClient(m.config(t), "alice", authn.NewSecret(mitPassword))
	if err != nil {
		t.Fatal(err)
	}
	ours, other := authn.ChannelBinding("tls-server-end-point:x"), authn.ChannelBinding("tls-server-end-point:y")
	for _, tt := range []struct {
		name    string
		cfg     InitiatorConfig
		server  authn.ChannelBinding
		flags   string
		refused string
	}{
		{name: "mutual", flags: "integrity mutual replay sequence"},
		{name: "not mutual", cfg: InitiatorConfig{InsecureNoMutual: true}, flags: "integrity replay sequence"},
		{name: "bound", cfg: InitiatorConfig{Binding: ours}, server: ours, flags: "bound integrity mutual replay sequence"},
		{name: "bound to another connection", cfg: InitiatorConfig{Binding: other}, server: ours, refused: "channel bindings"},
		{name: "not bound", server: ours, flags: "integrity mutual replay sequence"},
		{name: "bound, which the server does not look at", cfg: InitiatorConfig{Binding: ours}, flags: "integrity mutual replay sequence"},
		{name: "sealed", cfg: InitiatorConfig{Messages: MessagesSealed}, flags: "confidentiality integrity mutual replay sequence"},
		{name: "bare", cfg: InitiatorConfig{Messages: MessagesBare}, flags: "mutual"},
		{name: "forwarded", cfg: InitiatorConfig{Forward: true}, flags: "delegate integrity mutual replay sequence"},
	} {
		for _, framing := range []string{"krb5", "spnego"} {
			t.Run(framing+" "+tt.name, func(t *testing.T) {
				p.t = t
				p.ask(gssRequest{Do: "accept", Service: "HTTP@app.a.test", Binding: tt.server})
				i := client.NewInitiator("HTTP/app.a.test", tt.cfg)
				var outer authn.Initiator = i
				if framing == "spnego" {
					outer = spnego.NewInitiator(OID(), i)
				}
				token, done, err := outer.Step(t.Context(), nil)
				if err != nil || done != tt.cfg.InsecureNoMutual {
					t.Fatalf("first step: done %v, %v", done, err)
				}
				a := p.try(gssRequest{Do: "step", Token: token})
				if tt.refused != "" {
					if !strings.Contains(a.Error, tt.refused) {
						t.Errorf("answer %+v, want an error with %q", a, tt.refused)
					}
					return
				}
				if err := gssError(a); err != nil {
					t.Fatal(err)
				}
				if !a.Complete || a.Name != "alice@A.TEST" || a.Mech != "krb5" || strings.Join(a.Flags, " ") != tt.flags {
					t.Errorf("server says %+v, want flags %s", a, tt.flags)
				}
				if len(a.Token) > 0 {
					if _, done, err = outer.Step(t.Context(), a.Token); err != nil || !done {
						t.Fatalf("the server's proof: done %v, %v", done, err)
					}
				}
				checkBothSign(t, p, i)
				if tt.cfg.Messages == MessagesSealed && framing == "krb5" { // MIT counts the messages of SPNEGO itself
					checkBothWrap(t, p, i)
				}
				if tt.cfg.Forward {
					checkSpends(t, m, p)
				}
			})
		}
	}
}

// checkBothWrap sends messages both ways in wrap tokens. The messages signed
// before are counted with them on their side.
func checkBothWrap(t *testing.T, p *gssPeer, i *Initiator) {
	t.Helper()
	i.mic.next += 2
	for n, msg := range [][]byte{nil, []byte("a"), bytes.Repeat([]byte("message "), 5000)} {
		for _, seal := range []bool{false, true} {
			token, err := i.Wrap(msg, seal)
			if err != nil {
				t.Fatal(err)
			}
			if a := p.ask(gssRequest{Do: "unwrap", Token: token}); !bytes.Equal(a.Message, msg) || a.Sealed != seal {
				t.Errorf("message %d: MIT reads %.20q, sealed %v", n, a.Message, a.Sealed)
			}
			a := p.ask(gssRequest{Do: "wrap", Message: msg, Seal: seal})
			if got, sealed, err := i.Unwrap(a.Token); err != nil || !bytes.Equal(got, msg) || sealed != seal {
				t.Errorf("message %d of MIT: %.20q, sealed %v, %v", n, got, sealed, err)
			}
		}
	}
}

// checkSpends has the peer use what was forwarded to it.
func checkSpends(t *testing.T, m *mitKDC, p *gssPeer) {
	t.Helper()
	a := p.ask(gssRequest{Do: "forwarded", Service: "HTTP@app.b.test", Mech: "krb5"})
	_, id, err := login1(m.mechanism(t, "app-b"), authn.Exchange{}, a.Token)
	if err != nil || id.String() != `A.TEST\alice` {
		t.Errorf("with the forwarded ticket: %v, %v", id, err)
	}
}

// writeNTLMUser writes the password file of gss-ntlmssp, without which that
// cannot be offered.
func writeNTLMUser(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ntlm")
	if err := os.WriteFile(file, []byte("A:alice:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
