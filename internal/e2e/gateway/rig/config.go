package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"testing"
	"text/template"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/realm"
	"github.com/soapward/soapward/internal/adtest"
)

// Host is the name of the gateways.
const Host = "web.corp.test"

// Paths of services, each with a login of its own.
const (
	Kerberos = "/krb/"    // each request
	Session  = "/sess/"   // Kerberos, and a session after it
	NTLM     = "/ntlm/"   // of the domain
	Kept     = "/kept/"   // the same, from connections on which proxies forward
	Internal = "/intern/" // NTLM of internal users
	Basic    = "/basic/"  // of internal users
	Domain   = "/adbasic/"
	Form     = "/form/" // of internal users; /form/pay needs the role payroll
	Custom   = "/custom/"
	Open     = "/open/"
)

// World is a configuration that has all kinds of logins, and the users who log
// in by them.
type World struct {
	DC      *adtest.DC
	DSN     string
	Backend int // port
	Key     authn.Secret

	hash string // of Key
}

// Password is that of all internal users.
const Password = "violet tractor lagoon"

// NewWorld makes the world of a database, with internal users of some names.
func NewWorld(tb testing.TB, dc *adtest.DC, dsn string, backend int, users ...string) *World {
	tb.Helper()
	key, hash := hook.NewAPIKey()
	w := &World{DC: dc, DSN: dsn, Backend: backend, Key: key, hash: hex.EncodeToString(hash[:])}
	s, err := store.Open(tb.Context(), store.Config{Driver: "postgres", DSN: dsn})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	h, err := (&password.Hasher{Params: password.Params{Memory: 8192, Time: 1}}).Hash(tb.Context(), Password)
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range users {
		if err := s.CreateUser(tb.Context(), &directory.User{Name: name, Realm: "staff", Password: h, NTHash: realm.NTHash(Password)}); err != nil {
			tb.Fatal(err)
		}
	}
	return w
}

// NodeConfig is what is particular to one node.
type NodeConfig struct {
	Port, Admin int
	Computer    string // account of the domain
	Proxy       bool   // the balancer speaks the PROXY protocol
	PlainHTTP   bool   // TLS ends at the balancer
	More        string // of the configuration
}

var nodeConfig = template.Must(template.New("gw.yaml").Parse(`
listen: [{addr: "127.0.0.1:{{.Port}}"{{if not .PlainHTTP}}, tls: {cert: {{.DC.CAFile}}, key: gw.key}{{end}}{{if .Proxy}}, proxy_protocol: [127.0.0.1]{{end}}}]
admin: {addr: "127.0.0.1:{{.Admin}}"}
log: {format: json}
shutdown: {grace: 3s}
store: {driver: postgres, dsn: "{{.DSN}}"}
passwords: {memory_kib: 8192, passes: 1}
{{if .PlainHTTP}}trusted_proxies: [127.0.0.1]
sessions: {tls_at_proxy: true}
defaults: {channel_binding_hash: [{{.DC.CAFile}}]}
{{end -}}
identity: {issuer: {{.Computer}}}
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["{{.DC.IP}}"], keytab: {{.Keytab}}, spn: [HTTP/web.corp.test]}
    ntlm: {verifier: netlogon, computer: {{.Computer}}$, secret: {file: computer.secret}}
    ad: {url: "ldaps://{{.DC.IP}}", domain: corp.test, default_domain: CORP, ca_file: {{.DC.CAFile}}, bind_user: jill@corp.test, bind_password: {file: jill.secret}, sync: {disabled: true}}
  staff: {internal: {ntlm: true}}
roles:
  payroll: {users: ['CORP\nobody']}
services:
  krb: {match: {path: /krb/}, login: [corp/negotiate], {{.Up}}}
  sess: {match: {path: /sess/}, login: [corp/negotiate], session: true, {{.Up}}}
  ntlm: {match: {path: /ntlm/}, login: [corp/ntlm], {{.Up}}}
  kept: {match: {path: /kept/}, login: [corp/ntlm], allow_forwarded: true, {{.Up}}}
  intern: {match: {path: /intern/}, login: [staff/ntlm], {{.Up}}}
  basic: {match: {path: /basic/}, login: [staff/basic], {{.Up}}}
  adbasic: {match: {path: /adbasic/}, login: [corp/basic], {{.Up}}}
  form: {match: {path: /form/}, login: [staff/form], allow: [{path: /form/pay, roles: [payroll]}, {path: /form/, roles: [any]}], {{.Up}}}
  custom: {match: {path: /custom/}, login: [custom], custom: {api_keys: [{name: batch, hash: "{{.Hash}}"}]}, {{.Up}}}
  open: {match: {path: /open/}, login: [none], {{.Up}}}
{{.More}}`))

// Config returns the configuration of a node and the files that it needs.
func (w *World) Config(tb testing.TB, c NodeConfig) (text string, files map[string]string) {
	tb.Helper()
	var b bytes.Buffer
	err := nodeConfig.Execute(&b, struct {
		*World
		NodeConfig
		Keytab, Hash, Up string
	}{w, c, w.DC.Keytab(adtest.Web), w.hash, `upstream: {url: "http://` + Addr(w.Backend) +
		`", connect_timeout: 1s, identity: {header: X-Remote-User, jwt: {header: X-Identity, key: {file: id.key}, lifetime: 30s}}}`})
	if err != nil {
		tb.Fatal(err)
	}
	key, err := os.ReadFile(w.DC.KeyFile)
	if err != nil {
		tb.Fatal(err)
	}
	return b.String(), map[string]string{
		"gw.key": string(key), "computer.secret": adtest.Password(tb, c.Computer), "jill.secret": adtest.Password(tb, adtest.Jill),
		"bob.secret": adtest.Password(tb, adtest.Bob), "id.key": newKey(tb),
	}
}

// newKey makes a key that signs tokens.
func newKey(tb testing.TB) string {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}
