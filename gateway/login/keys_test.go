package login_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/gateway/login"
)

// Each key of sessions and of the protection against guessing gets to where it is
// used.
func TestSettingsOfSets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.set(w.config(`
trusted_proxies: [192.0.2.1]
realms: {staff: {internal: {}}}
sessions: {idle: 1m, absolute: 2m, remember: 3m, tls_at_proxy: true, allow_evidence: true, allow_insecure_http: true}
throttle: {window: 4m, user: [{failures: 1, block: 5s}], address: [{failures: 2, block: 6s}, {failures: 9, block: 7s}]}
`), nil)
	m := login.Manager(s, "staff")
	if m.Idle != time.Minute || m.Absolute != 2*time.Minute || m.Remember != 3*time.Minute || !m.TLSAtProxy || !m.AllowEvidence || !m.AllowInsecureHTTP {
		t.Errorf("sessions %+v", m)
	}
	l := login.Limiter(s, "staff")
	if l.Window != 4*time.Minute || !slices.Equal(l.User, []throttle.Rule{{Failures: 1, Block: 5 * time.Second}}) ||
		!slices.Equal(l.Address, []throttle.Rule{{Failures: 2, Block: 6 * time.Second}, {Failures: 9, Block: 7 * time.Second}}) {
		t.Errorf("limits %+v", l)
	}
	m = login.Manager(w.set(w.config(`realms: {staff: {internal: {}}}`), nil), "staff")
	if m.TLSAtProxy || m.AllowEvidence || m.AllowInsecureHTTP || m.Idle != 20*time.Minute || m.Absolute != 12*time.Hour || m.Remember != 240*time.Hour {
		t.Errorf("sessions by default %+v", m)
	}
}

// A realm makes users at their first login, unless it must not: then those who
// were not added are refused, however right their login is.
func TestCreateUsers(t *testing.T) {
	t.Parallel()
	for create, want := range map[string]string{"": `200 CORP\alice`, ", create_users: false": "refused"} {
		w := newWorld(t)
		c := w.config(`
listen: [{addr: ":443"}]
realms: {corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}` + create + `}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate]}}
`)
		srv := w.serve(c, w.set(c, nil), "x")
		if got := get(t, w.client(srv, w.kerberos("alice")), srv.URL); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", create, got, want)
		}
	}
}
