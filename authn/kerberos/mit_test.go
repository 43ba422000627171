package kerberos

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/mittest"
	"github.com/soapward/soapward/internal/testenv"
)

// mitKDC is two realms of MIT's that trust each other.
type mitKDC struct {
	*mittest.KDCs
	dir string // for files of the test
	env []string
}

var update = flag.Bool("update", false, "record anew what peers say")

const mitPassword = "pw-of-Alice 42"

func startMIT(t *testing.T) *mitKDC {
	t.Helper()
	k := mittest.Start(t,
		mittest.Realm{
			Name: "A.TEST",
			Principals: []string{
				fmt.Sprintf("-pw %q +requires_preauth -maxrenewlife 7d alice", mitPassword),
				fmt.Sprintf("-pw %q nopreauth", mitPassword),
				fmt.Sprintf("-pw %q +requires_preauth -e aes256-sha2:special sha2", mitPassword),
				"-randkey HTTP/app.a.test",
				"-randkey +requires_preauth robot",
			},
			Keytabs: map[string]string{"app": "HTTP/app.a.test", "robot": "robot"},
		},
		mittest.Realm{
			Name: "B.TEST", ReachedBy: []string{"A.TEST"},
			Principals: []string{"-randkey HTTP/app.b.test"},
			Keytabs:    map[string]string{"app-b": "HTTP/app.b.test"},
		})
	dir := t.TempDir()
	return &mitKDC{KDCs: k, dir: dir, env: append(k.Env(), "KRB5CCNAME=FILE:"+filepath.Join(dir, "cc"))}
}

func (m *mitKDC) config(t *testing.T) Config {
	t.Helper()
	cfg, err := LoadConfig(m.Conf)
	if err != nil {
		t.Fatal(err)
	}
	return *cfg
}

func (m *mitKDC) keytab(t *testing.T, name string) *Keytab {
	t.Helper()
	k, err := LoadKeytab(m.Keytab(name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestMITKDC is the client against MIT's KDC: what another implementation
// takes for right, and says where it is not.
func TestMITKDC(t *testing.T) {
	t.Parallel()
	kinit := testenv.Need(t, "kinit")
	m := startMIT(t)
	byPassword := func(t *testing.T, cfg Config, user, password string) *Client {
		t.Helper()
		c, err := NewPasswordClient(cfg, user, authn.NewSecret(password))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	arrives := func(t *testing.T, c *Client, spn, keytab, want string) {
		t.Helper()
		mech := &Mechanism{Keytab: m.keytab(t, keytab), AllowNoPAC: []string{"A.TEST"}, Realms: []string{"A.TEST"}}
		id, err := runExchange(t, c.NewInitiator(spn, InitiatorConfig{}), mech, authn.Exchange{})
		if err != nil {
			t.Fatal(err)
		}
		if id.Account != want || id.Domain != "A.TEST" {
			t.Errorf("arrived as %v, want %s", id, want)
		}
	}
	t.Run("password", func(t *testing.T) {
		t.Parallel()
		for _, udpLimit := range []int{0, -1} {
			cfg := m.config(t)
			cfg.UDPLimit = udpLimit
			arrives(t, byPassword(t, cfg, "alice", mitPassword), "HTTP/app.a.test", "app", "alice")
		}
	})
	t.Run("without preauth", func(t *testing.T) {
		t.Parallel()
		arrives(t, byPassword(t, m.config(t), "nopreauth", mitPassword), "HTTP/app.a.test", "app", "nopreauth")
		err := byPassword(t, m.config(t), "nopreauth", "wrong").Login(t.Context())
		if !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("wrong password: %v", err)
		}
	})
	t.Run("SHA-2 with a salt of its own", func(t *testing.T) {
		t.Parallel()
		arrives(t, byPassword(t, m.config(t), "sha2", mitPassword), "HTTP/app.a.test", "app", "sha2")
	})
	for _, etype := range []string{"aes256-sha1", "aes128-sha1", "aes256-sha2", "aes128-sha2"} {
		t.Run(etype, func(t *testing.T) {
			t.Parallel()
			cfg := m.config(t)
			cfg.ETypes = []string{etype}
			arrives(t, byPassword(t, cfg, "alice", mitPassword), "HTTP/app.a.test", "app", "alice")
		})
	}
	t.Run("keytab", func(t *testing.T) {
		t.Parallel()
		c, err := NewKeytabClient(m.config(t), "", m.keytab(t, "robot"))
		if err != nil {
			t.Fatal(err)
		}
		arrives(t, c, "HTTP/app.a.test", "app", "robot")
	})
	t.Run("other realm", func(t *testing.T) {
		t.Parallel()
		arrives(t, byPassword(t, m.config(t), "alice", mitPassword), "HTTP/app.b.test", "app-b", "alice")
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		for name, tc := range map[string]struct {
			user, password, spn, want string
		}{
			"wrong password":  {"alice", "wrong", "HTTP/app.a.test", "KDC_ERR_PREAUTH_FAILED"},
			"unknown user":    {"nobody", "x", "HTTP/app.a.test", "KDC_ERR_C_PRINCIPAL_UNKNOWN"},
			"unknown service": {"alice", mitPassword, "HTTP/nowhere.a.test", "KDC_ERR_S_PRINCIPAL_UNKNOWN"},
		} {
			_, err := byPassword(t, m.config(t), tc.user, tc.password).Ticket(t.Context(), tc.spn)
			var ke *KDCError
			if !errors.As(err, &ke) || ke.Name != tc.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("caches of kinit", func(t *testing.T) {
		t.Parallel()
		collection := filepath.Join(m.dir, "collection")
		if err := os.Mkdir(collection, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"FILE:" + filepath.Join(m.dir, "alice.cc"), "DIR:" + collection} {
			testenv.Run(t, m.env, mitPassword+"\n", kinit, "-f", "-r", "2d", "-c", name, "alice")
			c, err := NewCacheClient(m.config(t), name)
			if err != nil {
				t.Fatal(err)
			}
			arrives(t, c, "HTTP/app.a.test", "app", "alice")
			tgt, err := c.c.tgt(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			renewed, err := c.c.renew(t.Context(), tgt, kinit)
			if err != nil || renewed == tgt {
				t.Errorf("renew: %v", err)
			}
		}
	})
	t.Run("forwarded TGT", func(t *testing.T) {
		t.Parallel()
		c := byPassword(t, m.config(t), "alice", mitPassword)
		mech := &Mechanism{Keytab: m.keytab(t, "app"), AllowNoPAC: []string{"A.TEST"}, AllowForwardedTGT: true}
		id, err := runExchange(t, c.NewInitiator("HTTP/app.a.test", InitiatorConfig{Forward: true}), mech, authn.Exchange{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := NewForwardedClient(m.config(t), id.Evidence.(*Evidence))
		if err != nil {
			t.Fatal(err)
		}
		arrives(t, f, "HTTP/app.b.test", "app-b", "alice")
	})
	t.Run("protocol transition", func(t *testing.T) {
		t.Parallel()
		c, err := NewKeytabClient(m.config(t), "robot", m.keytab(t, "robot"))
		if err != nil {
			t.Fatal(err)
		}
		ev, err := c.S4U2Self(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if ev.Client() != "alice@A.TEST" {
			t.Errorf("evidence of %s", ev.Client())
		}
		if _, err := c.S4U2Self(t.Context(), "nobody"); err == nil {
			t.Error("evidence of nobody")
		}
		// Its database has no place for who may delegate where.
		if _, err := c.S4U2Proxy(t.Context(), ev, "HTTP/app.a.test"); err == nil || !strings.Contains(err.Error(), "S4U2Proxy") {
			t.Errorf("S4U2Proxy: %v", err)
		}
	})
}

// transcriptDir has what internal/krb5 replays.
const transcriptDir = "../../internal/krb5/testdata/mit"

// TestMITTranscript listens in on kinit, our client and kvno with krb5kdc. With
// -update it writes the messages to testdata, for tests that need none of them.
func TestMITTranscript(t *testing.T) {
	t.Parallel()
	m := startMIT(t)
	var mu sync.Mutex
	var names []string
	save := func(name string, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		names = append(names, name)
		if !*update {
			return
		}
		if err := os.WriteFile(filepath.Join(transcriptDir, fmt.Sprintf("%02d-%s.der", len(names), name)), b, 0o600); err != nil {
			t.Error(err)
		}
	}
	s := startScriptedKDC(t, func(network string, req []byte) []byte {
		if network == "udp" {
			return krbError(t, krb5.CodeResponseTooBig)
		}
		c, err := net.Dial("tcp", m.Addr("A.TEST"))
		if err != nil {
			t.Error(err)
			return nil
		}
		defer c.Close()
		var head [4]byte
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(req))), req...)); err != nil {
			t.Error(err)
			return nil
		}
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Error(err)
			return nil
		}
		rep := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, rep); err != nil {
			t.Error(err)
			return nil
		}
		names := map[krb5.MsgType]string{
			krb5.MsgASReq: "as-req", krb5.MsgASRep: "as-rep", krb5.MsgTGSReq: "tgs-req", krb5.MsgTGSRep: "tgs-rep", krb5.MsgError: "error",
		}
		for _, b := range [][]byte{req, rep} {
			typ, _ := krb5.TypeOf(b)
			save(names[typ], b)
		}
		return rep
	})
	text, err := os.ReadFile(m.Conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.Conf, []byte(strings.ReplaceAll(string(text), m.Addr("A.TEST"), s.addr)), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, m.env, mitPassword+"\n", testenv.Need(t, "kinit"), "-f", "alice")
	c, err := NewCacheClient(m.config(t), filepath.Join(m.dir, "cc"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ticket(t.Context(), "HTTP/app.a.test"); err != nil {
		t.Error(err)
	}
	// A credential cache has no key to open the answer with.
	if _, err := c.S4U2Self(t.Context(), "nopreauth"); !errors.Is(err, ErrNoServiceKey) {
		t.Error(err)
	}
	testenv.Run(t, m.env, "", testenv.Need(t, "kvno"), "HTTP/app.a.test")
	want := "as-req error as-req as-rep tgs-req tgs-rep tgs-req tgs-rep tgs-req tgs-rep"
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
