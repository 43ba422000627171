package e2e

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// everywhere is a DNS server that has all names at 127.0.0.1.
type everywhere struct{}

func (everywhere) LookupCNAME(_ context.Context, h string) (string, error) { return h + ".", nil }

func (everywhere) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.IPv4(127, 0, 0, 1)}}, nil
}

func (everywhere) LookupAddr(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// examine has soapward doctor look at a URL. All findings of wanted must be
// there, and breaks are all those that break logins.
func examine(t *testing.T, cfg site.Config, breaks string, wanted ...string) *site.Report {
	t.Helper()
	cfg.Resolver, cfg.HostsFile = everywhere{}, "/nonexistent"
	if cfg.Kerberos == nil {
		cfg.NoKerberos = "not in this test"
	}
	r, err := site.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var broken []string
	for _, f := range r.Findings {
		text.WriteString(string(f.Severity) + " " + f.ID + ": " + f.Why + "\n")
		if f.Severity == doctor.Broken {
			broken = append(broken, f.ID)
		}
	}
	slices.Sort(broken)
	if got := strings.Join(broken, " "); got != breaks {
		t.Errorf("%s: what breaks logins is %q, want %q\n%s", cfg.URL, got, breaks, &text)
	}
	for _, id := range wanted {
		if !r.Has(id) {
			t.Errorf("%s: no %s\n%s", cfg.URL, id, &text)
		}
	}
	return r
}

// asUser logs in at the test domain.
func asUser(t *testing.T, dc *adtest.DC, url, user string) site.Config {
	t.Helper()
	conf := krbConfig(t, dc)
	return site.Config{
		URL: url, Kerberos: &conf, User: user + "@" + adtest.Realm, Password: authn.NewSecret(adtest.Password(t, user)), Roots: dc.Roots(t),
	}
}

// Apache's mod_auth_gssapi in a domain of Samba's: Kerberos, and NTLM beside it.
func TestDoctorAtApache(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, tls := range []bool{false, true} {
		a := peers.StartApache(t, dc, adtest.Backend, "backend.corp.test", tls, nil)
		cfg := asUser(t, dc, a.URL("/x"), adtest.Alice)
		r := examine(t, cfg, "", "http.challenge", "ntlm.none", "kdc.good", "ticket.good", "login.kerberos", "login.mutual", "clock.good", "hop.forwardable")
		if r.Kerberos.Service != adtest.BackendSPN+"@"+adtest.Realm || !strings.HasPrefix(r.Kerberos.EType, "aes256") {
			t.Errorf("%+v", r.Kerberos)
		}
		// A name that this Apache has no key of, though the realm has it.
		wrong := asUser(t, dc, strings.Replace(a.URL("/x"), "backend.", "other.", 1), adtest.Alice)
		examine(t, wrong, "login.kerberos-refused", "ticket.good")
		// One that nobody has.
		examine(t, asUser(t, dc, strings.Replace(a.URL("/x"), "backend.", "absent.", 1), adtest.Alice), "spn.unknown")
		// And one whose account has no AES key.
		examine(t, asUser(t, dc, strings.Replace(a.URL("/x"), "backend.", "legacy.", 1), adtest.Alice), "ticket.no-aes")
		// Carol may not be passed on.
		examine(t, asUser(t, dc, a.URL("/x"), adtest.Carol), "", "login.kerberos", "hop.not-forwardable")
		examine(t, asUser(t, dc, a.URL("/x"), adtest.Dave), "krb.login-failed")
		if tls {
			cfg.ProbeBinding = true
			examine(t, cfg, "", "tls.good", "tls.binding")
		}

		n := startNTLMApache(t, dc, tls)
		for user, breaks := range map[string]string{"alice": "", "nobody": "login.ntlm-refused"} {
			cfg := site.Config{URL: n.URL("/x"), User: `CORP\` + user, Password: authn.NewSecret(ntlmUsers["alice"]), Roots: dc.Roots(t)}
			r := examine(t, cfg, breaks, "ntlm.challenge", "krb.no-config")
			if r.NTLM == nil || r.NTLM.Domain != "CORP" || len(r.Logins) != 1 {
				t.Errorf("%+v, %+v", r.NTLM, r.Logins)
			}
		}
	}
}

// With the tickets of MIT's kinit in a realm that is not Active Directory.
func TestDoctorInMITRealm(t *testing.T) {
	t.Parallel()
	k := startMITRealm(t, "")
	s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: mitKerberos(t, k, "web")}})
	conf, err := kerberos.LoadConfig(k.Conf)
	if err != nil {
		t.Fatal(err)
	}
	cfg := site.Config{URL: s.At(mitHost, "/x"), Kerberos: conf}
	cache := k.Kinit(t, k.Env(), "alice", mitPassword)
	cfg.Cache = func() (*kerberos.Client, error) { return kerberos.NewCacheClient(*conf, cache) }
	r := examine(t, cfg, "", "krb.realm", "ticket.good", "login.kerberos", "login.mutual")
	if r.Kerberos.Client != "alice@A.TEST" {
		t.Errorf("%+v", r.Kerberos)
	}
	// Another key at the KDC, and a ticket from before: its service refuses it.
	k.Administer(t, "A.TEST", "cpw -randkey HTTP/"+mitHost)
	examine(t, cfg, "login.kerberos-refused")
	k.Administer(t, "A.TEST", "delprinc -force HTTP/"+mitHost)
	cache = k.Kinit(t, k.Env(), "alice", mitPassword)
	examine(t, cfg, "spn.unknown")
}

// Squid on the way to a server with TLS carries logins; one that wants a login
// of its own is said to, and nobody logs in through one without TLS.
func TestDoctorThroughSquid(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	free, locked := peers.StartSquid(t, nil, squidHost, false), peers.StartSquid(t, nil, squidHost, false, squidNTLM)
	s := boundServer(t)
	cfg := site.Config{URL: s.URL, User: `CORP\` + localUser, Password: authn.NewSecret(localPass), Proxy: free.URL, Timeout: 10 * time.Second}
	cfg.Roots = dc.Roots(t)
	cfg.Roots.AddCert(s.leaf)
	examine(t, cfg, "", "proxy.used", "tls.good", "login.ntlm")
	cfg.Proxy = locked.URL
	examine(t, cfg, "proxy.login")
	plain := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
	cfg.URL, cfg.Proxy = plain.URL, free.URL
	r := examine(t, cfg, "", "proxy.plain", "login.not-tried")
	if len(r.Logins) != 0 {
		t.Errorf("%+v", r.Logins)
	}
}
