package ntlm_test

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/testenv"
)

// gssPeer is gss-ntlmssp in a process of its own, either end of one exchange
// after the other.
type gssPeer struct {
	t     *testing.T // of the case that it works for
	lines *testenv.Lines
}

type (
	gssRequest struct {
		Do       string   `json:"do"`
		Name     string   `json:"name,omitempty"`
		Password string   `json:"password,omitempty"`
		Flags    []string `json:"flags,omitempty"`
		UserLine string   `json:"user_line,omitempty"`
		Binding  []byte   `json:"binding,omitempty"`
		Token    []byte   `json:"token,omitempty"`
		Message  []byte   `json:"message,omitempty"`
		MIC      []byte   `json:"mic,omitempty"`
	}
	gssAnswer struct {
		Error    string
		Token    []byte
		Complete bool
		Name     string
		MIC      []byte
	}
)

func startGSSPeer(t *testing.T) *gssPeer {
	t.Helper()
	testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
	cmd := exec.Command(testenv.NeedPython(t, "gssapi"), "testdata/gss_peer.py")
	cmd.Env = append(cmd.Environ(),
		"NTLM_USER_FILE="+filepath.Join(t.TempDir(), "users"),
		"NETBIOS_COMPUTER_NAME=PEER", "NETBIOS_DOMAIN_NAME=CORP", "PYTHONUTF8=1")
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
		p.t.Fatalf("gss-ntlmssp: %s: %s", r.Do, a.Error)
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
		return fmt.Errorf("gss-ntlmssp: %s", a.Error)
	}
	return nil
}

// gssLogin is a user of the differential test.
type gssLogin struct {
	name                   string
	domain, user, password string
	account                string // if it is not user

	// flags are what gss-ntlmssp asks for as a client; our initiator always
	// offers signing and sealing.
	flags []string

	// peerUpper is what gss-ntlmssp makes of user in capitals where that is not
	// what Windows makes of it: one character for one (TestPeerSambaUpperCase).
	// The user can log in neither way then, unless both ends are gss-ntlmssp.
	peerUpper string
	// serverFails is why this user cannot log in to a server by gss-ntlmssp.
	serverFails string
}

func (l gssLogin) String() string {
	if l.domain == "" {
		return l.user
	}
	return l.domain + `\` + l.user
}

// TestPeerGSSNTLMSSP compares both our ends with those of gss-ntlmssp, over
// names and passwords of every kind.
func TestPeerGSSNTLMSSP(t *testing.T) {
	t.Parallel()
	p := startGSSPeer(t)
	signing := []string{"integrity"}
	logins := append([]gssLogin{
		{name: "signing", domain: "CORP", user: "alice", password: "Pa55w0rd", flags: signing},
		{name: "sealing", domain: "CORP", user: "alice", password: "Pa55w0rd", flags: []string{"integrity", "confidentiality"}},
		{name: "neither", domain: "CORP", user: "alice", password: "Pa55w0rd"},
		{name: "no domain", user: "alice", password: "Pa55w0rd", flags: signing},
		{name: "DNS domain", domain: "corp.test", user: "alice", password: "Pa55w0rd", flags: signing},
		// As a client it makes a domain of what stands behind the @.
		{name: "UPN", user: "alice@corp.test", account: "alice", password: "Pa55w0rd", flags: signing},
		{name: "Latin", domain: "CÖRP", user: "zoë çelik", password: "geheim-ß", flags: signing},
		{name: "Greek", domain: "CORP", user: "Ωμέγας", password: "μυστικό", flags: signing},
		{name: "Cyrillic", domain: "CORP", user: "Жора", password: "тайна", flags: signing},
		{name: "CJK", domain: "東京", user: "山田太郎", password: "秘密", flags: signing},
		{name: "outside of the BMP", domain: "CORP", user: "😀𠮷", password: "🔑🔑", flags: signing},
		{name: "spaces", domain: "CORP", user: " a b ", password: " ", flags: signing},
		{name: "long", domain: strings.Repeat("d", 64), user: strings.Repeat("uÜ", 52), password: strings.Repeat("pß", 128), flags: signing},
		{name: "colon", domain: "CORP", user: "alice", password: "a:b", flags: signing, serverFails: "its file of users is separated by colons"},
		{name: "sharp s", domain: "CORP", user: "straße", password: "p", flags: signing, peerUpper: "STRASSE"},
		{name: "ligature", domain: "CORP", user: "ﬁn", password: "p", flags: signing, peerUpper: "FIN"},
		{name: "iota with two accents", domain: "CORP", user: "ΐ", password: "p", flags: signing, peerUpper: "\u0399\u0308\u0301"},
		{name: "j with caron", domain: "CORP", user: "ǰ", password: "p", flags: signing, peerUpper: "J\u030c"},
	}, randomLogins(300)...)
	for _, l := range logins {
		// One after the other, hence no t.Parallel: there is one peer.
		t.Run(l.name, func(t *testing.T) {
			p.t = t
			id, err := gssAtOurs(t, p, l, l.password)
			switch {
			case l.peerUpper != "":
				checkRefusal(t, id, err, authn.ReasonWrongPassword, l.String())
			case err != nil || id.Account != cmp.Or(l.account, l.user) || id.Domain != l.domain:
				t.Errorf("client %v with password %q: identity %v, err %v", l, l.password, id, err)
			default:
				id, err := gssAtOurs(t, p, l, l.password+"x")
				if !errors.Is(err, authn.ErrBadCredentials) {
					t.Errorf("client %v with a wrong password: identity %v, err %v", l, id, err)
				}
			}

			name, err := oursAtGSS(t, p, l, l.password)
			want := l.String()
			if l.account != "" {
				want = `\` + l.user // so that the @ is not taken for a domain
			}
			switch {
			case l.peerUpper+l.serverFails != "":
				if err == nil {
					t.Errorf("server took %v: what the table says of it is over", l)
				}
			case err != nil || name != want:
				t.Errorf("server, %v with password %q: name %q, err %v", l, l.password, name, err)
			default:
				if name, err := oursAtGSS(t, p, l, l.password+"x"); err == nil {
					t.Errorf("server took %v with a wrong password as %q", l, name)
				}
			}
		})
	}
}

// TestPeerGSSNTLMSSPChecks: what protects the messages and ties them to a TLS
// connection is understood the same way at both ends.
func TestPeerGSSNTLMSSPChecks(t *testing.T) {
	t.Parallel()
	p := startGSSPeer(t)
	ours, other := authn.ChannelBinding("tls-server-end-point:x"), authn.ChannelBinding("tls-server-end-point:y")

	// Its client binds, and adds a MIC inside of SPNEGO only, where curl's
	// transcript has it.
	for _, tt := range []struct {
		name   string
		sent   authn.ChannelBinding
		m      ntlm.Mechanism
		reason authn.Reason
	}{
		{name: "bound", sent: ours},
		{name: "bound to another connection", sent: other, reason: authn.ReasonChannelBinding},
		{name: "not bound", sent: nil},
		{name: "MIC required", sent: ours, m: ntlm.Mechanism{RequireMIC: true}, reason: authn.ReasonIntegrity},
		{name: "binding required", sent: nil, m: ntlm.Mechanism{Binding: authn.BindingRequired}, reason: authn.ReasonChannelBinding},
	} {
		t.Run("client "+tt.name, func(t *testing.T) {
			p.t = t
			m := tt.m
			m.Verifier, m.Names = newAccounts(t), ntlm.Names{Domain: "CORP", Computer: "GW01"}
			a := m.NewAcceptor(authn.Exchange{Bindings: authn.Bindings{ours}})
			first := p.ask(gssRequest{Do: "initiate", Name: `CORP\alice`, Password: password, Binding: tt.sent})
			challenge, _, err := a.Step(t.Context(), first.Token)
			if err != nil {
				t.Fatal(err)
			}
			_, id, err := a.Step(t.Context(), p.ask(gssRequest{Do: "step", Token: challenge}).Token)
			if tt.reason != "" {
				checkRefusal(t, id, err, tt.reason, `CORP\alice`)
			} else if err != nil || id.String() != `CORP\alice` {
				t.Errorf("identity %v, err %v", id, err)
			}
		})
	}

	for _, tt := range []struct {
		name    string
		sent    authn.ChannelBinding
		damage  func(auth []byte)
		refused bool
	}{
		{name: "bound", sent: ours},
		{name: "bound to another connection", sent: other, refused: true},
		{name: "MIC damaged", sent: ours, damage: func(b []byte) { b[72] ^= 1 }, refused: true},
		{name: "flags damaged", sent: ours, damage: func(b []byte) { b[63] ^= 0x80 }, refused: true},
	} {
		t.Run("server "+tt.name, func(t *testing.T) {
			p.t = t
			p.ask(gssRequest{Do: "accept", UserLine: "CORP:alice:" + peerPassword, Binding: ours})
			i := &ntlm.Initiator{
				Credential: ntlm.Credential{User: "alice", Domain: "CORP", Password: authn.NewSecret(peerPassword)},
				Binding:    tt.sent,
			}
			neg, _, err := i.Step(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			auth, _, err := i.Step(t.Context(), p.ask(gssRequest{Do: "step", Token: neg}).Token)
			if err != nil {
				t.Fatal(err)
			}
			if tt.damage != nil {
				tt.damage(auth)
			}
			if a := p.try(gssRequest{Do: "step", Token: auth}); a.Complete == tt.refused {
				t.Errorf("answer %+v, want refused %v", a, tt.refused)
			}
		})
	}
}

// randomLogins are names and passwords of every kind, the same on each run.
func randomLogins(n int) []gssLogin {
	r := rand.New(rand.NewPCG(1, 2))
	alphabets := [][]rune{
		[]rune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
		[]rune("!#$%&'()*+,-./;<=>?[]^_`{|}~ \"@\\:"),
		[]rune("àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿÀÉÎÕÜÞŁłŒœŠšŽžŐőĄąĞğ"),
		[]rune("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώΑΒΓΔΕΖΗΘ"),
		[]rune("абвгдежзийклмнопрстуфхцчшщъыьэюяЁёЇїЖ"),
		[]rune("東京都大阪日本語漢字中文한국어ひらがなカタカナ"),
		[]rune("אבגדהاردوไทยहिन्दी"),
		[]rune("😀🎉🔑𝒜𠮷𐍈"),
	}
	text := func(least, most int, without string) string {
		var b strings.Builder
		for n := least + r.IntN(most-least+1); n > 0; {
			a := alphabets[r.IntN(len(alphabets))]
			if c := a[r.IntN(len(a))]; !strings.ContainsRune(without, c) {
				b.WriteRune(c)
				n--
			}
		}
		return b.String()
	}
	logins := make([]gssLogin, n)
	for i := range logins {
		logins[i] = gssLogin{
			name:   fmt.Sprintf("random %d", i),
			domain: []string{"", "CORP", "corp.test", text(1, 15, `@\: `)}[r.IntN(4)],
			user:   text(1, 20, `@\:`), password: text(1, 40, ":"),
			flags: [][]string{nil, {"integrity"}, {"integrity", "confidentiality"}}[r.IntN(3)],
		}
	}
	return logins
}

// gssAtOurs has gss-ntlmssp log in to our acceptor.
func gssAtOurs(t *testing.T, p *gssPeer, l gssLogin, password string) (*authn.Identity, error) {
	t.Helper()
	accounts, err := ntlm.NewAccounts(l.domain, "corp.test",
		ntlm.Account{Name: cmp.Or(l.account, l.user), Password: authn.NewSecret(l.password)})
	if err != nil {
		t.Fatal(err)
	}
	m := &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "GW01"}}
	challenge := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	ntlm.SetChallenge(m, challenge)
	a := m.NewAcceptor(authn.Exchange{})
	first := p.ask(gssRequest{Do: "initiate", Name: l.String(), Password: password, Flags: l.flags})
	token, _, err := a.Step(t.Context(), first.Token)
	if err != nil {
		t.Fatal(err)
	}
	auth := p.ask(gssRequest{Do: "step", Token: token})
	if l.peerUpper != "" {
		checkUpper(t, l, challenge, auth.Token)
	}
	_, id, err := a.Step(t.Context(), auth.Token)
	if err != nil {
		return id, err
	}
	if l.flags != nil {
		checkBothSign(t, a.(authn.MessageSigner), p)
	} else if _, err := a.(authn.MessageSigner).GetMIC(nil); err == nil {
		t.Error("acceptor signs, although the client did not ask for it")
	}
	return id, nil
}

// checkUpper shows that gss-ntlmssp computes its response with the name in the
// capitals of the table (MS-NLMP 3.3.2, NTOWFv2).
func checkUpper(t *testing.T, l gssLogin, challenge [8]byte, auth []byte) {
	t.Helper()
	m, err := ntlm.ParseAuthenticate(auth)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte, msg ...byte) []byte {
		h := hmac.New(md5.New, key)
		h.Write(msg)
		return h.Sum(nil)
	}
	names, err := binary.Append(nil, binary.LittleEndian, utf16.Encode([]rune(l.peerUpper+l.domain)))
	if err != nil {
		t.Fatal(err)
	}
	owf := mac(ntlm.HashPassword(l.password).Reveal(), names...)
	if want := mac(owf, append(challenge[:], m.NTResponse[16:]...)...); !bytes.Equal(m.NTResponse[:16], want) {
		t.Errorf("proof of %v\n got %x\nwant %x, which is %q's", l, m.NTResponse[:16], want, l.peerUpper)
	}
}

// oursAtGSS has our initiator log in to gss-ntlmssp, and returns who that says
// it is.
func oursAtGSS(t *testing.T, p *gssPeer, l gssLogin, password string) (string, error) {
	t.Helper()
	p.ask(gssRequest{Do: "accept", UserLine: l.domain + ":" + l.user + ":" + l.password})
	i := &ntlm.Initiator{Credential: ntlm.Credential{User: l.user, Domain: l.domain, Password: authn.NewSecret(password)}}
	neg, _, err := i.Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	auth, _, err := i.Step(t.Context(), p.ask(gssRequest{Do: "step", Token: neg}).Token)
	if err != nil {
		t.Fatal(err)
	}
	a := p.try(gssRequest{Do: "step", Token: auth})
	if err := gssError(a); err != nil || !a.Complete {
		return "", cmp.Or(err, errors.New("not complete"))
	}
	checkBothSign(t, p, i)
	return a.Name, nil
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
	}
	mic, err := client.GetMIC([]byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if server.VerifyMIC([]byte("another"), mic) == nil {
		t.Error("the signature of another message was taken")
	}
}
