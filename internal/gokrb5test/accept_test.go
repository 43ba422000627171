package gokrb5test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/service"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
)

// TestDefectNoAPRep: a client that asks the service to prove itself gets no
// proof, and drops the login that gokrb5 took.
func TestDefectNoAPRep(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	their, our := theirServer(r.theirKeytab(t, appSPN)), ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)})
	run := func(s *server) (*answer, bool) {
		t.Helper()
		initiator := spnego.NewInitiator(spnego.OIDKerberos, r.ourClient(t).NewInitiator(appSPN, kerberos.InitiatorConfig{}))
		token, _, err := initiator.Step(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		a := s.send(t, token)
		if a.token == nil {
			t.Fatal("no token in the answer")
		}
		reply, err := a.token.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, done, err := initiator.Step(t.Context(), reply)
		return a, done && err == nil
	}
	if a, proved := run(their); !theyAccept(t, a, aliceName) || len(a.token.ResponseToken) > 0 || proved {
		gone(t, "leaves out the AP-REP (status %d, token %x)", a.status, a.token.ResponseToken)
	}
	a, proved := run(our)
	weAccept(t, a)
	if !proved {
		t.Error("our acceptor did not prove itself to the client")
	}
}

// TestDefectRealmOfAuthenticator: the name that gokrb5 returns has the realm
// that the client wrote into its own authenticator, not that of the ticket.
func TestDefectRealmOfAuthenticator(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.ticketFor(t, appSPN)
	c.auth = func(a *krb5.Authenticator) { a.CRealm = "EVIL.EXAMPLE" }
	token := c.token(t)
	if a := theirServer(r.theirKeytab(t, appSPN)).send(t, token); !theyAccept(t, a, "alice@EVIL.EXAMPLE") {
		gone(t, "believes the realm in an authenticator (status %d)", a.status)
	}
	weRefuse(t, ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}).send(t, token), authn.ReasonIntegrity)
}

// TestDefectPanicMechTypes: anybody without a ticket makes gokrb5's handler
// panic, with a token whose list of mechanisms is empty.
func TestDefectPanicMechTypes(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	init := &spnego.NegTokenInit{MechTypeList: []byte{0x30, 0}, MechToken: []byte("x")}
	token, err := init.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if a := theirServer(r.theirKeytab(t, appSPN)).send(t, token); a.panicked == nil {
		gone(t, "panics on an empty list of mechanisms (status %d)", a.status)
	}
	weRefuse(t, ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}).send(t, token), authn.ReasonMalformed)
}

// TestDefectChannelBinding: gokrb5 takes a login that is bound to another TLS
// connection, as one is that somebody relays.
func TestDefectChannelBinding(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	here, elsewhere := authn.ChannelBinding("tls-server-end-point:here"), authn.ChannelBinding("tls-server-end-point:elsewhere")
	for _, tt := range []struct {
		name string
		cb   authn.ChannelBinding
		want authn.Reason
	}{
		{"of this connection", here, ""},
		{"of another one", elsewhere, authn.ReasonChannelBinding},
	} {
		c := r.ticketFor(t, appSPN)
		c.auth = func(a *krb5.Authenticator) { a.Checksum.Sum = gssChecksum(tt.cb.GSSHash(), 0) }
		token := c.token(t)
		if a := theirServer(r.theirKeytab(t, appSPN)).send(t, token); !theyAccept(t, a, aliceName) {
			gone(t, "takes the binding %s (status %d)", tt.name, a.status)
		}
		a := ourServerWith(boundTo(t, here, &kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN), Binding: authn.BindingRequired})).send(t, token)
		if tt.want == "" {
			weAccept(t, a)
		} else {
			weRefuse(t, a, tt.want)
		}
	}
}

// TestDefectGSSChecksum: gokrb5 does not look at the checksum that has the
// client's demands on the context (RFC 4121 4.1.1), and not whether there is
// one.
func TestDefectGSSChecksum(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for _, tt := range []struct {
		name string
		auth func(*krb5.Authenticator)
		want authn.Reason
	}{
		{"absent", func(a *krb5.Authenticator) { a.Checksum = nil }, authn.ReasonMalformed},
		{"of another type", func(a *krb5.Authenticator) { a.Checksum.Type = krb5.HMACSHA1AES256 }, authn.ReasonMalformed},
		{"cut short", func(a *krb5.Authenticator) { a.Checksum.Sum = a.Checksum.Sum[:23] }, authn.ReasonMalformed},
		{"delegation that is not there", func(a *krb5.Authenticator) { a.Checksum.Sum = gssChecksum([16]byte{}, gssDelegate) }, authn.ReasonMalformed},
		{"three legs of DCE RPC", func(a *krb5.Authenticator) { a.Checksum.Sum = gssChecksum([16]byte{}, gssDCEStyle) }, authn.ReasonPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.ticketFor(t, appSPN)
			c.auth = tt.auth
			token := c.token(t)
			if a := theirServer(r.theirKeytab(t, appSPN)).send(t, token); !theyAccept(t, a, aliceName) {
				gone(t, "takes such a checksum (status %d)", a.status)
			}
			weRefuse(t, ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}).send(t, token), tt.want)
		})
	}
}

// TestDefectSchemeCase: the name of a scheme is the same in any case (RFC 9110
// 11.1), not so for gokrb5.
func TestDefectSchemeCase(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	their, our := theirServer(r.theirKeytab(t, appSPN)), ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)})
	for scheme, spelled := range map[string]bool{"Negotiate": true, "negotiate": false, "NEGOTIATE": false} {
		header := scheme + " " + encode(r.ticketFor(t, appSPN).token(t))
		if a := their.sendHeader(t, header); theyAccept(t, a, aliceName) != spelled {
			gone(t, "takes one spelling of the scheme (%s: %d)", scheme, a.status)
		}
		weAccept(t, our.sendHeader(t, header))
	}
}

// TestDefectForwardedTicket: what a client forwards, and what it asks of the
// context, does not reach the program behind gokrb5.
func TestDefectForwardedTicket(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	initiator := spnego.NewInitiator(spnego.OIDKerberos, r.ourClient(t).NewInitiator(appSPN, kerberos.InitiatorConfig{Forward: true}))
	token, _, err := initiator.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := theirServer(r.theirKeytab(t, appSPN)).send(t, token)
	theyMustAccept(t, a)
	for key := range a.creds.Attributes() {
		if key != credentials.AttributeKeyADCredentials {
			gone(t, "returns nothing but what is in the PAC: there is %q", key)
		}
	}
	for name := range reflect.TypeOf(a.creds).Methods() {
		if has(name.Name, "flag", "forward", "delegat", "ticket") {
			gone(t, "hides flags and the forwarded ticket: there is Credentials.%s", name.Name)
		}
	}

	a = ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN), AllowForwardedTGT: true}).send(t, token)
	weAccept(t, a)
	ev, ok := a.id.Evidence.(*kerberos.Evidence)
	if !ok || !ev.HasForwardedTGT() {
		t.Fatalf("our evidence %v has no forwarded ticket", a.id.Evidence)
	}
	alice, err := kerberos.NewForwardedClient(r.ourConfig(t), ev)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := alice.Ticket(t.Context(), otherSPN); err != nil || other.Client() != aliceName {
		t.Errorf("with the forwarded ticket: %v, %v; want one for another service in alice's name", other, err)
	}
}

// TestDefectMutualFlag: the flag in the checksum asks for an AP-REP too, where
// the option of the AP-REQ does not (RFC 4121 4.1.1.1).
func TestDefectMutualFlag(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	c := r.ticketFor(t, appSPN)
	c.flags = gssMutual
	token := c.token(t)
	a := theirServer(r.theirKeytab(t, appSPN)).send(t, token)
	if !theyAccept(t, a, aliceName) || a.token == nil || len(a.token.ResponseToken) > 0 {
		gone(t, "ignores the mutual flag (status %d, token %v)", a.status, a.token)
	}
	a = ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}).send(t, token)
	weAccept(t, a)
	if a.token == nil {
		t.Fatal("we send no token")
	}
	_, kind, body, err := krb5.UnframeToken(a.token.ResponseToken)
	if err != nil || kind != krb5.TokenAPRep {
		t.Fatalf("we send token %#x, %v; want an AP-REP", kind, err)
	}
	rep, err := krb5.ParseAPRep(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rep.EncPart.Open(c.session, krb5.UsageAPRepPart); err != nil {
		t.Errorf("AP-REP does not open: %v", err)
	}
}

// TestDefectOtherService: gokrb5 takes a ticket for any service in its keytab,
// whatever name it was told to have.
func TestDefectOtherService(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	token := r.ticketFor(t, otherSPN).token(t)
	if a := theirServer(r.theirKeytab(t, appSPN, otherSPN), service.SName(appSPN)).send(t, token); !theyAccept(t, a, aliceName) {
		gone(t, "takes tickets for another service (status %d)", a.status)
	}
	m := &kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN, otherSPN), SPNs: []string{appSPN}}
	weRefuse(t, ourServer(m).send(t, token), authn.ReasonWrongTarget)

	// Nor by writing our name on it, which is not protected.
	req := r.ticketFor(t, otherSPN).apReq(t)
	req.Ticket.SName = krb5.NewPrincipalName(krb5.NameService, appSPN)
	weRefuse(t, ourServer(m).send(t, negotiate(t, req)), authn.ReasonWrongKey)
}

// TestDefectServiceNames: gokrb5 does not find the key of its own account where
// the client asks for a name that the keytab does not spell the same.
func TestDefectServiceNames(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	for _, tt := range []struct{ name, spn string }{
		{"alias", aliasSPN},
		{"case of the host", "HTTP/App.Corp.Test"},
		{"case of the service", "http/app.corp.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := r.ticketFor(t, tt.spn)
			if a := theirServer(r.theirKeytab(t, tt.spn)).send(t, c.token(t)); !theyAccept(t, a, aliceName) {
				t.Fatalf("gokrb5 answers %d with a keytab that has %s", a.status, tt.spn)
			}
			token := c.token(t)
			if a := theirServer(r.theirKeytab(t, appSPN)).send(t, token); theyAccept(t, a, aliceName) {
				gone(t, "refuses a ticket for %s", tt.spn)
			}
			weAccept(t, ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN), SPNs: []string{appSPN, aliasSPN}}).send(t, token))
		})
	}
}

func has(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(strings.ToLower(s), w) {
			return true
		}
	}
	return false
}
