package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// curl runs curl and returns the answer's body and the status. A password goes
// in by standard input, as the lines of a configuration.
func curl(t *testing.T, env []string, user string, args ...string) (body, status string) {
	t.Helper()
	args = append([]string{
		"-q", "-sS", "--max-time", "60", "--noproxy", "*", "-K", "-", "-w", "\n%{http_code}",
	}, args...)
	config := ""
	if user != "" {
		config = `user = "` + strings.ReplaceAll(user, `\`, `\\`) + `"` + "\n"
	}
	out := testenv.Run(t, env, config, testenv.Need(t, "curl"), args...)
	i := strings.LastIndex(out, "\n")
	return out[:i], out[i+1:]
}

func TestCurlNTLM(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "curl")
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
	tlsServer := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}, tls: true})
	big := filepath.Join(t.TempDir(), "big")
	bigBody := strings.Repeat("<line>0123456789</line>", 1<<20/23+1)
	if err := os.WriteFile(big, []byte(bigBody), 0o600); err != nil {
		t.Fatal(err)
	}
	bodies := []struct {
		name string
		args []string
		want string
	}{
		{"get", nil, ""},
		{"small post", []string{"-d", "<a/>"}, "<a/>"},
		{"1 MB post", []string{"--data-binary", "@" + big}, bigBody},
		{"1 MB post, chunked", []string{"--data-binary", "@" + big, "-H", "Transfer-Encoding: chunked"}, bigBody},
	}
	for _, name := range []string{`CORP\alice`, `CORP/alice`, `corp.test\alice`, `.\alice`, `alice`, `alice@corp.test`, `ALICE@CORP`, `corp\ALICE`} {
		for _, b := range bodies {
			t.Run(name+" "+b.name, func(t *testing.T) {
				t.Parallel()
				body, status := curl(t, nil, name+":"+localPass, append([]string{"--ntlm", s.URL}, b.args...)...)
				checkLocalAlice(t, body, status, b.want)
			})
		}
	}
	t.Run("tls", func(t *testing.T) {
		t.Parallel()
		body, status := curl(t, nil, `CORP\alice:`+localPass, "--ntlm", "--cacert", tlsServer.CAFile, "-d", "<a/>", tlsServer.URL)
		checkLocalAlice(t, body, status, "<a/>")
	})
	// Curl prefers Negotiate and does not use the password for it, so that it
	// must not be offered to such clients.
	t.Run("any", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t), NoNegotiate: true}})
		body, status := curl(t, nil, `CORP\alice:`+localPass, "--anyauth", "-d", "<a/>", s.URL)
		checkLocalAlice(t, body, status, "<a/>")
	})
	// The second and third requests ride on the connection's login.
	t.Run("three on a connection", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
		_, status := curl(t, nil, `CORP\alice:`+localPass, "--ntlm", "-d", "<a/>", s.URL+"/1", s.URL+"/2", s.URL+"/3")
		if status != "200" {
			t.Errorf("status = %s, want 200", status)
		}
		if n := strings.Count(s.log.String(), "msg=login"); n != 1 {
			t.Errorf("%d logins in the log, want 1", n)
		}
	})

	t.Run("MIC required", func(t *testing.T) {
		t.Parallel()
		m := localNTLM(t)
		m.RequireMIC = true
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}})
		_, status := curl(t, nil, `CORP\alice:`+localPass, "--ntlm", s.URL)
		if status != "401" || !strings.Contains(s.log.String(), "reason="+string(authn.ReasonIntegrity)) {
			t.Errorf("status = %s, want 401 and the reason in the log", status)
		}
	})
	t.Run("channel binding required", func(t *testing.T) {
		t.Parallel()
		m := localNTLM(t)
		m.Binding = authn.BindingRequired
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}, tls: true})
		_, status := curl(t, nil, `CORP\alice:`+localPass, "--ntlm", "--cacert", s.CAFile, s.URL)
		if status != "401" || !strings.Contains(s.log.String(), "cause.mech=NTLM") {
			t.Errorf("status = %s, want 401 and a refusal by NTLM in the log", status)
		}
	})

	refused := []struct{ name, user, reason string }{
		// Curl names users in its code page, which it does not tell.
		{"user name outside of ASCII", `CORP\zoë:zoe-local`, string(authn.ReasonMalformed)},
		// Curl takes each byte of a password for a character.
		{"password outside of ASCII", `CORP\eve:geheim-ß`, string(authn.ReasonWrongPassword)},
		{"wrong password", `CORP\alice:wrong`, string(authn.ReasonWrongPassword)},
		{"empty password", `CORP\alice:`, string(authn.ReasonWrongPassword)},
		{"unknown user", `CORP\nobody:` + localPass, string(authn.ReasonUnknownUser)},
		{"another domain", `EVIL\alice:` + localPass, string(authn.ReasonUnknownUser)},
		{"disabled", `CORP\dave:dave-local`, string(authn.ReasonDisabled)},
		{"anonymous", `:`, string(authn.ReasonAnonymous)},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
			body, status := curl(t, nil, tt.user, "--ntlm", "-d", "<a/>", s.URL)
			if status != "401" {
				t.Errorf("status = %s, body %q, want 401", status, body)
			}
			if !strings.Contains(s.log.String(), "reason="+tt.reason) {
				t.Errorf("log does not name the reason %q", tt.reason)
			}
			if strings.Contains(body, tt.reason) {
				t.Errorf("the client is told the reason: %q", body)
			}
		})
	}
}

func checkLocalAlice(t *testing.T, body, status, sent string) {
	t.Helper()
	if status != "200" {
		t.Fatalf("status = %s, body %q, want 200", status, body)
	}
	me := decodeWhoami(t, body)
	if me.User != `CORP\alice` || me.SID != localSID || me.Mechanism != authn.MechanismNTLM {
		t.Errorf("caller = %+v, want the local alice by NTLM", me)
	}
	if me.Evidence != "" {
		t.Errorf("evidence %q after NTLM, want none", me.Evidence)
	}
	checkBody(t, me, sent)
}

func checkBody(t *testing.T, me whoami, sent string) {
	t.Helper()
	if sum := sha256.Sum256([]byte(sent)); me.Bytes != len(sent) || me.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("server got %d bytes, hash %s; want the %d bytes sent", me.Bytes, me.SHA256, len(sent))
	}
}

// NTLM inside SPNEGO, by gss-ntlmssp: MIC and mechListMIC both ways.
func TestCurlNegotiateNTLM(t *testing.T) {
	t.Parallel()
	env := gssNTLM(t, "CORP:alice:"+localPass)
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
	body, status := curl(t, env, `:`, "--negotiate", "-d", "<a/>", s.URL)
	checkLocalAlice(t, body, status, "<a/>")

	t.Run("wrong password", func(t *testing.T) {
		body, status := curl(t, gssNTLM(t, "CORP:alice:wrong"), `:`, "--negotiate", "-d", "<a/>", s.URL)
		if status != "401" {
			t.Errorf("status = %s, body %q, want 401", status, body)
		}
	})
	t.Run("Kerberos only", func(t *testing.T) {
		dc := adtest.Start(t)
		s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web)}})
		body, status := curl(t, env, `:`, "--negotiate", "-d", "<a/>", s.URL)
		if status != "401" {
			t.Errorf("status = %s, body %q, want 401", status, body)
		}
		if !strings.Contains(s.log.String(), "reason="+string(authn.ReasonMechanism)) {
			t.Error("log does not say that the mechanism is not allowed")
		}
	})
}

// gssNTLM makes GSSAPI log in by NTLM, the only way it has, as a user written as
// DOMAIN:name:password.
func gssNTLM(t *testing.T, user string) []string {
	t.Helper()
	testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
	return []string{
		"NTLM_USER_FILE=" + writeFile(t, "ntlm", user+"\n"),
		// No Kerberos: no realm is known.
		"KRB5_CONFIG=" + writeFile(t, "krb5.conf", "[libdefaults]\n\tdns_lookup_kdc = false\n"),
		"KRB5CCNAME=FILE:" + filepath.Join(t.TempDir(), "none"),
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCurlKerberos(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	login := &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)}
	s := startServer(t, serverConfig{login: login})
	tlsServer := startServer(t, serverConfig{
		login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web)}, tls: true,
	})

	run := func(t *testing.T, s *server, user string, args ...string) (whoami, string) {
		t.Helper()
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, user))
		args = append([]string{"--negotiate", "--resolve", "web.corp.test:" + s.Port + ":127.0.0.1"}, args...)
		body, status := curl(t, env, ":", args...)
		if status != "200" {
			t.Fatalf("status = %s, body %q, want 200", status, body)
		}
		head, body, _ := strings.Cut(body, "\r\n\r\n")
		for strings.HasPrefix(body, "HTTP/") { // of the leg before
			head, body, _ = strings.Cut(body, "\r\n\r\n")
		}
		return decodeWhoami(t, body), head
	}

	t.Run("alice and her groups", func(t *testing.T) {
		t.Parallel()
		me, head := run(t, s, adtest.Alice, "-i", "-d", "<a/>", s.At("web.corp.test", "/"))
		if me.User != `CORP\alice` || me.UPN != "alice@corp.test" || me.DisplayName != "Alice Liddell" ||
			me.Mechanism != authn.MechanismKerberos || me.SID != authn.SID(dc.SID(t, adtest.Alice)) {
			t.Errorf("caller = %+v, want alice as the directory knows her", me)
		}
		for _, g := range []string{adtest.Payroll, adtest.Finance, adtest.Auditors, adtest.Staff} {
			if !slices.Contains(me.Groups, authn.SID(dc.SID(t, g))) {
				t.Errorf("groups %v lack %s", me.Groups, g)
			}
		}
		checkBody(t, me, "<a/>")
		// The server proves itself; curl asks for that.
		if !strings.Contains(strings.ToLower(head), "www-authenticate: negotiate o") {
			t.Errorf("no token in the answer's header:\n%s", head)
		}
	})
	t.Run("bob is in other groups", func(t *testing.T) {
		t.Parallel()
		me, _ := run(t, s, adtest.Bob, "-i", s.At("web.corp.test", "/"))
		if me.User != `CORP\bob` || me.SID != authn.SID(dc.SID(t, adtest.Bob)) {
			t.Errorf("caller = %+v, want bob", me)
		}
		if slices.Contains(me.Groups, authn.SID(dc.SID(t, adtest.Payroll))) || !slices.Contains(me.Groups, authn.SID(dc.SID(t, adtest.Staff))) {
			t.Errorf("groups of bob = %v, want Staff and not Payroll", me.Groups)
		}
	})
	t.Run("tls", func(t *testing.T) {
		t.Parallel()
		// The certificate is httptest's, for example.com.
		me, _ := run(t, tlsServer, adtest.Alice, "-i", "-k", "-d", "<a/>", tlsServer.At("web.corp.test", "/"))
		if me.User != `CORP\alice` {
			t.Errorf("caller = %+v, want alice", me)
		}
	})
	t.Run("delegated", func(t *testing.T) {
		t.Parallel()
		me, _ := run(t, s, adtest.Alice, "-i", "--delegation", "always", s.At("web.corp.test", "/"))
		if me.User != `CORP\alice` || me.Evidence == "" {
			t.Errorf("caller = %+v, want alice with evidence", me)
		}
	})
	t.Run("ticket for another service", func(t *testing.T) {
		t.Parallel()
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice))
		_, status := curl(t, env, ":", "--negotiate", "--resolve", "other.corp.test:"+s.Port+":127.0.0.1", s.At("other.corp.test", "/"))
		if status != "401" {
			t.Errorf("status = %s, want 401", status)
		}
	})
	t.Run("no ticket", func(t *testing.T) {
		t.Parallel()
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+filepath.Join(t.TempDir(), "none"),
			"NTLM_USER_FILE="+filepath.Join(t.TempDir(), "none"))
		_, status := curl(t, env, ":", "--negotiate", "--resolve", "web.corp.test:"+s.Port+":127.0.0.1", s.At("web.corp.test", "/"))
		if status != "401" {
			t.Errorf("status = %s, want 401", status)
		}
	})
}
