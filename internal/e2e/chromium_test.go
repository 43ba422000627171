package e2e

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// browse opens a page in Chromium and returns its text. Host names are all on
// 127.0.0.1.
func browse(t *testing.T, env []string, page string, args ...string) string {
	t.Helper()
	program := testenv.Need(t, "chromium")
	profile := t.TempDir()
	// The library for Kerberos is loaded from the start only where a server was
	// seen that asked for it, and the mapping below is not a host's other name.
	state := `{"net":{"received_http_auth_negotiate_headers":true},"auth":{"disable_negotiate_cname_lookup":true}}`
	if err := os.WriteFile(filepath.Join(profile, "Local State"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-dev-shm-usage", "--user-data-dir=" + profile, "--no-proxy-server", "--timeout=30000",
		"--host-resolver-rules=MAP *.corp.test 127.0.0.1",
	}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var stdout, stderr logBuffer
	cmd := exec.CommandContext(ctx, program, append(args, "--dump-dom", page)...)
	cmd.Env = append(slices.Concat(os.Environ(), env), "HOME="+profile)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(stdout.String(), "")
}

// pageWhoami is serveWhoami as a browser shows it.
func pageWhoami(t *testing.T, text string) whoami {
	t.Helper()
	from, to := strings.Index(text, "{"), strings.LastIndex(text, "}")
	if from < 0 || to < from {
		t.Fatalf("page %q, want JSON", text)
	}
	return decodeWhoami(t, text[from:to+1])
}

func TestChromium(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "chromium")

	t.Run("Kerberos", func(t *testing.T) {
		t.Parallel()
		dc := adtest.Start(t)
		s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web), NTLM: localNTLM(t)}})
		env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice))
		me := pageWhoami(t, browse(t, env, s.At("web.corp.test", "/"), "--auth-server-allowlist=*.corp.test"))
		if me.User != `CORP\alice` || me.Mechanism != authn.MechanismKerberos {
			t.Errorf("caller = %+v, want alice by Kerberos", me)
		}
	})
	// Over TLS it binds its answer to the channel and protects it by a MIC, so
	// it passes the strictest policy.
	t.Run("NTLM", func(t *testing.T) {
		t.Parallel()
		m := localNTLM(t)
		m.Binding, m.RequireMIC = authn.BindingRequired, true
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m, NoNegotiate: true}, tls: true})
		u, err := url.Parse(s.At("web.corp.test", "/"))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(`CORP\alice`, localPass)
		me := pageWhoami(t, browse(t, nil, u.String(), "--ignore-certificate-errors"))
		if me.User != `CORP\alice` || me.Mechanism != authn.MechanismNTLM || me.SID != localSID {
			t.Errorf("caller = %+v, want the local alice by NTLM", me)
		}
	})
}
