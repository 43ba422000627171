package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/adtest"
)

// krbConfig is what our client knows of the test domain.
func krbConfig(t *testing.T, dc *adtest.DC) kerberos.Config {
	t.Helper()
	cfg, err := kerberos.LoadConfig(dc.Krb5Conf)
	if err != nil {
		t.Fatal(err)
	}
	return *cfg
}

// principals are the three ways for our client to be somebody.
var principals = []struct {
	name string
	user string // who the server sees
	make func(*testing.T, *adtest.DC) (*kerberos.Client, error)
}{
	{"password", adtest.Alice, func(t *testing.T, dc *adtest.DC) (*kerberos.Client, error) {
		return passwordClient(t, dc, adtest.Alice)
	}},
	{"password, UPN", adtest.Alice, func(t *testing.T, dc *adtest.DC) (*kerberos.Client, error) {
		return kerberos.NewPasswordClient(krbConfig(t, dc), "alice@corp.test", authn.NewSecret(adtest.Password(t, adtest.Alice)))
	}},
	{"keytab", adtest.Front, func(t *testing.T, dc *adtest.DC) (*kerberos.Client, error) {
		return keytabClient(t, dc, adtest.Front)
	}},
	{"ccache", adtest.Bob, func(t *testing.T, dc *adtest.DC) (*kerberos.Client, error) {
		return kerberos.NewCacheClient(krbConfig(t, dc), dc.Kinit(t, adtest.Bob))
	}},
	{"ccache, FILE:", adtest.Bob, func(t *testing.T, dc *adtest.DC) (*kerberos.Client, error) {
		return kerberos.NewCacheClient(krbConfig(t, dc), "FILE:"+dc.Kinit(t, adtest.Bob))
	}},
}

func passwordClient(t *testing.T, dc *adtest.DC, user string) (*kerberos.Client, error) {
	t.Helper()
	return kerberos.NewPasswordClient(krbConfig(t, dc), user, authn.NewSecret(adtest.Password(t, user)))
}

func keytabClient(t *testing.T, dc *adtest.DC, service string) (*kerberos.Client, error) {
	t.Helper()
	keytab, err := kerberos.LoadKeytab(dc.Keytab(service))
	if err != nil {
		t.Fatal(err)
	}
	return kerberos.NewKeytabClient(krbConfig(t, dc), service, keytab)
}

// Our client and our acceptor, with a real domain controller between them.
func TestKerberosBothSides(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	m := domainKerberos(t, dc, adtest.Web)
	for _, p := range principals {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			client, err := p.make(t, dc)
			if err != nil {
				t.Fatal(err)
			}
			id, err := login(t.Context(), client, adtest.WebSPN, m)
			if err != nil {
				t.Fatal(err)
			}
			if id.String() != `CORP\`+p.user || id.SID != authn.SID(dc.SID(t, p.user)) {
				t.Errorf("caller = %v %v, want %s", id, id.SID, p.user)
			}
			if id.Expires.Before(time.Now()) {
				t.Errorf("login ends at %v, which is over", id.Expires)
			}
		})
	}

	t.Run("service with RC4 only", func(t *testing.T) {
		t.Parallel()
		client, err := passwordClient(t, dc, adtest.Alice)
		if err != nil {
			t.Fatal(err)
		}
		id, err := login(t.Context(), client, adtest.LegacySPN, domainKerberos(t, dc, adtest.Legacy))
		if err == nil {
			t.Fatalf("login by RC4 = %v, want it refused", id)
		}
		cfg := krbConfig(t, dc)
		cfg.AllowRC4 = true
		client, err = kerberos.NewPasswordClient(cfg, adtest.Alice, authn.NewSecret(adtest.Password(t, adtest.Alice)))
		if err != nil {
			t.Fatal(err)
		}
		legacy := domainKerberos(t, dc, adtest.Legacy)
		_, err = login(t.Context(), client, adtest.LegacySPN, legacy)
		var re *authn.RefusedError
		if !errors.As(err, &re) || re.Reason != authn.ReasonWeak {
			t.Errorf("RC4 ticket to an acceptor that takes none: %v, want reason %s", err, authn.ReasonWeak)
		}
		allowed := domainKerberos(t, dc, adtest.Legacy)
		allowed.AllowRC4 = true
		if id, err = login(t.Context(), client, adtest.LegacySPN, allowed); err != nil || id.Account != adtest.Alice {
			t.Errorf("RC4 where both sides allow it = %v, %v; want alice", id, err)
		}
	})
}

// login runs an exchange without HTTP.
func login(ctx context.Context, client *kerberos.Client, spn string, m authn.Mechanism) (*authn.Identity, error) {
	initiator := client.NewInitiator(spn, kerberos.InitiatorConfig{})
	token, _, err := initiator.Step(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	reply, id, err := m.NewAcceptor(authn.Exchange{Peer: "test"}).Step(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if _, done, err := initiator.Step(ctx, reply); err != nil || !done {
		return nil, fmt.Errorf("client, with the server's proof: done %v, %w", done, err)
	}
	return id, nil
}

func TestKerberosLoginRefused(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	tests := []struct {
		name, user, password string
		code                 string
	}{
		{"wrong password", adtest.Alice, "wrong", "KDC_ERR_PREAUTH_FAILED"},
		{"unknown user", "nobody", "x", "KDC_ERR_C_PRINCIPAL_UNKNOWN"},
		{"disabled", adtest.Dave, adtest.Password(t, adtest.Dave), "KDC_ERR_CLIENT_REVOKED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, err := kerberos.NewPasswordClient(krbConfig(t, dc), tt.user, authn.NewSecret(tt.password))
			if err != nil {
				t.Fatal(err)
			}
			err = client.Login(t.Context())
			var ke *kerberos.KDCError
			if !errors.Is(err, authn.ErrBadCredentials) || !errors.As(err, &ke) || ke.Name != tt.code {
				t.Errorf("Login = %v, want %s", err, tt.code)
			}
		})
	}
	t.Run("unknown service", func(t *testing.T) {
		t.Parallel()
		client, err := passwordClient(t, dc, adtest.Alice)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Ticket(t.Context(), "HTTP/nowhere.corp.test")
		var ke *kerberos.KDCError
		if !errors.As(err, &ke) || ke.Name != "KDC_ERR_S_PRINCIPAL_UNKNOWN" || !strings.Contains(ke.Hint, "nowhere") {
			t.Errorf("Ticket = %v, want an unknown service and a hint that names it", err)
		}
	})
	t.Run("no KDC", func(t *testing.T) {
		t.Parallel()
		cfg := krbConfig(t, dc)
		cfg.Realms = map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{dc.IP + ":9"}}}
		client, err := kerberos.NewPasswordClient(cfg, adtest.Alice, authn.NewSecret("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Login(t.Context()); !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), dc.IP+":9") {
			t.Errorf("Login = %v, want unavailable and what was dialled", err)
		}
	})
	t.Run("the first KDC is down", func(t *testing.T) {
		t.Parallel()
		cfg := krbConfig(t, dc)
		cfg.Realms = map[string]kerberos.Realm{adtest.Realm: {KDCs: slices.Concat([]string{"tcp/" + dc.IP + ":9"}, cfg.Realms[adtest.Realm].KDCs)}}
		client, err := kerberos.NewPasswordClient(cfg, adtest.Alice, authn.NewSecret(adtest.Password(t, adtest.Alice)))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Login(t.Context()); err != nil {
			t.Errorf("Login = %v, want the second KDC asked", err)
		}
	})
}
